"""Build the training and dev examples of the reader from the source data.

python -m training.prepare --data ../shared/data --out build/reader/examples
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.examples import (
    CONTRADICTS,
    NEITHER,
    SUPPORTS,
    Example,
    alter_claim,
    build_pair,
    count_passages_with,
    cut_window,
    edit_question,
    find_best_sentence,
    group_by_title,
    list_names,
    list_words,
    make_header,
    pick_share,
    score_overlap,
    shorten_claim,
    split_sentences,
)
from training.news import ENTRIES, is_held_out, make_news_examples, read_news
from training.nonfactoid import read_nonfactoid
from training.sources import (
    ClaimRow,
    RankRow,
    SourcePassage,
    SpanRow,
    check_files,
    read_claims,
    read_passages,
    read_ranks,
    read_recorded_checksums,
    read_spans,
)
from training.tokens import TokenisedExamples, load_tokenizer, tokenise_examples

logger = logging.getLogger(__name__)
_RANGE = re.compile(r"([A-Za-z])(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The shares of the data that are used; every figure of the model card names the hash of one recipe.

    `news_times` is how often each question about our own articles is drawn, in other windows each time, and
    `nonfactoid_times` each of those that do not ask for a fact, for training of the articles alone that `letters` name
    (`is_named`); `others` how many of the other training examples stay beside them, 0 for all.
    """

    seed: int = 13
    dev_share: float = 0.03
    min_words: int = 40
    max_words: int = 120
    max_tokens: int = 192
    span_shares: Mapping[tuple[str, bool], float] = field(
        default_factory=lambda: {
            ("squad2_train_rebuilt", False): 0.9,
            ("qamr_wiki_wikinews", True): 0.12,
            ("qadiscourse", True): 0.35,
            ("qasrl_gs", True): 0.12,
            ("fairytaleqa", True): 0.45,
            ("timeqa_human_easy", True): 0.7,
            ("timeqa_human_hard", True): 0.4,
            ("ares_nq", False): 0.2,
            ("ares_hotpotqa", False): 0.2,
            ("ares_wow", False): 0.2,
        }
    )
    claim_shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "fever_dev": 0.3,
            "mnli_dev": 0.3,
            "snli_dev": 0.2,
            "nli_wiki": 0.3,
            "scitail_dev": 0.5,
        }
    )
    same_article_share: float = 0.3
    other_article_share: float = 0.06
    removed_sentence_share: float = 0.08
    edited_share: float = 0.3
    no_mark_share: float = 0.12
    altered_claims: int = 15_000
    news_times: int = 0
    nonfactoid_times: int = 0
    letters: str = ""
    others: int = 0


UNEDITED_SOURCES = frozenset({"qasrl_gs", "qadiscourse"})
SAME_ARTICLE_SOURCES = frozenset({"squad2_train_rebuilt", "squad_nqg_sentence", "squadshifts_new_wiki", "fairytaleqa"})
CLAIM_BITS = {"supported": SUPPORTS, "refuted": CONTRADICTS, "not_supported": NEITHER, "partially": NEITHER}
UNDECIDED_SOURCES = frozenset({"fever_dev", "scitail_dev", "factcheck_gpt"})
"""Sources whose "not_supported" may also be a contradiction."""


def split_key(row: SpanRow) -> str:
    """Return what decides whether a row is for training or dev: its article, or its passage where that has no title."""
    return row.title.lower() if row.title else f"passage {row.passage_id}"


@dataclass(frozen=True, slots=True)
class Corpus:
    """The passages of one half of the data, with what mining negatives needs.

    `words` and `names` are those of each passage; `frequencies` counts the passages that hold a word; `groups` are the
    passages of each article, `rare` those that hold a rare word; `everywhere` are names of all passages.
    """

    passages: Mapping[int, SourcePassage]
    words: Mapping[int, frozenset[str]]
    names: Mapping[int, list[str]]
    frequencies: Mapping[str, int]
    groups: Mapping[str, list[int]]
    rare: Mapping[str, list[int]]
    everywhere: Sequence[str]

    def text(self, passage_id: int) -> str:
        """Return the text of a passage."""
        return self.passages[passage_id].text

    def score(self, question_words: Sequence[str], *, passage_id: int) -> float:
        """Return how much a passage has in common with a question."""
        return score_overlap(
            question_words, other=self.words[passage_id], frequencies=self.frequencies, n=len(self.words)
        )

    def find_best(self, question: str, *, passage_id: int) -> tuple[int, int]:
        """Return (start, end) of the sentence of a passage that is most like the question."""
        return find_best_sentence(question, text=self.text(passage_id), frequencies=self.frequencies, n=len(self.words))


def build_corpus(passages: Mapping[int, SourcePassage], *, used: Iterable[int], rare_below: int = 150) -> Corpus:
    """Return the corpus of the passages that are used; a word is rare in at most `rare_below` of them."""
    ids = list(dict.fromkeys(used))
    words = {passage_id: frozenset(list_words(passages[passage_id].text)) for passage_id in ids}
    names = {passage_id: list_names(passages[passage_id].text[:4000]) for passage_id in ids}
    frequencies = count_passages_with(passages[passage_id].text for passage_id in ids)
    rare: defaultdict[str, list[int]] = defaultdict(list)
    for passage_id, found in words.items():
        for word in found:
            if frequencies[word] <= rare_below:
                rare[word].append(passage_id)
    return Corpus(
        passages=passages,
        words=words,
        names=names,
        frequencies=frequencies,
        groups=group_by_title((passage_id, passages[passage_id].title) for passage_id in sorted(ids)),
        rare=rare,
        everywhere=[name for passage_id in sorted(ids) for name in names[passage_id][:2]],
    )


def find_shortest(spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the shortest span, the first of them where several are."""
    return min(spans, key=lambda span: span[1] - span[0])


def list_answers(row: SpanRow, *, corpus: Corpus) -> list[str]:
    """Return the answers of a question, lower-cased."""
    return [corpus.text(row.passage_id)[start:end].lower() for start, end in row.spans]


def is_answered(text: str, *, answers: Sequence[str]) -> bool:
    """Return whether any answer stands in the text, whatever its case."""
    lowered = text.lower()
    return any(answer in lowered for answer in answers)


def make_windowed(
    row: SpanRow,
    *,
    kind: str,
    around: tuple[int, int],
    corpus: Corpus,
    recipe: Recipe,
    rng: random.Random,
    question: str | None = None,
    passage_id: int | None = None,
) -> Example:
    """Return an example on a window of the question's own passage or of another; answerable where `kind` says so."""
    passage = corpus.passages[row.passage_id if passage_id is None else passage_id]
    max_words = rng.randint(recipe.min_words, recipe.max_words)
    window = cut_window(passage.text, around=around, max_words=max_words, rng=rng)
    text = row.question if question is None else question
    # Real search questions come without a question mark; a model that has seen none of those reads its absence.
    if rng.random() < recipe.no_mark_share:
        text = text.rstrip("? ")
    answerable = kind == "answerable"
    return build_pair(
        source=row.source,
        kind=kind,
        question=text,
        text=passage.text,
        window=window,
        title=passage.title,
        spans=(find_shortest(row.spans),) if answerable else (),
        answerable=answerable,
        inside=row.kind != "answer",
        rng=rng,
    )


def mine_same_article(row: SpanRow, *, corpus: Corpus, rng: random.Random) -> int | None:
    """Return one of the three passages of the article most like the question that do not hold the answer."""
    answers, question_words = list_answers(row, corpus=corpus), list_words(row.question)
    ranked = sorted(
        (
            (corpus.score(question_words, passage_id=other), other)
            for other in corpus.groups.get(row.title or "", [])
            if other != row.passage_id and not is_answered(corpus.text(other), answers=answers)
        ),
        reverse=True,
    )
    return rng.choice(ranked[:3])[1] if ranked else None


def mine_other_article(row: SpanRow, *, corpus: Corpus) -> int | None:
    """Return the passage of another article most like the question, among those with its rarest words."""
    answers, question_words = list_answers(row, corpus=corpus), list_words(row.question)
    rarest = sorted(
        (word for word in set(question_words) if word in corpus.rare), key=lambda word: (corpus.frequencies[word], word)
    )
    nearby = sorted({
        other
        for word in rarest[:4]
        for other in corpus.rare[word]
        if corpus.passages[other].title != row.title and not is_answered(corpus.text(other), answers=answers)
    })  # fmt: skip
    return max(nearby, key=lambda other: corpus.score(question_words, passage_id=other), default=None)


def remove_answer(row: SpanRow, *, corpus: Corpus, recipe: Recipe, rng: random.Random) -> Example | None:
    """Return up to five sentences of the passage, those with the answer left out; None where too little remains."""
    text, answers = corpus.text(row.passage_id), list_answers(row, corpus=corpus)
    without = [part for part in split_sentences(text) if not is_answered(text[part[0] : part[1]], answers=answers)]
    if len(without) < 2:
        return None
    header = make_header(row.title, rng=rng)
    first = rng.randrange(max(1, len(without) - 4))
    kept = " ".join(text[start:end] for start, end in without[first : first + 5])
    if len(kept.split()) > recipe.max_words:
        return None
    return Example(
        source=row.source,
        kind="removed_sentence",
        question=row.question.lower(),
        passage=header + kept,
        header_size=len(header),
        answerable=False,
    )


def edit_for_passage(row: SpanRow, *, corpus: Corpus, rng: random.Random) -> tuple[str, str] | None:
    """Return (edited question, way) with names from the same article, or at times from anywhere."""
    group = corpus.groups.get(row.title or "", [])
    others = [name for other in rng.sample(group, min(6, len(group))) for name in corpus.names[other]]
    if not others or rng.random() < 0.3:
        others = rng.sample(corpus.everywhere, min(20, len(corpus.everywhere)))
    return edit_question(row.question, passage=corpus.text(row.passage_id), other_names=others, rng=rng)


def make_negatives(row: SpanRow, *, corpus: Corpus, recipe: Recipe, rng: random.Random) -> Iterator[Example]:
    """Yield the negatives drawn for one answerable question."""
    if row.source in SAME_ARTICLE_SOURCES and rng.random() < recipe.same_article_share:
        other = mine_same_article(row, corpus=corpus, rng=rng)
        if other is not None:
            around = corpus.find_best(row.question, passage_id=other)
            yield make_windowed(
                row, kind="same_article", around=around, passage_id=other, corpus=corpus, recipe=recipe, rng=rng
            )
    if row.title and rng.random() < recipe.other_article_share:
        other = mine_other_article(row, corpus=corpus)
        if other is not None:
            around = corpus.find_best(row.question, passage_id=other)
            yield make_windowed(
                row, kind="other_article", around=around, passage_id=other, corpus=corpus, recipe=recipe, rng=rng
            )
    if rng.random() < recipe.removed_sentence_share:
        removed = remove_answer(row, corpus=corpus, recipe=recipe, rng=rng)
        if removed is not None:
            yield removed
    if row.source not in UNEDITED_SOURCES and rng.random() < recipe.edited_share:
        edited = edit_for_passage(row, corpus=corpus, rng=rng)
        if edited is not None:
            yield make_windowed(
                row,
                kind=f"edited_{edited[1]}",
                around=find_shortest(row.spans),
                question=edited[0],
                corpus=corpus,
                recipe=recipe,
                rng=rng,
            )


def make_span_examples(
    rows: Sequence[SpanRow], *, passages: Mapping[int, SourcePassage], recipe: Recipe, rng: random.Random
) -> Iterator[Example]:
    """Yield the questions with windows of their own passages, the negatives mined for them, and edited questions.

    The window of an unanswerable question lies around the sentence most like it: nothing in its size or place tells.
    """
    corpus = build_corpus(passages, used=(row.passage_id for row in rows))
    for row in rows:
        if rng.random() > recipe.span_shares.get((row.source, row.answerable), 1.0):
            continue
        if row.answerable:
            around = find_shortest(row.spans)
            yield make_windowed(row, kind="answerable", around=around, corpus=corpus, recipe=recipe, rng=rng)
            yield from make_negatives(row, corpus=corpus, recipe=recipe, rng=rng)
        else:
            around = corpus.find_best(row.question, passage_id=row.passage_id)
            yield make_windowed(row, kind="written", around=around, corpus=corpus, recipe=recipe, rng=rng)


def make_rank_examples(rows: Sequence[RankRow]) -> Iterator[Example]:
    """Yield a sentence that answers and the most similar one that does not, for each real question."""
    for row in rows:
        if not row.source.startswith("selqa"):
            continue
        asked = frozenset(list_words(row.question))
        for text, answerable in (
            (row.positives[0], True),
            (max(row.negatives, key=lambda text: len(asked.intersection(list_words(text))), default=""), False),
        ):
            if text:
                yield Example(
                    source="selqa", kind="sentence", question=row.question.lower(), passage=text, answerable=answerable,
                    spans=((0, len(text)),) if answerable else (), inside=True,
                )  # fmt: skip


def make_claim_examples(rows: Sequence[ClaimRow], *, recipe: Recipe, rng: random.Random) -> Iterator[Example]:
    """Yield the published claims, a label that may hide contradictions allowing both classes."""
    for row in rows:
        if rng.random() > recipe.claim_shares.get(row.source, 1.0):
            continue
        bits = CLAIM_BITS[row.label]
        if row.label == "not_supported" and row.source in UNDECIDED_SOURCES:
            bits = CONTRADICTS | NEITHER
        evidence = " ".join(row.evidence.replace("``", '"').replace("-LSB-", "[").replace("-RSB-", "]").split()[:120])
        yield Example(source=row.source, kind="claim", question=row.claim.lower(), passage=evidence, support=bits)


def order_ways(rng: random.Random) -> list[str]:
    """Return the ways to alter a claim in the order to try them: figures often first, since few sentences have one."""
    figures, words = ["year", "number"], ["name", "negation", "direction"]
    rng.shuffle(figures)
    rng.shuffle(words)
    return figures + words if rng.random() < 0.6 else words + figures


def make_altered_claims(passages: Sequence[SourcePassage], *, wanted: int, rng: random.Random) -> Iterator[Example]:
    """Yield true sentences, made untrue in one way or left, each against its own window or one of its article."""
    groups = group_by_title((passage.id, passage.title) for passage in passages)
    texts = {passage.id: passage for passage in passages}
    everywhere = [name for passage in passages for name in list_names(passage.text[:1500])[:2]]
    made = 0
    for _ in range(20 * wanted):
        if made >= wanted:
            return
        passage = rng.choice(passages)
        sentences = [
            cut for cut in split_sentences(passage.text) if 7 <= len(passage.text[cut[0] : cut[1]].split()) <= 40
        ]
        if not sentences:
            continue
        sentence = rng.choice(sentences)
        claim = shorten_claim(passage.text[sentence[0] : sentence[1]], rng=rng)
        size = rng.choice((1, 30, 60, 100))
        window = cut_window(passage.text, around=sentence, max_words=size, rng=rng)
        draw = rng.random()
        kind, bits, shown = "true", SUPPORTS, passage
        if draw < 0.14:
            others = [other for other in groups.get(passage.title or "", []) if other != passage.id]
            if not others:
                continue
            shown = texts[rng.choice(others)]
            around = rng.choice(split_sentences(shown.text))
            window = cut_window(shown.text, around=around, max_words=size, rng=rng)
            kind, bits = "elsewhere", NEITHER
        elif draw < 0.64:
            others_names = rng.sample(everywhere, min(20, len(everywhere)))
            for way in order_ways(rng):
                altered = alter_claim(claim, way=way, passage=passage.text, other_names=others_names, rng=rng)
                if altered is not None:
                    claim, bits = altered
                    kind = f"altered_{way}"
                    break
            else:
                continue
        made += 1
        yield build_pair(
            source="altered", kind=kind, question=claim, text=shown.text, window=window, title=shown.title,
            support=bits, rng=rng,
        )  # fmt: skip


def build_examples(data: Path, *, recipe: Recipe) -> tuple[list[Example], list[Example]]:
    """Return (training, dev) examples, split by article."""
    passages = read_passages(data)
    spans = read_spans(data, passages=passages)
    claims, ranks = read_claims(data), read_ranks(data)

    def is_dev(key: str) -> bool:
        return pick_share(key) < recipe.dev_share

    dev_passages = {row.passage_id for row in spans if is_dev(split_key(row))}
    claimable = [
        passage
        for passage in passages.values()
        if len(passage.text) > 60 and not (passage.title or "").startswith("/") and len(passage.text) < 4000
    ]
    halves: list[list[Example]] = []
    for dev in (False, True):
        rng = random.Random(recipe.seed + dev)
        half = list(
            make_span_examples(
                [row for row in spans if (row.passage_id in dev_passages) == dev],
                passages=passages,
                recipe=recipe,
                rng=rng,
            )
        )
        half += make_rank_examples([row for row in ranks if is_dev(row.question) == dev])
        # By evidence and claim both would be stricter, but the FEVER claims share pages in one large component.
        half += make_claim_examples([row for row in claims if is_dev(row.evidence[:80]) == dev], recipe=recipe, rng=rng)
        half += make_altered_claims(
            [passage for passage in claimable if (passage.id in dev_passages) == dev],
            wanted=round(recipe.altered_claims * (2 * recipe.dev_share if dev else 1.0)),
            rng=rng,
        )
        halves.append(half)
    rng = random.Random(recipe.seed + 2)
    if recipe.others:
        halves[0] = rng.sample(halves[0], min(recipe.others, len(halves[0])))
    times, nonfactoid_times = recipe.news_times, recipe.nonfactoid_times
    halves[0] += draw_own(
        times=times, nonfactoid_times=nonfactoid_times, held_out=False, letters=recipe.letters, rng=rng
    )  # fmt: skip
    halves[1] += draw_own(times=min(1, times), nonfactoid_times=min(1, nonfactoid_times), held_out=True, rng=rng)
    return halves[0], halves[1]


def draw_own(
    *, times: int, nonfactoid_times: int, held_out: bool, letters: str = "", rng: random.Random
) -> Iterator[Example]:
    """Yield draws of the questions about our own articles, of those kept apart or of the others.

    The questions that ask for a fact are drawn `times` times, the others `nonfactoid_times`; only those about articles
    that `letters` name.
    """
    reports, about_reports = read_news()
    entries, about_entries = read_news(ENTRIES)
    articles = reports | entries
    for asked, draws in ((about_reports + about_entries, times), (read_nonfactoid(), nonfactoid_times)):
        chosen = [
            question
            for question in asked
            if is_held_out(question.article) == held_out and is_named(question.article, letters)
        ]
        for _ in range(draws):
            yield from make_news_examples(articles, chosen, rng=rng)


def is_named(article: str, letters: str) -> bool:
    """Tell whether an article is named by letters that its name begins with ("HKL"), or by ranges ("A91-99,G58-99").

    Without any, every article is.
    """
    if not letters or letters.isalpha():
        return not letters or article[0] in letters
    ranges = (_RANGE.fullmatch(one) for one in letters.split(","))
    return any(
        match is not None and article[0] == match[1] and int(match[2]) <= int(article[1:3]) <= int(match[3])
        for match in ranges
    )


def count_examples(examples: Sequence[Example]) -> dict[str, int]:
    """Return how many examples there are of each source and kind."""
    counts = Counter(f"{example.source} · {example.kind}" for example in examples)
    return dict(sorted(counts.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after writing the tokenised examples and a manifest."""
    parser = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/, reading/ and evidence/")
    parser.add_argument("--out", type=Path, required=True, help="folder that the examples are written to")
    parser.add_argument(
        "--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2, for its tokenizer.json"
    )
    parser.add_argument("--seed", type=int, default=Recipe().seed, help="another draw of windows, negatives and edits")
    parser.add_argument("--news-times", type=int, default=Recipe().news_times, help="draws of questions of our own")
    parser.add_argument(
        "--nonfactoid-times", type=int, default=Recipe().nonfactoid_times, help="draws of those that ask for no fact"
    )
    parser.add_argument(
        "--letters",
        default=Recipe().letters,
        help="first letters of our articles to train on, or ranges of them, as A91-99,G58-99; all, if empty",
    )
    parser.add_argument(
        "--others", type=int, default=Recipe().others, help="keep so many of the other examples; 0: all"
    )
    options = parser.parse_args(arguments)
    recipe = Recipe(
        seed=options.seed, news_times=options.news_times, nonfactoid_times=options.nonfactoid_times,
        letters=options.letters, others=options.others,
    )  # fmt: skip
    checksums = check_files(options.data, recorded=read_recorded_checksums())
    train, dev = build_examples(options.data, recipe=recipe)
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(options.encoder)
    for name, examples in (("train", train), ("dev", dev)):
        tokenised: TokenisedExamples = tokenise_examples(examples, tokenizer=tokenizer, max_tokens=recipe.max_tokens)
        tokenised.save(options.out / f"{name}.npz")
        logger.info("%s: %d examples, %.1f tokens each", name, len(tokenised), tokenised.ids.size / len(tokenised))
    manifest = {
        "checksums": checksums,
        "recipe": {
            key: {str(name): share for name, share in value.items()} if isinstance(value, Mapping) else value
            for key, value in ((key, getattr(recipe, key)) for key in Recipe.__dataclass_fields__)
        },
        "counts": {"train": count_examples(train), "dev": count_examples(dev)},
    }
    (options.out / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
