"""Examples for the writer are statements that their sentences bear out, and training lowers the loss on them."""

import importlib.util
import random

import numpy as np
import pytest

from rag.answering import Checker
from training import writer as recipe

PASSAGES = {
    7: "The old bridge was designed by Ada Brandt. It opened in Lorn in 1999. The ferry sank.",
    8: "Ada Brandt designed the Lorn bridge in 1999. Nobody was hurt when the ferry sank.",
}


LONG = f"Ada built it for {'very ' * 20}little, which {'much ' * 9}pleased Lorn."


def row(question, answer, passage):
    answers = [{"start": PASSAGES[passage].index(answer), "text": answer}]
    known = {"src": "squad2_train_rebuilt", "answerable": True, "passage_id": passage}
    return {**known, "question": question, "answers": answers}


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("who designed the lorn bridge in 1999?", "Ada Brandt", "Ada Brandt designed the Lorn bridge in 1999."),
        ("what opened in lorn?", "the bridge", "The bridge opened in Lorn."),
        ("what was the name of the bridge?", "Lorn", "The name of the bridge was Lorn."),
        ("what was the bridge called?", "Lorn", None),
        ("what did ada brandt design?", "the Lorn bridge", "Ada Brandt designed the Lorn bridge."),
        ("how many bridges did ada brandt design in lorn?", "one", "Ada Brandt designed one bridges in Lorn."),
        ("when did ada brandt design the lorn bridge?", "1999", "Ada Brandt designed the Lorn bridge in 1999."),
        ("when was the bridge opened?", "1999", "The bridge was opened in 1999."),
        ("when was the bridge opened?", "2001", None),
        ("which bridge opened in lorn?", "the old one", None),
        ("why did the ferry sink?", "1999", None),
    ],
)
def test_a_question_becomes_a_statement_where_its_words_allow_it(question, answer, said):
    assert recipe.state(question, answer, "In 1999 Ada Brandt designed the Lorn bridge.") == said


@pytest.mark.parametrize(
    ("sentence", "answer", "said"),
    [
        ("Ada Brandt designed the Lorn bridge.", "Ada", "Ada Brandt designed the Lorn bridge."),
        ("LORN — Ada Brandt designed the old bridge.", "Ada", "Ada Brandt designed the old bridge."),
        (LONG, "Ada", f"{LONG.partition(',')[0]}."),
        (LONG, "Lorn", None),
        ("It sank.", "It", None),
    ],
)  # fmt: skip
def test_a_long_sentence_is_cut_behind_the_clause_that_answers(sentence, answer, said):
    start = sentence.index(answer)
    assert recipe.shorten(sentence, (start, start + len(answer))) == said


def test_an_example_is_borne_out_by_its_sentences_or_declines():
    rows = [row("who designed the lorn bridge in 1999?", "Ada Brandt", 8)] * 40
    found = list(recipe.examples(rows, PASSAGES, rng=random.Random(1)))
    assert {example.question for example in found} == {"Who designed the Lorn bridge in 1999?"}
    answered = [example for example in found if example.answer != recipe.DECLINING]
    assert {example.answer for example in answered} == {"Ada Brandt designed the Lorn bridge in 1999."}
    assert all(PASSAGES[8].partition(". ")[0] + "." == example.evidence for example in answered)
    declined = [example for example in found if example.answer == recipe.DECLINING]
    assert declined
    assert all(example.evidence == "Nobody was hurt when the ferry sank." for example in declined)


def test_where_a_statement_is_not_borne_out_the_sentence_itself_is_the_answer():
    wrong = row("who designed the lorn bridge in 2003?", "Ada Brandt", 8)
    found = list(recipe.examples([wrong] * 40, PASSAGES, rng=random.Random(1)))
    assert {one.answer for one in found} - {recipe.DECLINING} == {"Ada Brandt designed the Lorn bridge in 1999."}


def test_what_the_check_drops_is_no_example():
    class Doubting:
        def support(self, _claims, evidence):
            return np.array([[0.0, 1.0, 0.0]] * len(evidence), np.float32)

    rows = [row("who designed the lorn bridge in 1999?", "Ada Brandt", 8)] * 40
    dropped = list(recipe.examples(rows, PASSAGES, rng=random.Random(1), checker=Checker(Doubting())))
    assert dropped == []


def test_about_one_example_in_six_declines():
    rows = [row("who designed the lorn bridge in 1999?", "Ada Brandt", 8)] * 1000
    declined = [example.answer == recipe.DECLINING for example in recipe.examples(rows, PASSAGES, rng=random.Random(2))]
    assert sum(declined) / len(declined) == pytest.approx(1 / 6, abs=0.04)
    news = [example.answer == recipe.DECLINING for example in recipe.news_examples(rng=random.Random(2))]
    assert 0.1 < sum(news) / len(news) < 0.3


def test_batches_hold_every_example_once_and_those_of_a_length_together():
    encoded = [recipe.Encoded(tuple(range(length)), 1) for length in (*range(2, 40), *range(2, 40))]
    cut = recipe.batches(encoded)
    assert sorted(len(one.ids) for batch in cut for one in batch) == sorted(len(one.ids) for one in encoded)
    assert cut == recipe.batches(encoded) != recipe.batches(encoded, seed=3)
    assert max(max(len(one.ids) for one in batch) - min(len(one.ids) for one in batch) for batch in cut) < 30


@pytest.fixture
def tiny():
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<end>")  # noqa: S106
    torch.manual_seed(5)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=4, max_position_embeddings=4096, **size)
    return LlamaForCausalLM(config), tokenizer


def test_the_loss_is_taken_over_the_answer_alone():
    pytest.importorskip("torch")
    ids, mask, labels = recipe.padded([recipe.Encoded((5, 6, 7, 8), 2), recipe.Encoded((5, 9), 1)], filler=0)
    assert ids.tolist() == [[5, 6, 7, 8], [5, 9, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert labels.tolist() == [[-100, -100, 7, 8], [-100, 9, -100, -100]]


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
@pytest.mark.filterwarnings("ignore")
def test_training_lowers_the_loss_and_leaves_the_models_own_weights(tiny, monkeypatch, tmp_path):
    from rag.models.writer import Writer

    causal, tokenizer = tiny
    monkeypatch.setattr(recipe, "LONGEST", 4000)
    monkeypatch.setattr(recipe, "BATCH", 2)
    monkeypatch.setattr(recipe, "RATE", 0.02)
    example = recipe.Example("who designed it?", "Ada Brandt designed it.", "Ada Brandt designed it.")
    asked = Writer(causal, tokenizer, about="tiny", revision="")
    encoded = recipe.encode(example, asked, tokenizer)
    assert tokenizer.decode(encoded.ids[encoded.start :]) == "Ada Brandt designed it.<end>"
    before = causal.model.layers[0].self_attn.q_proj.weight.detach().clone()
    checkpoint = tmp_path / "last.pt"
    monkeypatch.setattr(recipe, "CHECKPOINT_STEPS", 6)
    trained = recipe.fine_tune(causal, [encoded], seconds=60, epochs=12, checkpoint=checkpoint)
    assert trained.losses[-1] < trained.losses[0]
    assert trained.speed > 0
    assert (causal.model.layers[0].self_attn.q_proj.base_layer.weight == before).all()

    bare = trained.model.unload()
    again = recipe.fine_tune(bare, [encoded], seconds=60, epochs=14, checkpoint=checkpoint)
    assert again.losses[:12] == trained.losses
    assert len(again.losses) == 14


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
@pytest.mark.filterwarnings("ignore")
def test_what_is_exported_and_merged_is_what_peft_would_merge(tiny, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file

    from rag.models.writer import merge_adapter

    causal = tiny[0]
    causal.save_pretrained(tmp_path / "plain")
    settings = LoraConfig(
        r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    model = get_peft_model(causal, settings)
    recipe.export_adapter(model, tmp_path / "adapter.safetensors")
    merge_adapter(tmp_path / "adapter.safetensors", tmp_path / "plain")
    found = load_file(tmp_path / "plain" / "model.safetensors")
    merged = model.merge_and_unload().state_dict()
    assert all(torch.allclose(found[key], merged[key], atol=0.01) for key in found)
