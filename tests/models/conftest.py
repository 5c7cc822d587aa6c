"""Two tiny real models, made and exported once: random weights, but every file that a large one has."""

import os
import string
from pathlib import Path

import pytest

# Read when the libraries are first imported, which the fixtures do.
for _variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ[_variable] = "1"

QUERY_PROMPT = "query: "
PASSAGE_PROMPT = "passage: "
MAX_TOKENS = 24


def _tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + string.digits
    words = ["bridge", "river", "steel", "query", "passage", "cafe", "中", "文", ":", ".", "?"]
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters), *words]
    tokenizer = Tokenizer(
        models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]")  # noqa: S106
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return len(pieces), PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
        model_max_length=MAX_TOKENS,
    )


def _save_model(folder: Path, *, dense: bool) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    torch.manual_seed(7)
    vocabulary, tokenizer = _tokenizer()
    bert = folder / "bert"
    BertModel(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            initializer_range=0.5,  # so that vectors differ from one another as a trained model's do
        )
    ).save_pretrained(bert)
    tokenizer.save_pretrained(bert)
    modules = [Transformer(str(bert)), Pooling(32, pooling_mode="cls" if dense else "mean")]
    prompts = {}
    if dense:
        modules.append(Dense(in_features=32, out_features=16))
        prompts = {"query": QUERY_PROMPT, "document": PASSAGE_PROMPT}
    model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    model.max_seq_length = MAX_TOKENS
    model.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def mean_model(tmp_path_factory):
    return _save_model(tmp_path_factory.mktemp("mean"), dense=False)


@pytest.fixture(scope="session")
def dense_model(tmp_path_factory):
    return _save_model(tmp_path_factory.mktemp("dense"), dense=True)


@pytest.fixture(scope="session")
def encoder(mean_model, cache):
    from rag.models.encoder import load_encoder

    return load_encoder(str(mean_model), cache=cache, threads=1)


@pytest.fixture(scope="session")
def dense_encoder(dense_model, cache):
    from rag.models.encoder import load_encoder

    return load_encoder(str(dense_model), cache=cache, threads=1)
