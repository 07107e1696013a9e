from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.passages import cut_passages


@given(st.text(alphabet="ab .\n\N{GRINNING FACE}", max_size=300), st.integers(2, 50))
def test_passages_make_up_the_text(text: str, size: int) -> None:
    spans = cut_passages(text, size)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(0 < end - start <= size for start, end in spans)


def test_passages_end_where_paragraphs_do() -> None:
    text = "a" * 60 + ".\n\n" + "b" * 50 + ". " + "c" * 60
    assert [text[start:end][-1] for start, end in cut_passages(text, 80)] == ["\n", " ", "c"]
