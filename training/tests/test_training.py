import copy
import itertools
import json
import random
from collections import deque
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from training import train  # noqa: E402  # after the skip: it imports torch
from training.answerability import DevScores  # noqa: E402
from training.average import average_weights, write_average  # noqa: E402  # after the skip: it imports torch
from training.card import LICENCES  # noqa: E402
from training.compare import draw_evenly, summarise  # noqa: E402
from training.export import list_stages, quantise_rows  # noqa: E402  # after the skip: it imports torch
from training.model import ReaderModel, ReaderOutput, make_empty_body, split_losses  # noqa: E402
from training.news import read_news  # noqa: E402
from training.prepare import Recipe, draw_own, make_altered_claims, make_span_examples  # noqa: E402
from training.reference import OnnxScorer  # noqa: E402
from training.sources import SourcePassage, SpanRow, check_files, read_recorded_checksums  # noqa: E402
from training.start import read_exported_weights, read_start  # noqa: E402
from training.tokens import Batch, TokenisedExamples  # noqa: E402
from training.train import (  # noqa: E402
    MasterWeights,
    Settings,
    add_gradients,
    compute_rate,
    gather_gradients,
    learn,
    make_replica,
    move_against,
)

SHIPPED = Path(__file__).resolve().parents[2] / "rag" / "models" / "weights" / "reader"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def make_model() -> ReaderModel:
    torch.manual_seed(0)
    body = make_empty_body({
        "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    })  # fmt: skip
    return ReaderModel(body)


def make_inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(1, 50, (2, 6))
    return ids, torch.ones_like(ids), torch.tensor([[0, 0, 1, 1, 1, 1]] * 2)


def test_rate_rises_and_falls_in_straight_lines():
    assert compute_rate(0.05, warmup=0.1) == pytest.approx(0.5)
    assert compute_rate(0.55, warmup=0.1) == pytest.approx(0.5)
    assert compute_rate(1.0, warmup=0.1) == 0.0


def test_pairs_without_a_label_cost_nothing():
    output = ReaderOutput(
        answerable=torch.ones(2), start=torch.randn(2, 6), end=torch.randn(2, 6), support=torch.randn(2, 3)
    )
    none = torch.tensor([-1, -1])
    _, mask, types = make_inputs()
    losses = split_losses(
        output, mask=mask, types=types, starts=none, ends=none, answerable=none,
        support=torch.zeros(2, dtype=torch.long), inside=torch.zeros(2, dtype=torch.long),
    )  # fmt: skip
    assert {name: float(loss) for name, loss in losses.items()} == {"answerable": 0.0, "span": 0.0, "support": 0.0}


def test_span_loss_is_the_log_probability_of_its_limits():
    zeros = torch.zeros(1, 6)
    losses = split_losses(
        ReaderOutput(answerable=torch.zeros(1), start=zeros, end=zeros, support=torch.zeros(1, 3)),
        mask=torch.ones(1, 6, dtype=torch.long), types=torch.tensor([[0, 0, 1, 1, 1, 1]]), starts=torch.tensor([3]),
        ends=torch.tensor([4]), answerable=torch.tensor([1]), support=torch.tensor([5]), inside=torch.tensor([0]),
    )  # fmt: skip
    assert float(losses["span"]) == pytest.approx(-np.log(1 / 4), abs=1e-4)
    assert float(losses["answerable"]) == pytest.approx(np.log(2), abs=1e-4)
    assert float(losses["support"]) == pytest.approx(-np.log(2 / 3), abs=1e-4)


def test_span_that_holds_the_answer_allows_every_token_of_it():
    zeros = torch.zeros(1, 6)
    losses = split_losses(
        ReaderOutput(answerable=torch.zeros(1), start=zeros, end=zeros, support=torch.zeros(1, 3)),
        mask=torch.ones(1, 6, dtype=torch.long), types=torch.tensor([[0, 0, 1, 1, 1, 1]]), starts=torch.tensor([3]),
        ends=torch.tensor([4]), answerable=torch.tensor([1]), support=torch.tensor([0]), inside=torch.tensor([1]),
    )  # fmt: skip
    assert float(losses["span"]) == pytest.approx(-np.log(2 / 4), abs=1e-4)


def test_replica_shares_weights_and_adds_its_gradient():
    model = make_model()
    replica = make_replica(model)
    for each in (model, replica):
        torch.manual_seed(1)
        each(*make_inputs()).support.sum().backward()
    alone = model.support.bias.grad.clone()
    add_gradients([model, replica])
    assert torch.allclose(model.support.bias.grad, 2 * alone)
    with torch.no_grad():
        model.support.bias.add_(1.0)
    assert torch.equal(replica.support.bias, model.support.bias)


def test_restored_weights_go_on_as_they_would_have():
    models = [make_model(), make_model()]
    weights = [MasterWeights(model, Settings()) for model in models]

    def step(i: int) -> None:
        torch.manual_seed(2)
        models[i](*make_inputs()).support.sum().backward()
        weights[i].step(factor=1.0, divisor=2.0)

    step(0)
    weights[1].restore(copy.deepcopy(weights[0].state()))
    step(0)
    step(1)
    assert all(
        torch.allclose(one, other) for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True)
    )


@pytest.mark.parametrize("start", ["", train.UNTRAINED])
def test_dropout_changes_what_is_trained_and_not_what_is_read(start, tmp_path):
    make_model().body.save_pretrained(tmp_path)
    model = train.make_model(tmp_path, settings=Settings(start=start, dropout=0.5))
    ids, mask, types = make_inputs()
    first, second = (model.train()(ids, mask, types).start for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (model.eval()(ids, mask, types).start for _ in range(2))
    assert torch.equal(first, second)


def make_batch_of_pairs() -> Batch:
    ids, mask, types = (tensor.numpy() for tensor in make_inputs())
    label = np.ones(2, dtype=np.int64)
    return Batch(
        ids=ids, mask=mask, types=types, starts=3 * label, ends=4 * label, answerable=label, support=label,
        inside=0 * label, rows=np.arange(2),
    )  # fmt: skip


def test_step_against_a_pair_has_its_length_and_lowers_what_the_pair_is_learnt_by():
    gradient = torch.randn(3, 6, 8)
    away = move_against(gradient, distance=0.05)
    assert away.flatten(1).norm(dim=1).tolist() == pytest.approx([0.05] * 3)
    assert torch.nn.functional.cosine_similarity(away.flatten(1), gradient.flatten(1)).tolist() == pytest.approx(
        [1.0] * 3
    )
    assert not move_against(torch.zeros(1, 6, 8), distance=0.05).any()


def test_adversarial_step_is_learnt_beside_the_plain_one():
    """The gradient is that of the pairs as they are and as they are moved, of which the loss is higher."""
    batch = make_batch_of_pairs()
    model, twin = make_model(), make_model()
    gather_gradients(model, queue=deque([batch]), settings=Settings(adversarial=0.1))
    tensors = train.to_tensors(batch)
    words = twin.embed(tensors["ids"])
    words.retain_grad()
    plain = learn(twin, tensors, words, settings=Settings())
    moved = learn(
        twin, tensors, twin.embed(tensors["ids"]) + move_against(words.grad, distance=0.1), settings=Settings()
    )
    assert sum(moved.values()) > sum(plain.values())
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.allclose(one.grad, other.grad, atol=1e-6)


def test_words_may_be_embedded_before():
    model = make_model()
    ids, mask, types = make_inputs()
    assert torch.equal(model(ids, mask, types).start, model(ids, mask, types, model.embed(ids)).start)


@pytest.mark.parametrize(("letters", "held_out"), [("n", False), ("n", True), ("zn", True)])
def test_questions_are_drawn_of_the_articles_that_are_named(letters, held_out):
    drawn = list(draw_own(times=1, nonfactoid_times=1, held_out=held_out, letters=letters, rng=random.Random(2)))
    assert {example.source for example in drawn} == {"news", "nonfactoid"}
    texts = {name: article.text for name, article in read_news()[0].items() if name[0] in letters}
    owners = [
        {name[0] for name, text in texts.items() if example.passage[example.header_size :] in text} for example in drawn
    ]
    assert all(owners)
    assert set().union(*owners) == set(letters)


def test_entries_are_drawn_too():
    drawn = draw_own(times=1, nonfactoid_times=0, held_out=False, letters="g", rng=random.Random(2))
    assert {example.source for example in itertools.islice(drawn, 40)} == {"entries"}


def test_quantised_rows_are_near():
    matrix = np.random.default_rng(1).normal(size=(5, 40)).astype(np.float32)
    integers, scales = quantise_rows(matrix)
    assert np.abs(integers * scales[:, None] - matrix).max() <= scales.max() / 2 + 1e-6


def test_negatives_never_hold_the_answer():
    passages = {
        i: SourcePassage(
            id=i, title="Bridges", text=f"The bridge number {i} was opened by Person{i} Lee in 19{i:02d}. It is long."
        )
        for i in range(30)
    }
    rows = [
        SpanRow(
            source="squad2_train_rebuilt", question=f"who opened the bridge number {i}?", passage_id=i, title="Bridges",
            spans=((text.index("Person"), text.index(" Lee") + 4),), answerable=True, kind="answer",
        )
        for i, text in ((i, passage.text) for i, passage in passages.items())
    ]  # fmt: skip
    examples = list(make_span_examples(rows, passages=passages, recipe=Recipe(), rng=random.Random(1)))
    mined = [example for example in examples if example.kind == "same_article"]
    assert mined
    for example in mined:
        number = example.question.split("number ")[1].rstrip("?")
        assert f"Person{number} Lee" not in example.passage


def test_altered_claims_differ_from_their_sentence():
    passages = [
        SourcePassage(id=i, title="Bridges", text=f"In 19{i:02d} the long bridge was opened to {i + 2} people.")
        for i in range(10, 40)
    ]
    examples = list(make_altered_claims(passages, wanted=60, rng=random.Random(1)))
    altered = [example for example in examples if example.kind.startswith("altered")]
    assert altered
    assert all(example.question not in example.passage.lower() for example in altered)


@pytest.mark.skipif(not DATA.exists(), reason="the public data is not beside the project")
def test_data_is_the_recorded_data():
    recorded = read_recorded_checksums()
    assert check_files(DATA, recorded=recorded, names=tuple(recorded)) == recorded


def test_weights_read_back_from_the_shipped_reader_score_as_it_does():
    body = make_empty_body({
        "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": 1536, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    })  # fmt: skip
    model = ReaderModel(body).eval()
    model.load_state_dict(read_exported_weights(SHIPPED / "model.onnx"), strict=True)
    ids = np.random.default_rng(1).integers(1000, 20000, size=(4, 60))
    types = np.zeros_like(ids)
    types[:, 15:] = 1
    scorer = OnnxScorer(SHIPPED / "model.onnx")
    expected = np.concatenate([
        scorer(ids[i : i + 1], np.ones_like(ids[:1]), types[i : i + 1]).answerable for i in range(len(ids))
    ])  # fmt: skip
    with torch.inference_mode():
        output = model(torch.from_numpy(ids), torch.zeros(4, 1, 1, 60), torch.from_numpy(types))
    assert output.answerable.numpy() == pytest.approx(expected, abs=0.75)


def test_a_model_that_is_no_reader_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    empty = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.save(empty, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="no weights"):
        read_exported_weights(tmp_path / "model.onnx")


def test_the_runs_that_led_to_a_reader_are_listed_from_the_first_to_the_last(tmp_path):
    exported, run = tmp_path / "exported", tmp_path / "run"
    exported.mkdir()
    run.mkdir()
    first = {"examples": 90, "settings": {"seed": 1}}
    (exported / "config.json").write_text(json.dumps({"provenance": {"stages": [first]}}))
    (run / "settings.json").write_text(json.dumps({"seed": 2, "start": str(exported)}))
    torch.save({"seen": 70}, run / "final.pt")
    assert list_stages(run) == [first, {"examples": 70, "settings": {"seed": 2, "start": ""}}]


def write_run(folder: Path, *, value: float, start: str) -> None:
    folder.mkdir()
    weights = {"a.weight": torch.full((2, 2), value), "a.bias": torch.full((2,), value)}
    torch.save({"weights": {"average": weights, "masters": weights}, "seen": 10}, folder / "final.pt")
    (folder / "settings.json").write_text(json.dumps({"seed": 1, "start": start}))


def test_an_averaged_run_holds_the_weighted_mean_and_names_the_runs_by_their_place(tmp_path):
    write_run(tmp_path / "one", value=1.0, start="")
    write_run(tmp_path / "two", value=3.0, start=str(tmp_path / "one"))
    write_average(tmp_path / "out", members=[(tmp_path / "one", 0.25), (tmp_path / "two", 0.75)])
    assert torch.equal(read_start(tmp_path / "out")["a.weight"], torch.full((2, 2), 2.5))
    first, second = list_stages(tmp_path / "out")
    assert "averaged" not in first
    assert second["averaged"] == [{"run": 1, "share": 0.25}, {"run": 2, "share": 0.75}]


@pytest.mark.parametrize(("names", "shares"), [(("a", "a"), (0.5, 0.4)), (("a", "b"), (0.5, 0.5))])
def test_weights_that_do_not_match_are_not_averaged(names, shares):
    members = [({name: torch.ones(1)}, share) for name, share in zip(names, shares, strict=True)]
    with pytest.raises(ValueError, match=r"shares|names"):
        average_weights(members)


def test_a_row_of_the_comparison_takes_its_pairs_by_source_and_kind():
    names = (
        "squad2_train_rebuilt · answerable", "squad2_train_rebuilt · written", "news · answerable", "news · written",
        "squad_nqg_sentence · edited_direction", "altered · true", "nonfactoid · answerable", "nonfactoid · written",
        "squad2_train_rebuilt · same_article", "entries · answerable", "entries · written",
    )  # fmt: skip
    logits = [0.9, 0.1, 0.2, 0.3, 0.95, 0, 0.97, 0.5, 0.99, 0.98, 0.6]
    features = np.array([[logit, 0, 0] for logit in logits])
    spans = np.array([1.0, np.nan, 0.0, *[np.nan] * 8])
    scores = DevScores(
        features=features, answerable=np.array([1, 0, 1, 0, 0, -1, 1, 0, 0, 1, 0]), spans_right=spans, overlaps=spans,
        support=np.zeros((11, 3)), bits=np.zeros(11, dtype=np.int64), names=names,
    )  # fmt: skip
    everything, squad, written, news, entries, nonfactoid, direction, span_squad, span_news = summarise(scores)
    assert everything == pytest.approx((4 + 1 + 5 + 5) / (4 * 6))
    assert (squad, written, news, entries, nonfactoid) == (0.5, 1.0, 0.0, 1.0, 1.0)
    assert (direction, span_squad, span_news) == (0.0, 1.0, 0.0)


def test_the_pairs_to_compare_on_are_drawn_from_each_source():
    groups = np.array([0] * 6 + [1] * 9 + [2] * 2 + [3] * 4, dtype=np.int32)
    zeros = np.zeros(len(groups), dtype=np.int32)
    dev = TokenisedExamples(
        ids=np.arange(len(groups), dtype=np.int32), offsets=np.arange(len(groups) + 1, dtype=np.int64), breaks=zeros,
        starts=zeros, ends=zeros, answerable=np.where(groups == 3, -1, 1).astype(np.int32), support=zeros, inside=zeros,
        groups=groups, names=("news · written", "qed_nq_dev · answerable", "entries · written", "fever_dev · claim"),
    )  # fmt: skip
    drawn = draw_evenly(dev, each=3)
    assert np.bincount(drawn.groups, minlength=4).tolist() == [3, 3, 2, 0]
    assert len(set(drawn.ids.tolist())) == 8


def test_the_card_names_a_licence_for_every_source():
    ours = {"news", "entries", "nonfactoid", "altered"}
    drawn = {source for source, _ in Recipe().span_shares} | set(Recipe().claim_shares) | ours
    assert drawn <= set(LICENCES)
