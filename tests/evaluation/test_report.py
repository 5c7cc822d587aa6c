"""The report as a page: complete, by itself, deaf to markup in articles, and alive in a browser."""

import contextlib
import fcntl
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ReportError
from rag.evaluation import charts
from rag.evaluation.datasets import Dataset
from rag.evaluation.evaluate import evaluate
from rag.evaluation.report import Circumstances, embedded_json, report_data, report_page
from rag.records import Answer, Answerer, Article, Citation, Claim, Evidence, Hit, Passage, Question, Span

HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"><!-- &lt; 𝟙 \u2028"
SENTENCES = ("𝟙 The bridge opened in 1999.", HOSTILE, "Ada designed it.")
ABOUT = Circumstances(f"rag eval {HOSTILE}", "2026-01-02 03:04 UTC", "0.1.0", {"retrieval.k": "8", "index": HOSTILE})
QUESTIONS = (
    Question(
        "When did the bridge open?",
        id="q1",
        answers=("1999",),
        evidence=(Evidence("a.md", "The bridge opened in 1999."),),
        answerable=True,
        metadata={"kind": "fact"},
    ),
    Question(
        f"What is {HOSTILE}?",
        id=HOSTILE,
        answers=(HOSTILE,),
        evidence=(Evidence("a.md", "Ada designed it."),),
        answerable=True,
        metadata={"kind": HOSTILE},
    ),
    Question("Who sells umbrellas?", id="q3", answerable=False, metadata={"kind": "fact"}),
)


class OneArticle:
    """Answers the first two questions with the sentences of its one article, and declines the third."""

    def __init__(self):
        text = " ".join(SENTENCES)
        starts = [text.index(sentence) for sentence in SENTENCES]
        spans = tuple(Span(start, start + len(s)) for start, s in zip(starts, SENTENCES, strict=True))
        self.text = Article("a.md", "a.md", text, HOSTILE, source=HOSTILE)
        self.passage = Passage("a.md", 0, 0, len(text), spans)

    def article(self, article_id):
        assert article_id == "a.md"
        return self.text

    def passages_of(self, article_id):
        assert article_id == "a.md"
        return [self.passage]

    def search(self, question):  # noqa: ARG002  # the seam's
        return [Hit(self.passage, 0.9, 1)]

    def ask(self, question):
        place = [known.question for known in QUESTIONS].index(question)
        given = place < 2
        sentence, confidence = self.passage.sentences[place], 0.9 - place / 10
        return Answer(
            question=question,
            answer=f"{SENTENCES[place]} [1]" if given else "",
            claims=(Claim(SENTENCES[place], (1,), 1.0),) if given else (),
            citations=(Citation.of(self.text, self.passage, sentence, marker=1),) if given else (),
            hits=(Hit(self.passage, 0.9, 1),),
            confidence=confidence,
            reason=None if given else "nothing comes near",
            answerer=Answerer("reader", "model", "revision"),
            index="hash",
            timings_ms={"total": 12.0 + place, "retrieve": 2.0, "answer": 10.0 + place},
        )


def scored(*, answers=True):
    qrels = {"q1": {"a.md": 1}, HOSTILE: {"a.md": 1}}
    dataset = Dataset(name=HOSTILE, questions=QUESTIONS, qrels=qrels)
    return evaluate(dataset, OneArticle(), index="0" * 64, answers=answers, min_confidence=0.5, by="kind")


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.scripts, self._inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "script"

    def handle_data(self, text):
        if self._inside:
            self.scripts[-1] += text


@pytest.fixture(scope="module")
def page():
    pytest.importorskip("matplotlib")
    return report_page(scored(), about=ABOUT)


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page)


def test_every_question_is_in_the_page(elements):
    data = json.loads(elements.scripts[0])
    assert [(entry["id"], entry["question"]) for entry in data["questions"]] == [(q.id, q.question) for q in QUESTIONS]
    assert [entry["outcome"] for entry in data["questions"]] == ["right", "wrong", "declined"]
    assert data["passages"]["a.md#0"]["text"] == " ".join(SENTENCES)


def test_a_citation_and_the_gold_slice_their_passage(elements):
    data = json.loads(elements.scripts[0])
    first = data["questions"][0]
    (citation,) = first["answer"]["citations"]
    passage = data["passages"][citation["passage"]]
    assert passage["text"][citation["start"] - passage["start"] :].startswith(SENTENCES[0])
    ((start, end),) = first["gold"]["quotes"][0]["places"]
    assert passage["text"][start - passage["start"] : end - passage["start"]] == "The bridge opened in 1999."


def test_the_page_refers_to_nothing_outside(page, elements):
    for tag, attributes in elements.found:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img", "form"}
        for name, value in attributes.items():
            assert name != "src"
            assert name != "href" or value.startswith("#")
            assert not name.startswith("on")
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page
    assert re.findall(r"https?://", page) == []


def test_the_policy_lets_only_the_pages_own_style_and_script_work(elements):
    policy = next(a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not any("style" in attributes for _, attributes in elements.found)
    assert len(elements.scripts) == 2


def test_markup_in_texts_stays_text(page):
    assert "<img" not in page
    assert "<script>document" not in page


def test_ids_are_unique_and_references_lead_somewhere(elements):
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for _, a in elements.found if "href" in a}
    assert {target for target in targets if not re.fullmatch(r"q[0-2]", target)} <= set(ids)


def test_the_same_evaluation_gives_the_same_page(page):
    assert report_page(scored(), about=ABOUT) == page


def test_rankings_without_answers_make_a_report_too():
    pytest.importorskip("matplotlib")
    evaluation = scored(answers=False)
    assert report_data(evaluation)["questions"][0]["ranked"] == [{"article": "a.md", "score": 0.9, "judged": 1}]
    assert "Measures" in report_page(evaluation, about=ABOUT)


def test_every_colour_and_font_is_the_pages(page):
    style = re.search(r"<style>(.*?)</style>", page, flags=re.DOTALL)[1]
    rules = re.findall(r"^\.c\d+\{(.*)\}$", style, flags=re.MULTILINE)
    assert rules
    assert not re.search(r"#[0-9a-f]{6}|DejaVu", "".join(rules))


def test_without_matplotlib_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ReportError) as caught:
        charts.require_matplotlib()
    assert caught.value.hint == "install it with: pip install 'rag-cited[report]'"


ANY_CHARACTER = st.characters(exclude_categories=())
MARKUP = st.sampled_from(["</script>", "<!--", "]]>", "&lt;", "\u2029"])
ANY_TEXT = st.lists(ANY_CHARACTER | MARKUP).map("".join)


@given(ANY_TEXT)
def test_any_text_comes_out_of_the_script_as_it_went_in(text):
    element = f'<script type="application/json">{embedded_json([text])}</script>'
    element.encode()
    (script,) = Elements(element).scripts
    assert json.loads(script) == [text]
    assert element.count("<") == 2


@given(st.text(ANY_CHARACTER))
def test_any_name_can_be_a_label(name):
    label = charts._plain(name)
    assert label.isprintable()
    assert len(label) <= 22


# In a browser


@pytest.mark.parametrize(
    ("shortest", "longest", "labels"),
    [
        (20, 400, ["30 ms", "100 ms", "300 ms"]),
        (3, 60_000, ["10 ms", "100 ms", "1 s", "10 s"]),
        (0.2, 9, ["0.3 ms", "1 ms", "3 ms"]),
    ],
)
def test_times_are_labelled_as_closely_as_labels_fit(shortest, longest, labels):
    assert [charts._duration(tick) for tick in charts._durations(shortest, longest)] == labels


class Browser:
    """Headless Chromium at the other end of two pipes, spoken to by the DevTools protocol."""

    def __init__(self, program, profile):
        self._ids = itertools.count(1)
        self._rest = b""
        self.events = []
        # Descriptors 3 and 4 are the protocol's; ours must not be among them when they are moved there.
        ends = [[fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in pair] for pair in (os.pipe(), os.pipe())]
        (theirs_in, self._write), (self._read, theirs_out) = ends
        flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
        flags += " disable-component-update disable-sync hide-scrollbars remote-debugging-pipe"
        self._process = subprocess.Popen(
            [program, *(f"--{flag}" for flag in flags.split()), f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(theirs_in, 3), os.dup2(theirs_out, 4)),  # noqa: PLW1509  # no other thread runs
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        id_ = next(self._ids)
        message = {"id": id_, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (reply := self._message()).get("id") != id_:
            self.events.append(reply)
        assert "error" not in reply, reply
        return reply["result"]

    def _message(self):
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser is gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def run(self, script):
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def close(self):
        with contextlib.suppress(OSError):
            self.call("Browser.close")
        self._process.wait(30)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture
def browser(page, tmp_path):
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the path to open the report in: apt-get install chromium")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    browser = Browser(program, tmp_path / "profile")
    browser.open((tmp_path / "report.html").as_uri())
    yield browser
    browser.close()


def test_in_a_browser_the_report_filters_opens_rows_and_runs_nothing_else(browser):
    rows = "[...document.querySelectorAll('#rows .asked')].map(row => row.textContent)"
    assert browser.run(rows) == [question.question for question in QUESTIONS]

    browser.run("document.querySelector('#outcomes button[value=wrong]').click()")
    assert browser.run(rows) == [QUESTIONS[1].question]
    browser.run("document.querySelector('#outcomes button[value=\"\"]').click()")
    search = "document.querySelector('#search')"
    browser.run(f"{search}.value = 'UMBRELLAS'; {search}.dispatchEvent(new Event('input'))")
    assert browser.run(rows) == [QUESTIONS[2].question]
    browser.run(f"{search}.value = ''; {search}.dispatchEvent(new Event('input'))")
    browser.run("document.querySelector('#sorts button[value=confidence]').click()")
    browser.run("document.querySelector('#sorts button[value=confidence]').click()")
    assert browser.run(rows) == [question.question for question in reversed(QUESTIONS)]

    for place in (0, 1, 2):
        browser.run(f"document.querySelector('#row-{place} summary').click()")
    browser.run("new Promise(done => setTimeout(done, 200))")
    marked = "[...document.querySelectorAll('#row-{} .passage mark.{}')].map(mark => mark.textContent).join('')"
    assert browser.run(marked.format(0, "cited")) == SENTENCES[0]
    assert browser.run(marked.format(0, "gold")) == "The bridge opened in 1999."
    assert browser.run(marked.format(1, "cited")) == HOSTILE
    assert "nothing comes near" in browser.run("document.querySelector('#row-2 .body').textContent")
    text = browser.run("document.querySelector('#row-1 .passage .text').textContent")
    assert text == " ".join(SENTENCES)

    browser.run(f"{search}.value = 'umbrellas'; {search}.dispatchEvent(new Event('input')); location.hash = '#q0'")
    browser.run("new Promise(done => setTimeout(done, 200))")
    assert browser.run("document.querySelector('#row-0').open")

    before = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.run("document.querySelector('#theme').click()")
    assert browser.run("getComputedStyle(document.body).backgroundColor") != before

    assert browser.run("document.title").startswith("</script>")
    assert browser.run("document.querySelectorAll('img').length") == 0
    trouble = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
    assert [event for event in browser.events if event.get("method") in trouble] == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "about"}


@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser_nothing_is_wider_than_the_screen(browser, width):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)")
    browser.run("new Promise(done => setTimeout(done, 200))")
    assert browser.run("document.documentElement.scrollWidth") <= width
