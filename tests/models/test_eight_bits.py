import json

import numpy as np
import pytest

from rag.errors import ModelBroken
from rag.models.eight_bits import DESCRIPTION_FILE, ensure_eight_bits
from rag.models.encoder import Encoder, same_questions

TEXTS = ["bridge river steel", "who built the bridge?", "river " * 9, "a"]


@pytest.fixture(scope="module")
def made(encoder):
    return ensure_eight_bits(encoder._exported)


def measured(made, *, gain):
    """Write what was measured anew, as another machine would have it."""
    file = made.folder / DESCRIPTION_FILE
    description = json.loads(file.read_text())
    file.write_text(json.dumps(description | {"ms": {"float32": gain, "int8": 1.0}}))


def test_passages_in_eight_bits_are_near_the_whole_ones_and_not_the_same(encoder, made):
    measured(made, gain=2.0)
    quick = encoder.for_index(None, passages=10, int8_from=10)
    cosines = (quick.encode_passages(TEXTS) * encoder.encode_passages(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97
    assert not np.array_equal(quick.encode_passages(TEXTS), encoder.encode_passages(TEXTS))


def test_a_passage_in_eight_bits_is_the_same_to_the_bit_in_any_company(encoder, made):
    measured(made, gain=2.0)
    quick = encoder.for_index(None, passages=10, int8_from=10)
    alone = np.concatenate([quick.encode_passages([text]) for text in TEXTS])
    assert np.array_equal(quick.encode_passages(TEXTS), alone)


@pytest.mark.parametrize(("passages", "gain", "eight"), [(10, 2.0, True), (9, 2.0, False), (10, 1.1, False)])
def test_a_new_index_is_in_eight_bits_if_it_is_large_and_that_is_quicker(encoder, made, passages, gain, eight):
    measured(made, gain=gain)
    chosen = encoder.for_index(None, passages=passages, int8_from=10)
    assert (chosen is not encoder) == eight
    assert (chosen.fingerprint != encoder.fingerprint) == eight


def test_an_index_goes_on_as_it_was_begun(encoder, made):
    measured(made, gain=2.0)
    quick = encoder.for_index(None, passages=10, int8_from=10)
    measured(made, gain=1.0)
    again = encoder.for_index(quick.fingerprint, passages=0, int8_from=10)
    assert again.fingerprint == quick.fingerprint
    assert encoder.for_index(encoder.fingerprint, passages=99, int8_from=10) is encoder


def test_questions_fit_passages_of_either_kind_and_of_no_other_encoder(encoder, made):
    measured(made, gain=2.0)
    quick = encoder.for_index(None, passages=10, int8_from=10)
    other = Encoder(encoder._exported, name="tiny", revision="r", max_tokens=9)
    assert same_questions(quick.fingerprint, encoder.fingerprint)
    assert not same_questions(other.fingerprint, encoder.fingerprint)
    assert not same_questions("words-1", encoder.fingerprint)


def test_a_graph_that_cannot_be_made_leaves_the_whole_one(encoder, tmp_path):
    from dataclasses import replace

    broken = replace(encoder._exported, folder=tmp_path / "gone")
    lost = Encoder(broken, name="tiny", revision="r")
    assert lost.for_index(None, passages=10, int8_from=10) is lost
    with pytest.raises(ModelBroken):
        lost.for_index(json.dumps({"eight_bits": 1}), passages=0, int8_from=10)
