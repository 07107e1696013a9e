"""The drop-in: the call shapes, the keys and the numbers of the pipeline that transformers removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, normalizers

import distiltune
from distiltune.errors import DistiltuneError, ModelError, RecipeError
from distiltune.model.tokenizer import load_tokenizer
from distiltune.tasks.question_answering import pipeline as pipeline_module
from distiltune.tasks.question_answering.answerer import Answerer
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
        (({"question": " ", "context": "a"},), {}, "question is empty"),
        (({"question": "a", "context": ""},), {}, "context is empty"),
        ((), {"question": ["a", "b"], "context": ["a"]}, "do not fit"),
        ((), {"question": "a", "context": "b", "max_answer_tokens": 1}, "max_answer_tokens .here it is max_answer_len"),
        (("a", "b"), {"colour": "red"}, "unknown arguments: colour"),
        (("a", "b"), {"top_k": 0}, "top_k"),
        (("a", "b"), {"max_answer_len": 0}, "max_answer_len"),
        (("a", "b"), {"doc_stride": 64}, "doc_stride is 64"),
    ],
)
def test_other_calls_are_refused(
    qa: QuestionAnsweringPipeline, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        qa(*args, **kwargs)


def test_what_is_refused_says_what_to_do(qa: QuestionAnsweringPipeline) -> None:
    with pytest.raises(DistiltuneError) as caught:
        distiltune.pipeline("runs/mine")  # type: ignore[arg-type]
    assert "pipeline('question-answering', 'runs/mine')" in caught.value.fix
    with pytest.raises(DistiltuneError) as refused:
        qa("a", "b", max_seq_len=2)
    assert (refused.value.what[:16], refused.value.where) == ("max_seq_len is 2", "argument: max_seq_len")
    assert "at least 16" in refused.value.fix


def test_a_question_that_is_cut_is_warned_of(qa: QuestionAnsweringPipeline, recwarn: pytest.WarningsRecorder) -> None:
    first = ASKED[0]
    long, short = f"{first.question} " * 20, first.question
    qa(question=[short, long], context=first.context, max_question_len=8)
    (warning,) = recwarn
    assert "input 1: the question is longer than 8 tokens" in str(warning.message)
    assert "max_question_len" in str(warning.message)


def test_only_question_answering() -> None:
    with pytest.raises(ValueError, match="no pipeline for 'fill-mask'"):
        distiltune.pipeline("fill-mask", model="starter")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="No model is named"):
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


def test_one_answer_of_several_is_a_list_too(qa: QuestionAnsweringPipeline) -> None:
    found: Any = qa(question="who", context="ada", top_k=3)
    assert [each["answer"] for each in found] == ["ada"]
    two: Any = qa(question=["who", "who"], context="ada", top_k=3)
    assert two == [[pytest.approx(found[0])]] * 2
    assert qa(question="who", context="ada", top_k=1) == found[0]
    with pytest.warns(FutureWarning, match="topk"):
        assert qa(question="who", context="ada", topk=3) == found
    with pytest.raises(ValueError, match="topk and top_k"):
        qa(question="who", context="ada", topk=3, top_k=3)


def test_the_arguments_of_the_removed_one(people_model: Path, qa: QuestionAnsweringPipeline) -> None:
    transformers = pytest.importorskip("transformers")
    asked = {"question": ASKED[0].question, "context": ASKED[0].context}
    expected: Any = qa(**asked)
    tokenizers = (people_model, str(people_model), load_tokenizer(people_model), None)
    theirs = transformers.AutoTokenizer.from_pretrained(people_model)
    theirs("a", truncation=True, max_length=3)  # leaves its settings in the tokenizer
    several: list[dict[str, Any]] = [
        *({"tokenizer": each} for each in (*tokenizers, theirs)),
        *({"device": each} for each in (-1, "cpu", torch.device("cpu"), None)),
        *({"batch_size": each} for each in (1, 8)),
        *({"torch_dtype": each} for each in ("auto", "float32", torch.float32, None)),
        {"framework": "pt", "dtype": torch.float32, "model": people_model},
    ]
    for changes in several:
        given: dict[str, Any] = {"model": people_model, "threads": 1, **changes}
        assert distiltune.pipeline("question-answering", **given)(**asked) == pytest.approx(expected)
    assert qa(**asked, batch_size=2) == pytest.approx(expected)


@pytest.mark.parametrize(("dtype", "warns"), [(torch.bfloat16, False), ("bfloat16", False), (torch.float16, True)])
def test_half_the_bits(
    people_model: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, dtype: object, warns: bool
) -> None:
    seen: list[Any] = []
    answerer = Answerer

    def watched(model: Path, **given: Any) -> Any:
        seen.append(given.pop("precision"))
        return answerer(model, **given)

    monkeypatch.setattr(pipeline_module, "Answerer", watched)
    distiltune.pipeline("question-answering", people_model, torch_dtype=dtype)
    assert seen == ["bfloat16"]
    assert any("float16 is taken as bfloat16" in str(each.message) for each in recwarn) == warns


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"framework": "tf"}, "framework is 'tf'"),
        ({"device": -2}, "device is -2"),
        ({"device": 1.0}, "device is 1.0"),
        ({"torch_dtype": "int8"}, "torch_dtype is 'int8'"),
        ({"torch_dtype": "float32", "dtype": "float32"}, "give one of them"),
        ({"torch_dtype": "float32", "precision": "float32"}, "give one of them"),
        ({"tokenizer": 3}, "tokenizer is of the type int"),
        ({"top_k": "3"}, "top_k is '3'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_seq_len": -1}, "max_seq_len is -1"),
        ({"doc_stride": -1}, "doc_stride is -1"),
    ],
)
def test_values_that_mean_nothing_here(people_model: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distiltune.pipeline("question-answering", people_model, **given)


def test_a_gpu_that_is_not_there(people_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError):
        distiltune.pipeline("question-answering", people_model, device=0)


def test_the_tokenizer_that_is_given_is_the_one_that_cuts(people_model: Path) -> None:
    asked = {"question": ASKED[0].question, "context": ASKED[0].context}
    other = Tokenizer.from_str(load_tokenizer(people_model).to_str())
    other.normalizer = normalizers.Replace("a", "?")
    own: Any = distiltune.pipeline("question-answering", people_model, threads=1)(**asked)
    given: Any = distiltune.pipeline("question-answering", people_model, threads=1, tokenizer=other)(**asked)
    assert given["score"] != pytest.approx(own["score"], rel=1e-3)


def test_a_tokenizer_of_another_model_is_refused(people_model: Path) -> None:
    with pytest.raises(ModelError, match="ids go up to"):
        distiltune.pipeline("question-answering", people_model, tokenizer="starter")


def test_half_a_character_is_refused(qa: QuestionAnsweringPipeline) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        qa(question="who", context="ada \ud83d")


def test_a_text_in_which_there_is_nothing_to_read(qa: QuestionAnsweringPipeline) -> None:
    assert qa(question="who", context="\u200b\u200d") == {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    assert qa(question="who", context="\u200b\u200d", top_k=2) == []
