"""A reader that others trained as an ONNX graph: made once per model, checked against the original, kept in the cache.

    <cache>/readers/<weights hash>-<export version>/
        model.onnx      input_ids, attention_mask (and token_type_ids): (n, length) int64
                        → start, end: (n, length) or answerable: (n,) float32
        model.weights   the graph's weights, apart so that they can be mapped into memory
        tokenizer.json  the tokenizer, without truncation and padding
        reader.json     what else must be known: see `foreign.ExportedReader`

Runs in a process of its own, as the export of encoders does.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rag.errors import ModelBroken
from rag.models.export import INPUTS, MODEL_FILE, TOKENIZER_FILE, main, sizes, write_graph
from rag.models.foreign import DESCRIPTION_FILE, EXPORT_VERSION, OUTPUTS, Task, read_reader, read_task
from rag.models.runtime import open_session, save_optimised

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_UNLIMITED_TOKENS: Final = 1_000_000  # transformers gives 1e30 where a tokenizer names no limit
_DEFAULT_MAX_TOKENS: Final = 512
_LEAST_TOKENS: Final = 32
_TOLERANCE: Final = 1e-3
_CHECKED: Final = (
    ("Who built it?", "The bridge was designed by John Fowler and Benjamin Baker."),
    ("When?", "It opened on 31 March 1889; naïve cafés, Ångström, £3.2 million, 東京タワー 🌉."),
    ("Did they fall?", "They fell. " * 200),
    ("a", "b"),
)


def write_reader(source: Path, target: Path) -> None:
    """Export the model in `source` into the existing folder `target`, in this process, and check the result.

    Raises:
        ModelBroken: the model is of a kind that cannot be exported, or its export gives other scores.
    """
    import torch
    import transformers

    task = read_task(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, tokenizer = _load(source, task=task)
        inputs = _inputs(tokenizer, model)
        limit = _max_tokens(tokenizer, model)
        with tempfile.TemporaryDirectory(dir=target, prefix=".graph-") as name:
            graph = Path(name) / MODEL_FILE
            _write_graph(model, tokenizer, graph, task=task, inputs=inputs, limit=limit)
            save_optimised(graph, target / MODEL_FILE)
        # What the model takes and never looks at (DeBERTa's types) is not in the graph.
        inputs = [node.name for node in open_session(target / MODEL_FILE, threads=0).get_inputs()]
        fast = tokenizer.backend_tokenizer
        fast.no_truncation()
        fast.no_padding()
        fast.save(str(target / TOKENIZER_FILE), pretty=False)
        description = {
            "export_version": EXPORT_VERSION,
            "task": task,
            "max_tokens": limit,
            "inputs": inputs,
            "pad_id": tokenizer.pad_token_id or 0,
            "no_answer_id": -1 if tokenizer.cls_token_id is None else tokenizer.cls_token_id,
            "versions": {"transformers": transformers.__version__, "torch": str(torch.__version__)},
            "files": sizes(target),
        }
        (target / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2), encoding="utf-8")
        _verify(model, tokenizer, target, limit=limit)


def _load(source: Path, *, task: Task) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification, AutoTokenizer

    kind: Any = AutoModelForQuestionAnswering if task == "question-answering" else AutoModelForSequenceClassification
    # "eager" is plain matrix products, which onnxruntime fuses best; float32 whatever the weights were stored in.
    model, told = kind.from_pretrained(
        source,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        attn_implementation="eager",
        dtype=torch.float32,
        output_loading_info=True,
    )
    # transformers fills in what a file lacks with random numbers, and only warns.
    if told["missing_keys"]:
        missing = sorted(told["missing_keys"])
        raise ModelBroken(f"the model's file lacks {len(missing)} of its weights, first {missing[0]}")
    if task == "sequence-classification" and model.config.num_labels != 1:
        raise ModelBroken(f"the model has {model.config.num_labels} logits, and one is asked for")
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ModelBroken(f"{type(tokenizer).__name__} has no form that the tokenizers library can run")
    if task == "question-answering" and tokenizer.cls_token_id is None:
        raise ModelBroken("the tokenizer has no token at the beginning, by which a model says that there is no answer")
    return model.eval(), tokenizer


def _inputs(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> list[str]:
    """Return the names of the tensors that the model reads, in the graph's order."""
    import inspect

    taken = inspect.signature(model.forward).parameters
    given = tokenizer("a question", "a passage", return_tensors="pt")
    return [name for name in INPUTS if name in given and name in taken]


def _max_tokens(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Return how many tokens the model reads: what its tokenizer says, and no more than it has positions for."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None) or _DEFAULT_MAX_TOKENS
    # RoBERTa and its kin count positions from behind the one of padding.
    embedding = next((m for n, m in model.named_modules() if n.endswith("embeddings.position_embeddings")), None)
    if (padding := getattr(embedding, "padding_idx", None)) is not None:
        positions -= padding + 1
    named = tokenizer.model_max_length
    limit = min(positions, named) if named and named < _UNLIMITED_TOKENS else positions
    if limit < _LEAST_TOKENS:
        raise ModelBroken(f"the model reads at most {limit} tokens, too few for a question and a passage")
    return int(limit)


def _write_graph(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    *,
    task: Task,
    inputs: list[str],
    limit: int,
) -> None:
    import torch

    class Scores(torch.nn.Module):
        """The model's logits over plain tensors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return _scores(self.model, dict(zip(inputs, tensors, strict=True)), task=task)

    # Two rows of different length: a mask that is all ones could be left out of the graph.
    features = _features(tokenizer, [("who?", "the first of two passages"), ("who?", "second")], limit=limit)
    axes = {0: "n"} if task == "sequence-classification" else {0: "n", 1: "length"}
    write_graph(Scores(), {name: features[name] for name in inputs}, path, outputs=dict.fromkeys(OUTPUTS[task], axes))


def _scores(model: PreTrainedModel, features: Mapping[str, torch.Tensor], *, task: Task) -> tuple[torch.Tensor, ...]:
    told = model(**features)
    if task == "sequence-classification":
        return (told.logits.float().squeeze(-1),)
    return told.start_logits.float(), told.end_logits.float()


def _features(
    tokenizer: PreTrainedTokenizerBase, pairs: list[tuple[str, str]], *, limit: int
) -> Mapping[str, torch.Tensor]:
    questions, passages = [one for one, _ in pairs], [other for _, other in pairs]
    if tokenizer.pad_token is None:
        raise ModelBroken("the tokenizer has no token to fill up the shorter of two texts with")
    encoded: Mapping[str, torch.Tensor] = tokenizer(
        questions, passages, truncation="only_second", max_length=limit, padding=True, return_tensors="pt"
    )
    return encoded


def _verify(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, limit: int) -> None:
    """Compare the export, fed as a reader feeds it, with the model, fed by transformers."""
    import torch
    from tokenizers import Tokenizer

    exported = read_reader(folder)
    if exported is None:
        raise ModelBroken("the export could not be read back")
    session, fast = open_session(exported.model, threads=0), Tokenizer.from_file(str(exported.tokenizer))
    fast.enable_truncation(max_length=limit, strategy="only_second")
    for pair in _CHECKED:
        features = _features(tokenizer, [pair], limit=limit)
        encoding = fast.encode(*pair)
        own = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        for name in exported.inputs:
            if features[name][0].tolist() != own[name]:
                raise ModelBroken(f"the exported tokenizer gives other {name} than the model's for {pair[1][:40]!r}")
        feed = {name: np.array([own[name]], dtype=np.int64) for name in exported.inputs}
        with torch.inference_mode():
            wanted = _scores(model, {name: features[name] for name in exported.inputs}, task=exported.task)
        for ours, theirs in zip(session.run(list(OUTPUTS[exported.task]), feed), wanted, strict=True):
            apart = float(np.abs(ours - theirs.numpy()).max())
            if not apart <= _TOLERANCE * max(1.0, float(theirs.abs().max())):  # so that a NaN is refused as well
                raise ModelBroken(f"the exported graph gives other scores than the model: {apart:.6f} apart")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], write=write_reader))
