"""Examples of several sets, prepared with different settings, drawn into one.

    python -m training.mix --seed 7 --out mixed a=squad:.75,entries:9000,*:.4 b=news:3500

Behind each folder stand the sources to take from it, by how their names begin: a share of their examples, or how many,
if there are so many; `*` stands for all that are not named. Without it, those are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.tokens import TokenisedExamples

OTHERS = "*"


@dataclass(frozen=True, slots=True)
class Part:
    """A folder with examples, and how many of each source are taken: a share up to 1, a number above."""

    folder: Path
    amounts: Mapping[str, float]

    @classmethod
    def parse(cls, written: str) -> Part:
        """Return what `FOLDER=SOURCE:AMOUNT,…` says.

        Raises:
            ValueError: it says something else, or an amount is not above 0.
        """
        folder, sign, told = written.rpartition("=")
        amounts = {source: float(amount) for source, _, amount in (one.rpartition(":") for one in told.split(","))}
        if not sign or not all(amounts) or min(amounts.values()) <= 0:
            raise ValueError(f"not FOLDER=SOURCE:AMOUNT,…: {written}")
        return cls(Path(folder), amounts)


def draw_part(
    examples: TokenisedExamples, amounts: Mapping[str, float], *, rng: np.random.Generator
) -> TokenisedExamples:
    """Return the examples that are drawn, each by itself, in their order."""
    names = [next((source for source in amounts if name.startswith(source)), OTHERS) for name in examples.names]
    sources = np.array(names)[examples.groups]
    chances = np.zeros(len(examples))
    for source, amount in amounts.items():
        own = sources == source
        chances[own] = amount if amount <= 1 else min(1.0, amount / max(1, own.sum()))
    return examples.take(np.flatnonzero(rng.random(len(examples)) < chances))


def mix(parts: Sequence[Part], *, seed: int) -> TokenisedExamples:
    """Return what is drawn of each part, one part after another."""
    rng = np.random.default_rng(seed)
    drawn = [draw_part(TokenisedExamples.load(part.folder / "train.npz"), part.amounts, rng=rng) for part in parts]
    mixed = drawn[0]
    for one in drawn[1:]:
        mixed = mixed.join(one)
    return mixed


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing the mixed examples, with the dev split of the first set."""
    parser = argparse.ArgumentParser(prog="python -m training.mix", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="+", type=Part.parse, metavar="FOLDER=SOURCE:AMOUNT,…")
    parser.add_argument("--out", type=Path, required=True, help="folder that the examples are written to")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    mixed = mix(options.parts, seed=options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    mixed.save(options.out / "train.npz")
    dev = options.parts[0].folder / "dev.npz"
    (options.out / "dev.npz").write_bytes(dev.read_bytes())
    print(f"{len(mixed)} examples")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
