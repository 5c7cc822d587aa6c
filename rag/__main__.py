"""`python -m rag`, the same as `rag`."""

from rag.cli import run

run()
