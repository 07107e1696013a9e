"""The drop-in: the call shapes, the keys and the numbers of the pipeline that transformers removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import distiltune
from distiltune.tasks.question_answering.pipeline import QuestionAnsweringPipeline
from tests.helpers import people

ASKED = people().examples
KEYS = {"score", "start", "end", "answer"}


@pytest.fixture(scope="module")
def qa(people_model: Path) -> QuestionAnsweringPipeline:
    return distiltune.pipeline("question-answering", model=people_model, threads=1)


def test_every_call_shape_gives_the_same(qa: QuestionAnsweringPipeline) -> None:
    first, second = ASKED[0], ASKED[5]
    pair = {"question": first.question, "context": first.context}
    other = {"question": second.question, "context": second.context}
    one: Any = qa(question=first.question, context=first.context)
    assert set(one) == KEYS
    assert one["answer"] == first.answers[0].text == first.context[one["start"] : one["end"]]
    for same in (qa(pair), qa([pair]), qa(data=pair), qa(X=[pair]), qa(first.question, first.context)):
        assert same == one
    two: Any = qa([pair, other])
    assert [each["answer"] for each in two] == [first.answers[0].text, second.answers[0].text]
    assert qa(pair, other) == two
    assert qa(question=[first.question, second.question], context=[first.context, second.context]) == two
    shared: Any = qa(question=[ASKED[0].question, ASKED[1].question], context=first.context)
    assert [each["answer"] for each in shared] == [ASKED[0].answers[0].text, ASKED[1].answers[0].text]


def test_top_k_and_no_answer(qa: QuestionAnsweringPipeline) -> None:
    first = ASKED[0]
    several: Any = qa(question=first.question, context=first.context, top_k=4)
    assert [set(each) for each in several] == [KEYS] * 4
    assert len({each["answer"] for each in several}) == 4
    assert [each["score"] for each in several] == sorted((each["score"] for each in several), reverse=True)
    with_none: Any = qa(question=first.question, context=first.context, top_k=5_000, handle_impossible_answer=True)
    (none,) = [each for each in with_none if each["answer"] == ""]
    assert (none["start"], none["end"]) == (0, 0)
    assert 0.0 < none["score"] < 1.0
    short: Any = qa(question=first.question, context=first.context, max_answer_len=1, align_to_words=False, top_k=9)
    assert all(" " not in each["answer"] for each in short)


def test_the_scores_are_those_of_the_old_pipeline(people_model: Path) -> None:
    """Its arithmetic, written out on the logits of transformers: a softmax each, their product over allowed spans."""
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(people_model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(people_model)
    qa = distiltune.pipeline(model=people_model, threads=1)
    for asked in ASKED[:8]:
        encoded = tokenizer(asked.question, asked.context, return_tensors="pt")
        with torch.inference_mode():
            output = model(encoded["input_ids"], encoded["attention_mask"])
        starts, ends = (torch.softmax(each[0], 0).numpy() for each in (output.start_logits, output.end_logits))
        products = np.tril(np.triu(np.outer(starts, ends)), 14)
        of_context = np.array([part == 1 for part in encoded.sequence_ids(0)])
        products[~of_context] = products[:, ~of_context] = 0.0
        start, end = divmod(int(products.argmax()), len(starts))
        found: Any = qa(question=asked.question, context=asked.context)
        first, last = encoded.token_to_chars(0, start).start, encoded.token_to_chars(0, end).end
        assert (found["start"], found["end"]) == (first, last)
        assert found["score"] == pytest.approx(products.max(), rel=1e-4)


def test_answers_are_widened_to_words(people_model: Path) -> None:
    text = "ada eats plumsbread ."
    parts: Any = distiltune.pipeline(model=people_model, threads=1, align_to_words=False, top_k=40)(
        question="what eats ada", context=text
    )
    whole: Any = distiltune.pipeline(model=people_model, threads=1, top_k=40)(question="what eats ada", context=text)
    assert all("plums" not in each["answer"] or "plumsbread" in each["answer"] for each in whole)
    assert {each["answer"] for each in whole} <= {each["answer"] for each in parts} | {"plumsbread"}


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "give question="),
        ((), {"question": "a"}, "unknown arguments: question"),
        (("only one text",), {}, "give question="),
        (({"question": "a"},), {}, "input 0"),
        (({"question": " ", "context": "a"},), {}, "`question` is empty"),
        (({"question": "a", "context": ""},), {}, "`context` is empty"),
        ((), {"question": ["a", "b"], "context": ["a"]}, "do not fit"),
        ((), {"question": "a", "context": "b", "max_answer_tokens": 1}, "max_answer_tokens .here it is max_answer_len"),
        (("a", "b"), {"colour": "red"}, "unknown arguments: colour"),
        (("a", "b"), {"top_k": 0}, "top_k"),
        (("a", "b"), {"max_answer_len": 0}, "max_answer_len"),
        (("a", "b"), {"doc_stride": 64}, "no room"),
    ],
)
def test_other_calls_are_refused(
    qa: QuestionAnsweringPipeline, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        qa(*args, **kwargs)


def test_only_question_answering() -> None:
    with pytest.raises(ValueError, match="no pipeline for 'fill-mask'"):
        distiltune.pipeline("fill-mask", model="starter")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name a model"):
        distiltune.pipeline()


@pytest.mark.parametrize(
    "name",
    ["max_length", "stride", "max_question_tokens", "max_answer_tokens", "null_threshold", "n_best", "padding"],
)
def test_a_setting_that_would_do_nothing_is_refused(people_model: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown arguments: {name}"):
        distiltune.pipeline("question-answering", people_model, **{name: 1})


def test_a_setting_of_none_is_the_usual_one(qa: QuestionAnsweringPipeline) -> None:
    first = ASKED[0]
    asked = {"question": first.question, "context": first.context}
    assert qa(**asked, top_k=None, doc_stride=None) == qa(**asked)
