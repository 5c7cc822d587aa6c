"""Tiny models of other makes, with random weights, compared with torch's own forward pass."""

import json
import shutil
import string
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.answering.reading import CALIBRATION
from rag.building import index_articles
from rag.config import Answering, Config
from rag.config import Reader as ReaderSection
from rag.doctor import _reader
from rag.engine import Engine
from rag.errors import ConfigError, ModelBroken, ModelMissing
from rag.models import foreign
from rag.models.foreign import ForeignReader, load_foreign_reader, read_reader, read_task
from rag.models.foreign_export import write_reader
from rag.models.reader import Page
from rag.models.sources import transformer_files
from rag.progress import Reporting

QUESTION = "Who designed the bridge?"
HEADER = "The bridge. 1889.\n"
BODY = "It was designed by J. Fowler. The steel came late, and 73 men died."
PAGES = [Page(HEADER + BODY, len(HEADER)), Page("Nobody knows."), Page(HEADER + BODY * 3, len(HEADER))]
LIMIT = 48
LETTERS = string.ascii_letters + string.digits


def wordpieces():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*specials, *string.ascii_lowercase, *string.digits, *(f"##{x}" for x in string.ascii_lowercase), ".", "?"]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return tokenizer, named, len(pieces)


def byte_pieces():
    """RoBERTa's: bytes, the space before a word in its first piece, two separators."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *letters, "Ġb", "Ġd"]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [("Ġ", "b"), ("Ġ", "d")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    named = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    return tokenizer, {**named, "bos_token": "<s>", "eos_token": "</s>"}, len(pieces)


def sentence_pieces():
    """XLM-R's: a mark for the space before a word, which counts among the piece's characters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(letter, -3.0) for letter in LETTERS + ".,?"] + [(f"▁{letter}", -2.0) for letter in "Tbdsw"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    named = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    return tokenizer, {**named, "bos_token": "<s>", "eos_token": "</s>"}, len(pieces)


MAKES = {
    "Bert": (wordpieces, {"max_position_embeddings": 64, "pad_token_id": 0}),
    "DistilBert": (wordpieces, {"max_position_embeddings": 64, "pad_token_id": 0}),
    "DebertaV2": (
        wordpieces,
        {
            "max_position_embeddings": 64,
            "pad_token_id": 0,
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "type_vocab_size": 0,
            "position_biased_input": False,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
        },
    ),
    "Roberta": (byte_pieces, {"max_position_embeddings": 300, "pad_token_id": 1, "type_vocab_size": 1}),
    "XLMRoberta": (sentence_pieces, {"max_position_embeddings": 300, "pad_token_id": 1, "type_vocab_size": 1}),
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
DISTIL_SIZES = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}


def save_model(folder, make, head, *, limit=LIMIT, **more):
    import torch
    import transformers

    torch.manual_seed(3)
    pieces, settings = MAKES[make]
    tokenizer, named, vocabulary = pieces()
    sizes = DISTIL_SIZES if make == "DistilBert" else SIZES
    config = getattr(transformers, f"{make}Config")(
        vocab_size=vocabulary, initializer_range=0.5, **sizes, **settings, **more
    )
    getattr(transformers, f"{make}For{head}")(config).save_pretrained(folder)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=limit,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"]
        if make in {"Bert", "DebertaV2"}
        else ["input_ids", "attention_mask"],
        **named,
    )
    wrapped.save_pretrained(folder)
    return folder


def exported(folder, target):
    target.mkdir()
    write_reader(folder, target)
    return ForeignReader(read_reader(target), name=folder.name, revision="1", threads=1)


def by_torch(folder, page, *, head, limit=LIMIT):
    """Return the model's own outputs for a page, and the passage's token positions with their slices of its text."""
    import torch
    import transformers

    model = getattr(transformers, f"AutoModelFor{head}").from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(
        QUESTION,
        page.text,
        truncation="only_second",
        max_length=limit,
        return_tensors="pt",
        return_offsets_mapping=True,
    )
    offsets = encoded.pop("offset_mapping")[0].tolist()
    sequences = encoded.sequence_ids(0)
    with torch.inference_mode():
        told = model(**encoded)
    body = [i for i, one in enumerate(sequences) if one == 1 and offsets[i][1] > page.header_size]
    body = [i for i in body if page.text[offsets[i][0] : offsets[i][1]].strip()]
    return told, body, [page.text[offsets[i][0] : offsets[i][1]].strip() for i in body]


@pytest.mark.parametrize("make", list(MAKES))
def test_a_model_that_answers_questions_gives_torchs_scores(tmp_path, make):
    limit = 200 if make in {"Roberta", "XLMRoberta"} else LIMIT
    folder = save_model(tmp_path / "model", make, "QuestionAnswering", limit=limit)
    readings = exported(folder, tmp_path / "export").read(QUESTION, PAGES)
    for page, reading in zip(PAGES, readings, strict=True):
        told, body, pieces = by_torch(folder, page, head="QuestionAnswering", limit=limit)
        starts, ends = told.start_logits[0].numpy(), told.end_logits[0].numpy()
        assert [page.text[a:b] for a, b in reading.tokens] == pieces
        for ours, theirs in ((reading.starts, starts), (reading.ends, ends)):
            chosen = theirs[body]
            assert ours == pytest.approx(chosen - np.log(np.exp(chosen).sum()), abs=1e-4)
        spans = [starts[i] + ends[j] for a, i in enumerate(body) for j in body[a : a + 30]]
        # SQuAD 2.0's score of no answer is the first token's.
        assert reading.answerable == pytest.approx(max(spans) - (starts[0] + ends[0]), abs=1e-4)


@pytest.mark.parametrize("make", ["Bert", "DebertaV2", "Roberta"])
def test_a_cross_encoder_gives_torchs_logit_and_points_at_whole_sentences(tmp_path, make):
    limit = 200 if make == "Roberta" else LIMIT
    folder = save_model(tmp_path / "model", make, "SequenceClassification", limit=limit, num_labels=1)
    readings = exported(folder, tmp_path / "export").read(QUESTION, PAGES)
    for page, reading in zip(PAGES, readings, strict=True):
        told, _, _ = by_torch(folder, page, head="SequenceClassification", limit=limit)
        assert reading.answerable == pytest.approx(told.logits.item(), abs=1e-4)
    sentence = HEADER + BODY
    start, end = len(HEADER), sentence.index(". The") + 1
    pointed = readings[0].best_within(start, end)
    assert (sentence[pointed.start : pointed.end], pointed.score) == ("It was designed by J. Fowler.", 0.0)
    words = readings[0].within(start, end)
    again = words.best_within(0, end - start)
    assert (again.start, again.end, again.score) == (0, end - start, 0.0)


@pytest.fixture(scope="module")
def qa(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("qa") / "model", "Bert", "QuestionAnswering")


def test_what_a_cross_encoder_did_not_read_is_not_pointed_at(tmp_path):
    folder = save_model(tmp_path / "model", "Bert", "SequenceClassification", num_labels=1)
    text = "Steel came. " * 20
    (reading,) = exported(folder, tmp_path / "export").read(QUESTION, [Page(text)])
    assert reading.best_within(0, 11) is not None
    assert reading.best_within(len(text) - 12, len(text)) is None


def test_a_folder_that_sentence_transformers_saved_is_read(tmp_path):
    from sentence_transformers import CrossEncoder

    plain = save_model(tmp_path / "plain", "Bert", "SequenceClassification", num_labels=1)
    CrossEncoder(str(plain)).save_pretrained(str(tmp_path / "saved"))
    one, other = (exported(tmp_path / name, tmp_path / f"{name}-export") for name in ("plain", "saved"))
    ours, theirs = (reader.read(QUESTION, PAGES)[0].answerable for reader in (one, other))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_a_page_of_nothing_but_its_header_answers_nothing(qa, tmp_path):
    (reading,) = exported(qa, tmp_path / "export").read(QUESTION, [Page(HEADER, len(HEADER))])
    assert reading.answerable == -20.0
    assert reading.best_within(0, 100) is None


def test_the_size_of_a_page_grows_with_it_up_to_the_limit(qa, tmp_path):
    reader = exported(qa, tmp_path / "export")
    short, long, longest = reader.sizes(QUESTION, [Page("Steel."), Page("Steel came."), Page("Steel came. " * 999)])
    assert short < long < longest == LIMIT


def test_no_page_is_read(qa, tmp_path):
    assert exported(qa, tmp_path / "export").read(QUESTION, []) == []


def test_a_long_question_is_cut_so_that_the_passage_has_room(qa, tmp_path):
    (reading,) = exported(qa, tmp_path / "export").read("who " * 500, [Page(BODY)])
    assert len(reading.tokens) == LIMIT - LIMIT // 2 - 3


def test_pages_are_read_in_their_order_whatever_their_length(qa, tmp_path):
    reader = exported(qa, tmp_path / "export")
    reader.prepare()
    together = reader.read(QUESTION, PAGES)
    alone = [reader.read(QUESTION, [page])[0] for page in PAGES]
    for one, other in zip(together, alone, strict=True):
        assert one.answerable == pytest.approx(other.answerable, abs=1e-4)


def test_positions_of_roberta_start_behind_padding(tmp_path):
    folder = save_model(tmp_path / "model", "Roberta", "QuestionAnswering", limit=100_000)
    reader = exported(folder, tmp_path / "export")
    assert read_reader(tmp_path / "export").max_tokens == 300 - 2
    (reading,) = reader.read("who?", [Page("b" * 400)])
    assert len(reading.tokens) == 298 - len("who?") - 4


@pytest.fixture
def _hub(tmp_path, monkeypatch, qa):
    """A hub's cache with one model in it."""
    repository = tmp_path / "hub" / "models--someone--reads"
    shutil.copytree(qa, repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("_hub")
def test_a_model_is_found_by_its_hub_id_exported_once_and_then_read_without_torch(tmp_path):
    told = []
    first = load_foreign_reader("someone/reads", cache=tmp_path / "cache", notify=told.append)
    again = load_foreign_reader("someone/reads", cache=tmp_path / "cache", notify=told.append)
    assert told == ["preparing someone/reads (once) …"]
    assert (again.name, again.revision) == ("someone/reads", first.revision)
    root = Path(foreign.__file__).parents[2]
    code = (
        "import sys, pathlib\n"
        "from rag.models.foreign import load_foreign_reader\n"
        "from rag.models.reader import Page\n"
        f"reader = load_foreign_reader('someone/reads', cache=pathlib.Path({str(tmp_path / 'cache')!r}))\n"
        "print(reader.read('who?', [Page('J. Fowler.')])[0].answerable)\n"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub'} & set(sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert float(ran.stdout) == pytest.approx(again.read("who?", [Page("J. Fowler.")])[0].answerable, abs=1e-4)


def test_a_model_that_is_nowhere_names_the_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelMissing, match="'someone/none' was not found") as caught:
        load_foreign_reader("someone/none", cache=tmp_path)
    assert "reader.model" in caught.value.hint
    assert "question-answering" in caught.value.hint


def changed(source, target, **changes):
    folder = shutil.copytree(source, target)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architectures": ["BertModel"]}, "names BertModel, neither of ForQuestionAnswering, ForSequenceClass"),
        ({"architectures": None}, "names nothing"),
        ({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}}, "has 2 logits"),
        ({"auto_map": {"AutoModel": "modeling.Own"}}, "code of its own"),
    ],
)
def test_a_model_that_is_no_reader_says_what_it_is(qa, tmp_path, changes, reason):
    with pytest.raises(ModelBroken, match=reason) as caught:
        read_task(changed(qa, tmp_path / "model", **changes))
    assert "reader.model=shipped" in caught.value.hint


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"architectures": 3}'])
def test_a_folder_without_a_description_is_no_reader(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelBroken, match="is no reader"):
        read_task(tmp_path)


def test_weights_that_a_file_lacks_are_not_made_up(qa, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(qa, tmp_path / "model")
    weights = {n: w for n, w in load_file(folder / "model.safetensors").items() if "qa_outputs" not in n}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (tmp_path / "export").mkdir()
    with pytest.raises(ModelBroken, match=r"lacks 2 of its weights, first qa_outputs\.bias"):
        write_reader(folder, tmp_path / "export")


def test_pickled_weights_and_further_modules_are_refused(qa, tmp_path):
    pickled = shutil.copytree(qa, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelBroken, match="pickle"):
        transformer_files(pickled)
    modules = shutil.copytree(qa, tmp_path / "modules")
    kinds = [("", "sentence_transformers.models.Transformer"), ("1_Score", "sentence_transformers.models.Dense")]
    (modules / "modules.json").write_text(json.dumps([{"type": kind, "path": path} for path, kind in kinds]))
    with pytest.raises(ModelBroken, match="more than its transformer: 1_Score"):
        transformer_files(modules)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {}}', '{"files": {}, "task": "translation"}'])
def test_a_damaged_description_is_no_export(tmp_path, content):
    (tmp_path / "reader.json").write_text(content)
    assert read_reader(tmp_path) is None


# In the pipeline


@pytest.fixture
def config(tmp_path, qa, word_encoder, monkeypatch):
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "rag.models.export._export_apart", lambda model, *, target, **_: write_reader(model.folder, target)
    )
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "bridge.md").write_text(f"# The bridge\n\n{BODY}\n")
    made = Config(
        folder=tmp_path, articles=("articles",), reader=ReaderSection(model=str(qa)), answer=Answering(min_confidence=0)
    )
    index_articles(made, [], encoder=word_encoder)
    return made


def calibration(folder, *, bias=0.0, features=None):
    fitted = json.loads(CALIBRATION.read_text())
    fitted["decision"] |= {"bias": bias, "weights": [0.0] * len(fitted["decision"]["weights"])}
    fitted["decision"]["features"] = features or fitted["decision"]["features"]
    (folder / "own.json").write_text(json.dumps(fitted))
    return "own.json"


def test_a_question_is_answered_by_a_foreign_reader_in_quotes(config, word_encoder):
    told = []
    with Engine(config, encoder=word_encoder, reporting=Reporting(notify=told.append)) as engine:
        answer = engine.ask(QUESTION).answer
        again = engine.ask(QUESTION).answer
    assert told == [f"preparing {config.reader.model} (once) …"]
    assert (answer.answerer.model, len(answer.answerer.revision)) == (config.reader.model, 64 + 1 + 8)
    assert answer.citations[0].quote in BODY
    assert answer.short_answer in answer.citations[0].quote
    assert (again.answer, again.confidence) == (answer.answer, answer.confidence)


def test_a_calibration_of_ones_own_decides(config, word_encoder):
    own = replace(config, reader=replace(config.reader, calibration=calibration(config.folder, bias=2.0)))
    with Engine(own, encoder=word_encoder) as engine:
        assert engine.ask(QUESTION).answer.confidence == pytest.approx(1 / (1 + np.exp(-2.0)))


@pytest.mark.parametrize(
    ("file", "reason"), [(None, "is no calibration"), ("{}", "is no calibration"), ("other", "another version")]
)
def test_a_calibration_that_is_none_is_told_with_the_command_that_fits_one(config, word_encoder, file, reason):
    if file == "other":
        calibration(config.folder, features=["warmth"])
    elif file is not None:
        (config.folder / "own.json").write_text(file)
    own = replace(config, reader=replace(config.reader, calibration="own.json"))
    with Engine(own, encoder=word_encoder) as engine, pytest.raises(ConfigError, match=reason) as caught:
        engine.ask(QUESTION)
    assert "python -m training.answerer" in caught.value.hint


def test_the_doctor_names_a_foreign_reader_and_what_is_none(qa, tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_CACHE", str(tmp_path / "cache"))

    def first(name):
        return next(iter(_reader(name, threads=1, budget_ms=None)))

    assert (first(str(qa)).state, str(qa) in first(str(qa)).detail) == ("ok", True)
    (tmp_path / "odd").mkdir()
    assert (first(str(tmp_path / "odd")).state, first("no/such").state) == ("fail", "fail")
    assert first(str(tmp_path / "odd")).fix
