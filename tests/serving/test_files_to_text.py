from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from distiltune.errors import DataError
from distiltune.serving import files_to_text as module
from distiltune.serving import readers
from distiltune.serving.readers import FileKind


def file_to_text(content: bytes, kind: FileKind) -> str:
    return asyncio.run(module.file_to_text(content, kind, nullcontext)).text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"plain", "plain"),
        ("\N{PARTY POPPER} שלום".encode(), "\N{PARTY POPPER} שלום"),
        ("\ufeffwith a mark".encode(), "with a mark"),
        ("sixteen bits".encode("utf-16"), "sixteen bits"),
        (b"", ""),
    ],
)
def test_text(content: bytes, text: str) -> None:
    assert file_to_text(content, "text") == text


def test_what_is_no_text_is_refused() -> None:
    for content in (b"abc\xff\0", b"abc\x81", b"\xff\xfeabc"):
        with pytest.raises(DataError, match=r"byte \d does not fit"):
            file_to_text(content, "text")


def test_html_is_what_a_person_sees() -> None:
    pytest.importorskip("bs4", reason="needs the extra `serve`")
    page = (
        "<html><head><title>Title</title><style>p { color: red }</style><script>alert(1)</script></head>"
        "<body><h1>Lease</h1><p>Signed by <b>the\n treasurer</b>,<br>in blue&nbsp;ink &#x1F389;.<ul><li>One<li>Two</ul>"
    )
    assert file_to_text(page.encode(), "html").split("\n\n") == [
        *("Lease", "Signed by the treasurer,", "in blue ink \N{PARTY POPPER}.", "One", "Two")
    ]


def pdf_of(text: str, **encrypt: str) -> bytes:
    """A PDF of one page that says this."""
    pypdf = pytest.importorskip("pypdf", reason="needs the extra `serve`")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = DictionaryObject(
        {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1")}
        | {NameObject("/BaseFont"): NameObject("/Helvetica")}
    )
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = stream
    if encrypt:
        writer.encrypt(**encrypt)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_pdf() -> None:
    assert file_to_text(pdf_of("The treasurer signs."), "pdf") == "The treasurer signs."


@pytest.mark.parametrize(
    ("content", "message"), [(b"no pdf at all", "damaged"), (b"", "damaged"), (b"%PDF-1.7\n%%EOF", "damaged")]
)
def test_a_broken_pdf_says_so(content: bytes, message: str) -> None:
    pytest.importorskip("pypdf", reason="needs the extra `serve`")
    with pytest.raises(DataError, match=message):
        file_to_text(content, "pdf")


def test_a_pdf_without_text_says_so() -> None:
    with pytest.raises(DataError, match="holds no text") as told:
        file_to_text(pdf_of(""), "pdf")
    assert "OCR" in told.value.fix


def test_a_pdf_with_a_password_says_what_to_do() -> None:
    with pytest.raises(DataError, match="needs a password") as told:
        file_to_text(pdf_of("secret", user_password="1", algorithm="RC4-128"), "pdf")
    assert "save it without one" in told.value.fix


def test_a_kind_that_is_parsed_here_or_apart_gives_the_same() -> None:
    pytest.importorskip("markdown_it", reason="needs the extra `serve`")
    content = b"# Lease\n\nSigned by *Ada*.\n"
    assert file_to_text(content, "markdown") == readers.read_file(content, "markdown").text == "Lease\n\nSigned by Ada."


def test_html_that_is_nested_without_end_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bs4", reason="needs the extra `serve`")
    monkeypatch.setattr(module, "TIMEOUT_S", 3.0)
    with pytest.raises(DataError, match=r"cannot be read|took over"):
        file_to_text(b"<div>" * 30_000 + b"deep", "html")


def test_a_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(module, "_child_code", lambda: "import time; time.sleep(30)")
    with pytest.raises(DataError, match=r"took over 0\.3 s"):
        file_to_text(b"x", "pdf")


def test_a_file_that_takes_all_memory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from distiltune.serving.files_to_text import _bound_this_process; _bound_this_process(); b'x' * (3 << 30)"
    monkeypatch.setattr(module, "_child_code", lambda: f"import sys; sys.path[:] = {sys.path!r}; {code}")
    with pytest.raises(DataError, match="cannot be read"):
        file_to_text(b"x", "html")


def test_a_parser_ends_with_whoever_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()  # its end is seen when the last process that may write into it has gone
    os.set_inheritable(write, True)
    begin = asyncio.create_subprocess_exec

    async def begin_with_pipe(*command: str, **how: int) -> asyncio.subprocess.Process:
        child = await begin(*command, **how, pass_fds=(write,))  # type: ignore[arg-type]
        os.close(write)
        return child

    async def give_up() -> None:
        turns: list[str] = []

        @asynccontextmanager
        async def turn() -> AsyncIterator[None]:
            turns.append("taken")
            try:
                yield
            finally:
                turns.append("given back")

        task = asyncio.ensure_future(module.file_to_text(b"x", "pdf", turn))
        await asyncio.get_running_loop().run_in_executor(None, os.read, read, 1)  # it has begun
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert turns == ["taken", "given back"]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", begin_with_pipe)
    code = f"import os, time; os.write({write}, b'1'); time.sleep(30)"
    monkeypatch.setattr(module, "_child_code", lambda: code)
    asyncio.run(give_up())
    assert os.read(read, 1) == b""
    os.close(read)
