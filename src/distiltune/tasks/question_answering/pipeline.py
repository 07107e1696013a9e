"""The call shapes and result keys of the question-answering pipeline that transformers had until version 4.

    qa = pipeline("question-answering", model="runs/squad/model")
    qa(question="Who signs the lease?", context=text)      # {"score": …, "start": …, "end": …, "answer": …}

What differs, on purpose: a score is a probability over all of a window's tokens, the question's included; the same
characters seen in several windows are one answer; equal texts at several places are one answer, the best of them; and
``top_k`` over 1 always gives a list, also where there is one answer only.
Code that is written anew is better off with `Answerer`, which also tells line, sentence and confidence.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from tokenizers import Tokenizer

from distiltune.data.values import text_problem
from distiltune.errors import ArgumentError
from distiltune.system.host import with_threads
from distiltune.system.names import described
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.decode import Candidate, decode
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import make_features
from distiltune.tasks.question_answering.inference import read_windows
from distiltune.tasks.question_answering.pipeline_arguments import (
    USUAL,
    CallSettings,
    as_tokenizer,
    loading_arguments,
    take_call,
)

Found = dict[str, Any]
"""One answer: ``score``, ``start``, ``end`` and ``answer``."""

_NOTHING: Final = MappingProxyType({"score": 0.0, "start": 0, "end": 0, "answer": ""})
"""Said of a text in which there is nothing to read, such as one of control characters."""

_LOADING: Final = frozenset({"threads", "precision"})
_OURS: Final = {
    "max_length": "max_seq_len",
    "stride": "doc_stride",
    "max_question_tokens": "max_question_len",
    "max_answer_tokens": "max_answer_len",
    "n_best": "top_k",
    "null_threshold": "handle_impossible_answer, which knows no threshold",
}

_GIVE: Final = "give question= and context=, or dictionaries with these two"

_WORD_REACH = 100  # characters to either side in which the words around an answer are looked for


_INSTEAD: Final = {
    **dict.fromkeys(("text-classification", "sentiment-analysis"), "TextClassifier"),
    **dict.fromkeys(("token-classification", "ner"), "EntityMarker"),
    "multiple-choice": "ChoiceAnswerer",
}
"""Other tasks by the names that `transformers` has for them, and what does them here."""


def _other_task(task: object, model: str) -> ArgumentError:
    """What to do instead of a pipeline for another task."""
    fix = f"the model is named second: pipeline('question-answering', {model or str(task)!r})"
    if instead := _INSTEAD.get(str(task)):
        fix = f"there is a class for that: distiltune.{instead}({model!r})"
    what = f"distiltune has no pipeline for {str(task)!r}, only for 'question-answering'."
    return ArgumentError(what, where="argument: task", fix=fix)


def pipeline(
    task: Literal["question-answering"] = "question-answering", model: str | Path = "", **settings: Any
) -> QuestionAnsweringPipeline:
    """A drop-in for ``transformers.pipeline("question-answering", model=…)``.

    Args:
        task: ``question-answering``.
        model: a model directory, a run, an exported ONNX directory, or a name on the hub.
        **settings: ``threads`` and ``precision``, as `Answerer` has them; ``tokenizer``, ``device``, ``framework``,
            ``torch_dtype`` and ``dtype`` as `transformers` had them, which `pipeline_arguments` reads; and those of a
            call, such as ``top_k``, as its defaults.

    Raises:
        ArgumentError: for any other task or setting, a value that has no meaning here, or no model; it is a ValueError.
        RecipeError: if the device is not there.
        ModelError: if the model or the tokenizer cannot be read, or they do not belong together.
        HubError: if a hub name cannot be fetched.

    """
    if task != "question-answering":
        raise _other_task(task, str(model))
    if not str(model):
        raise ArgumentError(
            "No model is named.", where="argument: model", fix="pipeline('question-answering', model='runs/squad')"
        )
    call = USUAL.changed(take_call(settings))
    tokenizer = settings.pop("tokenizer", None)
    loading = loading_arguments(settings)
    _check_names(settings.keys() - _LOADING)
    answerer = Answerer(model, **{**settings, **loading})
    return QuestionAnsweringPipeline(answerer, call, as_tokenizer(tokenizer, answerer.loaded))


def _check_names(unknown: Collection[str]) -> None:
    """Refuse arguments that would do nothing; those of `Answerer` have other names here."""
    if unknown:
        named = (f"{name} (here it is {_OURS[name]})" if name in _OURS else name for name in sorted(unknown))
        known = ", ".join((*sorted(_LOADING), *CallSettings.__dataclass_fields__))
        raise ArgumentError(
            f"There are unknown arguments: {', '.join(named)}.",
            where="argument",
            fix=f"leave them out; there are {known}",
        )


class QuestionAnsweringPipeline:
    """Callable as ``transformers.QuestionAnsweringPipeline`` was; see the module's text for what differs."""

    def __init__(self, answerer: Answerer, settings: CallSettings = USUAL, tokenizer: Tokenizer | None = None) -> None:
        """Answer with these settings of a call as its defaults; ``tokenizer`` stands in for the model's."""
        loaded = answerer.loaded
        self._answerer = answerer
        self._loaded = loaded if tokenizer is None else replace(loaded, tokenizer=tokenizer)
        self._settings = settings

    def __call__(self, *args: Any, **kwargs: Any) -> Found | list[Found] | list[Found | list[Found]]:
        """Answer one question on one text, or many.

        Takes ``question=`` and ``context=`` (texts or lists of them), a dictionary with these two, a list of such, the
        same as ``data=`` or ``X=``, or two texts; and any of `CallSettings`. Returns one dictionary, or a list of them
        where ``top_k`` is over 1; for several questions a list of these. Warns of a question that is cut.

        Raises:
            ArgumentError: if the arguments have no such form, or a setting no such value; it is a ValueError.

        """
        settings = self._settings.changed(take_call(kwargs))
        examples = [_as_example(number, each) for number, each in enumerate(_as_inputs(args, kwargs))]
        with with_threads(self._answerer.n_threads):
            results = self._answer(examples, settings)
        return results[0] if len(results) == 1 else results

    def _answer(self, examples: Sequence[Example], settings: CallSettings) -> list[Found | list[Found]]:
        loaded = self._loaded
        windows = settings.windows(loaded.source.config.max_position_embeddings)
        features = make_features(examples, loaded.tokenizer, windows)
        for number in features.truncated_examples.tolist():
            limit = windows.max_question_tokens
            message = (
                f"input {number}: the question is longer than {limit} tokens, so only its first {limit} are read; "
                "max_question_len sets that, within what a window holds"
            )
            warnings.warn(message, UserWarning, stacklevel=3)
        results: list[Found | list[Found]] = []
        for example, own in read_windows(loaded.model, examples, features, settings.batch_tokens(windows)):
            n = 4 * settings.top_k
            while True:  # equal texts are merged, so look further down until there are enough
                decoded = decode(example.context, own, max_answer_tokens=settings.max_answer_len, n_best=n)
                found = _distinct(example.context, decoded.candidates, settings.align_to_words, loaded.tokenizer)
                if len(found) >= settings.top_k or len(decoded.candidates) < n:
                    break
                n *= 4
            if settings.handle_impossible_answer:
                found.append({"score": decoded.null_probability, "start": 0, "end": 0, "answer": ""})
            best = sorted(found, key=lambda each: -each["score"])[: settings.top_k]
            results.append(best if settings.top_k > 1 else next(iter(best), dict(_NOTHING)))
        return results


def _distinct(context: str, candidates: Iterable[Candidate], align: bool, tokenizer: Tokenizer) -> list[Found]:
    """The candidates as results, best first, the first of each text."""
    found: dict[str, Found] = {}
    for candidate in candidates:
        start, end = candidate.start, candidate.end
        if align:
            start, end = _whole_words(context, start, end, tokenizer)
        text = context[start:end]
        found.setdefault(text.lower(), {"score": candidate.probability, "start": start, "end": end, "answer": text})
    return list(found.values())


def _whole_words(context: str, start: int, end: int, tokenizer: Tokenizer) -> tuple[int, int]:
    """The stretch widened to the words, as the tokenizer sees them, that its ends lie in."""
    if tokenizer.pre_tokenizer is None:
        return start, end
    low = max(0, start - _WORD_REACH)
    for _, (first, last) in tokenizer.pre_tokenizer.pre_tokenize_str(context[low : end + _WORD_REACH]):
        first, last = first + low, last + low
        if first < start < last:
            start = first
        if first < end < last:
            end = last
    return start, end


def _as_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The inputs of a call as a list with one entry a question."""
    if not args and ("data" in kwargs or "X" in kwargs):
        args = (kwargs.pop("data") if "data" in kwargs else kwargs.pop("X"),)
    if not args and {"question", "context"} <= kwargs.keys():
        question, context = kwargs.pop("question"), kwargs.pop("context")
        _check_names(kwargs)
        return _pairs(question, context)
    _check_names(kwargs)
    if len(args) == 2 and all(isinstance(each, str) for each in args):
        return [{"question": args[0], "context": args[1]}]
    inputs = args[0] if len(args) == 1 else list(args)
    inputs = [inputs] if isinstance(inputs, Mapping) else inputs
    if not args or isinstance(inputs, str) or not isinstance(inputs, Iterable):
        raise ArgumentError("There is no question with a context.", where="argument", fix=_GIVE)
    return list(inputs)


def _pairs(question: Any, context: Any) -> list[Any]:
    if isinstance(question, str):
        return [{"question": question, "context": context}]
    for name, given in (("question", question), ("context", context)):
        if not isinstance(given, str | Sequence):
            raise ArgumentError(
                f"{name} is {described(given)}, neither a text nor a list of texts.",
                where=f"argument: {name}",
                fix=_GIVE,
            )
    contexts = [context] * len(question) if isinstance(context, str) else list(context)
    if len(contexts) != len(question):
        raise ArgumentError(
            f"{len(question)} questions and {len(contexts)} contexts do not fit each other.",
            where="argument: context",
            fix="give one context for all, or one for each question",
        )
    return [{"question": each, "context": text} for each, text in zip(question, contexts, strict=True)]


def _as_example(number: int, given: Any) -> Example:
    if not isinstance(given, Mapping) or not all(isinstance(given.get(name), str) for name in ("question", "context")):
        message = f"The input {number} is no dictionary with the texts `question` and `context`."
        raise ArgumentError(message, where=f"input {number}", fix=_GIVE)
    for name in ("question", "context"):
        problem = text_problem(given[name], name)
        if problem is not None:
            raise ArgumentError(problem.message, where=f"input {number}: {name}", fix=_GIVE)
    return Example(str(number), given["question"], given["context"], ())
