from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.model.tokenizer import load_tokenizer
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.features import QuestionFeatures, WindowSettings, make_features
from distiltune.tasks.question_answering.read import read_examples
from tests.helpers import example, word_pieces
from tests.model.tiny_models import SHARED
from tests.tasks.question_answering.pairwise import Window, reference_tokenizer, reference_windows

TOKENIZER = word_pieces(["a", "##a", "b", "##b", "ab", "##ba", "e", ".", "中", "the", "ᄒ", "##ᅡ", "##ᆫ"])
REFERENCE = reference_tokenizer(TOKENIZER)
CLS, SEP = 2, 3

# Letters that make words of one or more pieces, unknown ones, what BERT drops, and a special token as text.
PIECES = ["a", "b", "e", "é", "x", " ", " ", " ", ".", "中", "\t", "\u200b", "\u0301", "😀", "[SEP]", "the "]
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@st.composite
def made_up_examples(draw: st.DrawFn) -> list[Example]:
    """Questions on few contexts, so that some share theirs; an answer is any stretch, or there is none."""
    contexts = draw(st.lists(TEXT, min_size=1, max_size=3))
    examples = []
    for i in range(draw(st.integers(1, 4))):
        context = draw(st.sampled_from(contexts))
        bounds = draw(st.tuples(*(st.integers(0, len(context)),) * 2).map(sorted))
        start, end = bounds
        answers = (Answer(context[start:end], start),) if start < end else ()
        examples.append(Example(f"q{i}", draw(TEXT), context, answers))
    return examples


def check_equal(features: QuestionFeatures, windows: Sequence[Window]) -> None:
    """Our features are those windows: ids, labels, examples, and where the context tokens lie."""
    offsets = features.features.offsets.tolist()
    n_context_tokens = features.n_context_tokens().tolist()
    assert len(features) == len(windows)
    assert features.features.example_of.tolist() == [window.example for window in windows]
    for i, window in enumerate(windows):
        assert features.features.token_ids[offsets[i] : offsets[i + 1]].tolist() == window.token_ids
        assert tuple(features.features.labels[i].tolist()) == window.labels
        assert features.first_context_token[i] == window.first_context_token
        start = int(features.window_start[i])
        here = slice(start, start + n_context_tokens[i])
        spans = zip(features.char_starts[here].tolist(), features.char_ends[here].tolist(), strict=True)
        assert list(spans) == [tuple(span) for span in window.context_spans]


@given(made_up_examples(), st.integers(0, 4), st.integers(0, 2), st.integers(0, 8))
def test_features_are_those_of_the_pairwise_reference(
    examples: list[Example], stride: int, spare_question: int, spare_window: int
) -> None:
    questions = [len(TOKENIZER.encode(each.question, add_special_tokens=False)) for each in examples]
    longest = max(1, *questions) + spare_question
    settings_ = WindowSettings(longest + stride + 4 + spare_window, stride, longest)
    windows = reference_windows(REFERENCE, examples, max_length=settings_.max_length, stride=stride)
    features = make_features(examples, TOKENIZER, settings_)
    check_equal(features, windows)
    assert features.truncated_examples.size == 0


def ids(text: str) -> list[int]:
    vocabulary = TOKENIZER.get_vocab()
    return [vocabulary[name] for name in text.split()]


def feature_ids(features: QuestionFeatures) -> list[list[int]]:
    return [part.tolist() for part in np.split(features.features.token_ids, features.features.offsets[1:-1])]


def test_windows_overlap_by_the_stride_up_to_the_first_that_reaches_the_end() -> None:
    question, context = "the the", "a b a b a b a b a ."
    answer = (Answer("b a", 10),)
    features = make_features([Example("q", question, context, answer)], TOKENIZER, WindowSettings(9, 1, 2))
    ask = ids("[CLS] the the [SEP]")
    assert feature_ids(features) == [
        ask + ids("a b a b [SEP]"),
        ask + ids("b a b a [SEP]"),
        ask + ids("a b a . [SEP]"),
    ]
    assert features.features.labels.tolist() == [[0, 0], [6, 7], [0, 0]]
    assert features.n_context_tokens().tolist() == [4, 4, 4]
    assert features.features.labels.dtype == features.features.token_ids.dtype == np.int32


def test_a_context_that_just_fits_has_one_window_and_one_token_more_makes_two() -> None:
    settings_ = WindowSettings(9, 1, 2)
    assert len(make_features([example("a b a b", "a", "the the")], TOKENIZER, settings_)) == 1
    assert len(make_features([example("a b a b a", "a", "the the")], TOKENIZER, settings_)) == 2


def test_an_answer_that_is_the_windows_last_token_starts_and_ends_there() -> None:
    features = make_features([example("the a b", "b", "a")], TOKENIZER, WindowSettings(12, 2, 4))
    assert features.features.labels.tolist() == [[5, 5]]


def test_an_answer_inside_a_token_is_that_token() -> None:
    features = make_features([Example("q", "a", "the ab the", (Answer("b", 5),))], TOKENIZER, WindowSettings(12, 2, 4))
    assert features.features.labels.tolist() == [[4, 4]]


def test_a_character_of_several_tokens_is_an_answer_of_all_of_them() -> None:
    # 한 is ᄒ + ᅡ + ᆫ once accents are stripped; the reference has the end before the start here.
    examples = [example("a 한 b", "한", "the"), example("a 한 b", "한 b", "the")]
    features = make_features(examples, TOKENIZER, WindowSettings(12, 2, 4))
    assert feature_ids(features)[0] == ids("[CLS] the [SEP] a ᄒ ##ᅡ ##ᆫ b [SEP]")
    assert features.features.labels.tolist() == [[4, 6], [6, 7]]


def test_a_question_over_the_limit_keeps_its_first_tokens_and_is_reported() -> None:
    examples = [
        example("a b", "b", "the a the"),
        example("a b", "b", "the a the b b"),
        example("a b", "b", "the a the b"),
    ]
    features = make_features(examples, TOKENIZER, WindowSettings(12, 2, 3))
    assert feature_ids(features) == [ids("[CLS] the a the [SEP] a b [SEP]")] * 3
    assert features.features.labels.tolist() == [[6, 6]] * 3
    assert features.truncated_examples.tolist() == [1, 2]


def test_the_limit_on_questions_leaves_the_others_their_room() -> None:
    context = "a b a b a b"
    settings_ = WindowSettings(9, 1, 3)
    short, long = (
        make_features([example(context, "a", question)], TOKENIZER, settings_)
        for question in ("the", "the the the the")
    )
    assert feature_ids(short)[0] == ids("[CLS] the [SEP] a b a b a [SEP]")
    assert feature_ids(long)[0] == ids("[CLS] the the the [SEP] a b a [SEP]")


@pytest.mark.parametrize("context", ["", "  ", "\u200b\u0000"])
def test_a_context_without_tokens_has_one_feature(context: str) -> None:
    answers = (Answer(context, 0),) if context else ()
    features = make_features([Example("q", "the", context, answers)], TOKENIZER, WindowSettings(12, 2, 4))
    assert feature_ids(features) == [ids("[CLS] the [SEP] [SEP]")]
    assert features.features.labels.tolist() == [[0, 0]]
    assert features.n_context_tokens().tolist() == [0]


def test_a_question_without_tokens_is_asked() -> None:
    features = make_features([example("a b", "b", " ")], TOKENIZER, WindowSettings(12, 2, 4))
    assert feature_ids(features) == [ids("[CLS] [SEP] a b [SEP]")]
    assert features.features.labels.tolist() == [[3, 3]]


def test_an_unanswerable_question_is_labelled_cls_in_every_window() -> None:
    features = make_features([example("a b a b a b", "", "the")], TOKENIZER, WindowSettings(8, 1, 2))
    assert features.features.labels.tolist() == [[0, 0]] * len(features)
    assert len(features) == 2


def test_only_the_first_gold_answer_is_a_label() -> None:
    both = Example("q", "the", "a b a", (Answer("b", 2), Answer("a b a", 0)))
    features = make_features([both], TOKENIZER, WindowSettings(12, 2, 4))
    assert features.features.labels.tolist() == [[4, 4]]


def test_no_examples_no_features() -> None:
    features = make_features([], TOKENIZER, WindowSettings(12, 2, 4))
    assert (len(features), features.features.token_ids.size) == (0, 0)
    assert features.features.labels.shape == (0, 2)


def test_contexts_and_questions_are_tokenised_once() -> None:
    context = "a b . the"
    features = make_features([example(context, "b", name=str(i)) for i in range(3)], TOKENIZER, WindowSettings())
    assert features.char_starts.tolist() == [0, 2, 4, 6]
    assert features.window_start.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("max_length", "stride", "limit"), [(12, 5, 4), (12, -1, 4), (12, 2, 0), (8, 0, 5)])
def test_windows_that_could_not_move_on_are_refused(max_length: int, stride: int, limit: int) -> None:
    with pytest.raises(ValueError, match="no room"):
        WindowSettings(max_length, stride, limit)


def test_the_smallest_windows_that_can_move_on() -> None:
    assert WindowSettings(12, 4, 4).min_context_tokens == 5
    assert WindowSettings(8, 0, 4).min_context_tokens == 1


# With SQuAD itself.

MINILM = SHARED / "models" / "minilm-l6-distilbert"


@cache
def squad(split: str) -> tuple[Sequence[Example], QuestionFeatures]:
    file = SHARED / "data" / "squad-v1.1" / f"{split}.json.gz"
    if not file.is_file():
        pytest.skip(f"shared data is absent: {file}")
    examples = read_examples([file], split="train").examples
    return examples, make_features(examples, load_tokenizer(MINILM), WindowSettings(384, 128))


def check_sample(split: str, size: int) -> None:
    """All examples of more than one window and a sample of the others are as the pairwise reference has them."""
    examples, features = squad(split)
    n_windows = np.bincount(features.features.example_of, minlength=len(examples))
    several = np.flatnonzero(n_windows > 1)
    rest = np.random.default_rng(0).permutation(np.flatnonzero(n_windows == 1))
    chosen = np.sort(np.concatenate([several, rest[: size - len(several)]]))
    assert len(chosen) == size
    sample = [examples[i] for i in chosen.tolist()]
    tokenizer: Any = reference_tokenizer(load_tokenizer(MINILM))
    windows = reference_windows(tokenizer, sample, max_length=384, stride=128)

    kept = np.flatnonzero(np.isin(features.features.example_of, chosen))
    batch = features.features.batch(kept)
    assert batch.token_ids.tolist() == [token for window in windows for token in window.token_ids]
    assert batch.lengths == tuple(len(window.token_ids) for window in windows)
    assert batch.labels.tolist() == [list(window.labels) for window in windows]


def test_squad_dev_has_exactly_10_784_features() -> None:
    assert len(squad("dev")[1]) == 10_784


def test_a_sample_of_squad_dev_is_as_the_reference_has_it() -> None:
    check_sample("dev", 600)


@pytest.mark.slow
def test_squad_train_has_exactly_88_524_features() -> None:
    assert len(squad("train")[1]) == 88_524


@pytest.mark.slow
def test_a_sample_of_squad_train_is_as_the_reference_has_it() -> None:
    check_sample("train", 2_000)
