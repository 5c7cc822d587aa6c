r"""Fine-tune a small writing model, by low-rank adapters, on short grounded answers and on declining.

    pip install -c constraints.txt '.[training]'
    python -m training.writer --data ../shared/data --model smollm2-135m --out build/writer --max-minutes 40
    python -m training.writer --data ../shared/data --model smollm2-135m --trial 5         how many steps a second
    python -m training.writer --data ../shared/data --show 20                              some of the examples

An example is a question with a sentence of a passage, laid out as `rag.answering.brief` lays them out when it shows no
worked examples (`writer.prompt: bare`), and the sentence that answers. That is made from the question where it can be:
"when was the bridge opened?" and "1999" give "The bridge was opened in 1999."; else it is the sentence itself, or the
clause of it that answers. It is kept when the check that a written answer goes through lets it pass. One example in six
shows a sentence that does not answer, and the answer is that the text does not say. Nothing is drawn from the
questions on `seeds/` nor from a public set that is measured on.

A checkpoint is written every 25 steps to OUT; started again, it goes on from there. The adapter ends in
OUT/adapter.safetensors, and merged into the model in OUT/merged, which `writer.model` may name.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gzip
import json
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.answering.brief import draft_brief
from rag.answering.checking import Checker, Supporter
from rag.answering.judging import Finding, Reading, Verdict
from rag.answering.rules import Comparison, Shown
from rag.answering.wording import word_key
from rag.models.reader import SHIPPED, Reader
from rag.models.registry import find_writer
from rag.models.writer import Writer, load_causal
from rag.records import Article, Hit, Passage, Span
from rag.sentences import split_sentences
from training.news import read_news

if TYPE_CHECKING:
    import torch

SEED = 17
DECLINING = "The text does not say."
DECLINED_SHARE = 1 / 6
# The reports that there were when the adapter that ships was trained; more would change what the seed draws.
REPORTS = frozenset("npqrtu")
SOURCES = frozenset({"squad2_train_rebuilt", "squadshifts_new_wiki", "onestop_news", "nq_open_oracle"})
RANK = 8
RATE = 6e-4
BATCH = 8
POOL = 8  # batches whose examples are laid together by length
LONGEST = 200  # tokens of prompt and answer
CHECKPOINT_STEPS = 25
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of glibc's mallopt
_MOST_WORDS = 32  # of an answer
_LEAST_WORDS = 5
_SUBJECT = re.compile(
    r"(?:who|what|which (?P<noun>[\w-]+))\s+(?P<rest>(?:(?:is|was|were|are|has|had|have|can|could|will|would|may)\s+)?"
    r"[\w-]+(?:ed|ew|aw|ook|ote|ade|ave|on|ld|ought|aught|egan|ent|ame|ound|ore|ose|ove|ies|es|s)\b.*?)\s*\?*$",
    re.IGNORECASE,
)
_ASKS_ON = re.compile(r"^(?:is|was|were|are|does|did|do|has|had|have|can|could|will|would|may)\b", re.IGNORECASE)
_EQUAL = re.compile(r"(?:what|who) (?P<verb>is|was|are|were) (?P<rest>(?:the|a|an) .+?)\s*\?*$", re.IGNORECASE)
_PASSIVE = re.compile(
    r"(?P<asked>when|where|(?:in|on) (?:what|which) \w+) (?P<verb>is|was|were|are) (?P<subject>.+?) "
    r"(?P<part>\w+(?:ed|en|rn|ilt|eld|ade|ung|ound|own|old|ought))(?P<rest>\b.*?)\s*\?*$",
    re.IGNORECASE,
)
_OBJECT = re.compile(
    r"(?P<asked>what|who|whom|how (?:many|much)(?: (?P<noun>[\w-]+))?|when|where|(?:in|on) (?:what|which) \w+) "
    r"(?:did|does|do) (?P<rest>.+?)\s*\?*$",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"\b(in|on|at|by|to|from|of|for|with|near|since|during|after|before|until|around|about|as|into|over|under)$",
    re.IGNORECASE,
)
_PLACED = re.compile(r"(?:when|where|in|on)\b", re.IGNORECASE)
_BREAK = re.compile(r"(?:, (?:which|who|where|while|but|although|after|with|and)\b|; | [—–] )")
_LEANS_BACK = re.compile(r"(?:It|He|She|They|This|That|These|Those|His|Her|Its|Their|But|And|So|However)\b")
_LEAD = re.compile(r"(?:[A-Z][A-Z .,'’-]+ [—–-] |\[[\w ]+\] ?|(?:In addition|Meanwhile|However|Moreover|Also),? )+")
WHOLE_SHARE = 0.3
_NAMED = re.compile(r"(?<=[\w,;] )[A-Z][\w’'-]*")


@dataclass(frozen=True, slots=True)
class Example:
    """A question, the sentence that it is asked of, and what a writer should write."""

    question: str
    evidence: str
    answer: str


def state(question: str, answer: str, evidence: str) -> str | None:
    """Return a question as a statement with the answer in the place of what is asked for; None where that is hard.

    "who designed the bridge?" and "Ada Brandt" give "Ada Brandt designed the bridge."; words that the evidence writes
    with a capital get it.
    """
    asked, answer = question.strip(), answer.strip().rstrip(".")
    for made in (_of_subject, _of_equals, _of_passive, _of_object):
        said = made(asked, answer, evidence)
        if said is not None:
            said = _with_capitals(" ".join(said.split()), evidence)
            return f"{said[0].upper()}{said[1:]}."
    return None


def _of_subject(question: str, answer: str, _evidence: str) -> str | None:
    match = _SUBJECT.match(question)
    if match is None or match["noun"] or _ASKS_ON.match(match["rest"]) or re.search(r"\b(?:did|do|does)\b", question):
        return None
    return f"{answer} {match['rest']}"


def _of_equals(question: str, answer: str, _evidence: str) -> str | None:
    match = _EQUAL.match(question)
    if match is None or re.search(r"(?:\b\w+ed|\bcalled)$", match["rest"]) or _PREPOSITION.search(match["rest"]):
        return None
    return f"{match['rest']} {match['verb']} {answer}"


def _of_passive(question: str, answer: str, evidence: str) -> str | None:
    match = _PASSIVE.match(question)
    if match is None:
        return None
    placed = _placed(answer, evidence)
    return placed and f"{match['subject']} {match['verb']} {match['part']}{match['rest']} {placed}"


def _of_object(question: str, answer: str, evidence: str) -> str | None:
    """Return "Ada designed the bridge" for "what did Ada design": the verb as the evidence has it."""
    match = _OBJECT.match(question)
    if match is None:
        return None
    words = match["rest"].split()
    forms = {word_key(form.lower()): form for form in re.findall(r"\b[a-z]+\b", evidence)}
    for number, word in enumerate(words[1:], start=1):
        form = forms.get(word_key(word.lower()))
        if form is None or form == word or form.endswith(("ing", "ion", "er", "s")):
            continue
        subject, tail = " ".join(words[:number]), " ".join(words[number + 1 :])
        if _PLACED.match(match["asked"]):
            placed = _placed(answer, evidence)
            return placed and f"{subject} {form} {tail} {placed}"
        noun = match["noun"] or ""
        if noun and noun not in answer.lower():
            answer = f"{answer} {noun}"
        return f"{subject} {form} {tail} {answer}" if _PREPOSITION.search(tail) else f"{subject} {form} {answer} {tail}"
    return None


def _placed(answer: str, evidence: str) -> str | None:
    """Return a time or place with the preposition that the evidence has before it."""
    place = evidence.lower().find(answer.lower())
    if _PREPOSITION.match(answer.split(maxsplit=1)[0]) or place < 0:
        return answer if place >= 0 else None
    before = re.search(r"(\w+)(?: the| about| around)? ?$", evidence[:place])
    if before and _PREPOSITION.match(before[1]):
        return f"{before[0].strip()} {answer}".lower() if answer.islower() else f"{before[0].strip().lower()} {answer}"
    return None


def _with_capitals(text: str, evidence: str) -> str:
    capitals = {word.lower(): word for word in _NAMED.findall(evidence)}
    return re.sub(r"[\w’'-]+", lambda word: capitals.get(word[0], word[0]), text)


def shorten(sentence: str, answer: tuple[int, int]) -> str | None:
    """Return a sentence, or the clauses of it up to a break behind the answer; None if that is still long."""
    cuts = [len(sentence)]
    if len(sentence.split()) > _MOST_WORDS * 2 // 3:
        cuts = [match.start() for match in _BREAK.finditer(sentence) if match.start() >= answer[1]] + cuts
    for cut in cuts:
        text = _LEAD.sub("", sentence[:cut].strip().rstrip(",;"), count=1)
        text = f"{text[:1].upper()}{text[1:]}"
        if _LEAST_WORDS <= len(text.split()) <= _MOST_WORDS and text.count('"') % 2 == 0:
            return text if text.endswith((".", "!", '."', ".”")) else f"{text}."
    return None


def examples(
    spans: Iterable[Mapping[str, Any]],
    passages: Mapping[int, str],
    *,
    rng: random.Random,
    checker: Checker | None = None,
) -> Iterator[Example]:
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
        start = answer["start"] - held[0].start
        yield from _made(row["question"], sentence, answer["text"], (start, start + len(answer["text"])),
                         others=others, rng=rng, checker=checker, whole_share=WHOLE_SHARE)  # fmt: skip


def _made(
    question: str, sentence: str, answer: str, place: tuple[int, int], *,
    others: Sequence[str], rng: random.Random, checker: Checker | None, whole_share: float = 1.0,
) -> Iterator[Example]:  # fmt: skip
    asked = _with_capitals(question, sentence)
    asked = f"{asked[:1].upper()}{asked[1:]}"
    stated = state(question, answer, sentence) if answer else None
    whole = None if _LEANS_BACK.match(sentence) or rng.random() > whole_share else shorten(sentence, place)
    for said in (stated, whole):
        if said is not None and len(said.split()) >= _LEAST_WORDS - 1 and passes(said, sentence, checker):
            declines = others and rng.random() < DECLINED_SHARE
            yield Example(asked, rng.choice(others), DECLINING) if declines else Example(asked, sentence, said)
            return


def passes(said: str, sentence: str, checker: Checker | None) -> bool:
    """Tell whether a sentence bears out a statement: by the rules of the check, and by all of it if there is one."""
    if Comparison(said, Shown(sentence)).find_fault() is not None:
        return False
    return checker is None or checker.check(said, [_finding(sentence)]).kept


def news_examples(*, rng: random.Random, checker: Checker | None = None) -> Iterator[Example]:
    """Yield examples from our own invented news: answered from the quote, or declined beside a near miss."""
    _, questions = read_news()
    for question in questions:
        if len(question.quotes) != 1 or question.article[0] not in REPORTS:
            continue
        quote = question.quotes[0][1]
        if not question.answerable:
            if rng.random() < DECLINED_SHARE:
                yield Example(question.question, quote, DECLINING)
            continue
        found = [(at, answer) for answer in question.answers if (at := quote.lower().find(answer.lower())) >= 0]
        at, answer = min(found, key=lambda one: len(one[1])) if found else (0, "")
        if len(quote.split()) >= _LEAST_WORDS:
            yield from _made(question.question, quote, answer, (at, at + len(answer) if answer else len(quote)),
                             others=(), rng=rng, checker=checker)  # fmt: skip


def _finding(text: str) -> Finding:
    span = Span(0, len(text))
    article = Article(id="a", path="a", text=text, title="")
    return Finding(Reading(Hit(Passage("a", 0, 0, len(text), (span,)), 1.0, 1), article), span, 1.0)


def prompt_of(example: Example, writer: Writer) -> list[int]:
    """Return the prompt's tokens, as a model is asked when it answers."""
    verdict = Verdict((_finding(example.evidence),), 1.0)
    draft = draft_brief(example.question, verdict, writer=writer, max_tokens=60, bare=True)
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


def batches(encoded: Sequence[Encoded], *, seed: int = SEED) -> list[list[Encoded]]:
    """Return batches in a random order, each of examples of about the same length."""
    rng = random.Random(seed)
    found: list[list[Encoded]] = []
    for place in range(0, len(encoded), POOL * BATCH):
        pool = sorted(encoded[place : place + POOL * BATCH], key=lambda one: len(one.ids))
        cut = [pool[at : at + BATCH] for at in range(0, len(pool), BATCH)]
        rng.shuffle(cut)
        found += cut
    return found


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


def loss_of(model: Any, batch: Sequence[Encoded]) -> torch.Tensor:  # noqa: ANN401 - peft's
    """Return the mean loss over the answers' tokens; the vocabulary is laid out for these alone."""
    import torch

    ids, mask, labels = padded(batch, filler=0)
    causal = model.get_base_model()
    hidden = causal.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    chosen = wanted != -100
    return torch.nn.functional.cross_entropy(causal.lm_head(hidden[chosen]).float(), wanted[chosen])


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with its adapters, the loss of each step, and steps a second."""

    model: Any
    losses: tuple[float, ...]
    speed: float


def fine_tune(
    causal: Any,  # noqa: ANN401 - transformers'
    encoded: Sequence[Encoded],
    *,
    seconds: float,
    epochs: int = 1,
    checkpoint: Path | None = None,
) -> Trained:
    """Return the model with its adapters after the last example, or when the time is up; goes on from a checkpoint."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(SEED)
    settings = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(causal, settings)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    cut = [batch for epoch in range(epochs) for batch in batches(encoded, seed=SEED + epoch)]
    losses: list[float] = []
    before = 0.0  # seconds that earlier runs took
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        for weight, value in zip(weights, saved["weights"], strict=True):
            weight.data.copy_(value)
        optimiser.load_state_dict(saved["optimiser"])
        losses, before = list(saved["losses"]), float(saved["seconds"])
    began, started = len(losses), time.perf_counter()
    for step in range(began, len(cut)):
        spent = before + time.perf_counter() - started
        # The rate falls to nothing by whichever bound comes first.
        done = max(step / len(cut), spent / seconds)
        if done >= 1:
            break
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 10) * (1 - done)
        loss = loss_of(model, cut[step])
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
        if step % 10 == 0:
            recent = losses[-10:]
            print(f"step {step}/{len(cut)}: loss {sum(recent) / len(recent):.3f}, {spent:.0f} s", flush=True)
        if checkpoint is not None and (step + 1) % CHECKPOINT_STEPS == 0:
            state_of = {
                "weights": [weight.data for weight in weights],
                "optimiser": optimiser.state_dict(),
                "losses": losses,
                "seconds": before + time.perf_counter() - started,
            }
            torch.save(state_of, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    return Trained(model.eval(), tuple(losses), (len(losses) - began) / (time.perf_counter() - started))


def read_examples(data: Path, *, wanted: int, seed: int = SEED, support: Supporter | None = None) -> list[Example]:
    """Return examples of the training data and of our own news, mixed; three in five of public text at least."""
    rng = random.Random(seed)
    checker = Checker(support) if support is not None else None
    with gzip.open(data / "train" / "passages.jsonl.gz", "rt", encoding="utf-8") as lines:
        passages = {row["id"]: row["text"] for row in map(json.loads, lines)}
    with gzip.open(data / "train" / "span.jsonl.gz", "rt", encoding="utf-8") as lines:
        spans = [json.loads(line) for line in lines]
    rng.shuffle(spans)
    news = list(news_examples(rng=rng))
    rng.shuffle(news)
    few = news[: wanted * 2 // 5]
    found = [one for one in few if one.answer == DECLINING or passes(one.answer, one.evidence, checker)]
    for example in examples(spans, passages, rng=rng, checker=checker):
        if len(found) >= wanted:
            break
        found.append(example)
    rng.shuffle(found)
    return found


def export_adapter(model: Any, file: Path) -> None:  # noqa: ANN401 - peft's
    """Write a model's adapter as `rag.models.writer.merge_adapter` reads it, in bfloat16."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    named = {
        key.removeprefix("base_model.model.").removesuffix(".weight"): weight.to(torch.bfloat16).contiguous()
        for key, weight in get_peft_model_state_dict(model).items()
    }
    settings = model.peft_config["default"]
    save_file(named, file, metadata={"scale": str(settings.lora_alpha / settings.r)})


def keep_memory() -> None:
    """Let the C library keep the memory that is given back: where a page is dear to get, a step takes a third."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**29)):
            library.mallopt(parameter, value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train for so long, and write the adapter and the merged model; or tell how quick it would be."""
    parser = argparse.ArgumentParser(prog="python -m training.writer", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the training data")
    parser.add_argument("--model", help="a model of rag models, or a folder")
    parser.add_argument("--out", type=Path, default=Path("build/writer"), help="where the adapter goes")
    parser.add_argument("--examples", type=int, default=4000, help="how many examples")
    parser.add_argument("--epochs", type=int, default=1, help="how often each is seen")
    parser.add_argument("--max-minutes", type=float, default=40.0, help="longest training")
    parser.add_argument("--trial", type=int, help="train so many steps, tell the speed, and write nothing")
    parser.add_argument("--show", type=int, help="print so many examples, and train nothing")
    options = parser.parse_args(arguments)
    wanted = options.show or (options.trial and options.trial * BATCH) or options.examples
    found = read_examples(options.data, wanted=wanted, support=Reader(SHIPPED, threads=1))
    if options.show:
        for one in found:
            print(f"Text: {one.evidence}\nQuestion: {one.question}\n> {one.answer}\n")
        return 0
    keep_memory()
    import torch

    causal, tokenizer = load_causal(find_writer(options.model).path, dtype=torch.bfloat16)
    writer = Writer(causal, tokenizer, about=options.model, revision="")
    encoded = [one for example in found if (one := encode(example, writer, tokenizer)) is not None]
    print(f"{len(encoded)} examples, {sum(len(one.ids) for one in encoded) / len(encoded):.0f} tokens each", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    trained = fine_tune(
        causal,
        encoded,
        seconds=60 * options.max_minutes,
        epochs=options.epochs,
        checkpoint=None if options.trial else options.out / "last.pt",
    )
    print(f"{len(trained.losses)} steps of {BATCH}, {trained.speed:.2f} a second, last loss {trained.losses[-1]:.3f}")
    if options.trial is None:
        export_adapter(trained.model, options.out / "adapter.safetensors")
        trained.model.merge_and_unload().save_pretrained(options.out / "merged")
        tokenizer.save_pretrained(options.out / "merged")
        declined = sum(one.answer == DECLINING for one in found)
        about = {"seed": SEED, "rank": RANK, "rate": RATE, "batch": BATCH, "examples": len(encoded),
                 "declining": declined, "steps": len(trained.losses), "losses": trained.losses}  # fmt: skip
        (options.out / "settings.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
