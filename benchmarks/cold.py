"""How long a cold command takes, beside what importing sentence-transformers alone takes.

    python -m benchmarks.cold [ROUNDS]

The commands run in turns, each in a process of its own, and the ratio is that of their medians: machines are noisy.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS = Path(__file__).parents[1] / "seeds"
QUESTION = "How many new enterprises did Japan establish in China in 2023?"
ROUNDS = 5


def seconds(command: list[str]) -> float:
    """Return the wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the medians and their ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as index:
        rag = [sys.executable, "-m", "rag"]
        commands = {
            "import sentence_transformers": [sys.executable, "-c", "import sentence_transformers"],
            "rag ask": [*rag, "ask", QUESTION, "--index", index],
            "rag search": [*rag, "search", QUESTION, "--index", index],
            "rag --help": [*rag, "--help"],
        }
        seconds([*rag, "index", str(SEEDS), "--index", index, "--quiet"])
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(seconds(command))
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    whole = medians["import sentence_transformers"]
    print(f"{rounds} rounds, in turns; wall time, median (least – most)")
    for name, median in medians.items():
        spread = f"{min(times[name]):.3f} – {max(times[name]):.3f}"
        print(f"{name:<30} {median:7.3f} s  ({spread})  1/{whole / median:.1f}")


if __name__ == "__main__":
    main()
