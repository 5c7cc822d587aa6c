"""Question sets with gold, in the forms that research publishes them in.

    own       a `.jsonl`, `.csv` or `.txt` set of questions, with answers, evidence and answerable where they are known
    BEIR      a folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv
    TREC      topics (`<top>`, XML, or `id<TAB>text`) with qrels: a folder that holds both, or two files
    SQuAD     `.json`, 1.1 or 2.0; each paragraph is an article

BEIR and SQuAD bring their articles; the others ask the index that there is.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from rag.errors import QuestionError
from rag.question_sets import read_questions
from rag.records import Evidence, Question, Span
from rag.sentences import split_sentences

_FORMS = "a set of questions (.jsonl), a BEIR folder, TREC topics with qrels, or SQuAD (.json)"
_TREC_COLUMNS = 4
_TOPIC = re.compile(
    r"<top(?:ic)?\b(?P<attributes>[^>]*)>(?P<body>.*?)(?=</?top(?:ic)?\b|\Z)", re.DOTALL | re.IGNORECASE
)
_NUMBER = re.compile(r"number\s*=\s*[\"']?([^\"'\s>]+)|<num>\s*(?:Number\s*:)?\s*([^<\s]+)", re.IGNORECASE)
_WORDING = re.compile(r"<(?:title|query|question)>\s*(?:Topic\s*:)?\s*(.*?)\s*(?=<|\Z)", re.DOTALL | re.IGNORECASE)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """An article that a dataset brings along."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions, each with its id, and what is known to be right for them.

    `qrels` say by question id and article id how relevant an article is; `corpus` is what the dataset brings to be
    searched: a file of articles, or the articles.
    """

    name: str
    questions: tuple[Question, ...]
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    corpus: Path | tuple[Document, ...] | None = None

    @property
    def has_answers(self) -> bool:
        """Tell whether it is known of some question how to answer it, or that it cannot be answered."""
        return any(question.answers or question.evidence or question.answerable is False for question in self.questions)

    def keys(self) -> list[str]:
        """Return what the questions can be grouped by."""
        return sorted({key for question in self.questions for key in question.metadata})


def read_dataset(path: Path, *, split: str | None = None, qrels: Path | None = None) -> Dataset:
    """Return a dataset's questions with their gold.

    `split` chooses the questions whose `split` it is, or the file of a BEIR folder's qrels; without it they are all
    taken, and of a BEIR folder `test`. `qrels` is for topics that lie in a file of their own.

    Raises:
        QuestionError: it is in no known form, or broken; says where.
    """
    if path.is_dir():
        dataset = _read_beir(path, split) if (path / "corpus.jsonl").exists() else _read_trec_folder(path, qrels)
    elif not path.exists():
        raise QuestionError(f"there is no dataset {path}", hint=f"name {_FORMS}")
    elif qrels is not None:
        dataset = _read_trec(path, qrels)
    elif path.suffix.lower() == ".json":
        dataset = _read_squad(path)
    else:
        dataset = _read_own(path)
    return dataset if split is None or path.is_dir() else _of_split(dataset, split)


def limited(dataset: Dataset, limit: int | None) -> Dataset:
    """Return a dataset with at most so many of its questions, taken at even distances, so that all parts stay in."""
    if limit is None:
        return dataset
    chosen = evenly(dataset.questions, limit)
    kept = {question.id for question in chosen}
    qrels = {question: judged for question, judged in dataset.qrels.items() if question in kept}
    return replace(dataset, questions=tuple(chosen), qrels=qrels)


def evenly(items: Sequence[T], limit: int) -> list[T]:
    """Return at most so many items, at even distances, in their order."""
    if len(items) <= limit:
        return list(items)
    return [items[place * len(items) // limit] for place in range(limit)]


def corpus_digest(corpus: Path | Sequence[Document]) -> str:
    """Return the hash of a corpus' content, by which its index is found again."""
    digest = hashlib.sha256()
    if isinstance(corpus, Path):
        with corpus.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    else:
        for line in corpus_lines(corpus):
            digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def corpus_lines(documents: Sequence[Document]) -> Iterator[str]:
    """Yield the documents as lines of a `.jsonl` file of articles."""
    for document in documents:
        row = {"id": document.id, "title": document.title, "text": document.text}
        yield json.dumps({key: value for key, value in row.items() if value}, ensure_ascii=False) + "\n"


def locate(quote: str, text: str) -> list[Span]:
    """Return every place of an article's text where a gold quote stands, blanks of any width alike."""
    words = unicodedata.normalize("NFC", quote).split()
    if not words:
        return []
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    return [Span(match.start(), match.end()) for match in pattern.finditer(text)]


def _of_split(dataset: Dataset, split: str) -> Dataset:
    splits = sorted({question.metadata["split"] for question in dataset.questions if "split" in question.metadata})
    if split not in splits:
        known = f"its splits are {', '.join(splits)}" if splits else "its questions have no split"
        raise QuestionError(f"{dataset.name} has no split {split!r}", hint=f"{known}; leave --split out to take all")
    chosen = tuple(question for question in dataset.questions if question.metadata.get("split") == split)
    kept = {question.id for question in chosen}
    return replace(dataset, questions=chosen, qrels={key: value for key, value in dataset.qrels.items() if key in kept})


# Our own form


def _read_own(path: Path) -> Dataset:
    questions = tuple(read_questions(path))
    return Dataset(path.stem, questions, _qrels_of_evidence(questions))


def _qrels_of_evidence(questions: Sequence[Question]) -> dict[str, dict[str, int]]:
    return {
        question.id: {evidence.article: 1 for evidence in question.evidence}
        for question in questions
        if question.id is not None and question.evidence
    }


# BEIR


def _read_beir(folder: Path, split: str | None) -> Dataset:
    files = {file.stem: file for file in sorted((folder / "qrels").glob("*.tsv"))}
    if not files:
        raise QuestionError(f"{folder} has no qrels/*.tsv", hint=f"a dataset is {_FORMS}")
    chosen = split or ("test" if "test" in files or len(files) > 1 else next(iter(files)))
    if chosen not in files:
        raise QuestionError(f"{folder} has no split {chosen!r}", hint=f"choose one: --split {' or '.join(files)}")
    qrels = _read_judgements(files[chosen], columns=3, header=True)
    wordings = dict(_read_queries(folder / "queries.jsonl"))
    missing = next((question for question in qrels if question not in wordings), None)
    if missing is not None:
        raise QuestionError(f"{files[chosen]} judges {missing!r}, which queries.jsonl does not hold")
    questions = tuple(Question(wordings[question], id=question, metadata={"split": chosen}) for question in qrels)
    return Dataset(folder.name, questions, qrels, folder / "corpus.jsonl")


def _read_queries(file: Path) -> Iterator[tuple[str, str]]:
    for line, content in _lines(file):
        try:
            row = json.loads(content)
            yield str(row["_id"]), str(row["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise QuestionError(f"{file}:{line}: expected an object with _id and text") from error


def _read_judgements(file: Path, *, columns: int, header: bool) -> dict[str, dict[str, int]]:
    """Return relevance by question and article; four columns are TREC's, with one between that means nothing."""
    qrels: dict[str, dict[str, int]] = {}
    for line, content in _lines(file):
        cells = content.split("\t") if columns < _TREC_COLUMNS else content.split()
        if header and line == 1 and not cells[-1].strip().lstrip("-").isdecimal():
            continue
        if len(cells) != columns or not cells[-1].strip().lstrip("-").isdecimal():
            wanted = "question, 0, article, relevance" if columns == _TREC_COLUMNS else "question, article, relevance"
            raise QuestionError(f"{file}:{line}: expected {columns} columns: {wanted}")
        qrels.setdefault(cells[0], {})[cells[-2]] = int(cells[-1])
    if not qrels:
        raise QuestionError(f"{file} judges nothing")
    return qrels


# TREC


def read_qrels(file: Path) -> dict[str, dict[str, int]]:
    """Return relevance by question and article from TREC's four columns or BEIR's three.

    Raises:
        QuestionError: the file is neither.
    """
    first = next(iter(_lines(file)), (1, ""))[1]
    beir = first.count("\t") == 2  # noqa: PLR2004 - three columns have two tabs between them
    return _read_judgements(file, columns=3 if beir else _TREC_COLUMNS, header=beir)


def _read_trec_folder(folder: Path, qrels: Path | None) -> Dataset:
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    topics = [file for file in files if re.search(r"topic|quer", file.name, re.IGNORECASE)]
    judged = [qrels] if qrels else [file for file in files if "qrel" in file.name.lower()]
    if len(topics) != 1 or len(judged) != 1:
        raise QuestionError(
            f"{folder} holds {len(topics)} files of topics and {len(judged)} of qrels, where one of each is needed",
            hint="name them: rag eval TOPICS --qrels QRELS",
        )
    return replace(_read_trec(topics[0], judged[0]), name=folder.name)


def _read_trec(topics: Path, qrels: Path) -> Dataset:
    wordings = _read_topics(topics)
    judged = read_qrels(qrels)
    questions = tuple(Question(text, id=topic) for topic, text in wordings.items() if topic in judged)
    if not questions:
        raise QuestionError(f"no topic of {topics} is judged in {qrels}", hint="topics and qrels belong in pairs")
    return Dataset(topics.stem, questions, {topic: judged[topic] for topic in wordings if topic in judged})


def _read_topics(file: Path) -> dict[str, str]:
    text = _text(file)
    found: dict[str, str] = {}
    if "<top" in text.lower():
        for match in _TOPIC.finditer(text):
            number, wording = _NUMBER.search(match["attributes"] + match["body"]), _WORDING.search(match["body"])
            if number is None or wording is None:
                line = text.count("\n", 0, match.start()) + 1
                raise QuestionError(f"{file}:{line}: expected a topic with <num> and <title>")
            found[number[1] or number[2]] = " ".join(wording[1].split())
        return found
    for line, content in _lines(file):
        topic, tab, asked = content.partition("\t")
        if not tab or not asked.strip():
            raise QuestionError(f"{file}:{line}: expected a topic as id<TAB>text")
        found[topic.strip()] = asked.strip()
    return found


# SQuAD


def _read_squad(file: Path) -> Dataset:
    try:
        articles = json.loads(_text(file))["data"]
        pairs = list(_squad_paragraphs(articles))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"there is no {error}" if isinstance(error, KeyError) else error
        raise QuestionError(f"{file} is no SQuAD file: {why}", hint=f"a dataset is {_FORMS}") from error
    questions = tuple(question for _, asked in pairs for question in asked)
    ids = [question.id for question in questions]
    if len(set(ids)) != len(ids):
        twice = next(name for place, name in enumerate(ids) if name in ids[:place])
        raise QuestionError(f"{file} has two questions with the id {twice!r}")
    return Dataset(file.stem, questions, _qrels_of_evidence(questions), tuple(document for document, _ in pairs))


def _squad_paragraphs(articles: Sequence[Mapping[str, object]]) -> Iterator[tuple[Document, list[Question]]]:
    counts: dict[str, int] = {}
    for article in articles:
        title = str(article.get("title") or "").replace("_", " ")
        paragraphs: list[Mapping[str, object]] = article["paragraphs"]  # type: ignore[assignment]  # checked by use
        for paragraph in paragraphs:
            name = title or str(article.get("id") or "article")
            number = counts[name] = counts.get(name, 0) + 1
            document = Document(f"{name}/{number}", title, str(paragraph["context"]))
            asked: list[Mapping[str, object]] = paragraph["qas"]  # type: ignore[assignment]  # checked by use
            sentences = split_sentences(document.text)
            yield document, [_squad_question(entry, document, sentences) for entry in asked]


def _squad_question(entry: Mapping[str, object], document: Document, sentences: Sequence[Span]) -> Question:
    answers: list[Mapping[str, object]] = entry.get("answers") or []  # type: ignore[assignment]  # checked by use
    impossible = bool(entry.get("is_impossible"))
    texts = [] if impossible else [str(answer["text"]) for answer in answers]
    spans = {_span_of(text, answer, document.text) for text, answer in zip(texts, answers, strict=False)}
    quotes = dict.fromkeys(_sentences_of(span, document.text, sentences) for span in sorted(s for s in spans if s))
    return Question(
        question=str(entry["question"]).strip(),
        id=str(entry["id"]),
        answers=tuple(dict.fromkeys(texts)),
        evidence=tuple(Evidence(document.id, quote) for quote in quotes),
        answerable=not impossible,
        metadata={"title": document.title, "answerable": str(not impossible).lower()},
    )


def _span_of(text: str, answer: Mapping[str, object], context: str) -> Span | None:
    """Return where an answer stands: where it says, or where that is wrong, the nearest place that holds it."""
    said = answer.get("answer_start")
    places = [match.start() for match in re.finditer(re.escape(text), context)] if text else []
    if not places:
        return None
    start = min(places, key=lambda place: abs(place - said)) if isinstance(said, int) else places[0]
    return Span(start, start + len(text))


def _sentences_of(span: Span, text: str, sentences: Sequence[Span]) -> str:
    """Return the sentences that hold an answer: a bare "1999" would be found again in places that do not answer."""
    held = [sentence for sentence in sentences if sentence.overlaps(span)]
    start, end = min([span.start, *(s.start for s in held)]), max([span.end, *(s.end for s in held)])
    return text[start:end]


# Files


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise QuestionError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise QuestionError(f"{file} is not UTF-8 text") from error


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that hold something, numbered from 1."""
    for line, content in enumerate(_text(file).split("\n"), start=1):
        if content.strip():
            yield line, content.rstrip("\r")
