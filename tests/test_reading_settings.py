"""What the settings let the reader read, through the pipeline."""

import numpy as np
import pytest

from rag.config import Config, Reader
from rag.models.reader import PassageReading
from rag.pipeline import Engine, index_articles


class NotingReader:
    """A reader that notes what it is given, and points at each page's last word."""

    name = "noting"
    revision = "1"

    def __init__(self):
        self.pages = []

    def prepare(self):
        pass

    def sizes(self, _question, passages):
        return [len(page.text.split()) for page in passages]

    def read(self, _question, passages):
        self.pages += passages
        return [self._reading(page.text) for page in passages]

    def _reading(self, text):
        nothing = np.zeros(1, np.float32)
        return PassageReading(1.0, nothing, nothing, np.array([[text.rindex(" ") + 1, len(text)]]))


@pytest.fixture
def read_under(tmp_path, word_encoder):
    """Return how many passages, and pages in all, are read under settings of the reader."""
    (tmp_path / "articles").mkdir()
    for number in range(4):
        text = f"# Ferry {number}\n\nThe ferry sailed from Lorn{' in the rain' * number}."
        (tmp_path / "articles" / f"{number}.md").write_text(text, encoding="utf-8")
    config = Config(folder=tmp_path, articles=("articles",), reader=Reader())
    index_articles(config, [], encoder=word_encoder)

    def run(**settings):
        changed = Config(folder=tmp_path, articles=("articles",), reader=Reader(**settings))
        with Engine(changed, encoder=word_encoder) as engine:
            engine._reader = reader = NotingReader()
            engine.ask("Where did the ferry sail from in the rain?")
        return sum("# Ferry" in page.text for page in reader.pages), len(reader.pages)

    return run


def test_without_a_bound_every_passage_that_is_found_is_read(read_under):
    assert read_under(share=0.0) == (4, 4 + 4 + 1)


@pytest.mark.parametrize(
    ("settings", "passages", "pages"),
    [
        ({"passages": 2, "share": 0.0}, 2, 2 + 2 + 1),
        ({"share": 1.0}, 1, 1 + 1 + 1),
        ({"share": 0.0, "sentences": 2}, 4, 4 + 2 + 1),
        ({"share": 0.0, "budget_tokens": 16}, 1, 1 + 1 + 1),
    ],
)
def test_each_setting_bounds_what_is_read(read_under, settings, passages, pages):
    assert read_under(**settings) == (passages, pages)
