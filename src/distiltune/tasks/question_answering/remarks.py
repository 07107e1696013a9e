"""What is remarkable about a reply, in sentences for whoever asked."""

from __future__ import annotations


def cut_note(limit: int) -> str:
    """What is said of a question that is longer than the most tokens of one in a window."""
    return (
        f"The question is longer than {limit:,} tokens, so only its first {limit:,} are read; "
        "max_question_tokens sets that, within what a window holds."
    )


def unread_note(read_share: float) -> str:
    """What is said where time ran out when so much of the text was read, from 0 to 1."""
    if not read_share:
        return "Time ran out before anything was read for this question: ask it again, alone or of less text."
    return f"Time ran out when {read_share:.0%} of the text was read; this is the best of that."
