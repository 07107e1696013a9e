"""Asking: the exact characters, their place, the sentence around them, long documents, many questions."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from distiltune.errors import DataError, ModelError, RecipeError
from distiltune.report.answers import answer_lines
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.documents import as_documents, check_is_no_path, sentence_around
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.reply_notes import ALWAYS_ANSWERS
from tests.helpers import TINY, people, write_tiny_model


@pytest.fixture
def model(people_model: Path) -> Path:
    return people_model


def test_it_answers_what_it_learned(model: Path) -> None:
    answerer = Answerer(model, threads=1)
    asked = people().examples
    right = sum(answerer(each.question, each.context).text == each.answers[0].text for each in asked)
    assert right >= 30


def test_bfloat16_is_told_and_answers_alike(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distiltune.system.device.has_bfloat16", lambda device: True)
    exact, rounded = Answerer(model, threads=1), Answerer(model, threads=1, precision="bfloat16")
    assert "bfloat16" in rounded.notes[-1]
    assert not any("bfloat16" in note for note in exact.notes)
    first = people().examples[0]
    one, other = (each(first.question, first.context) for each in (exact, rounded))
    assert one.text == other.text
    assert one.candidates[0].probability == pytest.approx(other.candidates[0].probability, abs=0.05)
    assert one.candidates[0].probability != other.candidates[0].probability


def test_in_eight_bits_it_answers_alike_and_the_same_to_the_bit_whoever_else_asks(model: Path) -> None:
    exact, rounded = Answerer(model, threads=1), Answerer(model, threads=1, precision="int8")
    assert any("int8" in note for note in rounded.notes)
    asked = people().examples[:8]
    text = " ".join(each.context for each in asked)
    questions = [each.question for each in asked]
    together = rounded.ask(questions, text)
    assert [rounded(question, text).candidates for question in questions] == [reply.candidates for reply in together]
    assert sum(one.text == other.text for one, other in zip(exact.ask(questions, text), together, strict=True)) >= 7


def test_a_precision_that_the_processor_lacks_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distiltune.system.device.has_bfloat16", lambda device: False)
    with pytest.raises(RecipeError, match="no bfloat16 instructions"):
        Answerer(model, threads=1, precision="bfloat16")
    assert not any("bfloat16" in note for note in Answerer(model, threads=1, precision="auto").notes)


def test_the_answer_is_the_exact_characters_wherever_it_stands(model: Path) -> None:
    answerer = Answerer(model, threads=1, max_length=48, stride=8)
    first = people().examples[0]
    text = "\N{PARTY POPPER} שלום\r\n\r\n\tIntroduction.\r\n" + first.context.replace("ada", "A\u0301da") * 30
    reply = answerer(first.question, text)
    assert reply.answer is not None
    for candidate in reply.candidates:
        assert text[candidate.start : candidate.end] == candidate.text
        before = text[: candidate.start]
        assert candidate.line == before.count("\n") + 1
        assert candidate.column == len(before) - (before.rfind("\n") + 1) + 1
        offset = candidate.start - candidate.sentence_start
        assert candidate.sentence[offset : offset + len(candidate.text)] == candidate.text


def test_many_questions_answer_as_each_alone(model: Path) -> None:
    answerer = Answerer(model, threads=1)
    questions = [each.question for each in people().examples[:4]]
    text = people().examples[0].context
    together = answerer.ask(questions, text)
    for question, reply in zip(questions, together, strict=True):
        alone = answerer(question, text)
        assert alone.question == reply.question == question
        assert [c.text for c in alone.candidates] == [c.text for c in reply.candidates]
        assert alone.answer is not None
        assert reply.answer is not None
        assert alone.answer.confidence == pytest.approx(reply.answer.confidence, rel=1e-4)


def test_no_answer_is_said_where_the_threshold_says_so(model: Path) -> None:
    first = people().examples[0]
    always = Answerer(model, threads=1)(first.question, first.context)
    never = Answerer(model, threads=1, null_threshold=-1e9)(first.question, first.context)
    assert always.answer is not None
    assert never.answer is None
    assert never.text == ""
    assert never.candidates == always.candidates


@pytest.mark.parametrize(
    ("question", "text"), [("", "Some text."), ("Who?", ""), ("  ", "Some text."), ("Who?", "\n ")]
)
def test_nothing_to_ask_or_to_look_in(model: Path, question: str, text: str) -> None:
    with pytest.raises(DataError, match="empty"):
        Answerer(model, threads=1)(question, text)


@pytest.mark.parametrize(
    ("question", "text", "where"),
    [("Who\ud800?", "Some text.", "question 1"), ("Who?", "Some \udfff text.", "text 1")],
)
def test_half_a_character_is_told_and_not_taken_for_a_fault_of_ours(
    model: Path, question: str, text: str, where: str
) -> None:
    with pytest.raises(DataError, match="surrogate") as caught:
        Answerer(model, threads=1)(question, text)
    assert caught.value.where == where


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    known = people()
    base = write_tiny_model(tmp_path / "b", known.tokenizer, replace(TINY, vocab_size=known.tokenizer.get_vocab_size()))
    with pytest.raises(ModelError, match="no trained question-answering head"):
        Answerer(base)


@pytest.mark.parametrize(
    ("text", "answer", "sentence"),
    [
        ("One. Two three. Four.", "three", "Two three."),
        ("One. Two three. Four.", "One", "One."),
        ("One. Two three. Four.", "Four", "Four."),
        ("A heading\n\nThe text goes on", "text", "The text goes on"),
        ("He said “Stop!” and left. Then?", "left", "and left."),
        ("One. Two. Three.", "Two. Three", "Two. Three."),
        ("no end", "no end", "no end"),
    ],
)
def test_sentence_around(text: str, answer: str, sentence: str) -> None:
    start = text.index(answer)
    first, last = sentence_around(text, start, start + len(answer))
    assert text[first:last] == sentence


@given(st.text(alphabet="ab .\n!\t", min_size=1, max_size=60), st.data())
def test_the_sentence_always_holds_the_answer(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = sentence_around(text, start, end, reach=10)
    assert 0 <= first <= start
    assert end <= last <= len(text)


def test_documents_by_name_are_ranked_together(model: Path) -> None:
    answerer = Answerer(model, threads=1)
    texts = {each.id: each.context for each in people().examples[::4]}
    asked = people().examples[9]
    reply = answerer(asked.question, texts, n_best=8)
    assert reply.answer is not None
    for candidate in reply.candidates:
        text = list(texts.values())[candidate.document]
        assert candidate.document_name == list(texts)[candidate.document]
        assert text[candidate.start : candidate.end] == candidate.text
    # Scores are comparable: the order is that of each document asked alone, put together.
    alone = [answerer(asked.question, text, n_best=8) for text in texts.values()]
    odds = sorted(
        (each.probability / one.no_answer_probability for one in alone for each in one.candidates), reverse=True
    )
    ours = [each.probability / reply.no_answer_probability for each in reply.candidates]
    assert ours == pytest.approx(odds[:8], rel=1e-3)
    weight = 1 + sum(1 / one.no_answer_probability - 1 for one in alone)
    assert reply.no_answer_probability == pytest.approx(1 / weight, rel=1e-3)
    assert answerer.ask([asked.question], list(texts.values()), n_best=8)[0].candidates[0].document_name == ""


def test_candidates_share_no_character_and_are_as_many_as_asked_for(model: Path) -> None:
    text = people().examples[0].context * 3
    reply = Answerer(model, threads=1)("what eats ada", text, n_best=12)
    spans = [(each.start, each.end) for each in reply.candidates]
    spans += [(place.start, place.end) for each in reply.candidates for place in each.other_places]
    assert len(spans) == 12
    spans.sort()
    assert all(last <= first for (_, last), (first, _) in itertools.pairwise(spans))
    probabilities = [each.probability for each in reply.candidates]
    assert probabilities == sorted(probabilities, reverse=True)


def test_the_same_answer_in_several_places_counts_as_one(model: Path) -> None:
    """Ten copies of a document leave its answer as sure as it was, where each copy had a tenth of that."""
    answerer = Answerer(model, threads=1)
    asked = people().examples[0]
    alone = answerer(asked.question, asked.context)
    assert alone.answer is not None
    copies = {f"{number}.txt": asked.context for number in range(30)}
    reply = answerer(asked.question, copies)
    assert reply.answer is not None
    assert reply.answer.text == alone.answer.text
    assert reply.answer.confidence >= alone.answer.confidence - 1e-6
    assert sum(each.confidence for each in reply.candidates) + reply.no_answer_confidence <= 1 + 1e-6
    assert reply.answer.document_name == "0.txt", "the first of equal ones"
    assert [place.document_name for place in reply.answer.other_places] == [f"{n}.txt" for n in range(1, 30)]
    assert {(each.start, each.line) for each in reply.answer.other_places} == {(alone.answer.start, alone.answer.line)}
    texts = [each.text.casefold() for each in reply.candidates]
    assert len(set(texts)) == len(texts)
    upper = answerer(asked.question, [asked.context, asked.context.upper().replace(" ", "\n")])
    assert any(each.other_places for each in upper.candidates), "case and white space make no difference"


def test_who_cannot_decline_says_so(model: Path) -> None:
    asked = people().examples[0]
    assert not Answerer(model, threads=1)(asked.question, asked.context).can_decline
    assert Answerer(model, threads=1, null_threshold=0.0)(asked.question, asked.context).can_decline


def test_windows_are_ranked_as_the_exact_search_over_every_span(model: Path) -> None:
    """One "no answer" a window, every allowed span, the best odds for each stretch of characters."""
    answerer = Answerer(model, threads=1, max_length=32, stride=8, max_answer_tokens=5)
    question, text = "what fears bob", " ".join(each.context for each in people().examples[::4])
    reply = answerer(question, text, n_best=6)
    prepared = answerer.prepare([question], as_documents(text))
    best: dict[tuple[int, int], float] = {}
    weight = 1.0
    features = prepared.features
    assert len(features) > 5
    for feature, window in enumerate(features.window_start.tolist()):
        batch = features.features.batch(np.array([feature]))
        with torch.inference_mode():
            logits = answerer.loaded.model(batch)
        starts, ends = (logits.double() - logits[0]).T.tolist()
        weight += float(torch.exp(-torch.log_softmax(logits.double(), dim=0)[0].sum())) - 1
        first, n = int(features.first_context_token[feature]), int(features.n_context_tokens()[feature])
        for i in range(n):
            for j in range(i, min(i + 5, n)):
                span = int(features.char_starts[window + i]), int(features.char_ends[window + j])
                best[span] = max(best.get(span, -math.inf), starts[first + i] + ends[first + j])
    kept: list[tuple[int, int]] = []
    for start, end in sorted(best, key=lambda span: -best[span]):
        if all(end <= low or high <= start for low, high in kept):
            kept.append((start, end))
    assert [(each.start, each.end) for each in reply.candidates] == kept[:6]
    assert [math.log(each.probability) for each in reply.candidates] == pytest.approx(
        [best[span] - math.log(weight) for span in kept[:6]], abs=1e-4
    )


def test_a_first_pass_reads_the_likeliest_passages_only(model: Path) -> None:
    pytest.importorskip("bm25s")
    filler = "".join(f"Paragraph {i} speaks of nothing that matters here.\n\n" for i in range(300))
    wanted = people().examples[20]
    text = filler + wanted.context + "\n\n" + filler
    answerer = Answerer(model, threads=1)
    reply = answerer(wanted.question, text, passages=3, n_best=40)
    assert all(text[each.start : each.end] == each.text for each in reply.candidates)
    # The one passage that shares words with the question is read, wherever it stands.
    place = range(len(filler), len(filler) + len(wanted.context))
    assert any(each.start in place for each in reply.candidates)
    assert 0.0 < reply.read_share < 0.3
    everything = answerer(wanted.question, text, passages=100_000)
    assert everything.read_share == 1.0
    assert everything == answerer(wanted.question, text)


def test_progress_counts_windows(model: Path) -> None:
    told: list[tuple[int, int]] = []
    text = people().examples[0].context * 20
    answerer = Answerer(model, threads=1, max_length=32, stride=8)
    answerer.ask(["what eats ada"] * 3, text, on_progress=lambda n_read, n_all: told.append((n_read, n_all)))
    assert told[-1][0] == told[-1][1] > 20


def test_confidences_of_all_candidates_and_of_no_answer_sum_to_at_most_one(model: Path, tmp_path: Path) -> None:
    hot = copy_with_config(model, tmp_path / "hot", {"confidence_temperature": 4.0})
    asked = people().examples[0]
    cold, warm = Answerer(model, threads=1), Answerer(hot, threads=1)
    assert (cold.temperature, warm.temperature) == (1.0, 4.0)
    replies = [each(asked.question, asked.context, n_best=50) for each in (cold, warm)]
    assert [c.text for c in replies[0].candidates] == [c.text for c in replies[1].candidates]
    for reply in replies:
        total = sum(c.confidence for c in reply.candidates) + reply.no_answer_confidence
        assert 0.0 < total <= 1.0 + 1e-9
        in_one_place = [c.confidence for c in reply.candidates if asked.context.count(c.text) == 1]
        assert in_one_place == sorted(in_one_place, reverse=True)
    assert replies[0].candidates[0].confidence > replies[1].candidates[0].confidence
    few = cold(asked.question, asked.context, n_best=1)
    assert few.candidates[0].confidence == pytest.approx(replies[0].candidates[0].confidence)


def test_windows_are_those_of_the_training_unless_said(model: Path) -> None:
    assert (Answerer(model, threads=1).windows.max_length, Answerer(model, threads=1).windows.stride) == (64, 8)
    given = Answerer(model, threads=1, max_length=40).windows
    assert (given.max_length, given.stride) == (40, 8)
    assert Answerer(model, threads=1, max_question_tokens=20).windows == WindowSettings(64, 8, 20)
    assert Answerer(model, threads=1, max_length=1_000, stride=9).windows.max_length == 64  # all positions there are
    with pytest.raises(RecipeError, match="stride is 39"):
        Answerer(model, threads=1, max_length=40, stride=39)


def copy_with_config(model: Path, to: Path, entry: dict[str, object]) -> Path:
    shutil.copytree(model, to)
    config = json.loads((to / "config.json").read_text())
    config["distiltune"] = {**config["distiltune"], **entry}
    (to / "config.json").write_text(json.dumps(config))
    return to


def test_a_question_that_is_cut_is_told(model: Path) -> None:
    answerer = Answerer(model, threads=1, max_question_tokens=4)
    asked = people().examples[0]
    long = f"{asked.question} " * 3
    first, cut, last = answerer.ask([asked.question, long, asked.question], asked.context)
    assert first.notes == last.notes == (ALWAYS_ANSWERS,)
    assert cut.question == long
    assert "longer than 4 tokens" in cut.notes[0]
    assert json.loads(json.dumps(cut.as_json()))["notes"] == list(cut.notes)
    lines = answer_lines(cut, show_question=True, show_others=False)
    assert any(cut.notes[0] in line.plain for line in lines)


@pytest.mark.parametrize(
    ("text", "answer", "sentence"),
    [
        ("他住在北京。她住在上海！你呢？", "上海", "她住在上海！"),
        ("彼は「行く。」と言った。次は東京です。", "東京", "次は東京です。"),
        ("أين يسكن؟ يسكن في حيفا. ومتى؟", "حيفا", "يسكن في حيفا."),
        ("یہ لاہور ہے۔ وہ کراچی ہے۔ ختم", "کراچی", "وہ کراچی ہے۔"),
        ("राम दिल्ली में है। सीता मुंबई में है। और", "मुंबई", "सीता मुंबई में है।"),
        ("One is 1.8 m. Two is not. Three.", "Two", "Two is not."),
    ],
    ids=["Chinese", "Japanese", "Arabic", "Urdu", "Hindi", "English"],
)
def test_sentences_end_as_their_language_ends_them(text: str, answer: str, sentence: str) -> None:
    start = text.index(answer)
    low, high = sentence_around(text, start, start + len(answer))
    assert text[low:high] == sentence


def test_no_quote_begins_or_ends_inside_a_word() -> None:
    words = [f"word{i:04}" for i in range(400)]
    text = " ".join(words)
    for number in (60, 61, 200, 201):
        start = text.index(words[number])
        low, high = sentence_around(text, start, start + 8)
        assert all(word in words for word in text[low:high].split())
        assert high - low > 700


def test_who_cannot_decline_or_read_the_script_says_so(people_model: Path) -> None:
    asked = people().examples[0]
    always, declining = Answerer(people_model, threads=1), Answerer(people_model, threads=1, null_threshold=0.0)
    assert always(asked.question, asked.context).notes == (ALWAYS_ANSWERS,)
    assert declining(asked.question, asked.context).notes == ()
    (note,) = declining("ใครลงนาม", asked.context).notes
    assert "vocabulary" in note


def test_weights_that_overflow_are_told(model: Path, tmp_path: Path) -> None:
    """They are finite, each by itself."""
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    for name in tensors:
        if "lin1.weight" in name or "lin2.weight" in name:
            tensors[name] = torch.full_like(tensors[name], 3e38, dtype=torch.float32)
    save_file(tensors, file)
    with pytest.raises(ModelError, match="gives NaN or infinity"):
        Answerer(tmp_path / "model", threads=1)("who", "Ada lives in Bern")


def test_the_name_of_a_file_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "lease.md").write_text("The treasurer signs.")
    for name, kind in (("handbook", "folder"), ("handbook/", "folder"), ("handbook/lease.md", "file")):
        with pytest.raises(DataError, match=f"the name of a {kind}") as raised:
            check_is_no_path(name)
        assert f"Folder({name!r})" in raised.value.fix
    for text in ("handbook is a folder", "lease.md", "", "\0", "a" * 300, "handbook\n"):
        check_is_no_path(text)
