"""Train the reader, resuming from the last checkpoint where there is one.

python -m training.train --examples build/reader/examples --encoder models/all-MiniLM-L6-v2 --out build/reader/run
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
import logging
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.model import ReaderModel, load_body, make_empty_body, split_losses
from training.start import read_start
from training.tokens import Batch, TokenisedExamples, iterate_batches

logger = logging.getLogger(__name__)
UNTRAINED = "untrained"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made with.

    `max_minutes` brings the end of the schedule forward where the machine is slower than hoped; 0 sets no limit.
    `start` is the folder of a finished run, or of an exported reader, to go on from instead of the bare encoder; or
    "untrained": random weights in the encoder's shape. `longest` leaves out pairs of more tokens, `lora_rank` trains
    adapters of that rank instead of the body; 0 for neither. `dropout` is the share of hidden units that are left out
    where BERT does so, attention weights apart (Srivastava et al., JMLR 2014). `adversarial` is how far, as an L2 norm,
    the word embeddings of a pair are moved against it before it is learnt a second time (Miyato et al., ICLR 2017).
    """

    seed: int = 13
    epochs: int = 1
    body_rate: float = 1.5e-4
    head_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    max_batch_tokens: int = 1500
    batches_per_step: int = 4
    span_weight: float = 1.0
    answerable_weight: float = 1.0
    support_weight: float = 0.7
    averaging: float = 0.995
    max_minutes: float = 0.0
    max_examples: int = 0
    without: str = ""
    start: str = ""
    longest: int = 0
    lora_rank: int = 0
    dropout: float = 0.0
    adversarial: float = 0.0


def compute_rate(progress: float, *, warmup: float) -> float:
    """Return the factor on the learning rate at a progress in 0..1: linear up, then linear down to 0."""
    if progress < warmup:
        return progress / warmup
    return max(0.0, (1.0 - progress) / (1.0 - warmup))


def select_examples(examples: TokenisedExamples, *, without: str, longest: int = 0) -> TokenisedExamples:
    """Return the examples whose "source · kind" holds none of the comma-separated parts, up to `longest` tokens."""
    parts = [part for part in without.split(",") if part]
    dropped = [i for i, name in enumerate(examples.names) if any(part in name for part in parts)]
    wanted = ~np.isin(examples.groups, dropped)
    if longest:
        wanted &= examples.sizes <= longest
    kept = np.flatnonzero(wanted)
    return examples if len(kept) == len(examples) else examples.take(kept)


def make_model(encoder: Path, *, settings: Settings) -> ReaderModel:
    """Return the model that a run begins with."""
    torch.manual_seed(settings.seed)
    untrained = settings.start == UNTRAINED
    if untrained:
        config = json.loads((encoder / "config.json").read_text(encoding="utf-8"))
        body = make_empty_body(config | {"hidden_dropout_prob": settings.dropout, "attention_probs_dropout_prob": 0.0})
    else:
        body = load_body(encoder, dropout=settings.dropout)
    model = ReaderModel(body)
    if settings.start and not untrained:
        model.load_state_dict(read_start(Path(settings.start)), strict=True)
    if settings.lora_rank:
        add_adapters(model, rank=settings.lora_rank)
    return model


def add_adapters(model: ReaderModel, *, rank: int) -> None:
    """Put low-rank adapters beside every matrix of the body, and hold the body itself (Hu et al., ICLR 2022)."""
    from peft import LoraConfig, inject_adapter_in_model

    targets = ["query", "key", "value", "dense"]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets), model.body)


class MasterWeights:
    """Weights in float32 with their running average, behind a model that computes in another type.

    bfloat16 has 8 bits of mantissa: updates smaller than 1/256 of a weight would be lost, so they are made here.
    """

    def __init__(self, model: ReaderModel, settings: Settings) -> None:
        heads = {id(parameter) for parameter in model.head_parameters()}
        self.working = list(model.parameters())
        self.names = [name for name, _ in model.named_parameters()]
        self.masters = [nn.Parameter(parameter.detach().float().clone()) for parameter in self.working]
        self.average = [master.detach().clone() for master in self.masters]
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter, master in zip(self.working, self.masters, strict=True):
            rate = settings.head_rate if id(parameter) in heads else settings.body_rate
            decay = settings.weight_decay if master.dim() > 1 else 0.0
            groups.setdefault((rate, decay), []).append(master)
        self.rates = [rate for rate, _ in groups]
        self.optimiser = torch.optim.AdamW(
            [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()],
            fused=True,
        )
        self.averaging = settings.averaging
        self.steps = 0

    def step(self, *, factor: float, divisor: float) -> float:
        """Apply the gathered gradients divided by `divisor`; return their norm before clipping at 1."""
        for parameter, master in zip(self.working, self.masters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float().div_(divisor)
            parameter.grad = None
        norm = float(nn.utils.clip_grad_norm_(self.masters, 1.0))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        self.steps += 1
        decay = min(self.averaging, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [master.detach() for master in self.masters], 1.0 - decay)
            for parameter, master in zip(self.working, self.masters, strict=True):
                parameter.copy_(master)
        return norm

    def state(self) -> dict[str, object]:
        """Return all that is needed to go on."""
        return {
            "masters": dict(zip(self.names, [master.detach() for master in self.masters], strict=True)),
            "average": dict(zip(self.names, self.average, strict=True)),
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take over what `state` returned."""
        masters, average = state["masters"], state["average"]
        if not isinstance(masters, dict) or not isinstance(average, dict):
            raise TypeError("the checkpoint holds no weights")
        with torch.no_grad():
            for i, name in enumerate(self.names):
                self.masters[i].copy_(masters[name])
                self.average[i].copy_(average[name])
                self.working[i].copy_(masters[name])
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]  # its type is that of state()
        self.steps = int(str(state["steps"]))


def to_tensors(batch: Batch) -> dict[str, Tensor]:
    """Return the arrays of a batch as tensors, by name."""
    return {name: torch.from_numpy(getattr(batch, name)) for name in Batch.__dataclass_fields__}


@dataclass(slots=True)
class Tally:
    """Running means of the losses."""

    sums: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.sums.update(other.sums)
        self.counts.update(other.counts)

    def describe(self) -> str:
        """Return the mean losses as text."""
        return " ".join(f"{name} {self.sums[name] / max(1, self.counts[name]):.4f}" for name in sorted(self.sums))


def make_replica(model: ReaderModel) -> ReaderModel:
    """Return a model that shares the weights of another and gathers gradients of its own."""
    replica = copy.deepcopy(model)
    for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    return replica


def add_gradients(replicas: Sequence[ReaderModel]) -> None:
    """Add the gradients of all replicas to the first, and clear the others."""
    for parameters in zip(*(replica.parameters() for replica in replicas), strict=True):
        for parameter in parameters[1:]:
            if parameter.grad is None:
                continue
            if parameters[0].grad is None:
                parameters[0].grad = parameter.grad
            else:
                parameters[0].grad.add_(parameter.grad)
            parameter.grad = None


def gather_gradients(model: ReaderModel, *, queue: deque[Batch], settings: Settings) -> Tally:
    """Return the losses of the batches taken from the queue until it is empty, their gradients left in the model."""
    tally = Tally()
    while True:
        try:
            batch = queue.popleft()
        except IndexError:
            return tally
        tensors = to_tensors(batch)
        embedded = model.embed(tensors["ids"])
        if settings.adversarial:
            embedded.retain_grad()
        losses = learn(model, tensors, embedded, settings=settings)
        if settings.adversarial and embedded.grad is not None:
            away = move_against(embedded.grad, distance=settings.adversarial)
            learn(model, tensors, model.embed(tensors["ids"]) + away, settings=settings)
        tally.sums.update({key: float(value.detach()) for key, value in losses.items()})
        tally.counts.update(
            answerable=int((batch.answerable >= 0).sum()),
            span=int((batch.starts >= 0).sum()),
            support=int((batch.support > 0).sum()),
        )


def learn(
    model: ReaderModel, tensors: Mapping[str, Tensor], embedded: Tensor, *, settings: Settings
) -> dict[str, Tensor]:
    """Return the losses of a batch whose tokens are embedded so, their gradients left in the model."""
    output = model(tensors["ids"], tensors["mask"], tensors["types"], embedded)
    losses = split_losses(
        output, **{key: tensors[key] for key in ("mask", "types", "starts", "ends", "answerable", "support", "inside")}
    )
    loss = (
        settings.answerable_weight * losses["answerable"]
        + settings.span_weight * losses["span"]
        + settings.support_weight * losses["support"]
    )
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return losses


def move_against(gradient: Tensor, *, distance: float) -> Tensor:
    """Return the step of a length along each pair's gradient (n, length, dim), by which its loss grows fastest."""
    norms = gradient.float().flatten(1).norm(dim=1).clamp(min=1e-12)
    away: Tensor = gradient * (distance / norms).to(gradient.dtype)[:, None, None]
    return away


def group_batches(examples: TokenisedExamples, *, settings: Settings) -> Iterator[list[Batch]]:
    """Yield the batches of each step, over all epochs."""
    for epoch in range(settings.epochs):
        batches = iterate_batches(examples, max_batch_tokens=settings.max_batch_tokens, seed=settings.seed + epoch)
        while group := list(itertools.islice(batches, settings.batches_per_step)):
            yield group


def save_checkpoint(path: Path, *, state: dict[str, object]) -> None:
    """Write a checkpoint; the last one stays whole if the machine stops while this one is written."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def train(
    examples: TokenisedExamples,
    *,
    encoder: Path,
    out: Path,
    settings: Settings,
    workers: int = 1,
    threads: int = 1,
    checkpoint_every: int = 100,
) -> None:
    """Train and leave `last.pt` (to resume from) and, at the end, `final.pt` in `out`.

    `workers` replicas share the batches of a step between them, each with `threads` threads. On few cores that others
    use too, two workers of one thread are faster than one of two: no operation waits for the slower core. Which worker
    takes which batch is not fixed, so sums of gradients may differ in their last bits from run to run; with dropout,
    so does what is left out.
    """
    model = make_model(encoder, settings=settings)
    model.train()
    weights = MasterWeights(model, settings)
    model.body.bfloat16()
    replicas = [model, *(make_replica(model) for _ in range(workers - 1))]
    out.mkdir(parents=True, exist_ok=True)
    (out / "settings.json").write_text(json.dumps(asdict(settings), indent=1), encoding="utf-8")
    last = out / "last.pt"
    steps_done, seen, spent = 0, 0, 0.0
    if last.exists():
        checkpoint = torch.load(last, weights_only=True)
        weights.restore(checkpoint["weights"])
        steps_done, seen, spent = weights.steps, checkpoint["seen"], checkpoint["seconds"]
        logger.info("resumed after %d examples", seen)
    total = settings.max_examples or settings.epochs * len(examples)
    began = time.monotonic() - spent
    tally = Tally()
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(threads)) as pool:
        for step, batches in enumerate(group_batches(examples, settings=settings)):
            if step < steps_done:
                continue
            progress = seen / total
            if settings.max_minutes:
                progress = max(progress, (time.monotonic() - began) / (60 * settings.max_minutes))
            if progress >= 1.0:
                break
            queue = deque(batches)
            futures = [pool.submit(gather_gradients, replica, queue=queue, settings=settings) for replica in replicas]
            for future in futures:
                tally.add(future.result())
            add_gradients(replicas)
            gathered = sum(len(batch.rows) for batch in batches)
            seen += gathered
            norm = weights.step(factor=compute_rate(progress, warmup=settings.warmup), divisor=gathered)
            if weights.steps % 20 == 0:
                seconds = time.monotonic() - began
                logger.info(
                    "%5d steps %7d examples %.3f progress %5.0f s %5.1f/s norm %.2f %s",
                    weights.steps, seen, progress, seconds, seen / seconds, norm, tally.describe(),
                )  # fmt: skip
                tally = Tally()
            if weights.steps % checkpoint_every == 0 and math.isfinite(norm):
                save_checkpoint(
                    last, state={"weights": weights.state(), "seen": seen, "seconds": time.monotonic() - began}
                )
    save_checkpoint(
        out / "final.pt",
        state={
            "weights": {key: value for key, value in weights.state().items() if key in {"masters", "average"}},
            "seen": seen,
            "seconds": time.monotonic() - began,
            "settings": asdict(settings),
        },
    )


def hash_recipe(manifest: dict[str, object], *, settings: Settings) -> str:
    """Return the first 16 digits of the SHA-256 of the data's checksums, the recipe and the settings."""
    content = json.dumps({"manifest": manifest, "settings": asdict(settings)}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after training."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--examples", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoints and settings")
    parser.add_argument("--workers", type=int, default=2, help="replicas that share the batches of a step")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch for each worker")
    for name, value in asdict(defaults).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = Settings(**{name: getattr(options, name) for name in asdict(defaults)})
    examples = select_examples(
        TokenisedExamples.load(options.examples / "train.npz"), without=settings.without, longest=settings.longest
    )
    train(
        examples, encoder=options.encoder, out=options.out, settings=settings, workers=options.workers,
        threads=options.threads,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
