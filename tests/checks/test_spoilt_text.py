from __future__ import annotations

import pytest

from distiltune.checks.spoilt_text import spoilt_concerns


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("salt &amp; pepper", "html_in_text"),
        ("it&#39;s late", "html_in_text"),
        ("one line<br />another", "html_in_text"),
        ("the cafÃ© is open", "text_misread"),
        ("itâ€™s late", "text_misread"),
        ("Â£5 a day", "text_misread"),
        ("AT&T; a < b > c", ""),
        ("Ã is a letter, and so is â", ""),
        ("the café is open", ""),
    ],
)
def test_marks_of_web_pages_and_of_wrong_encodings(text: str, kind: str) -> None:
    found = spoilt_concerns([("a", text), ("b", "plain")], 2)
    assert [each.kind for each in found] == [kind] * bool(kind)
    assert all(each.severity == "warning" and each.cases[0].row_id == "a" for each in found)


def test_one_of_many_is_a_note() -> None:
    (found,) = spoilt_concerns([("a", "salt &amp; pepper")], 1_000)
    assert found.severity == "note"
