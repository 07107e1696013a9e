"""Forms and faults that were left over from those beside this file: `check` names what it is, or what it decided."""

from __future__ import annotations

import bz2
import csv
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str]]
ROWS = [(name, town) for name in ("Ida", "Tom", "Olu") for town in ("Oslo", "Bern", "Lima", "Rome")]
TAGS = ["B-PER", "O", "O", "B-LOC", "O"]


def text(name: str, town: str) -> str:
    return f"{name} went to {town} today"


def marks(name: str, town: str) -> list[tuple[int, int, str]]:
    start = text(name, town).index(town)
    return [(0, len(name), "PER"), (start, start + len(town), "LOC")]


def mood(name: str) -> str:
    return "good" if name == "Ida" else "bad"


def each(row: Callable[[str, str], Any]) -> list[Any]:
    return [row(name, town) for name, town in ROWS]


def lines(rows: Sequence[Any]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def table(rows: Sequence[dict[str, object]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def mark_values(name: str, town: str) -> list[dict[str, Any]]:
    return [
        {"start": a, "end": b, "text": text(name, town)[a:b], "labels": [label]} for a, b, label in marks(name, town)
    ]


def in_a_page(name: str, town: str) -> list[dict[str, Any]]:
    place = "/p[1]/text()[1]"
    return [
        {
            "start": place,
            "end": place,
            "startOffset": a,
            "endOffset": b,
            "text": text(name, town)[a:b],
            "globalOffsets": {"start": a, "end": b},
            "hypertextlabels": [label],
        }
        for a, b, label in marks(name, town)
    ]


def choice(value: str) -> dict[str, Any]:
    return {"from_name": "mood", "type": "choices", "value": {"choices": [value]}}


def tasks(results: Callable[[str, str], list[Any]], source: Callable[[str, str], dict[str, Any]] | None = None) -> str:
    def task(name: str, town: str) -> dict[str, Any]:
        data = source(name, town) if source is not None else {"text": text(name, town)}
        return {"id": f"{name}-{town}", "data": data, "annotations": [{"result": results(name, town)}]}

    return json.dumps(each(task))


def values(of: Callable[[str, str], list[dict[str, Any]]]) -> Callable[[str, str], list[Any]]:
    return lambda name, town: [{"value": value} for value in of(name, town)]


def asked(name: str, town: str) -> dict[str, Any]:
    return {"question": "Who went?", "text": text(name, town)}


def studio_table(name: str, town: str, **said: str) -> dict[str, object]:
    own = {"id": 1, "annotator": 1, "annotation_id": 1, "lead_time": 3.2, "created_at": "-", "updated_at": "-"}
    return {"text": text(name, town), **said, **own}


def spans(name: str, town: str, write: Callable[[int], object], **more: Any) -> list[dict[str, Any]]:
    return [{"start": write(a), "end": write(b), "label": label, **more} for a, b, label in marks(name, town)]


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


PLAIN = table(each(lambda name, town: {"text": text(name, town), "label": mood(name)}))
TWO_COLUMNS = "\n".join("".join(f"{w}\t{w.casefold()}\n" for w in text(*row).split()) for row in ROWS)
FEW_NERD = "\n".join(f"{n}\tperson-actor\nwent\tO\nto\tO\n{t}\tlocation-GPE\n" for n, t in ROWS)
PAIRS = each(lambda n, t: [text(n, t), {"entities": marks(n, t)}])
BYTES = "Zoë: "
TOKENS = "token-classification"
Case = tuple[str, str | bytes, str, tuple[str, ...]]


def case(name: str, content: str | bytes, said: str, *arguments: str) -> Case:
    return name, content, said, arguments


DECIDED: dict[str, Case] = {
    # Label Studio
    "marks in a page that is plain text": case("a.json", tasks(values(in_a_page)), "labels: PER 12, LOC 12"),
    "marks in a page": case(
        "a.json",
        tasks(values(in_a_page), lambda n, t: {"text": f"<p>{text(n, t)}</p>"}),
        "of its HTML what a page shows, as marks are counted in that",
    ),
    "marks in a page without global offsets": case(
        "a.json",
        tasks(values(lambda n, t: [{**e, "globalOffsets": None} for e in in_a_page(n, t)])),
        "export it with `globalOffsets`",
    ),
    "marks in a page, JSON-MIN": case(
        "a.json",
        json.dumps(each(lambda n, t: {"id": 1, "text": text(n, t), "who": in_a_page(n, t), "annotation_id": 1})),
        "(JSON-MIN); the text is `text`, the marks are `who`",
    ),
    "marks in a dialogue": case(
        "a.json",
        tasks(values(lambda n, t: [{"start": "0", "paragraphlabels": ["PER"]}]), lambda n, t: {"talk": [{"text": n}]}),
        "marks of a kind that is not read (paragraphlabels)",
    ),
    "CSV of marks": case(
        "a.csv",
        table(each(lambda n, t: studio_table(n, t, label=json.dumps(mark_values(n, t))))),
        "Label Studio's (CSV); the text is `text`, the marks are `label`",
    ),
    "CSV of marks with none in a row": case(
        "a.csv",
        table(each(lambda n, t: studio_table(n, t, label=json.dumps(mark_values(n, t)) if n != "Tom" else ""))),
        "In 4 rows without spans, accepted or submitted by somebody, nothing is marked",
    ),
    "CSV of choices": case(
        "a.csv",
        table(each(lambda n, t: studio_table(n, t, mood=mood(n)))),
        "Label Studio's (CSV); the label is what was chosen as `mood`",
    ),
    "marks and choices": case("a.json", tasks(lambda n, t: [*values(mark_values)(n, t), choice(mood(n))]), "--task"),
    "marks and choices, to classify": case(
        "a.json",
        tasks(lambda n, t: [*values(mark_values)(n, t), choice(mood(n))]),
        "single-label, 2 classes: bad, good",
        *("--task", "text-classification"),
    ),
    "marks and choices, to mark": case(
        "a.json",
        tasks(lambda n, t: [*(values(mark_values)(n, t) if n != "Tom" else []), choice(mood(n))]),
        "labels: PER 8, LOC 8",
        *("--task", TOKENS),
    ),
    "marks of a model": case(
        "a.json",
        json.dumps(
            each(lambda n, t: {"data": {"text": text(n, t)}, "predictions": [{"result": values(mark_values)(n, t)}]})
        ),
        "Only a model has labelled it, as `predictions`",
    ),
    "choices of a model": case(
        "a.json",
        json.dumps(
            each(
                lambda n, t: {
                    "data": {"text": text(n, t)},
                    "annotations": [],
                    "predictions": [{"result": [choice("good")]}],
                }
            )
        ),
        "Only a model has labelled it, as `predictions`",
    ),
    "answers of a model": case(
        "a.json",
        json.dumps(each(lambda n, t: {"data": asked(n, t), "predictions": [{"result": values(mark_values)(n, t)}]})),
        "Only a model has answered, as `predictions`",
    ),
    "answers and choices": case(
        "a.json",
        tasks(lambda n, t: [{"value": mark_values(n, t)[0]}, choice("clear")], asked),
        "Left out is what was said of the whole text (`mood`)",
    ),
    "answers of two labels": case(
        "a.json", tasks(values(mark_values), asked), "Marks as LOC, PER are all taken for answers"
    ),
    "a choice for an answer": case(
        "a.json", tasks(lambda n, t: [choice("yes")], asked), "There is no mark but a choice (mood: yes)"
    ),
    "a choice of no answer": case(
        "a.json", tasks(lambda n, t: [choice("no answer")], asked), "--no-answer 'no answer'"
    ),
    "a choice of no answer, said": case(
        "a.json",
        tasks(lambda n, t: [{"value": mark_values(n, t)[0]}] if n != "Tom" else [choice("no answer")], asked),
        "33.3% unanswerable",
        *("--no-answer", "no answer"),
    ),
    "answers that were typed": case(
        "a.json",
        tasks(lambda n, t: [{"type": "textarea", "value": {"text": [n]}}], asked),
        "The answers are those that people typed, looked for in the text",
    ),
    "answers in a page": case(
        "a.json",
        tasks(
            lambda n, t: [{"value": in_a_page(n, t)[0]}], lambda n, t: {**asked(n, t), "text": f"<b>{text(n, t)}</b>"}
        ),
        "Of a context in HTML what a page shows is read",
    ),
    "answers, JSON-MIN": case(
        "a.json",
        json.dumps(each(lambda n, t: {**asked(n, t), "who": mark_values(n, t)[:1], "annotation_id": 1})),
        "(JSON-MIN); the context is `text`, the answers are the marks in it",
    ),
    # nulls and first rows
    "null in ner_annotator's list": case(
        "a.json",
        json.dumps({"classes": ["PER"], "annotations": [None, *PAIRS]}),
        "The list has null in its place: nobody has marked it",
    ),
    "null among pairs": case("a.json", json.dumps([*PAIRS[:4], None, *PAIRS[4:]]), "rows are left out"),
    "null among entities": case(
        "a.json",
        json.dumps([*PAIRS, ["Ida sang", {"entities": [[0, 3, "PER"], None]}]]),
        "The span None has no start, end and label",
    ),
    "Prodigy, the first forty without spans": case(
        "a.jsonl",
        lines(
            [{"text": f"Nobody came {i} times", "answer": "accept"} for i in range(40)]
            + each(lambda n, t: {"text": text(n, t), "spans": spans(n, t, int), "answer": "accept"})
        ),
        "In 40 rows without spans, accepted or submitted by somebody, nothing is marked",
    ),
    "Prodigy, numbers for options": case(
        "a.jsonl",
        lines(
            each(
                lambda n, t: {
                    "text": text(n, t),
                    "answer": "accept",
                    "accept": [1 if mood(n) == "good" else 2],
                    "options": [{"id": 1, "text": "good"}, {"id": 2, "text": "bad"}],
                }
            )
        ),
        "by the texts of the `options`, as their ids are numbers, such as 1 for 'good'",
    ),
    "Prodigy, names for options": case(
        "a.jsonl",
        lines(
            each(
                lambda n, t: {
                    "text": text(n, t),
                    "answer": "accept",
                    "accept": [mood(n)],
                    "options": [{"id": "good", "text": "Good 👍"}, {"id": "bad", "text": "Bad"}],
                }
            )
        ),
        "by the ids of the `options`, such as good for 'Good 👍'",
    ),
    # offsets
    "offsets as text": case(
        "a.jsonl",
        lines(each(lambda n, t: {"text": text(n, t), "spans": spans(n, t, str)})),
        "Offsets that are written as text or with a decimal point are read as whole numbers",
    ),
    "offsets with a point": case(
        "a.jsonl",
        lines(each(lambda n, t: {"text": text(n, t), "label": [[float(a), float(b), e] for a, b, e in marks(n, t)]})),
        "labels: PER 12, LOC 12",
    ),
    "one end that is one short": case(
        "a.jsonl",
        lines(
            each(
                lambda n, t: {
                    "text": text(n, t),
                    "spans": [{**e, "end": e["end"] - 1, "text": text(n, t)[e["start"] : e["end"]]}]
                    if (e := spans(n, t, int)[1])
                    else [],
                }
            )
        ),
        "its text begins there, and its end is another than it says",
    ),
    "bytes without a text": case(
        "a.jsonl",
        lines(
            each(
                lambda n, t: {
                    "text": BYTES + text(n, t),
                    "spans": spans(n, t, lambda place: place + len(BYTES.encode())),
                }
            )
        ),
        "Counted in UTF-8 bytes it is 'Ida': if that is meant, give each span its `text`",
    ),
    "two repairs in a row": case(
        "a.jsonl",
        lines(each(lambda n, t: {"text": text(n, t), "spans": [{**e, "end": e["end"] - 1} for e in spans(n, t, int)]})),
        "12 of 12: span widened (24 times)",
    ),
    "an answer without an offset in several places": case(
        "a.jsonl",
        lines(
            each(lambda n, t: {"question": "Who went?", "context": f"Tom saw tom. {text(n, t)}", "answer_text": "tOM"})
        ),
        "The answer 'tOM' has no offset and occurs several times",
    ),
    "an answer at another offset in several places": case(
        "a.jsonl",
        lines(
            each(
                lambda n, t: {
                    "question": "Who went?",
                    "context": f"a Tom, a Tom: {text(n, t)}",
                    "answer_text": "a Tom",
                    "answer_start": 90,
                }
            )
        ),
        "is not at its offset, 90, and occurs several times",
    ),
    # tables and cells
    "commas in a TSV": case("a.tsv", PLAIN, "No line has a tab; ',' parts the fields of each"),
    "sep=; in the first line": case(
        "a.csv", f"sep=;\n{PLAIN.replace(',', ';')}", "The first line says that ';' parts the fields"
    ),
    "sep= in quotation marks": case("a.csv", f'\ufeff"sep=,"\r\n{PLAIN}', "The first line says that ',' parts"),
    "sentences and tags in cells": case(
        "a.csv",
        table(each(lambda n, t: {"text": text(n, t), "tags": " ".join(TAGS)})),
        "Sentences in a cell are parted at blanks into words",
    ),
    "tokens and tags in cells": case(
        "a.csv", table(each(lambda n, t: {"tokens": text(n, t), "tags": " ".join(TAGS)})), "labels: PER 12, LOC 12"
    ),
    "a list of tags in a cell": case(
        "a.csv", table(each(lambda n, t: {"text": text(n, t), "tags": str(TAGS)})), "labels: PER 12, LOC 12"
    ),
    "sentences under other names": case(
        "a.csv",
        table(each(lambda n, t: {"sentence": text(n, t), "word_labels": ",".join(TAGS)})),
        "A sentence in a cell and its tags in another: --columns text=NAME,tags=NAME",
    ),
    "sentences under other names, said": case(
        "a.csv",
        table(each(lambda n, t: {"sentence": text(n, t), "word_labels": ",".join(TAGS)})),
        "labels: PER 12, LOC 12",
        *("--columns", "text=sentence,tags=word_labels"),
    ),
    "more words than tags": case(
        "a.csv",
        table(each(lambda n, t: {"text": f"{text(n, t)} again", "tags": " ".join(TAGS)})),
        "There are 6 tokens and 5 tags (the sentence is parted at blanks)",
    ),
    "tags called labels": case(
        "a.csv",
        table(each(lambda n, t: {"text": text(n, t), "labels": " ".join(TAGS)})),
        "--task token-classification --columns text=text,tags=labels",
    ),
    "a list of tags called labels": case(
        "a.jsonl", lines(each(lambda n, t: {"text": text(n, t), "labels": TAGS})), "12 of 12 texts are a tag for each"
    ),
    # files in columns
    "words and lemmas": case("a.conll", TWO_COLUMNS, "Column 2 has the words again or forms of them, as lemmas are"),
    "Few-NERD": case("train.txt", FEW_NERD, "train.txt looks like words with a tag each, as CoNLL has them"),
    "Few-NERD called .tsv": case("train.tsv", FEW_NERD, "--no-header --columns word=1,tag=2, or call it train.conll"),
    "WikiANN": case(
        "a.conll",
        "\n".join(f"en:{n}\tB-PER\nen:went\tO\nen:to\tO\nen:{t}\tB-LOC\n" for n, t in ROWS),
        "Before every word stands 'en:', which is left out",
    ),
    # what is no text
    "a workbook": case("a.xlsx", zipped("xl/workbook.xml"), "The file is an Excel workbook, not text."),
    "a workbook called .csv": case("a.csv", zipped("xl/workbook.xml"), "save the sheet as CSV"),
    "an archive": case("a.zip", zipped("a.jsonl"), "The file is a ZIP archive. where"),
    "an archive called .json": case("a.json", zipped("a.jsonl"), "unpack it (unzip)"),
    "an archive called .gz": case("a.jsonl.gz", zipped("a.jsonl"), "The file is a ZIP archive."),
    "bzip2": case("a.csv.bz2", bz2.compress(PLAIN.encode()), "The file is packed by bzip2."),
    "bzip2 called .csv": case("a.csv", bz2.compress(PLAIN.encode()), "unpack it (bunzip2)"),
    "xz": case("a.csv.xz", lzma.compress(PLAIN.encode()), "The file is packed by xz."),
    "xz called .conll": case("a.conll", lzma.compress(PLAIN.encode()), "The file is packed by xz."),
    "RAR": case("a.rar", b"Rar!\x1a\x07\x01\x00", "The file is a RAR archive."),
    "a document": case("a.docx", zipped("word/document.xml"), "The docx file cannot be read"),
    "a web page called .csv": case(
        "a.csv", "<!DOCTYPE html>\n<html>Sign in</html>", "The file is a web page, not data"
    ),
    "a pointer": case("a.json", "version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "git lfs pull"),
    "fastText": case("a.txt", f"__label__good {text(*ROWS[0])}\n" * 9, "The file is fastText's training data"),
    "GATE's XML": case("a.xml", "<?xml version='1.0'?>\n<GateDocument/>", "The file is XML, which is not read"),
    "tagtog": case("ann.json", json.dumps({"annotatable": {}, "entities": []}), "it looks like tagtog's ann.json"),
}
"""What was misread or not told → the file's name, what is in it, what `check` says of it, and its arguments."""


@pytest.mark.parametrize("name", DECIDED)
def test_check_names_what_it_decided(run: Run, model: Path, tmp_path: Path, name: str) -> None:
    file, content, said, arguments = DECIDED[name]
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, told = run("check", path, "--model", model, "--threads", "1", *arguments)
    assert said in told
    assert "Traceback" not in told
    assert "\\x" not in told  # no bytes shown
    assert status in ((0, 1) if "findings by kind" in told else (1, 2))


def test_what_the_datasets_library_writes_beside_data_stops_nothing(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(PLAIN, encoding="utf-8")
    for name in ("dataset_info.json", "state.json", "dataset_dict.json"):
        (tmp_path / name).write_text('{\n  "features": {}\n}', encoding="utf-8")
    _, told = run("check", tmp_path, "--model", model, "--threads", "1")
    assert "12 examples, 0 rows left out" in told
    assert "files in a data directory that are no data files" in told
    assert "call it state.json" not in told


def test_a_saved_data_set_is_told_to_be_written_as_parquet(run: Run, model: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "several" / "train"):
        folder.mkdir(parents=True)
        (folder / "data-00000-of-00001.arrow").write_bytes(b"\xff\xff\xff\xff\x10")
        (folder / "state.json").write_text("{}", encoding="utf-8")
    for folder in (tmp_path / "one", tmp_path / "several"):
        status, told = run("check", folder, "--model", model, "--threads", "1")
        assert "an Arrow file" in told
        assert "to_parquet" in told
        assert status == 1


def test_a_decision_on_many_files_is_told_once(run: Run, model: Path, tmp_path: Path) -> None:
    """Of brat's folders, which have a file for each text, and whose first may have no marks."""
    for number, row in enumerate(ROWS):
        (tmp_path / f"{number:02}.txt").write_text(text(*row), encoding="utf-8")
        found = [f"T{i}\t{label} {a} {b}\t{text(*row)[a:b]}\n" for i, (a, b, label) in enumerate(marks(*row))]
        (tmp_path / f"{number:02}.ann").write_text("".join(found if number else []), encoding="utf-8")
    _, told = run("check", tmp_path, "--model", model, "--threads", "1")
    assert told.count("Brat: the text beside the marks is one row") == 1
    assert "00.ann and 11 more files: Brat" in told
    assert "labels: PER 11, LOC 11" in told


def test_the_first_of_several_files_need_not_tell(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines([{"text": "Nobody came", "answer": "ignore"}]), encoding="utf-8")
    rows = each(lambda n, t: {"text": text(n, t), "spans": spans(n, t, int), "answer": "accept"})
    (tmp_path / "b.jsonl").write_text(lines(rows), encoding="utf-8")
    _, told = run("check", tmp_path, "--model", model, "--threads", "1")
    assert "labels: PER 12, LOC 12" in told


def test_folders_of_texts_that_may_be_classes_are_told(tmp_path: Path, check: Run) -> None:
    for name in ("glad", "sad"):
        (tmp_path / "moods" / name).mkdir(parents=True)
        (tmp_path / "moods" / name / "1.txt").write_text(f"We were {name} all day.")
    said = check(tmp_path / "moods")
    assert "2 documents" in said
    assert "[folders_like_classes]" in said
    assert "moods.csv" in said
    refused = check(tmp_path / "moods", "--task", "text-classification")
    assert "2 folders with texts (glad, sad)" in refused
    assert "documents" not in refused
