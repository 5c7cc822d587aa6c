from pathlib import Path

import pytest
from mutate_laws import MUTATIONS

RAG = Path(__file__).parents[1] / "rag"
CHANGES = [change for changes in MUTATIONS.values() for change in changes]


@pytest.mark.parametrize(("law", "name", "old", "new"), CHANGES, ids=[law for law, *_ in CHANGES])
def test_what_breaks_a_law_still_fits_the_code(law, name, old, new):
    code = (RAG / name).read_text(encoding="utf-8")
    assert code.count(old) == 1, law
    compile(code.replace(old, new), name, "exec")
