"""Average the weights of a run with those of runs that it came from.

    python -m training.average --out build/reader/averaged build/reader/run-3=0.3 build/reader/run-5=0.7

A run on new data forgets some of what the runs before it had learned. Between its weights and theirs lie models that
keep most of both: see Wortsman et al., Robust fine-tuning of zero-shot models (CVPR 2022). The shares are chosen on
the dev split. The last run named is the one that the result counts as: its settings and what it has seen are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.start import read_start

AVERAGED = "averaged.json"


def average_weights(members: Sequence[tuple[Mapping[str, Tensor], float]]) -> dict[str, Tensor]:
    """Return the weighted mean of weights of the same names and shapes; the shares must add up to 1.

    Raises:
        ValueError: the shares do not add up to 1, or the names differ.
    """
    total = sum(share for _, share in members)
    if abs(total - 1.0) > 1e-6:
        raise ValueError(f"the shares add up to {total}, not to 1")
    names = set(members[0][0])
    if any(set(weights) != names for weights, _ in members):
        raise ValueError("the runs hold weights of different names")
    return {name: sum_shares([(weights[name], share) for weights, share in members]) for name in members[0][0]}


def average_runs(members: Sequence[tuple[Path, float]]) -> dict[str, Tensor]:
    """Return the weighted mean of the averaged weights that finished runs left in their folders."""
    return average_weights([(read_start(folder), share) for folder, share in members])


def sum_shares(parts: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Return the weighted sum of tensors of one shape, in float32."""
    total = torch.zeros_like(parts[0][0], dtype=torch.float32)
    for tensor, share in parts:
        total.add_(tensor.float(), alpha=share)
    return total


def parse_member(text: str) -> tuple[Path, float]:
    """Return (folder, share) of "FOLDER=SHARE"."""
    folder, _, share = text.rpartition("=")
    return Path(folder), float(share)


def write_average(out: Path, *, members: Sequence[tuple[Path, float]]) -> None:
    """Write a run whose averaged weights are the mean of the members', and which members those were."""
    averaged = average_runs(members)
    last_folder = members[-1][0]
    last = torch.load(last_folder / "final.pt", weights_only=True)
    out.mkdir(parents=True, exist_ok=True)
    torch.save({**last, "weights": {"average": averaged, "masters": averaged}}, out / "final.pt")
    shutil.copyfile(last_folder / "settings.json", out / "settings.json")
    shares = [{"run": str(folder), "share": share} for folder, share in members]
    (out / AVERAGED).write_text(json.dumps(shares, indent=1), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing the averaged run."""
    parser = argparse.ArgumentParser(prog="python -m training.average", description=__doc__.splitlines()[0])
    parser.add_argument("members", nargs="+", metavar="FOLDER=SHARE", help="runs, the latest last")
    parser.add_argument("--out", type=Path, required=True, help="folder of the averaged run")
    options = parser.parse_args(arguments)
    write_average(options.out, members=[parse_member(text) for text in options.members])
    return 0


if __name__ == "__main__":
    sys.exit(main())
