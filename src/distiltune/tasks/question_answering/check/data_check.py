"""All that can be known of a data set before a training: `distiltune check`."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from distiltune.checks.concerns import Concern, ranked
from distiltune.checks.data_check import Checked, LookedAt, begin_check, end_check
from distiltune.checks.reading import MAX_REJECTED_SHARE, decisions_on, reading_concerns
from distiltune.checks.spoilt_text import spoilt_concerns
from distiltune.checks.windows import spread, spread_text, window_line, window_statistics, work_of
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.progress import counted, tell
from distiltune.system.host import restored
from distiltune.tasks.checking import check_request
from distiltune.tasks.dataset import file_form
from distiltune.tasks.question_answering.check.examples import (
    READING,
    answer_concerns,
    answer_tenth,
    mark_concerns,
    question_concerns,
    span_concerns,
)
from distiltune.tasks.question_answering.check.fix import changes_path, check_output, write_fixed
from distiltune.tasks.question_answering.check.fix import fix as mend
from distiltune.tasks.question_answering.check.repeats import Repeats, find_repeats, repeat_concerns
from distiltune.tasks.question_answering.check.training import in_training
from distiltune.tasks.question_answering.check.windows import pieces_per_word, window_concerns
from distiltune.tasks.question_answering.contexts import contexts_of
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.names import ARCHITECTURE
from distiltune.tasks.question_answering.question_class import QUESTION_CLASSES, question_class
from distiltune.tasks.question_answering.question_data import QuestionData, featurise, load_examples
from distiltune.tasks.question_answering.read import QuestionSet
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings, question_limit


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the checks measure by; the recipe says what each means."""

    windows: WindowSettings
    max_answer_tokens: int = 30
    columns: str = ""
    no_answer: str = ""
    max_rejected_share: float = MAX_REJECTED_SHARE
    form: FileForm = AS_USUAL


@dataclass(frozen=True, slots=True)
class CheckedQuestions:
    """What a check of questions sees, and what cleaning them needs.

    Attributes:
        looked: what is wrong, and figures.
        examples: the questions as they were read.
        repeats: what occurs more than once.

    """

    looked: LookedAt
    examples: QuestionSet
    repeats: Repeats


def check_questions(
    data: Sequence[str], against: Sequence[str], tokenizer: Tokenizer, settings: CheckSettings
) -> CheckedQuestions:
    """Check questions, and against another set for what the two share.

    Args:
        data: the sources, as ``train`` of the recipe has them.
        against: the other set, usually the validation data; empty if there is none.
        tokenizer: of the model that is to be trained.
        settings: what the checks measure by.

    Raises:
        DataError: if a source cannot be read, or nothing in it can be used.

    """
    read: dict[str, Any] = {"columns": settings.columns, "no_answer": settings.no_answer, "form": settings.form}
    examples = load_examples(data, "train", max_rejected_share=1.0, **read)
    other = load_examples(against, "validation", max_rejected_share=1.0, **read) if against else None
    featurised = featurise(examples, tokenizer, settings.windows)
    others = other.examples if other is not None else ()
    tell("looking for repeats and leaks")
    repeats = find_repeats(examples.examples, others)
    tell("looking at questions and answers")
    figures = statistics(featurised, tokenizer)
    # windows of the other set are not made for this: as long as this set's, a question
    n_other_tokens = round(figures["tokens"] / len(examples.examples) * len(others))
    looked = LookedAt(
        n_rows=examples.findings.n_rows,
        n_examples=len(examples.examples),
        concerns=list_concerns(featurised, tokenizer, settings, repeats, others)
        + (decisions_on(other.findings) if other is not None else ()),
        statistics=figures,
        lines=statistic_lines(figures, examples.findings.n_rows),
        work=work_of(featurised.features, n_other_tokens),
    )
    return CheckedQuestions(looked, examples, repeats)


@restored()
def check(
    data: Sequence[str], against: Sequence[str], settings: QuestionAnsweringSettings, fix: Path | None
) -> Checked:
    """Check questions with a recipe's settings, and write them cleaned if ``fix`` says where.

    Raises:
        DistiltuneError: if the data or the model cannot be read, or the cleaned data not be written.

    """
    if fix is not None:
        check_output(fix, list(data))
    request = check_request(data, against, settings, ARCHITECTURE)
    basis = begin_check(request)
    windows = WindowSettings(settings.max_length, settings.stride, question_limit(settings))
    measured_by = CheckSettings(
        *(windows, settings.max_answer_tokens, settings.columns, settings.no_answer, settings.max_rejected_share),
        form=file_form(settings),
    )
    found = check_questions(request.data, basis.against, basis.tokenizer, measured_by)
    checked = end_check(request, basis, found.looked)
    if fix is None:
        return checked
    write_fixed(mend(found.examples, found.repeats), fix)
    said = f"cleaned data: {fix}; what was changed: {changes_path(fix)}"
    go_on = f"train on it: distiltune train --train {fix} --output RUN"
    return replace(checked, lines=[*checked.lines, said, go_on])


def training_concerns(
    training: QuestionData,
    others: Sequence[Example],
    tokenizer: Tokenizer,
    settings: CheckSettings,
) -> tuple[Concern, ...]:
    """What is wrong with data that is read already and matters to a training, for its coach."""
    repeats = find_repeats(training.examples, others)
    return in_training(list_concerns(training, tokenizer, settings, repeats, others))


def list_concerns(
    data: QuestionData, tokenizer: Tokenizer, settings: CheckSettings, repeats: Repeats, others: Sequence[Example]
) -> tuple[Concern, ...]:
    """Everything that is wrong or remarkable, ranked."""
    examples = data.examples
    # Shortened questions are findings of the windows, which are looked at below.
    read = replace(data.findings, items=[item for item in data.findings.items if item.kind != "question_truncated"])
    return ranked(
        [
            *reading_concerns(read, READING, settings.max_rejected_share),
            *span_concerns(examples),
            *question_concerns(examples),
            *mark_concerns(examples),
            *answer_concerns(examples),
            *_spoilt_concerns(examples),
            *window_concerns(examples, data.question_features, tokenizer, settings.windows, settings.max_answer_tokens),
            *repeat_concerns(repeats, examples, others),
            *_between_sets(examples, others),
        ]
    )


def _spoilt_concerns(examples: Sequence[Example]) -> list[Concern]:
    """What is doubtful in passages, each once, with the id of its first question; those asked of last come first."""
    contexts = contexts_of(examples)
    last = np.zeros(len(contexts.firsts), dtype=np.int64)
    last[contexts.of] = np.arange(len(examples))
    firsts = (examples[first] for first in contexts.firsts[np.argsort(-last)].tolist())
    return spoilt_concerns(((first.id, first.context) for first in firsts), len(contexts.firsts))


def _between_sets(examples: Sequence[Example], others: Sequence[Example]) -> list[Concern]:
    """What differs between the two sets so much that figures on one say little about the other."""
    if not others:
        return []
    shares = [sum(not example.answers for example in each) / len(each) for each in (examples, others)]
    if min(shares) > 0 or max(shares) < 0.05:
        return []
    message = (
        f"{shares[0]:.0%} of these questions have no answer, and {shares[1]:.0%} of the other set's: "
        "what one trains for the other does not measure"
    )
    return [Concern("warning", "unanswerable_differs", message, "use sets of one kind")]


def statistics(data: QuestionData, tokenizer: Tokenizer) -> dict[str, Any]:
    """Figures on a set: sizes, answers, questions, windows, vocabulary."""
    examples = data.examples
    question_words, answer_words = array("q"), array("q")
    tenths: Counter[int] = Counter()
    classes: Counter[str] = Counter()
    for example in examples:
        question_words.append(len(example.question.split()))
        classes[question_class(example.question)] += 1
        if example.answers:
            answer_words.append(len(example.answers[0].text.split()))
            tenths[answer_tenth(example)] += 1
    contexts, n_answered = contexts_of(examples).texts, len(answer_words)
    return {
        "questions": len(examples),
        "passages": len(contexts),
        "unanswerable_share": round(1 - n_answered / len(examples), 4),
        "question_words": spread(question_words),
        "answer_words": spread(answer_words),
        "passage_words": spread([len(context.split()) for context in contexts]),
        "answer_position_tenths": [round(tenths[i] / n_answered, 4) if n_answered else 0.0 for i in range(10)],
        "question_classes": {name: classes[name] for name in QUESTION_CLASSES if classes[name]},
        **window_statistics(data.features, len(examples), tokenizer, "question"),
        "pieces_a_word": round(float(np.mean(pieces_per_word(examples, data.question_features))), 3),
    }


def statistic_lines(figures: dict[str, Any], n_rows: int) -> list[str]:
    """The same for a terminal; of ``n_rows`` that were read."""
    n = figures["questions"]
    question, answer, passage = (spread_text(figures[f"{name}_words"]) for name in ("question", "answer", "passage"))
    classes = ", ".join(f"{name} {count / n:.0%}" for name, count in figures["question_classes"].items())
    tenths = " ".join(f"{share:.0%}" for share in figures["answer_position_tenths"])
    return [
        f"{counted(n, 'question')} on {counted(figures['passages'], 'passage')}, "
        f"{counted(n_rows - n, 'row')} left out, "
        f"{figures['unanswerable_share']:.1%} unanswerable",
        f"words (median / 95 % / most): question {question}, answer {answer}, passage {passage}",
        f"questions: {classes}",
        f"answers begin, by tenth of the passage: {tenths}",
        f"{window_line(figures, 'question')}, {figures['pieces_a_word']:.2f} pieces a word",
    ]
