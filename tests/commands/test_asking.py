"""Documents in files, folders and patterns, for `ask`, `predict` and `check`; questions that are files."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import distiltune
from distiltune import cli
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.document_files import document_sources, find_documents, read_documents
from tests.helpers import TINY, people, pipe_of, write_tiny_model

Run = Callable[..., int]

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
ADA = "ada eats figs . ada drives a van ."


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as leave:
            return int(leave.code or 0)
        return 0

    return call


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = replace(TINY, vocab_size=people().tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", people().tokenizer, config)


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents of every kind, one of them below, and what is none."""
    pytest.importorskip("bs4")
    pytest.importorskip("pypdf")
    folder = tmp_path / "docs"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "a.txt").write_text(ADA)
    (folder / "b.md").write_text("# People\n\nben *fears* bats .\n")
    (folder / "c.html").write_text("<script>no</script><p>cara likes chess .</p>")
    (folder / "below" / "d.PDF").write_bytes(pdf("dan plays drums ."))
    with zipfile.ZipFile(folder / "e.docx", "w") as packed:
        text = "<w:p><w:r><w:t>eve grows figs .</w:t></w:r></w:p>"
        packed.writestr("word/document.xml", f'<w:document xmlns:w="{_WORD}"><w:body>{text}</w:body></w:document>')
    (folder / "f.png").write_bytes(b"\x89PNG")
    (folder / ".hidden" / "g.txt").write_text("hidden")
    monkeypatch.chdir(tmp_path)
    return folder


def pdf(text: str) -> bytes:
    """A PDF of one page and one line."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
    ]
    body, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    tail = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{tail}".encode()


TEXTS = {
    "docs/a.txt": ADA,
    "docs/b.md": "People\n\nben fears bats .",
    "docs/below/d.PDF": "dan plays drums .",
    "docs/c.html": "cara likes chess .",
    "docs/e.docx": "eve grows figs .",
}


@pytest.mark.parametrize("named", ["docs", "docs/**/*.[a-z]*", "./docs"])
def test_a_folder_and_a_pattern_stand_for_the_documents_in_them(docs: Path, named: str) -> None:
    found = find_documents([named])
    read = read_documents([name for name in found.files if not name.endswith(".png")])
    assert {Path(each.name).as_posix(): (each.text or "").strip() for each in read if each.name.endswith("PDF")} == {
        "docs/below/d.PDF": "dan plays drums ."
    } or named.endswith("*")
    texts = {Path(each.name).as_posix(): (each.text or "").strip() for each in read}
    assert texts == {name: text for name, text in TEXTS.items() if name in texts}
    assert {"docs/a.txt", "docs/c.html"} <= texts.keys()


def test_what_is_no_document_is_told(docs: Path) -> None:
    found = find_documents(["docs", "docs/a.txt"])
    assert [Path(name).as_posix() for name in found.files] == sorted(TEXTS)
    assert found.passed_over == (str(Path("docs/f.png")),)
    assert found.notes == ("passed over in folders, since they are no documents: 1 (docs/f.png)",)


def test_ask_reads_documents_of_every_kind(
    run: Run, capsys: pytest.CaptureFixture[str], docs: Path, people_model: Path
) -> None:
    assert run("ask", people_model, "--document", "docs", "what eats ada", "--json", "--threads", "1") == 0
    said = capsys.readouterr()
    assert "passed over in folders" in said.err
    (reply,) = json.loads(said.out)
    places = [place for each in reply["candidates"] for place in (each, *each["other_places"])]
    assert {place["document_name"] for place in places} <= set(TEXTS)
    assert reply["can_decline"] is False
    for each in reply["candidates"]:
        text = TEXTS[each["document_name"]]
        assert each["text"] in text


def test_a_single_document_of_a_folder_is_named(
    run: Run, capsys: pytest.CaptureFixture[str], docs: Path, people_model: Path
) -> None:
    assert run("ask", "--model", people_model, "--data", "docs/*.html", "what likes cara", "--threads", "1") == 0
    said = capsys.readouterr()
    assert "docs/c.html: line 1" in said.out
    assert said.err.count("gives an answer to every question") == 1
    assert run("ask", people_model, "--text", ADA, "what eats ada", "--null-threshold", "0", "--threads", "1") == 0
    assert "every question" not in capsys.readouterr().err


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_pipes_are_read_once(run: Run, capsys: pytest.CaptureFixture[str], people_model: Path, seconds: float) -> None:
    """As a shell names them: ``--document <(command) --questions-file <(command)``."""
    asked = ("--model", people_model, "--threads", "1", "--json")
    assert run("ask", *asked, "--text", ADA, "what eats ada", "what drives ada") == 0
    plain = json.loads(capsys.readouterr().out)
    with pipe_of(ADA.encode(), seconds) as text, pipe_of(b"what eats ada\nwhat drives ada\n", seconds) as questions:
        assert run("ask", *asked, "--document", text, "--questions-file", questions) == 0
    assert json.loads(capsys.readouterr().out) == plain


def test_ask_takes_a_precision(run: Run, capsys: pytest.CaptureFixture[str], people_model: Path) -> None:
    asked = ("ask", people_model, "--text", ADA, "what eats ada", "--threads", "1", "--precision")
    assert run(*asked, "int8") == 0
    assert "confidence" in capsys.readouterr().out
    assert run(*asked, "int4") == 2


def test_a_question_that_is_a_file_is_a_warning(
    run: Run, capsys: pytest.CaptureFixture[str], docs: Path, people_model: Path
) -> None:
    """As a shell makes of ``--document docs/*``."""
    asked = ("--document", "docs/a.txt", "docs/b.md", "docs/c.html", "what eats ada")
    assert run("ask", *asked, "--model", people_model, "--threads", "1") == 0
    said = capsys.readouterr()
    assert said.err.startswith(
        "warning: 2 of the questions are files (docs/b.md, docs/c.html), asked as they stand; several documents: "
        "--document docs, or the pattern in quotation marks: --document 'docs/*.md'\n"
    )
    assert said.out.count("confidence ") == 3


def test_a_document_that_cannot_be_read_is_told_and_the_others_are_asked(
    run: Run, capsys: pytest.CaptureFixture[str], docs: Path, people_model: Path
) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (docs / "empty.md").write_text(" \n")
    assert run("ask", people_model, "--document", docs, "what eats ada", "--threads", "1") == 0
    said = capsys.readouterr().err
    assert f"warning: not read: {docs / 'broken.pdf'}: " in said
    assert f"warning: there is no text in {docs / 'empty.md'}" in said
    for name in ("broken.pdf", "empty.md"):
        assert run("ask", people_model, "--document", docs / name, "what eats ada") == 1, "what was named must be read"
        assert name in capsys.readouterr().err


def test_check_says_which_documents_are_worth_nothing(run: Run, capsys: pytest.CaptureFixture[str], docs: Path) -> None:
    assert run("check", "docs") == 0
    assert "5 documents, 109 characters" in capsys.readouterr().out
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (docs / "again.txt").write_text(f"{ADA}\n")
    (docs / "empty.md").write_text(" \n")
    assert run("check", "--data", "docs", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    kinds = {each["kind"]: each["examples"][0]["id"] for each in found["concerns"] if each["examples"]}
    assert kinds == {
        "document_unreadable": "docs/broken.pdf",
        "document_empty": "docs/empty.md",
        "document_repeated": "docs/again.txt",
    }
    with pytest.raises(RecipeError, match="no rows to compare or to mend"):
        distiltune.check("docs", against="docs")


def test_predict_classifies_documents(
    run: Run, capsys: pytest.CaptureFixture[str], docs: Path, base: Path, tmp_path: Path
) -> None:
    rows = [{"text": f"{word} eats figs", "label": word} for _ in range(8) for word in ("ada", "ben")]
    distiltune.fine_tune(
        train=rows,
        validation=rows,
        model=str(base),
        output=tmp_path / "run",
        epochs=1,
        max_length=32,
        stride=8,
        threads=1,
    )
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    assert run("predict", tmp_path / "run", "docs", "--output", tmp_path / "out", "--threads", "1", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"] == ["docs"]
    assert result["n_examples"] == 5
    assert [each["id"] for each in result["rejected"]] == ["docs/broken.pdf"]
    assert any(note.startswith("not read: docs/broken.pdf") for note in result["notes"])
    lines = [json.loads(line) for line in Path(result["written"][0]).read_text().splitlines()]
    labels = {line["id"]: line["label"] for line in lines}
    assert labels.pop("docs/broken.pdf") is None
    assert sorted(labels) == sorted(TEXTS)
    assert set(labels.values()) <= {"ada", "ben"}
    again = distiltune.predict(tmp_path / "run", "docs/*.txt", tmp_path / "again", threads=1)
    assert again.n_examples == 1


def test_data_files_are_data_and_not_documents(docs: Path) -> None:
    (docs / "rows.jsonl").write_text('{"text": "a"}\n')
    assert document_sources(["docs/rows.jsonl"]) is None
    assert document_sources(["docs"]) is None, "a README beside data makes no documents of it"
    assert document_sources(["starter"]) is None
    (docs / "tagged.txt").write_text("Ada B-PER\neats O\n\nBen B-PER\n" * 3)
    assert document_sources(["docs/tagged.txt"]) is None, "words with tags that are only called so"
    (docs / "table.txt").write_text("text,label\nI am glad,joy\n" * 3)
    assert document_sources(["docs/table.txt"]) is None
    (docs / "prose.txt").write_text("It is signed, in ink.\n\nRent is due, at noon.\n")
    assert document_sources(["docs/prose.txt"]) == ["docs/prose.txt"], "two sentences with a comma are no table"
    assert document_sources(["docs/a.txt", "docs/*.html"]) == ["docs/a.txt", "docs/*.html"]
    with pytest.raises(DataError, match="Some of this is documents"):
        document_sources(["docs/a.txt", "docs/rows.jsonl"])


def test_a_pattern_stands_for_data_files_too(docs: Path, base: Path) -> None:
    for number in range(2):
        rows = ({"text": f"ada eats figs {number} {i}", "label": ("x", "y")[i % 2]} for i in range(8))
        (docs / f"part-{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = distiltune.check("docs/part-*.jsonl", model=str(base))
    assert found.values["n_rows"] == 16
