"""Kills: whatever moment a build dies at, the last index answers, and the next build goes on from what was encoded."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from rag.index import open_index
from rag.index.build import _BATCH_PASSAGES, BuildSettings, build_index

SCRIPT = Path(__file__).with_name("build_slowly.py")
SETTINGS = BuildSettings(max_tokens=40, overlap_sentences=1, k1=0.9, b=0.4)
WORDS = ["China", "Japan", "banned", "seafood", "trade", "fell", "minister", "met", "Beijing", "protested", "exports"]


def write_articles(folder, *, count, seed):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        rng = random.Random(f"{seed} {number}")  # noqa: S311 - texts, no secrets
        sentences = [" ".join([*rng.choices(WORDS, k=9), str(rng.randrange(9999))]) + "." for _ in range(12)]
        (folder / f"article-{number:02}.md").write_text(f"# Article {number}\n\n{' '.join(sentences)}\n")


def build(articles, index, encoder):
    return build_index(
        [articles], index=index, encoder=encoder, settings=SETTINGS, add=False, rebuild=False, progress=lambda *_: None
    )


def contents(index):
    opened = open_index(index)
    rows = list(range(opened.manifest.passages))
    passages, texts = opened.store.passages_with_texts(rows)
    return opened.manifest.content, passages, texts, opened.vectors.rows(np.array(rows))


def hashes(index):
    store = open_index(index).store
    return {digest for name in store.article_ids() for digest in store.stored(name).passage_hashes}


def kill_a_build(articles, index, *, stage, after):
    """Start a build, kill it a moment after it came to a stage, and return how many passages it had encoded."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, SCRIPT.parents[1], articles, index, "0.03"], stdout=subprocess.PIPE, text=True
    )
    lines = []
    while stage not in (lines[-1:] or [""])[0] and (line := process.stdout.readline()):
        lines.append(line)
    time.sleep(after)
    process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    return sum(int(line.split()[1]) for line in lines if line.startswith("made"))


def test_twelve_kills_break_no_index_and_lose_a_batch_each_at_most(tmp_path, word_encoder):
    articles, index = tmp_path / "articles", tmp_path / "index"
    write_articles(articles, count=65, seed=0)
    allowed = {build(articles, index, word_encoder).content}
    made = passages = seed = 0
    stages = ["", "reading", "reading", *["made"] * 5, *["encoding"] * 2, "encoded", "writing"]
    rng = random.Random(12)  # noqa: S311 - moments, no secrets
    rng.shuffle(stages)
    for stage in stages:
        if open_index(index).manifest.content not in allowed or seed == 0:
            # There is work again: the first build is done, or a kill came after the switch.
            seed += 1
            write_articles(articles, count=65, seed=seed)
            fresh = build(articles, tmp_path / f"uninterrupted-{seed}", word_encoder)
            passages += len(hashes(tmp_path / f"uninterrupted-{seed}") - hashes(index))
            allowed = {open_index(index).manifest.content}
        made += kill_a_build(articles, index, stage=stage, after=rng.random() * 0.1)
        assert open_index(index).manifest.content in allowed | {fresh.content}
    report = build(articles, index, word_encoder)
    made += report.encoded
    print(f"12 kills: {made} passages encoded where {passages} were to be, {made - passages} of them twice")
    assert passages <= made <= passages + 12 * _BATCH_PASSAGES
    for mine, expected in zip(contents(index), contents(tmp_path / f"uninterrupted-{seed}"), strict=True):
        assert np.array_equal(mine, expected)
    assert not (index / "journal").exists()
