"""What each kind of file says, as plain text: HTML by Beautiful Soup, Markdown by markdown-it, PDF by pypdf.

Word's and EPUB's files are zipped XML, which the standard library reads. Whoever calls these functions bounds their
memory and their time.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import unquote
from xml.etree import ElementTree

from distiltune.data.file_form import WINDOWS_1252
from distiltune.errors import DataError

if TYPE_CHECKING:
    from bs4 import Tag

FileKind = Literal["text", "markdown", "html", "pdf", "docx", "epub", "csv", "json"]
KINDS: Final[tuple[FileKind, ...]] = get_args(FileKind)

KIND_OF_ENDING: Final[Mapping[str, FileKind]] = {
    **dict.fromkeys((".txt", ".text", ".log", ".rst"), "text"),
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".json", ".jsonl"), "json"),
    ".pdf": "pdf",
    ".docx": "docx",
    ".epub": "epub",
}
"""Ending of a file's name → its kind."""

MAX_CHARACTERS: Final = 20_000_000
"""A small file can unpack to a huge text."""

_MAX_PART_BYTES: Final = 200_000_000  # of what is zipped
_CELLS: Final = " | "
_NOT_TEXT: Final = ("head", "script", "style", "noscript", "template", "svg", "nav", "footer")
_INLINE: Final = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "mark",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
"""Elements that part no words; all others do, those too that are not known yet."""

_EDGE_LINES: Final = 2  # at the top and the bottom of a page, which may be running ones
_RUNNING_PAGES, _RUNNING_SHARE = 3, 0.3  # a line at the edge of so many pages is one; even and odd ones may differ
_WORD: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@dataclass(frozen=True, slots=True)
class FileText:
    """The text of a file.

    Attributes:
        text: what it says.
        pages: the code point that each page begins at, from 0; empty if it has none.
        notes: what was left out or guessed, in sentences.

    """

    text: str
    pages: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def read_file(content: bytes, kind: FileKind) -> FileText:
    """The text of a file of that kind.

    Raises:
        DataError: if it cannot be read as such, saying why, or holds no text or far too much.

    """
    found = _READERS[kind](content)
    if len(found.text) > MAX_CHARACTERS:
        raise DataError(f"It holds over {MAX_CHARACTERS:,} characters.", fix="split it into several files")
    return found


def decode_text(content: bytes) -> FileText:
    """Text in UTF-8, in UTF-16 with a byte order mark, or else, with a note, in Windows-1252.

    Raises:
        DataError: if it is none of these.

    """
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return FileText(content.decode("utf-16" if is_utf16 else "utf-8-sig"))
    except UnicodeDecodeError as error:
        try:
            if is_utf16 or b"\0" in content:
                raise error
            text = content.decode(WINDOWS_1252)
        except UnicodeDecodeError:
            raise DataError(
                f"The text is not UTF-8: byte {error.start} does not fit.", fix="save it as UTF-8, or paste its text"
            ) from error
    return FileText(
        text, notes=("It is not UTF-8, so it was read as Windows-1252: look whether its letters are right.",)
    )


def html_to_text(content: bytes | str) -> str:
    """What a person reads on a page: blocks on lines of their own, cells of a table apart; no navigation, no footer."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup(content, "html.parser")
    for tag in page.find_all(_NOT_TEXT):
        tag.decompose()
    for tag in page.find_all(True):
        _part(tag)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", page.get_text()))
    bare = (re.sub(r"^(\| ?)+|( ?\|)+$", "", part) for part in paragraphs)
    return "\n\n".join(part for part in bare if part)


def _part(tag: Tag) -> None:
    """Part what stands in an element from what stands beside it."""
    if tag.name == "br":
        tag.replace_with("\n\n")
    elif tag.name in ("td", "th"):
        tag.insert_before(_CELLS)
        tag.insert_after(_CELLS if tag.find_next_sibling(["td", "th"]) is None else "")
    elif tag.name not in _INLINE:
        tag.insert_before("\n\n")
        tag.append("\n\n")


def _html(content: bytes) -> FileText:
    return FileText(html_to_text(content))


def _markdown(content: bytes) -> FileText:
    from markdown_it import MarkdownIt

    found = decode_text(content)
    body = re.sub(r"\A---\r?\n.*?\r?\n(---|\.\.\.)\r?\n", "", found.text, flags=re.DOTALL)  # what some tools put before
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(body)
    return FileText(html_to_text(rendered), notes=found.notes)


def _csv(content: bytes) -> FileText:
    """A row a line, its cells apart."""
    found = decode_text(content)
    first = found.text[:10_000]
    separator = max(",;\t", key=first.count)
    csv.field_size_limit(MAX_CHARACTERS)
    rows = csv.reader(io.StringIO(found.text, newline=""), delimiter=separator)
    lines = (_CELLS.join(" ".join(cell.split()) for cell in row) for row in rows if row)
    return FileText("\n".join(lines), notes=found.notes)


def _json(content: bytes) -> FileText:
    """A value a line, after the names that lead to it; also of JSON lines.

    Raises:
        DataError: if it is no JSON.

    """
    found = decode_text(content)
    try:
        values = [json.loads(found.text)]
    except json.JSONDecodeError as error:
        try:
            values = [json.loads(line) for line in found.text.splitlines() if line.strip()]
        except json.JSONDecodeError:
            raise DataError(f"It is no JSON: {error.msg}, line {error.lineno}.", fix="mend it, or paste it") from error
    blocks = ("\n".join(_lines_of(value, "")) for value in values)
    return FileText("\n\n".join(blocks), notes=found.notes)


def _lines_of(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _lines_of(each, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _lines_of(each, path)
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"{path}: {text}" if path else text


def _pdf(content: bytes) -> FileText:
    """The text of a PDF page by page, in the order that it is drawn in, which keeps columns together.

    Raises:
        DataError: if it has no text, as a scanned one has none, or needs a password.

    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    reader = PdfReader(io.BytesIO(content))
    try:
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError("It needs a password.", fix="open it with its password, and save it without one")
        pages = [page.extract_text().strip() for page in reader.pages]
    except DependencyError as error:
        raise DataError("It is protected by encryption.", fix="open it, and print it into a new PDF file") from error
    pages, running = without_running_lines(pages)
    text = "\n\n".join(pages)
    if not text.strip():
        raise DataError(
            "It holds no text, only pictures perhaps, as a scan does.",
            fix="have its letters recognised first (OCR), such as with ocrmypdf, and open the file that comes of it",
        )
    notes = []
    if running:
        shown = "; ".join(f"“{line}”" for line in running[:3])
        notes.append(f"Lines that run along the tops or bottoms of its pages were left out: {shown}.")
    if n_empty := sum(not page for page in pages):
        notes.append(f"{n_empty} of its {len(pages)} pages hold no text, only pictures perhaps.")
    starts = [0]
    for page in pages[:-1]:
        starts.append(starts[-1] + len(page) + 2)
    return FileText(text, tuple(starts), tuple(notes))


def without_running_lines(pages: Sequence[str]) -> tuple[list[str], list[str]]:
    """The pages without headers and footers, and one of each kind of these: edge lines that many pages share.

    Numbers in them may differ. Pages that nothing else is on keep what they have.
    """
    edges = [_edges(page.splitlines()) for page in pages]
    counts = Counter(
        _likeness(line) for found in edges for line in {_likeness(each): each for _, each in found}.values()
    )
    least = max(_RUNNING_PAGES, _RUNNING_SHARE * len(pages))
    running: dict[str, str] = {}
    left = []
    for page, found in zip(pages, edges, strict=True):
        lines = page.splitlines()
        gone = {number: line for number, line in found if counts[_likeness(line)] >= least}
        kept = [line for number, line in enumerate(lines) if number not in gone]
        if not any(line.strip() for line in kept):
            left.append(page)
            continue
        running = {_likeness(line): line.strip() for line in gone.values()} | running
        left.append("\n".join(kept).strip())
    return left, list(running.values())


def _edges(lines: Sequence[str]) -> list[tuple[int, str]]:
    """The first and the last lines that are not blank, with their numbers."""
    full = [(number, line) for number, line in enumerate(lines) if line.strip()]
    return [*full[:_EDGE_LINES], *full[max(_EDGE_LINES, len(full) - _EDGE_LINES) :]]


def _likeness(line: str) -> str:
    return re.sub(r"\d+", "#", " ".join(line.split()))


def _docx(content: bytes) -> FileText:
    """Paragraphs, the rows of tables, and notes; neither headers, footers nor what was struck out."""
    with _unzipped(content) as archive:
        names = [name for name in ("footnotes", "endnotes") if f"word/{name}.xml" in archive.namelist()]
        parts = [_xml(archive, f"word/{name}.xml") for name in ("document", *names)]
    blocks = chain.from_iterable(_word_blocks(part[0] if i == 0 else part) for i, part in enumerate(parts) if len(part))
    return FileText("\n\n".join(block for block in blocks if block.strip()))


def _word_blocks(parent: ElementTree.Element) -> Iterator[str]:
    for child in parent:
        if child.tag == f"{_WORD}p":
            yield _word_text(child)
        elif child.tag == f"{_WORD}tbl":
            for row in child.iter(f"{_WORD}tr"):
                yield _CELLS.join(" ".join(" ".join(_word_blocks(cell)).split()) for cell in row.iter(f"{_WORD}tc"))
        else:
            yield from _word_blocks(child)


def _word_text(paragraph: ElementTree.Element) -> str:
    signs = {f"{_WORD}tab": " ", f"{_WORD}br": "\n", f"{_WORD}cr": "\n", f"{_WORD}noBreakHyphen": "-"}
    return "".join(
        (part.text or "") if part.tag == f"{_WORD}t" else signs.get(part.tag, "") for part in paragraph.iter()
    ).strip()


def _epub(content: bytes) -> FileText:
    """The chapters of a book in their order.

    Raises:
        DataError: if it is protected against copying.

    """
    with _unzipped(content) as archive:
        if "META-INF/rights.xml" in archive.namelist():
            raise DataError("It is protected against copying.", fix="open a copy without protection")
        container = _xml(archive, "META-INF/container.xml")
        root = next(each for each in container.iter() if each.tag.endswith("}rootfile")).attrib["full-path"]
        package = _xml(archive, root)
        items = {each.attrib["id"]: each.attrib["href"] for each in package.iter() if each.tag.endswith("}item")}
        order = [each.attrib["idref"] for each in package.iter() if each.tag.endswith("}itemref")]
        folder = posixpath.dirname(root)
        paths = [posixpath.normpath(posixpath.join(folder, unquote(items[each]))) for each in order if each in items]
        chapters = [html_to_text(_part_of(archive, path)) for path in paths]
    return FileText("\n\n".join(chapter for chapter in chapters if chapter))


def _unzipped(content: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(content))


def _part_of(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MAX_PART_BYTES:
        raise DataError(f"It unpacks to over {_MAX_PART_BYTES / 1e6:,.0f} MB.", fix="split it into several files")
    return archive.read(name)


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(_part_of(archive, name))


_READERS: Final[Mapping[FileKind, Callable[[bytes], FileText]]] = {
    "text": decode_text,
    "markdown": _markdown,
    "html": _html,
    "pdf": _pdf,
    "docx": _docx,
    "epub": _epub,
    "csv": _csv,
    "json": _json,
}
