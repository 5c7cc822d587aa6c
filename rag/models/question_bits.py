"""The encoder's graph for questions, in eight bits: `eight_bits` says how. Run in a process of its own."""

import sys

from rag.models.eight_bits import QUESTIONS, main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], kind=QUESTIONS))
