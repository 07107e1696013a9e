"""The text of a file that somebody drops on a page: plain text and Markdown as they are, HTML and PDF by libraries.

What comes from outside is parsed in a process of its own, with a bound on its memory and its time, since files that
make parsers take forever are easily made. Run as ``python -m distiltune.serving.files_to_text KIND`` it reads the file
from its standard input and writes the text to its standard output.
"""

from __future__ import annotations

import asyncio
import codecs
import io
import re
import sys
from asyncio.subprocess import PIPE
from typing import Final, Literal, get_args

from distiltune.errors import DataError

FileKind = Literal["text", "html", "pdf"]
KINDS: Final[tuple[FileKind, ...]] = get_args(FileKind)

TIMEOUT_S: Final = 20.0
_MEMORY_BYTES: Final = 1 << 30
_UNREADABLE: Final = 3  # exit status
_NOT_TEXT: Final = ("script", "style", "noscript", "template", "svg")
_BLOCKS: Final = (
    *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption", "footer", "form", "header"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"),
)


async def file_to_text(content: bytes, kind: FileKind, parsers: asyncio.Semaphore) -> str:
    """The text of a file; ``parsers`` bounds how many processes parse at once. Cancelled, it ends its own.

    Raises:
        DataError: if it cannot be read as what it is said to be, or takes too long.

    """
    if kind == "text":
        return await asyncio.to_thread(decode_text, content)
    async with parsers:
        return await _parse_apart(content, kind)


async def _parse_apart(content: bytes, kind: FileKind) -> str:
    """The text of a file that a process of its own parses."""
    command = (sys.executable, "-I", "-c", _child_code(), kind)
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            text, complaint = await child.communicate(content)
    except TimeoutError as error:
        raise DataError(f"The {kind.upper()} file took over {TIMEOUT_S:g} s to read.", fix="paste its text") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        why = complaint.decode("utf-8", "replace").strip().splitlines()[-1:] if child.returncode == _UNREADABLE else []
        raise DataError(
            f"The {kind.upper()} file cannot be read{': ' + why[0] if why else ''}.", fix="paste its text instead"
        )
    return text.decode("utf-8")


def decode_text(content: bytes) -> str:
    """Text in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        DataError: if it is neither.

    """
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"The text is not UTF-8: byte {error.start} does not fit.", fix="save it as UTF-8, or paste its text"
        ) from error


def html_to_text(content: bytes) -> str:
    """What a person sees of a page: blocks on lines of their own, nothing of scripts and styles."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup(content, "html.parser")
    for tag in page.find_all(_NOT_TEXT):
        tag.decompose()
    for tag in page.find_all(_BLOCKS):
        tag.insert_before("\n\n")
        tag.append("\n\n")
    for tag in page.find_all("br"):
        tag.replace_with("\n\n")
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", page.get_text()))
    return "\n\n".join(part for part in paragraphs if part)


def pdf_to_text(content: bytes) -> str:
    """The text of a PDF, its pages parted by empty lines.

    Raises:
        DataError: if it has no text, as a scanned one has none, or needs a password.

    """
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DataError("it needs a password", fix="save it without one")
    text = "\n\n".join(page.extract_text().strip() for page in reader.pages).strip()
    if not text:
        raise DataError("it holds no text, only pictures perhaps", fix="give it text, by recognising its letters")
    return text


def _child_code() -> str:
    """What the child runs: in isolated mode, so with our own import path."""
    return f"import sys; sys.path[:] = {sys.path!r}; from distiltune.serving.files_to_text import main; main()"


def main() -> None:
    """Read a file of the kind named on the command line from standard input, write its text to standard output."""
    _bound_this_process()
    kind = sys.argv[1]
    content = sys.stdin.buffer.read()
    try:
        text = html_to_text(content) if kind == "html" else pdf_to_text(content)
    except DataError as error:
        print(error.what, file=sys.stderr)
        sys.exit(_UNREADABLE)
    except (Exception, RecursionError) as error:  # parsers raise all kinds of things at what is not well formed
        print(f"it is damaged ({type(error).__name__})", file=sys.stderr)
        sys.exit(_UNREADABLE)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


def _bound_this_process() -> None:
    """Bound memory and processor time, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(TIMEOUT_S), int(TIMEOUT_S)))


if __name__ == "__main__":
    main()
