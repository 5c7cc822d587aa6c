"""The writer: a causal language model in this process, through transformers, as a `TextWriter`.

The only module of a question's path that loads torch, and only when a model is to write. Weights are safetensors, or a
GGUF file that is unpacked when it is loaded; nothing that a model brings is run but its chat template, in a sandbox.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rag.errors import ModelBroken, ModelMissing
from rag.models.message import Message
from rag.models.registry import find_writer
from rag.models.runtime import usable_cores

if TYPE_CHECKING:
    import torch

_LONGEST_CONTEXT: Final = 8192  # tokens; what a model says of itself may be more than memory holds
_UNFINISHED: Final = "\ufffd"
_MARKUP: Final = re.compile(r"[<\[|｜＜{]")


class Writer:
    """A causal language model: the likeliest next token each time, so the same prompt gives the same text."""

    name = "writer"

    def __init__(self, model: Any, tokenizer: Any, *, about: str, revision: str) -> None:  # noqa: ANN401 - transformers'
        self.model = about
        self.revision = revision
        self._model = model
        self._tokenizer = tokenizer

    @cached_property
    def context_tokens(self) -> int:
        """Return how many tokens prompt and answer may have together."""
        longest = getattr(self._model.config, "max_position_embeddings", None) or _LONGEST_CONTEXT
        return min(int(longest), _LONGEST_CONTEXT)

    @cached_property
    def parameters(self) -> int:
        """Return how many weights the model has."""
        return sum(weights.numel() for weights in self._model.parameters())

    def count(self, text: str) -> int:
        """Return how many tokens a text has, once what the model would obey is taken apart."""
        return len(self._ids(self.neutral(text)))

    def write(self, messages: Sequence[Message], *, max_tokens: int) -> Iterator[str]:
        """Yield the next turn piece by piece; ends with the model's own end of turn, or after `max_tokens`.

        Raises:
            ModelBroken: the prompt is longer than the model can read.
        """
        prompt = self.prompt_ids(messages)
        if len(prompt) + max_tokens > self.context_tokens:
            raise ModelBroken(
                f"a prompt of {len(prompt)} tokens and an answer of {max_tokens} are more than the "
                f"{self.context_tokens} that {self.model} can read",
                hint="let it write less: --set writer.max_tokens=64",
            )
        written: list[int] = []
        told = ""
        for token in self._tokens(prompt, max_tokens):
            written.append(token)
            text = self._tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            # A character may take several tokens: until it is whole, it is shown as one that stands for none.
            if not text.endswith(_UNFINISHED) and text.startswith(told):
                yield text[len(told) :]
                told = text

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt's tokens: the template's own control tokens, and none that the messages brought.

        Raises:
            ModelBroken: a message brought one all the same.
        """
        turns = [{"role": turn.role, "content": self.neutral(turn.content)} for turn in messages]
        ids = self._ids(self._laid_out(turns))
        plain = self._ids(self._laid_out([{**turn, "content": "x"} for turn in turns]))
        if [i for i in ids if i in self._controls] != [i for i in plain if i in self._controls]:
            raise ModelBroken(
                f"{self.model}: a text brings tokens that the model would obey", hint="choose another model"
            )
        return ids

    def neutral(self, text: str) -> str:
        """Return a text in which no control token of the model is left: a blank is put behind its first character."""
        for _ in range(len(text) + 1):
            found = [spelt for spelt in self._controls.values() if spelt in text]
            if not found:
                break
            for spelt in found:
                text = text.replace(spelt, f"{spelt[:1]} {spelt[1:]}")
        if any(i in self._controls for i in self._ids(text)):  # spelt otherwise, as in full-width letters
            text = _MARKUP.sub(" ", text)
        return text

    @cached_property
    def _controls(self) -> dict[int, str]:
        added = self._tokenizer.added_tokens_decoder.items()
        return {int(i): str(token.content) for i, token in added if token.special or _MARKUP.match(str(token.content))}

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _laid_out(self, turns: Sequence[dict[str, str]]) -> str:
        if not self._tokenizer.chat_template:
            return "\n\n".join([*(turn["content"] for turn in turns), ""])
        from jinja2 import TemplateError

        for told in (list(turns), _without_system(turns)):
            try:
                return str(
                    self._tokenizer.apply_chat_template(
                        told, tokenize=False, add_generation_prompt=True, enable_thinking=False
                    )
                )
            except TemplateError as error:  # some templates know no system turn
                refused = error
        raise ModelBroken(f"{self.model}: its chat template refuses the prompt: {refused}", hint="choose another model")

    def _tokens(self, prompt: Sequence[int], max_tokens: int) -> Iterator[int]:
        import torch

        ends = self._ends
        step = torch.tensor([list(prompt)], device=self._model.device)
        past = None
        for _ in range(max_tokens):
            # Entered anew for each step: held over a yield, it would hold for whoever is given the token.
            with torch.inference_mode():
                out = self._model(input_ids=step, past_key_values=past, use_cache=True)
                token = int(out.logits[0, -1].argmax())
            if token in ends:
                return
            yield token
            past = out.past_key_values
            step = torch.tensor([[token]], device=self._model.device)

    @cached_property
    def _ends(self) -> frozenset[int]:
        named = (self._model.generation_config.eos_token_id, self._tokenizer.eos_token_id)
        ends: set[int] = set()
        for one in named:
            ends |= set(one) if isinstance(one, (list, tuple)) else {one} if one is not None else set()
        return frozenset(ends)


def load_writer(name: str, *, device: str = "auto", dtype: str = "auto", seed: int = 0, threads: int = 0) -> Writer:
    """Return a model by the name it was added under, its folder, its GGUF file, or its id in the hub's local cache.

    Raises:
        ModelMissing: it is in none of these.
        ModelBroken: it cannot be loaded.
    """
    found = find_writer(name)
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries are imported
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ModelMissing("there is no GPU that torch can use", hint="--set writer.device=auto")
    on = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    torch.set_num_threads(threads or usable_cores())
    torch.manual_seed(seed)
    try:
        model, tokenizer = load_causal(found.path, dtype=_dtype(dtype, on=on))
        model.to(on)
    except Exception as error:  # a file that is broken fails wherever it is, in its own way
        raise ModelBroken(
            f"model in {found.path} cannot be loaded: {_said(error)}", hint=f"check it with: rag models verify {name}"
        ) from error
    return Writer(model, tokenizer, about=name, revision=found.revision)


def load_causal(path: Path, *, dtype: torch.dtype) -> tuple[Any, Any]:
    """Return a model and its tokenizer from a folder of safetensors, or from a GGUF file, unpacked."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if path.is_file():
        from transformers import modeling_gguf_pytorch_utils as unpacking

        # It shows a bar of its own, which no switch of transformers turns off.
        vars(unpacking)["tqdm"] = lambda steps, **_: steps
        given["gguf_file"] = path.name
        folder = path.parent
        weights: dict[str, Any] = {"quantization_config": GgufConfig(dequantize=True)}
    else:
        folder, weights = path, {"use_safetensors": True}
    tokenizer = AutoTokenizer.from_pretrained(folder, **given)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **weights, **given)
    return model.eval(), tokenizer


def convert_gguf(file: Path, folder: Path) -> None:
    """Unpack a GGUF file once into a folder of safetensors with its tokenizer and chat template.

    Raises:
        ModelBroken: it cannot be unpacked.
    """
    import torch
    from transformers.utils import logging as transformers_logging

    # How it is unpacked is transformers' own affair; what cannot be is an error.
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        model, tokenizer = load_causal(file, dtype=torch.bfloat16)
    except Exception as error:  # as above
        raise ModelBroken(
            f"{file} cannot be unpacked: {_said(error)}", hint="get the file again, or name a folder of safetensors"
        ) from error
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def merge_adapter(adapter: Path, folder: Path) -> None:
    """Add a low-rank adapter to the weights in a folder of safetensors: for each layer, scale times B times A.

    Raises:
        ModelBroken: it was made for another model.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(adapter, framework="pt") as opened:
        scale = float(opened.metadata()["scale"])
    pairs = load_file(adapter)
    layers = {key.removesuffix(".lora_A") for key in pairs if key.endswith(".lora_A")}
    for file in sorted(folder.glob("*.safetensors")):
        weights = load_file(file)
        for layer in sorted(layers):
            if (key := f"{layer}.weight") in weights:
                change = scale * (pairs[f"{layer}.lora_B"].float() @ pairs[f"{layer}.lora_A"].float())
                if change.shape != weights[key].shape:
                    break
                weights[key] = (weights[key].float() + change).to(weights[key].dtype)
                layers.remove(layer)
        save_file(weights, file, metadata={"format": "pt"})
    if layers:
        raise ModelBroken(
            f"{adapter.name} was made for another model: {min(layers)} is not in {folder}", hint="report it as a bug"
        )


def _said(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _dtype(name: str, *, on: str) -> torch.dtype:
    import torch

    if name != "auto":
        chosen: torch.dtype = getattr(torch, name)
        return chosen
    return torch.bfloat16 if on == "cuda" or _has_bf16() else torch.float32


def _has_bf16() -> bool:
    """Tell whether the processor multiplies in bfloat16 itself; where it does not, that is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.split()))


def _without_system(turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    rest = [turn for turn in turns if turn["role"] != "system"]
    first = {**rest[0], "content": "\n\n".join([*system, rest[0]["content"]])} if rest else {}
    return [first, *rest[1:]] if rest else []
