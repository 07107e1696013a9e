from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distiltune.checks.concerns import Case, Concern, concern_lines, leak_concern
from distiltune.checks.data_check import CheckBasis, CheckRequest, end_check
from distiltune.errors import DataError, RecipeError
from distiltune.progress import heard_by
from distiltune.tasks.question_answering.check.data_check import CheckedQuestions, CheckSettings, check_questions
from distiltune.tasks.question_answering.check.examples import READING
from distiltune.tasks.question_answering.check.fix import check_output, fix, write_fixed
from distiltune.tasks.question_answering.check.training import in_training
from distiltune.tasks.question_answering.examples import Answer
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.read import read_examples
from tests.helpers import word_pieces

PASSAGES = [
    f"{name} was born in {town} and moved to {other} at the age of {age}. There {name} opened {shop}, "
    f"which {name} kept until {year}. Most people came on {day} to see {thing} in the window."
    for name, town, other, age, shop, year, day, thing in (
        ("Ada", "Lund", "Bergen", "twelve", "a bakery", "1951", "Friday", "the red clock"),
        ("Bob", "Turin", "Porto", "thirty", "a print shop", "1962", "Sunday", "two brass scales"),
        ("Cem", "Izmir", "Graz", "nineteen", "a tea house", "1973", "Monday", "an old samovar"),
        ("Dee", "Cork", "Lyon", "forty", "a book shop", "1984", "Tuesday", "a globe of glass"),
    )
]
ASKED = (
    ("Where was {} born?", "born in ", " and"),
    ("How old was {} when moving away?", "age of ", ". There"),
    ("What did {} open there?", "opened ", ", which"),
    ("Until what year did {} keep the shop?", "until ", ". Most"),
    ("On which day did most people come to see what {} had?", "came on ", " to see"),
)


def rows() -> list[dict[str, Any]]:
    """20 sound questions on 4 passages."""
    made = []
    for number, passage in enumerate(PASSAGES):
        for which, (question, before, after) in enumerate(ASKED):
            start = passage.index(before) + len(before)
            text = passage[start : passage.index(after, start)]
            made.append(
                {
                    "id": f"{number}-{which}",
                    "question": question.format(passage.split()[0]),
                    "context": passage,
                    "answers": [{"text": text, "answer_start": start}],
                }
            )
    return made


WORDS = {word.strip(".,?").lower() for row in rows() for word in f"{row['context']} {row['question']}".split()}
TOKENIZER = word_pieces([*".,?", *sorted(WORDS)])


def check(
    folder: Path, train: list[dict[str, Any]], dev: list[dict[str, Any]] | None = None, **settings: Any
) -> CheckedQuestions:
    paths = []
    for name, lines in (("train", train), ("dev", dev)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in lines or []), encoding="utf-8")
        paths.append(str(path))
    windows = WindowSettings(settings.pop("max_length", 128), settings.pop("stride", 32), settings.pop("limit", 40))
    against = paths[1:] if dev is not None else []
    return check_questions(paths[:1], against, TOKENIZER, CheckSettings(windows, **settings))


def kinds(report: CheckedQuestions) -> dict[str, Concern]:
    return {concern.kind: concern for concern in report.looked.concerns}


def changed(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, **changes}


def with_answer(row: dict[str, Any], text: str, start: int) -> dict[str, Any]:
    return changed(row, answers=[{"text": text, "answer_start": start}])


def test_sound_data_is_not_accused(tmp_path: Path) -> None:
    report = check(tmp_path, rows())
    assert set(kinds(report)) == {"few_questions"}
    assert report.looked.n_examples == 20
    assert report.looked.statistics["passages"] == 4
    assert report.looked.statistics["windows"] == 20
    assert report.looked.statistics["question_classes"] == {"when": 8, "where": 4, "how": 4, "what": 4}
    assert sum(report.looked.statistics["answer_position_tenths"]) == pytest.approx(1.0, abs=1e-3)


def test_it_is_told_what_is_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))  # or nothing is tokenised
    told: dict[str, None] = {}
    with heard_by(lambda stage, *words: told.setdefault(stage)):
        check(tmp_path, rows())
    assert list(told) == ["tokenising", "looking for repeats and leaks", "looking at questions and answers"]


ROW = rows()[2]
ANSWER = ROW["answers"][0]["text"]
START = ROW["answers"][0]["answer_start"]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("answer_moved", with_answer(ROW, ANSWER, START + 3)),
        ("answer_respelled", with_answer(ROW, ANSWER.upper(), START)),
        ("answer_not_found", with_answer(ROW, "a submarine", START)),
        ("answer_cut_into_word", with_answer(ROW, ROW["context"][START + 3 : START + 9], START + 3)),
        ("answer_trimmed", with_answer(ROW, f" {ANSWER}", START - 1)),
        ("no_question", changed(ROW, question="N/A")),
        ("impossible_with_answers", changed(ROW, is_impossible=True)),
        ("id_repeated", changed(ROW, id="0-0")),
        ("hardly_covered", changed(ROW, context="ღმერთო ".join(["", *ROW["context"].split(" ")]), answers=[])),
    ],
)
def test_what_is_wrong_with_a_row_is_found(kind: str, row: dict[str, Any], tmp_path: Path) -> None:
    data = rows()
    data[2] = row
    report = check(tmp_path, data)
    assert kind in kinds(report)
    (case,) = kinds(report)[kind].cases
    assert case.row_id in (row["id"], "0-0-2", "train.jsonl:3")
    assert kinds(report)[kind].count == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda row, text, start: with_answer(row, f" {text} ", start - 1), id="blanks"),
        pytest.param(lambda row, text, start: with_answer(row, text, start + 40), id="offsets"),
        pytest.param(lambda row, text, start: with_answer(row, text.upper(), start), id="capitals"),
        pytest.param(
            lambda row, text, start: with_answer(changed(row, context=f"🙂é {row['context']}"), text, start + 4),
            id="UTF-16",
        ),
    ],
)
def test_repairs_that_are_certain_are_no_error_though_every_row_has_them(
    spoilt: Callable[[dict[str, Any], str, int], dict[str, Any]], tmp_path: Path
) -> None:
    data = [spoilt(row, row["answers"][0]["text"], row["answers"][0]["answer_start"]) for row in rows()]
    found = kinds(check(tmp_path, data))
    repairs = found.keys() & READING.certain
    assert repairs
    assert all(found[kind].severity == "warning" for kind in repairs)


def test_copies_near_copies_and_contradictions(tmp_path: Path) -> None:
    data = rows()
    data.append(changed(data[0], id="copy", question=data[0]["question"].upper()))
    data.append(changed(data[9], id="near", question=data[9]["question"].replace("which", "whch")))
    data.append(with_answer(changed(data[6], id="other"), "Porto", data[6]["context"].index("Porto")))
    found = kinds(check(tmp_path, data))
    assert [case.row_id for case in found["question_repeated"].cases] == ["copy"]
    assert [case.row_id for case in found["question_nearly_repeated"].cases] == ["near"]
    assert [case.row_id for case in found["answers_contradict"].cases] == ["other"]


def test_leaks_of_questions_and_of_passages(tmp_path: Path) -> None:
    train = rows()
    dev = [changed(train[0], id="d0"), changed(train[7], id="d1", question="Which town did Bob leave as a young man?")]
    dev[0]["context"] = dev[0]["context"].replace("Most people", "Many people")  # nearly the same passage is the same
    found = kinds(check(tmp_path, train, dev))
    assert [case.row_id for case in found["question_leaked"].cases] == ["0-0"]
    assert found["question_leaked"].severity == "error"
    leak, passages = found["question_leaked"], found["passage_leaked"]
    assert (leak.count, leak.of) == (1, 2)  # of the validation questions, whose figures it spoils
    assert (passages.count, passages.of) == (5, 20)  # of the training questions, which are to go
    assert [case.row_id for case in passages.cases] == ["1-0", "1-1", "1-2", "1-3", "1-4"]
    near = found["passage_nearly_leaked"]  # other names may make it another passage
    assert ([case.row_id for case in near.cases], near.fixable) == (["0-1", "0-2", "0-3", "0-4"], False)


def test_a_leak_is_as_bad_as_its_share_of_the_validation_questions(tmp_path: Path) -> None:
    """However many training questions there are, and however many of them are of the same validation question."""
    train = rows()
    again = [changed(train[0], id=f"again-{i}") for i in range(3)]
    report = check(tmp_path, [*train, *again, changed(train[1], id="lost", answers=[{"text": "no such thing"}])], train)
    leak = kinds(report)["question_leaked"]
    assert (leak.count, leak.of, len(leak.cases)) == (20, 20, 23)
    assert kinds(report)["question_repeated"].of == 23  # of those that can be used
    few, much = (leak_concern("question_leaked", "", [Case("a", "b")], 1, of, "take them out")[0] for of in (51, 50))
    assert [each.severity for each in (few, much)] == ["warning", "error"]
    assert [in_training((each,)) != () for each in (few, much)] == [False, True]


def test_cleaned_data_is_not_written_where_nothing_is_left_of_it(tmp_path: Path) -> None:
    report = check(tmp_path, rows(), rows())
    with pytest.raises(DataError, match="20 of them as question_leaked") as raised:
        write_fixed(fix(report.examples, report.repeats), tmp_path / "clean.json")
    assert "--against" in raised.value.fix
    assert not (tmp_path / "clean.json").exists()


def test_cleaned_data_and_its_list_of_changes_are_written_both_or_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = check(tmp_path, rows())
    fixed, folder = fix(report.examples, report.repeats), tmp_path / "out"
    write_fixed(fixed, folder / "clean.json")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"clean.json", "clean.changes.jsonl"}
    written: list[str] = []

    def full(path: Path, content: str) -> None:
        written.append(path.name)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        path.write_text(content)

    monkeypatch.setattr("distiltune.tasks.question_answering.check.fix.write_whole", full)
    with pytest.raises(DataError, match="cannot be written: No space left"):
        write_fixed(replace(fixed, examples=fixed.examples[:1]), folder / "clean.json")
    assert len(written) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_windows_cut(tmp_path: Path) -> None:
    found = kinds(check(tmp_path, rows(), max_length=128))
    assert "answer_in_no_window" not in found
    long = [with_answer(r, r["context"][:150], 0) for r in rows()]
    found = kinds(check(tmp_path, long, max_length=40, stride=8, limit=12, max_answer_tokens=10))
    assert found["answer_in_no_window"].count == 20
    assert found["answer_in_no_window"].severity == "error"
    assert "--stride" in found["answer_in_no_window"].repair
    found = kinds(check(tmp_path, [changed(r, question=f"{r['question']} " * 9) for r in rows()]))
    assert found["question_truncated"].severity == "error"
    found = kinds(check(tmp_path, long, max_answer_tokens=10))
    assert found["answer_too_long"].severity == "note"


def test_what_the_set_as_a_whole_shows(tmp_path: Path) -> None:
    assert "nothing_answerable" in kinds(check(tmp_path, [changed(r, answers=[]) for r in rows()]))
    mostly = [changed(r, answers=[]) if i else r for i, r in enumerate(rows())]
    assert "mostly_unanswerable" in kinds(check(tmp_path, mostly))
    tail = "So it was, year by year."
    crowd = [changed(r, id=f"{r['id']}-{i}", context=f"{r['context']} {tail} {i}") for r in rows() for i in range(2)]
    place = [with_answer(r, r["context"][:3], 0) for r in crowd]
    report = check(tmp_path, place)
    assert kinds(report)["position_bias"].severity == "error"
    assert "first tenth" in kinds(report)["position_bias"].message
    differs = kinds(check(tmp_path, rows(), [changed(r, id=f"d{r['id']}", answers=[]) for r in rows()]))
    assert "unanswerable_differs" in differs


def test_findings_are_ranked(tmp_path: Path) -> None:
    data = rows()
    data[0] = with_answer(data[0], "a submarine", 3)
    data[1] = changed(data[1], question="?")
    few = {concern.kind: concern.severity for concern in check(tmp_path, data).looked.concerns}
    assert few["answer_not_found"] == "warning"  # one of twenty: a training goes on without it
    data[2] = with_answer(data[2], "a submarine", 3)
    ranks = [concern.severity for concern in check(tmp_path, data).looked.concerns]
    assert ranks == sorted(ranks, key=["error", "warning", "note"].index)
    assert ranks[0] == "error"


def test_fix_mends_what_is_certain_and_lists_every_change(tmp_path: Path) -> None:
    sound = rows()
    data = rows()
    data[0] = with_answer(data[0], data[0]["answers"][0]["text"], 3)
    data[1] = with_answer(data[1], data[1]["answers"][0]["text"].upper(), data[1]["answers"][0]["answer_start"])
    start = data[2]["answers"][0]["answer_start"]
    data[2] = with_answer(data[2], f" {ANSWER}", start - 1)
    data[3] = changed(data[3], question="todo")
    data[4] = with_answer(data[4], "a submarine", 0)
    data.append(changed(data[8], id="copy"))
    dev = [changed(data[19], id="d")]
    report = check(tmp_path, data, dev)
    fixed = fix(report.examples, report.repeats)
    by_id = {example.id: example for example in fixed.examples}
    # 3-* share their passage with the validation question, so all of them leave this set
    assert set(by_id) == {row["id"] for row in sound} - {"0-3", "0-4"} - {f"3-{i}" for i in range(5)}
    for row in sound[:3]:
        expected = Answer(row["answers"][0]["text"], row["answers"][0]["answer_start"])
        assert by_id[row["id"]].answers == (expected,)
    listed = {(change.action, change.row_id) for change in fixed.changes}
    assert {
        ("repaired", "0-0"),
        ("repaired", "0-1"),
        ("repaired", "0-2"),
        ("removed", "0-3"),
        ("removed", "copy"),
    } <= listed
    assert ("removed", "3-4") in listed

    for name in ("clean.json", "clean.jsonl"):
        write_fixed(fixed, tmp_path / name)
        again = read_examples([tmp_path / name], split="train")
        assert {e.id: (e.question, e.context, e.answers) for e in again.examples} == {
            e.id: (e.question, e.context, e.answers) for e in fixed.examples
        }
        assert again.findings.items == []
    lines = (tmp_path / "clean.changes.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(fixed.changes)


def test_fix_gives_the_first_of_two_copies_the_answers_of_both(tmp_path: Path) -> None:
    data = rows()
    extra = data[0]["context"].index("in Lund")
    data.append(with_answer(changed(data[0], id="copy"), "in Lund", extra))
    report = check(tmp_path, data)
    fixed = fix(report.examples, report.repeats)
    first = next(example for example in fixed.examples if example.id == "0-0")
    assert [answer.text for answer in first.answers] == ["Lund", "in Lund"]
    assert any(change.action == "merged" for change in fixed.changes)


def test_fix_does_not_write_over_anything(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("{}")
    with pytest.raises(DataError, match="already"):
        check_output(tmp_path / "there.json", [])
    with pytest.raises(RecipeError, match="csv"):
        check_output(tmp_path / "new.csv", [])


def test_the_report_for_people_and_for_programs(tmp_path: Path) -> None:
    report = check(tmp_path, rows())
    lines = report.looked.lines
    assert "20 questions on 4 passages" in lines[0]
    assert len(lines) == 5
    request = CheckRequest("question-answering", "Class", ("a",), (), "m", 5, 16, "cpu", "auto", 1)
    checked = end_check(request, CheckBasis(TOKENIZER, (), None, 0.0), report.looked)
    assert any("only 20 questions" in line for line in checked.lines)
    assert json.loads(json.dumps(checked.values))["statistics"]["questions"] == 20
    lines = concern_lines([Concern("error", "kind", "message", "repair", 2, 10)])
    assert lines == ["error    2 of 10: message  [kind]", "         what to do: repair"]


def test_examples_keep_their_titles_when_they_are_fixed(tmp_path: Path) -> None:
    report = check(tmp_path, rows())
    titled = replace(report.examples, examples=tuple(replace(e, title="A town") for e in report.examples.examples))
    write_fixed(fix(titled, report.repeats), tmp_path / "clean.json")
    assert json.loads((tmp_path / "clean.json").read_text())["data"][0]["title"] == "A town"


def lease(number: int) -> dict[str, Any]:
    """A lease that differs from the others in names and sums, and a question that all of them have."""
    names = ("Ida Brandt", "Tom Reed", "Ann Lee", "Bo Falk", "Cem Ak", "Dee Moss")
    body = (
        "The flat is let unfurnished with its cellar, and the tenant keeps both in good order at all times. "
        "Rent is due on the third working day of each month and is paid by bank transfer to the landlord. "
        "Pets are allowed as long as the neighbours do not complain of noise or of dirt in the stairway."
    )
    name = f"{names[number % 6]} {'I' * (number // 6)}".strip()
    context = f"Lease {number + 10}. {body} The tenant is {name} and pays {400 + 7 * number} a month."
    text = name if number % 2 else str(400 + 7 * number)
    question = "Who is the tenant here?" if number % 2 else "What is the rent a month?"
    answer = {"text": text, "answer_start": context.index(text, len(body))}
    return {"id": f"lease-{number}", "question": question, "context": context, "answers": [answer]}


def test_questions_on_nearly_the_same_passages_are_no_copies(tmp_path: Path) -> None:
    leases = [lease(number) for number in range(30)]
    same = changed(lease(0), id="copy")
    respelt = changed(lease(1), id="spaces", context=lease(1)["context"].replace(". ", ".  "))
    respelt["answers"] = [{"text": lease(1)["answers"][0]["text"]}]
    report = check(tmp_path, [*leases, same, respelt], [changed(lease(40), id="dev")])
    found = kinds(report)
    assert [case.row_id for case in found["question_repeated"].cases] == ["copy", "spaces"]
    assert "answers_contradict" not in found
    assert "passage_leaked" not in found
    assert "question_leaked" not in found
    assert found["passage_nearly_repeated"].count > 20
    fixed = fix(report.examples, report.repeats)
    assert [example.id for example in fixed.examples] == [each["id"] for each in leases]
    assert all(example.answers for example in fixed.examples)


def test_a_copy_on_a_nearly_same_passage_has_its_answer_in_the_same_place(tmp_path: Path) -> None:
    data = rows()
    end = changed(data[0], id="end", context=data[0]["context"].replace("in the window", "in a window"))
    other = with_answer(end, "Bergen", end["context"].index("Bergen"))
    report = check(tmp_path, [*data, end, changed(other, id="other")])
    assert [case.row_id for case in kinds(report)["question_repeated"].cases] == ["end"]
    assert {"other"} <= {example.id for example in fix(report.examples, report.repeats).examples}


def test_another_number_or_another_place_is_another_question(tmp_path: Path) -> None:
    context = "Ida won the cup of 1951 in Lund. Ida won the cup of 1952 in Graz, and all of it was in the papers."
    asked = "Who won the cup of the year {} that all of the papers in the country wrote of?"
    data = rows()
    for year in (1951, 1952):
        row = {"id": str(year), "question": asked.format(year), "context": context}
        data.append({**row, "answers": [{"text": "Ida", "answer_start": 0 if year == 1951 else 33}]})
    assert "question_nearly_repeated" not in kinds(check(tmp_path, data))


def test_what_a_near_copy_took_in_is_not_lost_with_it(tmp_path: Path) -> None:
    """A near copy that has the answers of its own copy hands both on."""
    data = rows()
    near = changed(data[9], id="near", question=data[9]["question"].replace("which", "whch"))
    text = data[9]["answers"][0]["text"]
    wider = data[9]["context"].index(f"on {text}")
    again = with_answer(changed(near, id="again"), f"on {text}", wider)
    report = check(tmp_path, [*data, near, again])
    kept = {example.id: example for example in fix(report.examples, report.repeats).examples}
    assert {"near", "again"}.isdisjoint(kept)
    assert Answer(f"on {text}", wider) in kept["1-4"].answers


def test_an_answer_that_is_its_whole_text_is_told(tmp_path: Path) -> None:
    data = [with_answer(row, row["context"], 0) for row in rows()]
    found = kinds(check(tmp_path, data))["answer_is_whole_text"]
    assert (found.severity, found.count) == ("error", 20)
    assert "--columns answer_text=" in found.repair
