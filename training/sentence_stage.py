r"""Build the examples of the second stage: single sentences that answer a question, and neighbours that do not.

    python -m training.sentence_stage --data ../shared/data --encoder models/all-MiniLM-L6-v2 \\
        --examples build/reader/examples --out build/reader/sentences

The answerer reads the best sentences a second time, each by itself. The first stage has seen windows of 40 to 120 words
only, where a sentence borrows from its neighbours; this one teaches what a sentence says alone. A part of the first
stage's examples is mixed in, so that nothing is unlearnt. Articles of the dev share stay out, as there.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from training.examples import Example, list_words, make_header, pick_share, split_sentences
from training.prepare import Recipe, count_examples, find_shortest, split_key
from training.sources import SourcePassage, SpanRow, check_files, read_passages, read_recorded_checksums, read_spans
from training.tokens import COLUMNS, TokenisedExamples, load_tokenizer, tokenise_examples

logger = logging.getLogger(__name__)

SEED = 29
SHARES = {
    ("squad2_train_rebuilt", True): 1.0,
    ("squad2_train_rebuilt", False): 0.3,
    ("squadshifts_new_wiki", True): 1.0,
    ("squad_nqg_sentence", True): 0.5,
    ("nq_open_oracle", True): 1.0,
    ("qed_nq_dev", True): 1.0,
    ("onestop_news", True): 1.0,
}
HEADER_SHARE = 0.3
PREVIOUS_SHARE = 0.25
SECOND_NEGATIVE_SHARE = 0.35
REPLAYED = 30_000


def make_sentence_examples(
    rows: Sequence[SpanRow], *, passages: dict[int, SourcePassage], rng: random.Random
) -> Iterator[Example]:
    """Yield, for each question, the sentence that answers and the sentences most like the question that do not."""
    for row in rows:
        if rng.random() > SHARES.get((row.source, row.answerable), 0.0):
            continue
        passage = passages[row.passage_id]
        sentences = split_sentences(passage.text)
        asked = frozenset(list_words(row.question))
        span = find_shortest(row.spans) if row.answerable else None
        answers = [passage.text[start:end].lower() for start, end in row.spans]
        others = [
            number
            for number, (start, end) in enumerate(sentences)
            if not any(answer in passage.text[start:end].lower() for answer in answers)
            and not any(low < end and start < high for low, high in row.spans)
        ]
        others.sort(key=lambda n: -len(asked.intersection(list_words(passage.text[slice(*sentences[n])]))))
        if span is not None:
            holder = next((n for n, (start, end) in enumerate(sentences) if start <= span[0] and span[1] <= end), None)
            if holder is None:
                continue
            yield make_pair(row, passage=passage, sentences=sentences, number=holder, span=span, rng=rng)
        for number in others[: 1 + (rng.random() < SECOND_NEGATIVE_SHARE)]:
            yield make_pair(row, passage=passage, sentences=sentences, number=number, span=None, rng=rng)


def make_pair(
    row: SpanRow,
    *,
    passage: SourcePassage,
    sentences: Sequence[tuple[int, int]],
    number: int,
    span: tuple[int, int] | None,
    rng: random.Random,
) -> Example:
    """Return a question with one sentence, now and then behind a header or with the sentence before it."""
    start, end = sentences[number]
    if number and rng.random() < PREVIOUS_SHARE:
        start = sentences[number - 1][0]
    header = make_header(passage.title, rng=rng) if rng.random() < HEADER_SHARE else ""
    text = row.question.rstrip("? ") if rng.random() < Recipe().no_mark_share else row.question
    shift = len(header) - start
    return Example(
        source=row.source,
        kind="sentence" if span else "neighbour" if row.answerable else "written sentence",
        question=text.lower(),
        passage=header + passage.text[start:end],
        header_size=len(header),
        spans=((span[0] + shift, span[1] + shift),) if span else (),
        answerable=span is not None,
        inside=row.kind != "answer",
    )


def join(first: TokenisedExamples, second: TokenisedExamples) -> TokenisedExamples:
    """Return the examples of both, the groups of the second renumbered behind those of the first."""
    columns = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in COLUMNS}
    columns["groups"] = np.concatenate([first.groups, second.groups + len(first.names)])
    offsets = np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]])
    names = (*first.names, *second.names)
    return TokenisedExamples(ids=np.concatenate([first.ids, second.ids]), offsets=offsets, names=names, **columns)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing the second stage's examples."""
    parser = argparse.ArgumentParser(prog="python -m training.sentence_stage", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--examples", type=Path, required=True, help="the first stage's examples")
    parser.add_argument("--out", type=Path, required=True, help="folder that the examples are written to")
    options = parser.parse_args(arguments)
    checksums = check_files(options.data, recorded=read_recorded_checksums())
    passages = read_passages(options.data)
    spans = read_spans(options.data, passages=passages)
    dev = {row.passage_id for row in spans if pick_share(split_key(row)) < Recipe().dev_share}
    rng = random.Random(SEED)
    rows = [row for row in spans if row.passage_id not in dev]
    examples = list(make_sentence_examples(rows, passages=passages, rng=rng))
    tokenised = tokenise_examples(
        examples, tokenizer=load_tokenizer(options.encoder), max_tokens=Recipe().max_tokens
    )
    earlier = TokenisedExamples.load(options.examples / "train.npz")
    replayed = earlier.take(np.sort(np.random.default_rng(SEED).permutation(len(earlier))[:REPLAYED]))
    joined = join(replayed, tokenised)
    options.out.mkdir(parents=True, exist_ok=True)
    joined.save(options.out / "train.npz")
    counts = count_examples(examples) | {"replayed": len(replayed)}
    manifest = {"checksums": checksums, "seed": SEED, "counts": counts}
    (options.out / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    logger.info("%d sentences and %d replayed, %.1f tokens each", len(tokenised), len(replayed), joined.sizes.mean())
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
