"""The same against a real server: `transformers serve` with a tiny random model, on loopback, while the test runs."""

import importlib.util
import os
import re
import subprocess
import sys
import threading

import pytest

from rag.answering.writing import Message
from rag.errors import EndpointError
from rag.models.endpoint import EndpointWriter

NEEDED = ["fastapi", "uvicorn", "openai", "accelerate", "torch", "transformers"]
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
STARTS_WITHIN_S = 240

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"transformers serve needs {', '.join(MISSING)}: pip install '.[dev]'"
)


def make_model(folder):
    """Write a causal language model of some thousand weights, which knows bytes and no words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokens = ["<s>", "</s>", "<|user|>", "<|assistant|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = dict.fromkeys(("eos_token", "pad_token"), tokens[1]) | {"bos_token": tokens[0]}
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    made.chat_template = (
        "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}<|assistant|>"
    )
    made.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokens), max_position_embeddings=256, bos_token_id=0, eos_token_id=1, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_model(folder)
    return str(folder)


@pytest.fixture(scope="module")
def url(model, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "COV_"))}
    log = home / "log"
    with log.open("wb") as written, subprocess.Popen(
        [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", model,
         "--host", "127.0.0.1", "--port", "0", "--device", "cpu"],
        env=kept | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(home)},
        stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        watchdog = threading.Timer(STARTS_WITHIN_S, process.kill)
        watchdog.start()
        told = b""
        try:
            found = None
            while found is None and (line := process.stderr.readline()):
                told += line
                found = re.search(rb"running on (http://127\.0\.0\.1:\d+)", line)
            watchdog.cancel()
            assert found, told.decode(errors="replace")
            # What it goes on to say must not fill the pipe.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield found[1].decode() + "/v1"
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()


def test_a_real_server_writes_the_same_text_again(url, model):
    writer = EndpointWriter(url, model=model, timeout_s=60, retries=0)
    pieces = list(writer.write([Message("user", "Why?")], max_tokens=12))
    assert len(pieces) > 1
    assert "".join(pieces) == "".join(writer.write([Message("user", "Why?")], max_tokens=12))


def test_a_real_servers_refusal_is_told(url):
    with pytest.raises(EndpointError, match=r"answers [45]") as error:
        list(
            EndpointWriter(url, model="no-such/model", timeout_s=60, retries=0).write([Message("x", "y")], max_tokens=3)
        )
    assert error.value.hint
