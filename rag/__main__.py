"""`python -m rag`, and the command `rag`."""

import sys


def run() -> None:
    """Run a command and leave the process with its exit code."""
    try:
        from rag.cli import run as run_command
    except KeyboardInterrupt:  # importing takes a tenth of a second, in which nothing is done yet
        sys.exit(130)
    run_command()


if __name__ == "__main__":
    run()
