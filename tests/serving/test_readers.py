"""What each kind of file says."""

from __future__ import annotations

import io
import zipfile

import pytest

pytest.importorskip("bs4", reason="needs the extra `serve`")
pytest.importorskip("markdown_it", reason="needs the extra `serve`")

from distiltune.errors import DataError
from distiltune.serving import readers
from distiltune.serving.readers import KIND_OF_ENDING, KINDS, FileKind, read_file, without_running_lines
from tests.serving.test_files_to_text import pdf_of


def text(content: str | bytes, kind: FileKind) -> str:
    return read_file(content.encode() if isinstance(content, str) else content, kind).text


def zipped(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_cells_are_apart() -> None:
    page = (
        "<table><caption>Hours</caption><tr><th>Day</th><th>Opens</th></tr><tr><td>Monday</td><td>nine</td></tr></table>"
        "<p>After</p>"
    )
    assert text(page, "html").split("\n\n") == ["Hours", "Day | Opens", "Monday | nine", "After"]


@pytest.mark.parametrize(
    "page",
    [
        "<dl><dt>One</dt><dd>two</dd></dl>",
        "<select><option>One</option><option>two</option></select>",
        "<label>One</label><label>two</label>",
        "<button>One</button><button>two</button>",
        "<p>One</p>two",
        "One<br>two",
        "<one-of-its-own>One</one-of-its-own>two",
        "<ul><li>One<li>two</ul>",
    ],
    ids=lambda page: page[1 : page.index(">")] if page.startswith("<") else "br",
)
def test_what_stands_apart_is_apart(page: str) -> None:
    assert text(page, "html").split("\n\n") == ["One", "two"]


def test_words_with_marks_in_them_stay_whole() -> None:
    assert text("<p>H<sub>2</sub>O is <b>w</b>a<i>t</i>er, <a href=x>see</a><wbr>there</p>", "html") == (
        "H2O is water, seethere"
    )


def test_titles_navigation_footers_and_scripts_are_no_text() -> None:
    page = (
        "<html><head><title>T</title><style>s</style></head><body><nav><a>Home</a></nav><script>x()</script>"
        "<main>Said</main><noscript>n</noscript><template>t</template><svg><text>v</text></svg><footer>F</footer>"
    )
    assert text(page, "html") == "Said"


def test_a_table_in_a_table_and_empty_cells() -> None:
    page = "<table><tr><td></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>"
    assert [part for part in text(page, "html").split("\n\n") if part] == ["a | b"]


def test_the_encoding_that_a_page_names() -> None:
    assert text("<meta charset=windows-1251><p>Привет".encode("windows-1251"), "html") == "Привет"


def test_markdown_is_rendered() -> None:
    written = (
        "---\ntitle: Rules\n---\n# Lease\n\nSigned by **the [treasurer](https://x.example)**\nin `ink`.\n\n"
        "| Day | Opens |\n|---|---|\n| Monday | nine |\n\n- one\n- two\n\n```\ncode\n```\n<nav>menu</nav>\n"
    )
    assert text(written, "markdown").split("\n\n") == [
        *("Lease", "Signed by the treasurer in ink.", "Day | Opens", "Monday | nine", "one", "two", "code")
    ]


def test_csv_is_a_line_a_row() -> None:
    assert text('day;opens\nMonday;"at\nnine"\n\n', "csv") == "day | opens\nMonday | at nine"
    assert text("day\topens\nMonday\tnine, sharp\n", "csv") == "day | opens\nMonday | nine, sharp"


def test_json_is_a_line_a_value() -> None:
    assert text('{"a": {"b": ["x", 2, true, null]}, "c": "y"}', "json") == "a.b: x\na.b: 2\na.b: true\nc: y"
    assert text('{"a": 1}\n{"a": 2}\n', "json") == "a: 1\n\na: 2"
    with pytest.raises(DataError, match=r"no JSON: .*line 2"):
        text('{"a":\n oops}', "json")


def test_windows_1252_with_a_note() -> None:
    found = read_file("“Käse” – 5 €".encode("windows-1252"), "text")
    assert found.text == "“Käse” – 5 €"
    assert "Windows-1252" in found.notes[0]
    assert read_file("“Käse”".encode(), "text").notes == ()


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def test_docx() -> None:
    body = (
        f"<w:document {WORD}><w:body><w:p><w:r><w:t>The le</w:t></w:r><w:r><w:t>ase</w:t><w:tab/><w:t>ends</w:t></w:r>"
        "<w:del><w:r><w:delText>never</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Monday</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>nine</w:t></w:r></w:p>"
        "</w:tc></w:tr></w:tbl><w:sdt><w:sdtContent><w:p><w:r><w:t>Field</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "</w:body></w:document>"
    )
    notes = f"<w:footnotes {WORD}><w:footnote><w:p><w:r><w:t>See there.</w:t></w:r></w:p></w:footnote></w:footnotes>"
    content = zipped(**{"word/document.xml": body, "word/footnotes.xml": notes, "word/header1.xml": "no"})
    assert text(content, "docx").split("\n\n") == ["The lease ends", "Monday | nine", "Field", "See there."]


def test_epub_in_the_order_of_its_spine() -> None:
    content = zipped(
        **{
            "META-INF/container.xml": '<c xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></c>',
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
            '<item id="a" href="one%20a.xhtml"/><item id="b" href="two.xhtml"/></manifest>'
            '<spine><itemref idref="b"/><itemref idref="a"/></spine></package>',
            "OPS/one a.xhtml": "<html><head><title>T</title></head><body><p>Second.</p></body></html>",
            "OPS/two.xhtml": "<html><body><p>First.</p></body></html>",
        }
    )
    assert text(content, "epub") == "First.\n\nSecond."


def test_an_epub_that_is_protected_says_so() -> None:
    with pytest.raises(DataError, match="protected against copying"):
        text(zipped(**{"META-INF/rights.xml": "<r/>"}), "epub")


def pages_of(*texts: str) -> bytes:
    pypdf = pytest.importorskip("pypdf", reason="needs the extra `serve`")
    writer = pypdf.PdfWriter()
    for each in texts:
        writer.append(io.BytesIO(pdf_of(each)))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_tells_where_its_pages_begin_and_which_are_pictures() -> None:
    found = read_file(pages_of("One.", "", "Three \\(3\\)."), "pdf")
    assert [found.text[start:].split("\n")[0] for start in found.pages] == ["One.", "", "Three (3)."]
    assert len(found.pages) == 3
    assert found.notes == ("1 of its 3 pages hold no text, only pictures perhaps.",)


def test_running_lines_are_left_out() -> None:
    said = [f"Text of {letter}\nmore {letter}" for letter in "abcdefgh"]
    pages = [f"Annual report {2_000 + i}\n{text}\nPage {i + 1} of 8" for i, text in enumerate(said)]
    left, running = without_running_lines(pages)
    assert left == said
    assert running == ["Annual report 2000", "Page 1 of 8"]


def test_lines_that_few_pages_share_or_that_stand_in_the_middle_stay() -> None:
    pages = ["Same\na\nb\nc\nd", "Same\ne\nf\ng\nh", "x\ny\nSame\nz\nw"]
    assert without_running_lines(pages) == (pages, [])
    only = ["Draft"] * 5
    assert without_running_lines(only) == (only, [])


def test_a_text_that_is_far_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_CHARACTERS", 10)
    with pytest.raises(DataError, match="over 10 characters"):
        text("word " * 3, "text")


def test_what_unpacks_to_far_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_MAX_PART_BYTES", 10)
    with pytest.raises(DataError, match="unpacks to over"):
        text(zipped(**{"word/document.xml": " " * 100}), "docx")


def test_every_kind_has_an_ending() -> None:
    assert set(KIND_OF_ENDING.values()) == set(KINDS)
