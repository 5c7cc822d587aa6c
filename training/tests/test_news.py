import random

import pytest

from training.news import (
    ENTRIES,
    FOLDER,
    NewsArticle,
    NewsQuestion,
    is_held_out,
    list_batch,
    list_reports,
    make_news_examples,
    read_news,
    stands_alone,
)

TEXT = "The port grew in 2023. It handled 4.2 million boxes, more than ever. Nobody said why. A new pier opens in May."
ARTICLE = NewsArticle("n01.md", "The port", "Gazette", "2024-01-02", TEXT)
QUOTE = "It handled 4.2 million boxes, more than ever."


def make(*, answerable: bool) -> list:
    question = NewsQuestion(
        "How many boxes?",
        answerable,
        "factoid",
        ("12 million boxes", "4.2 million boxes", "4.2 million") if answerable else (),
        (("n01.md", QUOTE),),
    )
    return list(make_news_examples({"n01.md": ARTICLE}, [question], rng=random.Random(1)))


def test_the_span_is_the_first_form_of_the_answer_that_the_quote_holds():
    answered = [example for example in make(answerable=True) if example.answerable]
    assert answered
    assert {example.passage[slice(*example.spans[0])] for example in answered} == {"4.2 million boxes"}


def test_a_short_form_tells_where_the_answer_stands_and_not_where_it_ends():
    article = NewsArticle("A46.md", "The port", "Gazette", "2024-01-02", TEXT)
    question = NewsQuestion(
        question="How many boxes?", answerable=True, kind="factoid", answers=("4.2 million",),
        quotes=(("A46.md", QUOTE),), source=ENTRIES.name,
    )  # fmt: skip
    made = list(make_news_examples({"A46.md": article}, [question], rng=random.Random(1)))
    answered = [example for example in made if example.answerable]
    assert answered
    assert all(example.inside for example in answered)
    spans = {example.passage[slice(*example.spans[0])] for example in answered}
    assert all("handled 4.2 million boxes" in span and span in QUOTE for span in spans)


def test_only_some_entries_have_short_forms():
    asked = [
        NewsQuestion(
            question="Which?", answerable=False, kind="factoid", answers=(), quotes=((name, ""),), source=source
        )
        for name in ("A45.md", "A50.md", "A95.md", "I50.md", "T50.md")
        for source in (ENTRIES.name, FOLDER.name)
    ]
    assert [one.article for one in asked if one.has_short_forms] == ["A50.md", "I50.md"]


def test_an_answer_inside_another_word_is_no_span():
    twin = "A new pier opens in May."
    question = NewsQuestion(
        question="Does anybody know why?", answerable=True, kind="yes-no", answers=("no",),
        quotes=(("n01.md", "Nobody said why."),), twins=(("n01.md", twin),),
    )  # fmt: skip
    made = list(make_news_examples({"n01.md": ARTICLE}, [question], rng=random.Random(1)))
    spans = [example.passage[slice(*example.spans[0])] for example in made if example.answerable]
    assert set(spans) == {"Nobody said why."}


def test_sentences_beside_the_gold_do_not_answer():
    beside = [example for example in make(answerable=True) if not example.answerable]
    assert beside
    assert all("4.2 million" not in example.passage for example in beside)


def test_a_near_miss_is_never_answerable():
    assert {example.answerable for example in make(answerable=False)} == {False}


@pytest.mark.parametrize("first", ["n01.md", "n04.md"])
def test_the_articles_of_a_batch_are_kept_apart_together(first):
    number = int(first[1:3])
    assert len({is_held_out(f"n{number + i:02}.md") for i in range(3)}) == 1


def test_a_batch_is_three_reports_that_there_are():
    articles, _ = read_news()
    batches = {list_batch(name) for name in articles}
    assert set().union(*batches) == set(articles)
    assert all(list_batch(name) == batch for batch in batches for name in batch)


def test_no_two_articles_have_the_same_name():
    assert not read_news()[0].keys() & read_news(ENTRIES)[0].keys()


@pytest.mark.parametrize("folder", [FOLDER, ENTRIES])
def test_every_question_shows_sentences_that_stand_in_their_articles(folder):
    articles, questions = read_news(folder)
    assert all(quote in articles[name].text for question in questions for name, quote in question.quotes)


@pytest.mark.parametrize("folder", [FOLDER, ENTRIES])
def test_half_of_the_questions_are_near_misses(folder):
    _, questions = read_news(folder)
    assert sum(question.answerable for question in questions) == len(questions) / 2


def test_sentences_that_sound_alike_are_of_the_same_batch_and_touch_no_gold():
    every, questions = read_news()
    articles = {name: article for name, article in every.items() if name[0] in "np"}
    chosen = [question for question in questions if question.quotes[0][0] in {"n01.md", "p02.md"}]
    for question in chosen:
        first = int(question.quotes[0][0][1:3]) - 1
        batch = [f"{question.quotes[0][0][0]}{first // 3 * 3 + i:02}.md" for i in (1, 2, 3)]
        texts = [articles[name].text for name in batch]
        gold = [quote for _, quote in question.quotes]
        for example in make_news_examples(articles, [question], rng=random.Random(3)):
            body = example.passage[example.header_size :]
            assert any(body in text for text in texts)
            assert example.answerable or not question.answerable or all(quote not in body for quote in gold)


def test_a_twin_of_the_gold_is_read_as_no_answer():
    twin = "A new pier opens in May."
    question = NewsQuestion(
        question="How many boxes?", answerable=True, kind="factoid", answers=("4.2 million",),
        quotes=(("n01.md", QUOTE),), twins=(("n01.md", twin),),
    )  # fmt: skip
    made = list(make_news_examples({"n01.md": ARTICLE}, [question], rng=random.Random(1)))
    shown = [example for example in made if example.passage.endswith(twin) and QUOTE not in example.passage]
    assert shown
    assert not any(example.answerable for example in shown)


@pytest.mark.parametrize("folder", [FOLDER, ENTRIES])
def test_twins_stand_in_their_articles_and_are_no_gold(folder):
    articles, questions = read_news(folder)
    for question in questions:
        for name, quote in question.twins:
            assert quote in articles[name].text
            assert (name, quote) not in question.quotes


def test_batches_that_contradict_others_are_not_asked_with_them():
    articles, _ = read_news()
    asked = {path.name for path in list_reports()}
    assert asked == {name for name in articles if not stands_alone(name)}
    assert 0 < len(asked) < len(articles)
    batches = {name[0] for name in asked}
    assert not any(stands_alone(f"{prefix}01.md") for prefix in batches)
    assert [stands_alone(f"{prefix}01.md") for prefix in "axonw"] == [True, True, True, False, False]
