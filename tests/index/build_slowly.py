"""A build in a process of its own, with an encoder slow enough to be killed while it works.

Run as `python build_slowly.py TESTS ARTICLES INDEX SECONDS_PER_BATCH`; tells on stdout every step that it makes.
"""

import sys
import time
from pathlib import Path


def main(tests, articles, index, seconds):
    sys.path.insert(0, tests)
    from conftest import WordEncoder

    from rag.index.build import BuildSettings, build_index

    class SlowEncoder(WordEncoder):
        def encode_passages(self, texts, **options):
            print("made", len(texts), flush=True)  # a batch counts from its beginning: cut short, it is work lost
            time.sleep(float(seconds))
            return super().encode_passages(texts, **options)

    build_index(
        [Path(articles)],
        index=Path(index),
        encoder=SlowEncoder(),
        settings=BuildSettings(max_tokens=40, overlap_sentences=1, k1=0.9, b=0.4),
        add=False,
        rebuild=False,
        progress=lambda stage, done, total: (
            print("encoded" if done == total else stage, flush=True)
            if stage == "encoding"
            else print(stage, flush=True)
        ),
    )
    print("built", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
