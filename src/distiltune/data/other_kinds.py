"""Files that are no text that is read here: archives, workbooks, documents, pages, pointers. What they are, what to do.

Told by their first bytes, whatever they are called; by their names where the bytes tell less.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEAD_BYTES: Final = 512
"""How much of a file's start `kind_of` needs."""


@dataclass(frozen=True, slots=True)
class OtherKind:
    """What a file is, to go on with after "The file is", and what to do instead."""

    what: str
    fix: str


_CSV: Final = "save the sheet as CSV in UTF-8 (Save as, CSV UTF-8), and give that file."
_WORKBOOK: Final = OtherKind("an Excel workbook, not text", _CSV)
_TEXT: Final = (
    "it holds no rows: write a row for each example, as CSV or JSON lines; to ask it something, save it as text: "
    "distiltune ask --document."
)
_PYTHON: Final = "open it with what wrote it, and write JSON lines, CSV or Parquet."


def _unpack(command: str) -> str:
    return f"unpack it ({command}), and give the file or the folder that comes out."


_ZIP: Final = OtherKind("a ZIP archive", _unpack("unzip"))
_WORD: Final = OtherKind("a document of a word processor, not a table", _TEXT)
_BZIP2: Final = OtherKind("packed by bzip2", "unpack it (bunzip2), or pack it by gzip, which is read as it is: .gz.")
_XZ: Final = OtherKind("packed by xz", "unpack it (unxz), or pack it by gzip, which is read as it is: .gz.")
_ZSTD: Final = OtherKind("packed by zstd", "unpack it (unzstd), or pack it by gzip, which is read as it is: .gz.")
_RAR: Final = OtherKind("a RAR archive", _unpack("unrar x"))
_SEVEN: Final = OtherKind("a 7-Zip archive", _unpack("7z x"))
_TAR: Final = OtherKind("a tar archive", _unpack("tar -xf"))
_ARROW: Final = OtherKind(
    "an Arrow file, as a data set's save_to_disk writes it",
    "write Parquet: datasets.load_from_disk(FOLDER).to_parquet('train.parquet'), where FOLDER is the one that has this "
    "file in it.",
)
_PAGE: Final = OtherKind(
    "a web page, not data", "it is perhaps what a server said instead of the file: fetch it again, by its raw address."
)
_POINTER: Final = OtherKind("a pointer of Git LFS to the data, not the data", "fetch them: git lfs pull.")
_OFFICE: Final = OtherKind("an Excel workbook or a Word document, not text", f"of a workbook {_CSV}")
_PDF: Final = OtherKind("a PDF document, not a table", _TEXT)

_FASTTEXT: Final = OtherKind(
    "fastText's training data, not a table",
    "write each line as the label, a tab and the text, below a first line of the names label and text, as .tsv.",
)
_XML: Final = OtherKind(
    "XML, which is not read",
    "export the project as JSON lines, CoNLL or brat; of UIMA and INCEpTION as CoNLL or WebAnno TSV 3.",
)

_BEGINNINGS: Final[tuple[tuple[bytes, OtherKind], ...]] = (
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"Rar!\x1a\x07", _RAR),
    (b"7z\xbc\xaf\x27\x1c", _SEVEN),
    (b"BZh", _BZIP2),
    (b"\xfd7zXZ\x00", _XZ),
    (b"\x28\xb5\x2f\xfd", _ZSTD),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE),
    (b"%PDF-", _PDF),
    (b"ARROW1\x00\x00", _ARROW),
    (b"\xff\xff\xff\xff", _ARROW),
    (b"PAR1", OtherKind("Parquet", "call it .parquet.")),
    (b"SQLite format 3\x00", OtherKind("a SQLite database", "write the table as CSV.")),
    (b"\x89HDF\r\n", OtherKind("an HDF5 file", _PYTHON)),
    (b"\x93NUMPY", OtherKind("a NumPy array", _PYTHON)),
    (b"Obj\x01", OtherKind("an Avro file", _PYTHON)),
    (b"__label__", _FASTTEXT),
    (b"<?xml", _XML),
    (b"version https://git-lfs.github.com/spec/", _POINTER),
)
_BY_SUFFIX: Final = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _WORKBOOK),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pages"), _WORD),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), OtherKind("a pickle of Python's", _PYTHON)),
    ".zip": _ZIP,
    ".rar": _RAR,
    ".7z": _SEVEN,
    ".bz2": _BZIP2,
    ".xz": _XZ,
    ".zst": _ZSTD,
    ".pdf": _PDF,
    **dict.fromkeys((".xml", ".xmi"), _XML),
    ".tar": _TAR,
    ".tgz": _TAR,
    ".arrow": _ARROW,
    ".html": _PAGE,
    ".htm": _PAGE,
}
_INSIDE: Final = {
    b"xl/": _WORKBOOK,
    b"opendocument.spreadsheet": _WORKBOOK,
    b"word/": _WORD,
    b"opendocument.text": _WORD,
    b"[Content_Types].xml": _OFFICE,
}
_PAGE_BEGINS: Final = re.compile(rb"\s*(<!doctype html|<html[\s>])", re.IGNORECASE)
_TAR_MARK: Final = slice(257, 262)


def kind_of(head: bytes, path: Path) -> OtherKind | None:
    """What a file that begins so is, if it is no text that is read here; None for all else.

    Args:
        head: its first `HEAD_BYTES`, unpacked.
        path: whose suffix tells archives apart that begin alike.

    """
    if head[_TAR_MARK] == b"ustar":
        return _TAR
    if head.startswith(b"BZh") and not (head[3:4].isdigit() and head[4:10] == b"1AY&SY"):
        return None  # a text that begins so
    found = next((kind for start, kind in _BEGINNINGS if head.startswith(start)), None)
    if found is None:
        start = head.removeprefix(b"\xef\xbb\xbf")
        return _PAGE if _PAGE_BEGINS.match(start) else None
    if found in (_ZIP, _OFFICE):
        inside = next((kind for name, kind in _INSIDE.items() if name in head), found)
        named = _BY_SUFFIX.get(path.suffix.lower(), inside)
        return named if named in (_WORKBOOK, _WORD) else inside
    return found


def kind_of_name(path: Path) -> OtherKind | None:
    """The same by what the file is called; None if that says nothing. ``.gz`` after another suffix counts with it."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-2:] == [".tar", ".gz"]:
        return _TAR
    return _BY_SUFFIX.get(suffixes[-1]) if suffixes else None
