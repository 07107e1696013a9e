"""Files of words, tags and marks, and files as such, that were once read wrongly: `check` names what it decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str]]
Word = tuple[str, str, str]
NAMES, TOWNS = ("Ida", "Tom", "Olu", "Mei"), ("Oslo", "Bern", "Lima", "Cape Town")


def _sentence(name: str, town: str) -> list[Word]:
    first, *rest = town.split()
    names = [(first, "NNP", "B-LOC"), *((word, "NNP", "I-LOC") for word in rest)]
    return [(name, "NNP", "B-PER"), ("went", "VBD", "O"), ("to", "TO", "O"), *names, (".", ".", "O")]


SENTENCES = [_sentence(name, town) for name, town in zip(NAMES, TOWNS, strict=True)] * 3


def columns(line: Callable[[int, str, str, str], Sequence[object]], sign: str = "\t") -> str:
    """The sentences in columns, of each word its number from 1, itself, its class, and its tag."""
    return "\n".join(
        "".join(f"{sign.join(map(str, line(i, *word)))}\n" for i, word in enumerate(sentence, 1))
        for sentence in SENTENCES
    )


def tagged(change: Callable[[str], str]) -> str:
    return columns(lambda i, word, kind, tag: (word, change(tag)))


def lines(rows: Iterator[object] | list[Any]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _brackets(i: int, tag: str, last: bool) -> str:
    return "*" if tag == "O" else f"{'(' + tag[2:] if tag[0] == 'B' else ''}*{')' if last else ''}"


def conll_2012() -> str:
    text = "#begin document (a/b); part 000\n"
    for sentence in SENTENCES:
        for i, (word, kind, tag) in enumerate(sentence):
            last = i + 1 == len(sentence) or not sentence[i + 1][2].startswith("I-")
            fields = ("a/b", 0, i, word, kind, "*", "-", "-", "-", "-", _brackets(i, tag, last), "*", "-")
            text += "   ".join(map(str, fields)) + "\n"
        text += "\n"
    return text + "#end document\n"


def conll_u(i: int, word: str, kind: str, tag: str) -> Sequence[object]:
    return (i, word, word.lower(), {"NNP": "PROPN"}.get(kind, "X"), kind, "_", i - 1, "dep", "_", "_")


EMOJI = "😀\r\n"


def text_of(sentence: Sequence[Word]) -> str:
    return EMOJI + " ".join(word for word, _, _ in sentence)


def marks(sentence: Sequence[Word]) -> list[list[Any]]:
    """Start, end and label of what is named in `text_of`."""
    found: list[list[Any]] = []
    place = len(EMOJI)
    for word, _, tag in sentence:
        if tag[0] == "B":
            found.append([place, place + len(word), tag[2:]])
        elif tag[0] == "I":
            found[-1][1] = place + len(word)
        place += len(word) + 1
    return found


def spans(sentence: Sequence[Word], count: Callable[[str], int] = len, **more: Any) -> list[dict[str, Any]]:
    text = text_of(sentence)
    return [
        {"start": count(text[:a]), "end": count(text[:b]), "label": label, "text": text[a:b], **more}
        for a, b, label in marks(sentence)
    ]


def each(row: Callable[[list[Word]], Any]) -> list[Any]:
    return [row(sentence) for sentence in SENTENCES]


def in_utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


TEXTS = [(f"{NAMES[i % 4]} liked it {i} times", ("bad", "good")[i % 2]) for i in range(24)]


def categories(label: str) -> dict[str, float]:
    return {name: float(name == label) for name in ("good", "bad")}


def table(sign: str, names: Sequence[str], texts: Sequence[tuple[str, str]] = TEXTS) -> str:
    head = [sign.join(names)] if names else []
    return "".join(f"{line}\n" for line in (*head, *(sign.join(row) for row in texts)))


def studio(result: Callable[[list[Word]], list[dict[str, Any]]]) -> str:
    return json.dumps(each(lambda s: {"id": 1, "data": {"text": text_of(s)}, "annotations": [{"result": result(s)}]}))


def studio_values(sentence: Sequence[Word]) -> list[dict[str, Any]]:
    return [
        {"start": a, "end": b, "text": text_of(sentence)[a:b], "labels": [label]} for a, b, label in marks(sentence)
    ]


QUOTES = [(f'" {text}' if i in (2, 9) else text, label) for i, (text, label) in enumerate(TEXTS)]


def spacy_tokens(sentence: Sequence[Word]) -> list[dict[str, Any]]:
    """With BILOU's tags, as spaCy has them."""
    usual = {"B-PER": "U-PER", "I-LOC": "L-LOC"}
    found = [usual.get(tag, tag) for _, _, tag in sentence]
    singles = [i for i, tag in enumerate(found) if tag == "B-LOC" and found[i + 1] != "L-LOC"]
    return [
        {"id": i, "orth": word, "ner": "U-LOC" if i in singles else found[i]} for i, (word, _, _) in enumerate(sentence)
    ]


def pairs(label: str) -> list[dict[str, Any]]:
    return [{"label": name, "value": value} for name, value in categories(label).items()]


VERDICTS = ("accept", "accept", "reject", "accept", "ignore", "accept")
NUMBERS = {"O": 0, "B-PER": 1, "B-LOC": 2, "I-LOC": 3}

DECIDED: dict[str, tuple[str, str | bytes, str]] = {
    # A1: which column holds what
    "a number after the tag": (
        "a.conll",
        columns(lambda i, word, kind, tag: (word, tag, 0), " "),
        "column 1 is taken for the words and column 2 for the tags; column 3 always holds '0'",
    ),
    "a counter and nested tags": (
        "a.conll",
        columns(lambda i, word, kind, tag: (i, word, tag, "O")),
        "column 2 is taken for the words and column 3 for the tags; column 4 holds tags too",
    ),
    "an annotator's name": (
        "a.iob2",
        columns(lambda i, word, kind, tag: (i, word.lower(), tag, "-", "stephen"), " "),
        "column 3 for the tags; column 1 numbers the words; column 4 always holds '-'; column 5 always holds 'stephen'",
    ),
    "the tag first": (
        "a.bio",
        columns(lambda i, word, kind, tag: (tag, word.lower())),
        "column 2 is taken for the words and column 1 for the tags",
    ),
    "class, tag, word": (
        "a.conll",
        columns(lambda i, word, kind, tag: (kind, tag, word)),
        "column 3 is taken for the words and column 2 for the tags",
    ),
    "a class and labels without prefixes": (
        "a.conll",
        columns(lambda i, word, kind, tag: (kind, tag[2:] or "O", word)),
        "any of 1, 2 may be meant. The columns hold 1: 'NNP'",
    ),
    "joined by bars": (
        "a.conll",
        columns(lambda i, word, kind, tag: (f"{word}|{kind}|{tag}",)),
        "Each line is taken for a word, its words joined to their tags by '|'",
    ),
    "sentences joined by bars": (
        "a.conll",
        "".join(f"{' '.join('|'.join(word) for word in sentence)}\n" for sentence in SENTENCES),
        "Each line is taken for a sentence, its words joined to their tags by '|'",
    ),
    "CoNLL-2012": ("a.v4_gold_conll", conll_2012(), "CoNLL-2012: column 4 is taken for the words, column 11 for the"),
    "CoNLL-2012 by another name": ("a.conll", conll_2012(), "whose brackets are read as B- and I-"),
    "CoNLL-U": ("a.conllu", columns(conll_u), "--columns tokens=2,tags=4"),
    "remarks": (
        "a.conll",
        f"# by me\n{tagged(str)}",
        "Lines that begin with # and hold no word are remarks, as '# by me'",
    ),
    # A2: what the tags mean
    "0 for O": ("a.conll", tagged(lambda tag: tag.replace("O", "0") if tag == "O" else tag), "'0' as O"),
    "o for O": ("a.conll", tagged(lambda tag: "o" if tag == "O" else tag), "'o' as O"),
    "_ for O": ("a.conll", tagged(lambda tag: "_" if tag == "O" else tag), "'_' as O"),
    "OTHER for O": ("a.conll", tagged(lambda tag: "OTHER" if tag == "O" else tag), "'OTHER' as O"),
    "OTHER beside O": (
        "a.conll",
        columns(lambda i, word, kind, tag: (word, "OTHER" if word == "to" else tag)),
        "The tag 'OTHER' of 'to' can mean more than one thing or nothing",
    ),
    "B_PER": ("a.conll", tagged(lambda tag: tag.replace("-", "_")), "'B_LOC' as B-LOC, 'B_PER' as B-PER"),
    "b-per": ("a.conll", tagged(str.lower), "'b-per' as B-per"),
    "B:PER": ("a.conll", tagged(lambda tag: tag.replace("-", ":")), "'B:PER' as B-PER"),
    "PER-B": ("a.conll", tagged(lambda tag: "-".join(reversed(tag.split("-")))), "'PER-B' as B-PER"),
    "B and I alone": ("a.conll", tagged(lambda tag: tag[0]), "'B' as B-entity, 'I' as I-entity"),
    "B alone": ("a.conll", tagged(lambda tag: tag[0].replace("I", "B")), "The tag 'B' of 'Ida' can mean more than one"),
    "B- without a type": (
        "a.conll",
        columns(lambda i, word, kind, tag: (word, "B-" if word == "Ida" else tag)),
        "The tag 'B-' of 'Ida' can mean more than one thing or nothing",
    ),
    "M- among B and I": (
        "a.conll",
        columns(lambda i, word, kind, tag: (word, "M-LOC" if word == "Bern" else tag)),
        "The tag 'M-LOC' of 'Bern' can mean more than one thing or nothing",
    ),
    "W- and E-": (
        "a.conll",
        tagged(lambda tag: {"B-PER": "W-PER", "I-LOC": "E-LOC"}.get(tag, tag)),
        "'W-PER' as S-PER",
    ),
    "labels in two cases": (
        "a.conll",
        columns(lambda i, word, kind, tag: (word, "B-Per" if word == "Tom" else tag)),
        "The labels 'PER', 'Per' differ in case or unseen signs alone and are kept apart",
    ),
    # A3: words, lines, spans
    "a no-break space in a word": (
        "a.conll",
        tagged(str).replace("to\t", "1\u00a0000\t"),
        "12 lines hold white space inside a column",
    ),
    "one bad line": (
        "a.conll",
        tagged(str).replace("Tom\tB-PER", "Tom", 1),
        "a.conll:7: The row has a line without a tag",
    ),
    "UTF-16 offsets": (
        "a.jsonl",
        lines(each(lambda s: {"text": text_of(s), "spans": spans(s, in_utf16)})),
        "UTF-16 units",
    ),
    "byte offsets": (
        "a.jsonl",
        lines(each(lambda s: {"text": text_of(s), "spans": spans(s, lambda text: len(text.encode()))})),
        "UTF-8 bytes",
    ),
    "adjacent spans in one word": (
        "a.jsonl",
        lines(
            {
                "text": f"{name} took Aspirin10mg",
                "spans": [{"start": 9, "end": 16, "label": "DRUG"}, {"start": 16, "end": 20, "label": "DOSE"}],
            }
            for name in NAMES
        ),
        "The word 'Aspirin10mg' holds parts of two marks and is cut in training",
    ),
    "nested spans": (
        "a.jsonl",
        lines(
            {
                "text": f"Bank of {town}",
                "spans": [{"start": 0, "end": 12, "label": "ORG"}, {"start": 8, "end": 12, "label": "LOC"}],
            }
            for town in TOWNS
        ),
        "as 'LOC' the outer is learnt (--overlapping outermost)",
    ),
    "tags as numbers": (
        "a.jsonl",
        lines(each(lambda s: {"tokens": [w for w, _, _ in s], "ner_tags": [NUMBERS[tag] for _, _, tag in s]})),
        "the tags are numbers; name them in the order of the numbers, from 0 to 3: --tag-names",
    ),
    # D1, D2: tables and other files
    "quotation marks in a TSV": (
        "a.tsv",
        table("\t", ("text", "label"), QUOTES),
        "each of 25 lines, that with the names included, is a row",
    ),
    "columns without a name": (
        "a.csv",
        "label,text,,,\n" + "".join(f"{label},{text},,,\n" for text, label in TEXTS),
        "Columns without a name are ignored: 3, 4, 5 of 5",
    ),
    "CSV without a header": ("a.csv", table(",", ()), "--no-header --columns text=1,label=2"),
    "TSV without a header": ("a.tsv", table("\t", ()), "--no-header --columns text=1,label=2"),
    "words and tags in a TSV without a header": (
        "a.tsv",
        tagged(str),
        "like words with a tag each and has no header: --no-header --columns word=1,tag=2, or call it a.conll",
    ),
    "words and tags in a TSV with remarks": (
        "a.tsv",
        "".join(f"#\tsource {i}\n1\tAda{i}\tB-PER\tO\n2\twent\tO\tO\n3\taway\tO\tO\n\n" for i in range(9)),
        "a.tsv looks like words with a tag each and remarks: call it a.conll",
    ),
    "words and tags in a TSV after a remark": (
        "a.tsv",
        "#\tsource\n" + "".join(f"1\tAda{i}\tB-PER\tO\n2\twent\tO\tO\n3\taway\tO\tO\n\n" for i in range(9)),
        "a.tsv looks like words with a tag each and remarks: call it a.conll",
    ),
    "words and tags in a CSV without a header": (
        "a.csv",
        columns(lambda i, word, kind, tag: (word, kind, tag), ","),
        "a.csv looks like words with a tag each and has no header: --no-header --columns word=1,tag=3.",
    ),
    "names with a comma": (
        "a.csv",
        '"Review, full","Mood, today"\n' + table(",", ()),
        'its columns, "Review, full", "Mood, today"',
    ),
    "a table called .txt": (
        "a.txt",
        table("\t", ("text", "label")),
        "a.txt looks like a table with tabs: call it a.tsv",
    ),
    "words called .label": (
        "a.label",
        tagged(str),
        "a.label looks like words with a tag each, as CoNLL has them: call it a.conll",
    ),
    "a table called .all": (
        "a.all",
        table(",", ("text", "label")),
        "a.all looks like a table with commas: call it a.csv",
    ),
    "Windows-1252": (
        "a.csv",
        table(",", ("text", "label"), [(f"{text} café", label) for text, label in TEXTS]).encode("cp1252"),
        "--encoding windows-1252 if this reads well: 'Ida liked it 0 times café,bad'",
    ),
    # D4: what annotation tools write
    "doccano, lists": (
        "a.jsonl",
        lines(each(lambda s: {"text": text_of(s), "label": marks(s)})),
        "`label` is taken for spans",
    ),
    "doccano, entities": (
        "a.jsonl",
        lines(
            each(
                lambda s: {
                    "text": text_of(s),
                    "entities": [{"start_offset": a, "end_offset": b, "label": label} for a, b, label in marks(s)],
                }
            )
        ),
        "`entities` is taken for spans with start_offset, end_offset and label",
    ),
    "doccano, classes": (
        "a.jsonl",
        lines({"data": text, "label": [label]} for text, label in TEXTS),
        "The text is taken from the column `data`, as doccano writes it",
    ),
    "Prodigy, marks": (
        "a.jsonl",
        lines(
            {"text": text_of(s), "tokens": [{"text": "😀", "start": 0, "end": 1}], "spans": spans(s), "answer": verdict}
            for s, verdict in zip(SENTENCES, VERDICTS * 2, strict=True)
        ),
        "Rows are Prodigy's",
    ),
    "Prodigy, verdicts": (
        "a.jsonl",
        lines(
            {"text": text, "label": label, "answer": verdict}
            for (text, label), verdict in zip(TEXTS, VERDICTS * 4, strict=True)
        ),
        "rows are left out, as they say themselves: answer reject",
    ),
    "Label Studio, marks": (
        "a.json",
        studio(lambda s: [{"value": value} for value in studio_values(s)]),
        "Rows are Label Studio's; the text is `text`",
    ),
    "Label Studio, choices": (
        "a.json",
        studio(lambda s: [{"from_name": "mood", "value": {"choices": [s[0][0]]}}]),
        "The text is `text` of each task, its labels what the annotators chose",
    ),
    "Label Studio, JSON-MIN, marks": (
        "a.json",
        json.dumps(each(lambda s: {"id": 1, "text": text_of(s), "who": studio_values(s), "annotation_id": 1})),
        "(JSON-MIN); the text is `text`, the marks are `who`",
    ),
    "Label Studio, JSON-MIN, choices": (
        "a.json",
        json.dumps([{"id": 1, "text": text, "mood": label, "annotation_id": 1} for text, label in TEXTS]),
        "(JSON-MIN); the label is what was chosen as `mood`",
    ),
    "spaCy 2, tags": (
        "a.json",
        json.dumps(each(lambda s: {"paragraphs": [{"sentences": [{"tokens": spacy_tokens(s)}]}]})),
        "Each sentence of spaCy's documents is a row, its tags are `ner`",
    ),
    "spaCy 2, entities": (
        "a.json",
        json.dumps(each(lambda s: {"paragraphs": [{"raw": text_of(s), "entities": marks(s), "cats": []}]})),
        "Each paragraph of spaCy's documents is a row, its spans are `entities`",
    ),
    "spaCy 2, cats in paragraphs": (
        "a.json",
        json.dumps([{"paragraphs": [{"raw": text, "sentences": [], "cats": pairs(label)}]} for text, label in TEXTS]),
        "Each paragraph of spaCy's documents is a row, its categories are `cats`",
    ),
    "spaCy 2, cats beside paragraphs": (
        "a.json",
        json.dumps([{"paragraphs": [{"raw": text}, {"raw": "x"}], "cats": pairs(label)} for text, label in TEXTS]),
        "Each of spaCy's documents is a row, its paragraphs parted by line ends; `cats` are its categories",
    ),
    "spaCy, pairs with cats": (
        "a.json",
        json.dumps([[text, {"cats": categories(label)}] for text, label in TEXTS]),
        "Rows are spaCy's pairs of a text and its cats",
    ),
    "spaCy, pairs with entities": (
        "a.json",
        json.dumps(each(lambda s: [text_of(s), {"entities": marks(s)}])),
        "Rows are spaCy's pairs of a text and its entities",
    ),
    "spaCy, pairs with both": (
        "a.json",
        json.dumps(each(lambda s: [text_of(s), {"entities": marks(s), "cats": categories("good")}])),
        "cannot be told from its columns, text, cats, spans",
    ),
    "spaCy 3, Doc.to_json": (
        "a.jsonl",
        lines(each(lambda s: {"text": text_of(s), "ents": spans(s), "tokens": [{"id": 0, "start": 0, "end": 1}]})),
        "Rows are spaCy's documents, the spans are `ents`",
    ),
    "one word a row": (
        "a.csv",
        "sentence,word,tag\n" + "".join(f"{i},{w},{tag}\n" for i, s in enumerate(SENTENCES) for w, _, tag in s),
        "`word` is taken for one word a row, `tag` for its tag; `sentence` says where a sentence begins",
    ),
    "Haystack": (
        "a.json",
        json.dumps(
            {
                "data": [
                    {
                        "paragraphs": [
                            {
                                "context": f"😀 {text}",
                                "qas": [{"question": "Who?", "answers": [{"text": text[:3], "answer_start": 3}]}],
                            }
                        ]
                    }
                    for text, _ in TEXTS
                ]
            }
        ),
        "the answer's offset counts UTF-16 units, not characters",
    ),
}
"""What was misread once → the name of the file, what is in it, and what `check` says of it."""


@pytest.mark.parametrize("case", DECIDED)
def test_check_names_what_it_decided(run: Run, model: Path, tmp_path: Path, case: str) -> None:
    name, content, said = DECIDED[case]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, text = run("check", path, "--model", model, "--threads", "1")
    assert said in text
    if "findings by kind" in text:
        assert status == ("0 errors" not in text)
    else:  # refused
        assert status == (2 if "cannot be told from its columns" in text else 1)


def test_a_folder_of_brats_is_named(run: Run, model: Path, tmp_path: Path) -> None:
    for number, sentence in enumerate(SENTENCES):
        (tmp_path / f"{number}.txt").write_bytes(text_of(sentence).encode())
        found = [
            f"T{i}\t{mark['label']} {mark['start']} {mark['end']}\t{mark['text']}"
            for i, mark in enumerate(spans(sentence))
        ]
        (tmp_path / f"{number}.ann").write_text("\n".join(found) + "\n", encoding="utf-8")
    status, text = run("check", tmp_path, "--model", model, "--threads", "1")
    assert "Brat: the text beside the marks is one row" in text
    assert "12 examples, 0 rows left out" in text
    assert "labels: PER 12, LOC 12" in text
    assert status == ("0 errors" not in text)


@pytest.mark.parametrize(
    ("name", "content", "mapped", "said"),
    [
        ("a.csv", table(",", ("text", "label")), "labl=label", "There is no field 'labl' to map."),
        ("a.csv", table(",", ("text", "label")), "text_pair=label", "did you mean 'pair'?"),
        ("a.csv", table(",", ("text", "label")), "pair=sentence_2", "No row has the column 'sentence_2'"),
        ("a.csv", table(",", ("text", "label")), "label=labl", "did you mean --columns label=label?"),
        ("a.csv", table(",", ("text", "label")), "text=text,text=label", "The field 'text' is mapped twice."),
        (
            "a.csv",
            table(",", ("words", "mood")),
            "text=word,label=mood",
            "did you mean --columns text=words,label=mood?",
        ),
        ("a.conll", tagged(str), "id=nope", "No row has the column 'nope', which --columns names for id."),
        *(
            (
                "a.jsonl",
                lines({"question": "Who?", "context": text, "answer_text": text[:3]} for text, _ in TEXTS),
                f"{field}=nope",
                f"No row has the column 'nope', which --columns names for {field}.",
            )
            for field in ("answer_text", "answer_start", "answers")
        ),
    ],
)
def test_a_mistyped_column_is_named(
    run: Run, model: Path, tmp_path: Path, name: str, content: str, mapped: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    status, text = run("check", path, "--model", model, "--threads", "1", "--columns", mapped)
    assert said in text
    assert status in (1, 2)
