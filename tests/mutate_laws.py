"""Break the code that keeps each law, measure and check, one change at a time, and see a test turn red.

    python tests/mutate_laws.py
    python tests/mutate_laws.py tests/test_verify.py

Each change is made in a copy of the package. Exits 1 when a change goes unnoticed, 2 when one does not fit the code.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The law, the file, what stands there, and what breaks it.
RECORD = [
    ("every citation is marked in the answer", "answering/quoting.py", ' [{claim.citations[0]}]"', '"'),
    (
        "markers count from one without gaps",
        "records.py",
        "if markers != list(range(1, len(markers) + 1)):",
        "if False:",
    ),
    (
        "citations and claims belong together",
        "records.py",
        "for marker in claim.citations} != set(markers):",
        "for marker in claim.citations} and False:",
    ),
    ("every claim has a citation", "records.py", "if not self.citations:", "if False:"),
    (
        "a quote is its slice of the article",
        "records.py",
        "article.text[span.start : span.end],",
        "article.text[span.start : span.end - 1],",
    ),
    ("a quote starts where it says", "records.py", "start=span.start,", "start=span.start + 1,"),
    ("a quote ends where it says", "records.py", "end=span.end,", "end=span.end + 1,"),
    ("a quote stands on its line", "records.py", "return self.first_line + ", "return 1 + self.first_line + "),
    (
        "furniture is never quoted",
        "records.py",
        "if any(span.overlaps(trimming) for trimming in article.furniture):",
        "if False:",
    ),
    (
        "a citation lies inside the article",
        "records.py",
        "if not span.start < span.end <= len(article.text):",
        "if False:",
    ),
    ("answered means claims", "records.py", "return bool(self.claims)", "return True"),
    ("what is declined says why", "records.py", "if self.answered == (self.reason is not None):", "if False:"),
    (
        "the answer is the articles' own text",
        "answering/quoting.py",
        '_SPACE.sub(" ", citation.quote)',
        '_SPACE.sub(" ", citation.quote).upper()',
    ),
    (
        "a declined question shows the nearest passages",
        "engine.py",
        "hits=found.ranking.hits,",
        "hits=found.ranking.hits if quoted.claims else (),",
    ),
    (
        "the same question gives the same bytes",
        "retrieval.py",
        "for place in np.lexsort((rows, -fused)):",
        "for place in np.random.permutation(len(rows)):",
    ),
]
VERIFYING = [
    ("verify compares the quote", "verify.py", "or article.text[start:end] != quote:", ":"),
    ("verify compares the file on disk", "verify.py", "on_disk.text[max(start, 0) : end] != quote:", "False:"),
    ("verify compares the passages", "verify.py", "if (start, end) != (stored.start, stored.end):", "if False:"),
    ("verify compares the line", "verify.py", 'elif citation["line"] != article.line_of(start):', "elif False:"),
]
MEASURES = [
    (
        "a question that retrieved nothing counts as zero",
        "evaluation/measures.py",
        "{str(measure): 0.0 for measure in measures} for question in qrels}",
        "{str(measure): 0.0 for measure in measures} for question in qrels if question in run}",
    ),
    (
        "a run has no ties for trec_eval to break",
        "evaluation/measures.py",
        "bar = before - _STEP * max(1.0, abs(before)) if falling else before",
        "bar = before",
    ),
    ("SQuAD's rule drops articles", "evaluation/measures.py", '_ARTICLES.sub(" ", plain).split()', "plain.split()"),
    (
        "SQuAD's rule drops punctuation",
        "evaluation/measures.py",
        'plain = "".join(c for c in text.lower() if c not in _PUNCTUATION)',
        "plain = text.lower()",
    ),
    (
        "F1 counts a repeated token as often as both have it",
        "evaluation/measures.py",
        "common = sum((Counter(said) & Counter(wanted)).values())",
        "common = len(set(said) & set(wanted))",
    ),
    (
        "an answer to what the articles do not say is wrong",
        "evaluation/measures.py",
        "if not answer.answered or gold.answerable is False:",
        "if not answer.answered:",
    ),
]
STATISTICS = [
    (
        "the bootstrap covers at its rate",
        "evaluation/statistics.py",
        "for quantile in (-tail, tail)]",
        "for quantile in (-tail / 2, tail / 2)]",
    ),
    (
        "the randomisation test has its size",
        "evaluation/statistics.py",
        "reached += int(np.sum(np.abs(signs @ moved) >= bar))",
        "reached += int(np.sum(signs @ moved >= bar))",
    ),
    (
        "Holm's correction counts the tests",
        "evaluation/statistics.py",
        "min(1.0, (len(p_values) - step) * p_values[place])",
        "min(1.0, p_values[place])",
    ),
]
MUTATIONS = {
    "tests/test_laws.py": RECORD,
    "tests/test_verify.py": VERIFYING,
    "tests/evaluation/test_measures.py": MEASURES,
    "tests/evaluation/test_statistics.py": STATISTICS,
}


def notices(package: Path, tests: str) -> bool:
    """Tell whether tests fail on a copy of the package."""
    # -P: without it the working directory's package would be found before the copy.
    options = ["-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command = [sys.executable, *options, str(ROOT / tests)]
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 1


def main(chosen: list[str]) -> int:
    mutations = {tests: MUTATIONS[tests] for tests in chosen or MUTATIONS}
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "rag"
        shutil.copytree(ROOT / "rag", package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
        for tests, changes in mutations.items():
            if notices(package, tests):
                print(f"{tests} fails before anything is changed")
                return 2
            for law, name, old, new in changes:
                file = package / name
                whole = file.read_text(encoding="utf-8")
                if whole.count(old) != 1:
                    print(f"does not fit  {law}: {name} has {whole.count(old)} times {old!r}")
                    return 2
                file.write_text(whole.replace(old, new), encoding="utf-8")
                noticed = notices(package, tests)
                file.write_text(whole, encoding="utf-8")
                unnoticed += not noticed
                print(f"{'red' if noticed else 'UNNOTICED':<9} {law}", flush=True)
    total = sum(map(len, mutations.values()))
    print(f"{total - unnoticed} of {total} changes were noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
