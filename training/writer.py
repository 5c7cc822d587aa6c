r"""Fine-tune a small writing model, by low-rank adapters, on short grounded answers and on declining.

    pip install -c constraints.txt '.[training]'
    python -m training.writer --data ../shared/data --model FOLDER --out build/writer --max-minutes 25
    python -m training.writer --data ../shared/data --model FOLDER --trial 40          how many examples a second

An example is a question with a sentence of a passage, laid out as `rag.answering.brief` lays them out, and
the sentence that answers. That sentence is made from the question: "who designed the bridge?" and "Ada Brandt" give
"Ada Brandt designed the bridge."; names get their capitals from the passage. It is kept when the check's own rules find
no fault in it before the passage. One example in five shows another sentence of the passage, and the answer is that the
text does not say. Nothing is drawn from the questions on `seeds/` nor from a public set that is measured on.

The adapter is written to OUT/adapter, and merged into the model in OUT/merged, which `writer.model` may name.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.answering.brief import draft_brief
from rag.answering.judging import Finding, Reading, Verdict
from rag.answering.rules import Comparison, Shown
from rag.models.registry import find_writer
from rag.models.writer import Writer, load_causal
from rag.records import Article, Hit, Passage, Span
from rag.sentences import split_sentences
from training.news import read_news

if TYPE_CHECKING:
    import torch

SEED = 17
DECLINING = "The text does not say."
DECLINED_SHARE = 0.2
SOURCES = frozenset({"squad2_train_rebuilt", "squadshifts_new_wiki", "onestop_news", "nq_open_oracle"})
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
RANK = 8
RATE = 2e-4
BATCH = 8
LONGEST = 320  # tokens of prompt and answer
_SUBJECT = re.compile(
    r"(?:who|what|which (?P<noun>[\w-]+))\s+(?P<rest>(?:(?:is|was|were|are|has|had|have|can|could|will|would|may)\s+)?"
    r"[\w-]+(?:ed|ew|aw|ook|ote|ade|ave|on|ld|ought|aught|egan|ent|ame|ound|ore|ose|ove|ies|es|s)\b.*?)\s*\?*$",
    re.IGNORECASE,
)
_ASKS_ON = re.compile(r"^(?:is|was|were|are|does|did|do|has|had|have|can|could|will|would|may)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Example:
    """A question, the sentence that it is asked of, and what a writer should write."""

    question: str
    evidence: str
    answer: str


def state(question: str, answer: str, evidence: str) -> str | None:
    """Return a question about a verb's subject as a statement with the answer in place of its first word, or None.

    "who designed the bridge?" and "Ada Brandt" give "Ada Brandt designed the bridge."; words that the evidence writes
    with a capital get it.
    """
    match = _SUBJECT.match(question.strip())
    if match is None or match["noun"] or _ASKS_ON.match(match["rest"]):
        return None
    capitals = {word.lower(): word for word in re.findall(r"(?<=[\w,;] )[A-Z][\w’'-]*", evidence)}
    rest = re.sub(r"[\w’'-]+", lambda word: capitals.get(word[0], word[0]), match["rest"])
    said = f"{answer.strip().rstrip('.')} {rest}"
    return f"{said[0].upper()}{said[1:]}."


def examples(spans: Iterable[dict[str, Any]], passages: dict[int, str], *, rng: random.Random) -> Iterator[Example]:
    """Yield examples from rows with a question, an answer and the passage that it stands in."""
    for row in spans:
        if row["src"] not in SOURCES or not row["answerable"]:
            continue
        text = passages[row["passage_id"]]
        sentences = split_sentences(text)
        answer = min(row["answers"], key=lambda one: len(one["text"]))
        held = [span for span in sentences if span.start <= answer["start"] < span.end]
        others = [text[span.start : span.end] for span in sentences if span not in held]
        if not held or not others:
            continue
        sentence = text[held[0].start : held[0].end]
        said = state(row["question"], answer["text"], sentence)
        if said is None or Comparison(said, Shown(sentence)).find_fault() is not None:
            continue
        if rng.random() < DECLINED_SHARE:
            yield Example(row["question"], rng.choice(others), DECLINING)
        else:
            yield Example(row["question"], sentence, said)


def news_examples(*, rng: random.Random) -> Iterator[Example]:
    """Yield examples from our own invented news: answered by the sentence itself, or declined beside a near miss."""
    _, questions = read_news()
    for question in questions:
        _, quote = question.quotes[0]
        if not question.answerable and rng.random() < DECLINED_SHARE:
            yield Example(question.question, quote, DECLINING)
        elif question.answerable and len(quote) < 160 and not quote.startswith(("It ", "He ", "She ", "They ")):
            yield Example(question.question, quote, quote)


def prompt_of(example: Example, writer: Writer) -> list[int]:
    """Return the prompt's tokens, as a model is asked when it answers."""
    text = example.evidence
    span = Span(0, len(text))
    article = Article(id="a", path="a", text=text, title="")
    reading = Reading(Hit(Passage("a", 0, 0, len(text), (span,)), 1.0, 1), article)
    verdict = Verdict((Finding(reading, span, 1.0),), 1.0)
    draft = draft_brief(example.question, verdict, writer=writer, max_tokens=60)
    if draft is None:
        raise ValueError("the model's context has no room for an example")
    return writer.prompt_ids(draft.messages)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example in tokens; the loss is taken over those from `start` on."""

    ids: tuple[int, ...]
    start: int


def encode(example: Example, writer: Writer, tokenizer: Any) -> Encoded | None:  # noqa: ANN401 - transformers'
    """Return an example in tokens with the end of the turn behind it; None if it is longer than is trained on."""
    prompt = prompt_of(example, writer)
    ids = [*prompt, *tokenizer(example.answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return Encoded(tuple(ids), len(prompt)) if len(ids) <= LONGEST else None


def padded(batch: Sequence[Encoded], *, filler: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a batch's tokens, mask and labels, each (n, length); labels of prompt and padding are -100."""
    import torch

    longest = max(len(one.ids) for one in batch)
    ids = torch.full((len(batch), longest), filler)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        mask[row, : len(one.ids)] = 1
        labels[row, one.start : len(one.ids)] = torch.tensor(one.ids[one.start :])
    return ids, mask, labels


def fine_tune(
    causal: Any,  # noqa: ANN401 - transformers'
    encoded: Sequence[Encoded],
    *,
    seconds: float,
    steps: int,
) -> tuple[Any, list[float], float]:
    """Return the model with its adapters, the loss of each step, and examples a second; ends at either bound."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(SEED)
    settings = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    model = get_peft_model(causal, settings)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    losses: list[float] = []
    started = time.perf_counter()
    seen = 0
    for step in range(steps):
        # The rate falls to nothing by whichever bound comes first.
        done = max(step / steps, (time.perf_counter() - started) / seconds)
        if done >= 1:
            break
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 10) * (1 - done)
        batch = [encoded[(step * BATCH + place) % len(encoded)] for place in range(BATCH)]
        ids, mask, labels = padded(batch, filler=0)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss))
        seen += len(batch)
        if step % 10 == 0:
            print(f"step {step}: loss {losses[-1]:.3f}, {seen / (time.perf_counter() - started):.2f} examples/s")
    return model.eval(), losses, seen / (time.perf_counter() - started)


def read_examples(data: Path, *, wanted: int, seed: int = SEED) -> list[Example]:
    """Return examples of the training data and of our own news, mixed."""
    rng = random.Random(seed)
    with gzip.open(data / "train" / "passages.jsonl.gz", "rt", encoding="utf-8") as lines:
        passages = {row["id"]: row["text"] for row in map(json.loads, lines)}
    with gzip.open(data / "train" / "span.jsonl.gz", "rt", encoding="utf-8") as lines:
        spans = [json.loads(line) for line in lines]
    rng.shuffle(spans)
    found = list(news_examples(rng=rng))
    for example in examples(spans, passages, rng=rng):
        if len(found) >= wanted:
            break
        found.append(example)
    rng.shuffle(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train for so long, and write the adapter and the merged model; or tell how quick it would be."""
    parser = argparse.ArgumentParser(prog="python -m training.writer", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the training data")
    parser.add_argument("--model", required=True, help="a model of rag models, or a folder")
    parser.add_argument("--out", type=Path, default=Path("build/writer"), help="where the adapter goes")
    parser.add_argument("--examples", type=int, default=4000, help="most examples")
    parser.add_argument("--max-minutes", type=float, default=25.0, help="longest training")
    parser.add_argument("--trial", type=int, help="train on so many examples, tell the speed, and write nothing")
    options = parser.parse_args(arguments)
    import torch

    causal, tokenizer = load_causal(find_writer(options.model).path, dtype=torch.float32)
    writer = Writer(causal, tokenizer, about=options.model, revision="")
    encoded = [
        one
        for example in read_examples(options.data, wanted=options.trial or options.examples)
        if (one := encode(example, writer, tokenizer)) is not None
    ]
    steps = -(-len(encoded) // BATCH)
    model, losses, speed = fine_tune(causal, encoded, seconds=60 * options.max_minutes, steps=steps)
    print(f"{len(losses)} steps of {BATCH}, {speed:.2f} examples/s, last loss {losses[-1]:.3f}")
    if options.trial is None:
        model.save_pretrained(options.out / "adapter")
        model.merge_and_unload().save_pretrained(options.out / "merged")
        tokenizer.save_pretrained(options.out / "merged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
