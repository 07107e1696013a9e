from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distiltune.data.conll import write_conll
from distiltune.data.files import iter_rows
from distiltune.data.reading import Use
from distiltune.data.rows import BadRow, Row
from distiltune.data.values import Problem
from distiltune.data.words import markable_spans
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.examples import Entity, TokenSet
from distiltune.tasks.token_classification.read import Choices, gold_tags, read_marked
from distiltune.tasks.token_classification.settings import Overlapping
from distiltune.tasks.token_classification.spans import mark_text


def read(path: Path, share: float = 1.0, columns: str = "") -> TokenSet:
    return read_marked([str(path)], "train", TokenColumns.parse(columns), share)


def read_rows(tmp_path: Path, *rows: dict[str, Any], columns: str = "") -> TokenSet:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read(path, columns=columns)


def test_conll_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- O O\n\n# a remark\nEU NNP I-ORG\nrejects VBZ O\n\n\n#tag NN O\n# NN O\n \nlast\tNNP\tI-LOC\r\n",
        encoding="utf-8",
    )
    rows = list(iter_rows(path))
    assert [row.value for row in rows if isinstance(row, Row)] == [
        {
            "tokens": ["EU", "rejects"],
            "tags": ["I-ORG", "O"],
            "1": ["EU", "rejects"],
            "2": ["NNP", "VBZ"],
            "3": ["I-ORG", "O"],
        },
        {"tokens": ["#tag", "#"], "tags": ["O", "O"], "1": ["#tag", "#"], "2": ["NN", "NN"], "3": ["O", "O"]},
        {"tokens": ["last"], "tags": ["I-LOC"], "1": ["last"], "2": ["NNP"], "3": ["I-LOC"]},
    ]
    assert rows[0].where == f"{path}:4"
    examples = read(path).examples
    assert [gold_tags(example) for example in examples] == [["B-ORG", "O"], ["O", "O"], ["B-LOC"]]


def test_conll_without_tags_is_for_predicting_and_with_a_gap_is_refused(tmp_path: Path) -> None:
    plain, broken = tmp_path / "a.conll", tmp_path / "b.conll"
    plain.write_text("one\ntwo\n\nthree\n")
    assert [example.gold for example in read(plain).examples] == [None, None]
    broken.write_text("one O\ntwo\n\nthree O\n")
    rows = list(iter_rows(broken))
    assert isinstance(rows[0], BadRow)
    assert "'two'" in rows[0].reason
    with pytest.raises(DataError, match="1 of 2 rows"):
        read(broken, share=0.1)


def test_to_predict_no_row_needs_marks_that_can_be_used(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "0", "tokens": ["a", "b"], "tags": ["O", "B-x"]},
        {"id": "1", "tokens": ["a", "b"], "tags": ["O"]},
        {"id": "2", "tokens": ["a"]},
        {"id": "3", "text": "a b", "spans": [{"start": 0, "end": 99, "label": "x"}]},
        {"id": "4", "tokens": [], "tags": []},
    ]
    read_rows(tmp_path, *rows)
    path = str(tmp_path / "rows.jsonl")
    found = read_marked([path], "validation", TokenColumns(), 0.2, "prediction")
    assert [(each.id, each.gold is None) for each in found.examples] == [
        ("0", False),
        ("1", True),
        ("2", True),
        ("3", True),
    ]
    assert [(each.kind, each.row_id) for each in found.findings.of("noted")] == [
        ("tags_do_not_match", "1"),
        ("span_outside", "3"),
    ]
    with pytest.raises(DataError, match="4 of 5 rows"):
        read_marked([path], "validation", TokenColumns(), 0.2, "evaluation")
    read_rows(tmp_path, {"text": "a b"})
    with pytest.raises(DataError, match="nothing to measure"):
        read_marked([path], "validation", TokenColumns(), 0.2, "evaluation")


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    sentences = [(["New York", "is"], [["B-loc", "O"]]), (["#", "x"], [["O", "B-x"]])]
    path.write_text("\n".join(write_conll(iter(sentences))), encoding="utf-8")
    assert [row.value["tokens"] for row in iter_rows(path) if isinstance(row, Row)] == [["New_York", "is"], ["#", "x"]]


def test_tokens_and_tags(tmp_path: Path) -> None:
    found = read_rows(
        tmp_path,
        {"tokens": ["Ada", "sang"], "tags": ["S-per", "O"]},
        {"tokens": ["Ada"], "ner_tags": ["I-per"]},
        {"tokens": ["Ada", "sang"], "tags": ["O"]},
        {"tokens": [], "tags": []},
        {"tokens": ["a", " "], "tags": ["O", "O"]},
        {"tokens": ["a"], "tags": [3]},
        {"tokens": ["a"]},
    )
    assert [example.gold for example in found.examples] == [(Entity(0, 1, "per"),)] * 2
    kinds = [finding.kind for finding in found.findings.of("rejected")]
    assert kinds == ["tags_do_not_match", "tokens_not_a_list", "token_empty", "tag_of_no_scheme", "tags_missing"]


def test_spans_of_characters(tmp_path: Path) -> None:
    text = "Dr. Ada Byron-King met 李 in Sa\u0303o Paulo."  # an a and a tilde
    spans = [
        {"start": text.index("Sa"), "end": text.index(".", 5), "label": "place"},
        {"start": 4, "end": text.index(" met"), "label": "person"},
        {"start": text.index("李"), "end": text.index("李") + 1, "label": "person"},
    ]
    spans[0]["end"] = len(text) - 1
    found = read_rows(tmp_path, {"text": text, "spans": spans}).examples[0]
    assert found.gold is not None
    marked = [text[found.words[e.start][0] : found.words[e.end - 1][1]] for e in found.gold]
    assert marked == ["Ada Byron-King", "李", "Sa\u0303o Paulo"]
    assert len(found.words) == 12


def test_spans_that_cannot_be_used(tmp_path: Path) -> None:
    def row(*spans: Any) -> dict[str, Any]:
        return {"text": "Ada Byron sang", "spans": list(spans)}

    found = read_rows(
        tmp_path,
        row({"start": 0, "end": 9, "label": "per"}, {"start": 4, "end": 14, "label": "per"}),
        row({"start": 3, "end": 4, "label": "per"}),
        row({"start": 0, "end": 99, "label": "per"}),
        row({"start": 0, "end": 3}),
        row([0, "per"]),
        row({"start": 0, "end": 2, "label": "per"}),
        row({"start": 0, "end": 3, "label": "per", "text": "Cleo"}),
        row(),
    )
    kinds = [finding.kind for finding in found.findings.of("rejected")]
    assert kinds == [
        *("spans_overlap", "span_without_words", "span_outside", "span_malformed", "span_malformed"),
        "span_text_differs",
    ]
    assert [finding.kind for finding in found.findings.of("repaired")] == ["span_widened"]
    assert [example.gold for example in found.examples] == [(Entity(0, 1, "per"),), ()]


def test_marks_side_by_side_in_one_word_do_not_overlap(tmp_path: Path) -> None:
    spans = [{"start": 5, "end": 12, "label": "drug"}, {"start": 12, "end": 16, "label": "dose"}]
    found = read_rows(tmp_path, {"text": "took Aspirin10mg now", "spans": spans})
    example = found.examples[0]
    assert [example.word(i) for i in range(4)] == ["took", "Aspirin", "10mg", "now"]
    assert example.gold == (Entity(1, 2, "drug"), Entity(2, 3, "dose"))
    assert [(each.outcome, each.kind) for each in found.findings.items] == [("noted", "word_split")]
    assert "Aspirin10mg" in found.findings.items[0].message


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("\u6628\u5929\u738b\u8001\u5e08\u6765\u4e86", 2, 5),  # Chinese
        ("\u6628\u65e5\u3001\u7530\u4e2d\u3055\u3093\u304c\u6765\u305f", 3, 5),  # Japanese
        ("\u0e04\u0e38\u0e13\u0e2a\u0e21\u0e0a\u0e32\u0e22\u0e21\u0e32\u0e41\u0e25\u0e49\u0e27", 3, 8),  # Thai
        ("\u5728Microsoft\u5de5\u4f5c", 1, 10),
    ],
)
def test_of_scripts_without_spaces_a_part_is_marked(tmp_path: Path, text: str, start: int, end: int) -> None:
    forms: list[dict[str, Any]] = [
        {"text": text, "spans": [{"start": start, "end": end, "label": "PER"}]},
        {"text": text, "label": [[start, end, "PER"]]},
        {"text": text, "label": {"PER": {text[start:end]: [[start, end - 1]]}}},  # CLUENER, whose ends are the last
    ]
    for form in forms:
        found = read_rows(tmp_path, form)
        (example,) = found.examples
        assert example.gold is not None
        assert [(example.words[entity.start][0], example.words[entity.end - 1][1]) for entity in example.gold] == [
            (start, end)
        ], form
        assert [each.kind for each in found.findings.items if each.outcome != "decided"] == []


def test_a_model_can_mark_a_part_of_a_run_of_such_characters() -> None:
    """What it marks in use are the words of training: of a run of Han one label was all that it could give."""
    text = "\u6628\u5929Microsoft\u738b\u8001\u5e08\u3002"
    words = markable_spans(text)
    assert [text[slice(*word)] for word in words] == [*text[:2], "Microsoft", *text[11:]]
    marked = mark_text(text, [{"start": 11, "end": 12, "label": "PER"}], "outermost")
    assert not isinstance(marked, Problem)
    assert marked.words == words


RHINE = "Anna wohnt in Köln am Rhein"


@pytest.mark.parametrize(
    "span",
    [
        {"start": 5, "end": 10, "label": "LOC", "entity": "Köln"},
        {"start": 5, "end": 10, "entity": "LOC", "value": "Köln"},
        {"start": 5, "end": 10, "entity_group": "LOC", "word": "Köln", "score": 0.9},
        {"start": 5, "end": 10, "type": "LOC", "text": "Köln"},
    ],
)
@pytest.mark.parametrize("column", ["spans", "entities"])
def test_the_own_text_of_a_span_is_compared_whatever_it_is_called(
    span: dict[str, Any], column: str, tmp_path: Path
) -> None:
    found = read_rows(tmp_path, {"text": RHINE, column: [span]})
    (example,) = found.examples
    assert example.gold is not None
    assert [(example.words[each.start][0], each.label) for each in example.gold] == [(14, "LOC")]
    assert [each.kind for each in found.findings.items if each.outcome == "repaired"] == ["span_moved"]
    told = [each.message for each in found.findings.items if each.outcome == "decided"]
    assert "label" in span or any("The label of a span is its" in each for each in told)


@pytest.mark.parametrize("span", [{"word": "köln"}, {"value": "Cologne"}, {"name": "Köln"}])
def test_a_name_of_another_spelling_says_nothing_of_the_offsets(span: dict[str, Any], tmp_path: Path) -> None:
    found = read_rows(tmp_path, {"text": RHINE, "spans": [{"start": 14, "end": 18, "label": "LOC", **span}]})
    (example,) = found.examples
    assert example.gold is not None
    assert [example.words[each.start][0] for each in example.gold] == [14]
    assert [each.kind for each in found.findings.items if each.outcome == "repaired"] == []


def test_entities_that_do_not_say_where_they_stand_are_refused_by_what_they_lack(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no start and no end"):
        read_rows(tmp_path, {"text": RHINE, "entities": [{"text": "Köln", "type": "LOC"}]})


def test_word_pieces_of_a_pipeline_are_no_spans(tmp_path: Path) -> None:
    piece = {"entity": "B-LOC", "index": 4, "word": "Köln", "start": 14, "end": 18}
    with pytest.raises(DataError, match="aggregation_strategy"):
        read_rows(tmp_path, {"text": RHINE, "spans": [piece]})


def test_no_cut_parts_a_letter_from_its_combining_mark(tmp_path: Path) -> None:
    text = "\u0e41\u0e25\u0e49\u0e27"  # the mark ends between a consonant and its tone
    found = read_rows(tmp_path, {"text": text, "spans": [{"start": 0, "end": 2, "label": "X"}]})
    (example,) = found.examples
    assert [text[slice(*word)] for word in example.words] == [text[0], text[1:3], text[3:]]
    assert example.gold == (Entity(0, 2, "X"),)
    assert [each.kind for each in found.findings.items] == ["span_widened"]


def test_nested_spans_are_a_choice(tmp_path: Path) -> None:
    text = "Bank of York fell"
    outer, inner = {"start": 0, "end": 12, "label": "org"}, {"start": 8, "end": 12, "label": "loc"}
    crossing = {"start": 8, "end": 17, "label": "event"}
    rows = [{"text": text, "spans": [inner, outer]}, {"text": text, "spans": [outer, crossing]}]
    path = tmp_path / "rows.jsonl"
    read_rows(tmp_path, *rows)
    org = (Entity(0, 3, "org"),)

    def gold(overlapping: Overlapping) -> tuple[list[object], list[str]]:
        choices = Choices(overlapping=overlapping)
        found = read_marked([str(path)], "train", TokenColumns(), 1.0, choices=choices)
        return [example.gold for example in found.examples], [each.kind for each in found.findings.items]

    assert gold("outermost") == ([org], ["spans_overlap", "span_passed_over"])
    assert gold("longest") == ([org, org], ["span_passed_over", "span_passed_over"])
    with pytest.raises(DataError, match="--overlapping outermost"):
        gold("reject")
    same = [outer, {**outer, "label": "loc"}]
    with pytest.raises(DataError, match="One span has two labels"):
        read_rows(tmp_path, {"text": text, "spans": same})


def test_offsets_in_other_units_are_put_right_by_the_spans_own_text(tmp_path: Path) -> None:
    text = "🌊 Zoë met Ben. 🌊\r\nBen left."
    ben = text.rindex("Ben")

    def row(start: int, end: int) -> dict[str, Any]:
        return {"text": text, "spans": [{"start": start, "end": end, "label": "per", "text": "Ben"}]}

    in_utf16 = len(text[:ben].encode("utf-16-le")) // 2
    in_bytes = len(text[:ben].encode())
    found = read_rows(
        tmp_path, row(ben, ben + 3), row(ben, ben + 2), row(in_utf16, in_utf16 + 3), row(in_bytes, in_bytes + 3)
    )
    places = [[(e.words[g.start][0], e.words[g.end - 1][1]) for g in e.gold or ()] for e in found.examples]
    assert places == [[(ben, ben + 3)]] * 4
    assert [each.kind for each in found.findings.of("repaired")] == [
        *("end_moved", "offset_in_utf16", "offset_in_bytes")
    ]


def test_other_spaces_are_part_of_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("1\u00a0000 B-sum\n\u2009x\u3000y O\n", encoding="utf-8")
    example = read(path).examples[0]
    assert [example.word(i) for i in range(2)] == ["1\u00a0000", "\u2009x\u3000y"]
    assert gold_tags(example) == ["B-sum", "O"]


def test_a_bad_line_is_found_by_its_own_number_and_costs_its_own_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-per\nsang O\n\nBen B-per\nNew York B-loc\n\nRain O\n\n\tO\n\nit\tO\nis\t\n")
    found = read(path)
    assert [example.text for example in found.examples] == ["Ada sang", "Rain"]
    rejected = {each.where: each.message for each in found.findings.of("rejected")}
    assert list(rejected) == [f"{path}:5", f"{path}:9", f"{path}:12"]
    assert "3 columns where others have 2" in rejected[f"{path}:5"]


def test_two_columns_that_may_hold_the_tags_are_refused_until_named(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-per O\nsang O O\n\nYork O B-loc\nfell O O\n")
    with pytest.raises(DataError, match="Columns 2, 3 all hold tags") as caught:
        read(path)
    assert "--columns tokens=1,tags=3" in caught.value.fix
    assert [gold_tags(e) for e in read(path, columns="tokens=1,tags=3").examples] == [["O", "O"], ["B-loc", "O"]]
    assert not read(path, columns="tokens=1,tags=3").findings.items
    told = read(path, columns="tags=3").findings.decisions()
    assert not told  # the words were never in doubt


def test_two_columns_that_may_hold_the_words_are_refused_until_named(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("n1 Ada B-per\nn1 sang O\nn2 it O\nn2 rains O\nn3 now O\n")
    with pytest.raises(DataError, match="Any of columns 1, 2 may hold the words"):
        read(path)
    assert read(path, columns="tokens=2").examples[0].text == "Ada sang it rains now"


@pytest.mark.parametrize("use", ["training", "evaluation", "prediction"])
def test_tags_that_mean_nothing_certain_cost_their_rows(tmp_path: Path, use: Use) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-per\nsang O\n\nYork B-\nfell O\n\nBen M-per\n\nRain B-loc\n")
    found = read_marked([str(path)], "validation", TokenColumns(), 1.0, use)
    kept = ["Ada sang", "York fell", "Ben", "Rain"] if use == "prediction" else ["Ada sang", "Rain"]
    assert [example.text for example in found.examples] == kept
    unread = [each for each in found.findings.items if each.kind == "tag_of_no_scheme"]
    assert [each.where for each in unread] == [f"{path}:4", f"{path}:7"]
    assert "'B-' of 'York'" in unread[0].message


def test_labels_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-PER\n\nBen B-Per\n")
    assert "'PER', 'Per' differ in case or unseen signs alone" in read(path).findings.decisions()[0]


@pytest.mark.parametrize("upos", ["_", "NOUN"])
def test_no_column_of_conllu_is_guessed_to_hold_tags(tmp_path: Path, upos: str) -> None:
    path = tmp_path / "a.conllu"
    rest = f"{upos}\t_\t_\t0\troot\t_\t_"
    path.write_text(f"1\tAda\tada\t{rest}\n2\twent\tgo\t{rest}\n\n1\tBob\tbob\t{rest}\n2\tcame\tcome\t{rest}\n\n")
    with pytest.raises(DataError, match="No column is O or a prefix") as caught:
        read(path)
    assert "tokens=2" in str(caught.value)
    assert "tags=3" not in str(caught.value)
    assert {entity.label for each in read(path, columns="tags=3").examples for entity in each.gold or ()} >= {"ada"}


def test_tags_with_something_joined_to_them_are_never_the_words(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    scored = "Ada\tB-PER:0.11\nwent\tO:0.13\nAda\tB-PER:0.17\nwent\tO:0.19\n\n"
    path.write_text(scored + scored.replace("1\n", "2\n").replace("3\n", "4\n"))
    with pytest.raises(DataError, match="tag_of_no_scheme: 2"):
        read(path)


@pytest.mark.parametrize(
    "tag", ["B-LOC|B-GPE", "B-LOC,B-GPE", "B-LOC;I-GPE", "B-LOC|O", "B-PER[54]", "B-PER_Q70", "B-PER:0.11", "NE=B-PER"]
)
def test_joined_tags_are_no_labels(tmp_path: Path, tag: str) -> None:
    outside = "NE=O" if tag.startswith("NE") else "O"
    found = read_rows(
        tmp_path,
        {"tokens": ["Ada", "went"], "tags": [tag, outside]},
        {"tokens": ["He", "went"], "tags": [tag, outside]},
        {"tokens": ["Bob"], "tags": ["B-PER"]},
    )
    assert [len(each.gold or ()) for each in found.examples] == [1]
    rejected = found.findings.of("rejected")
    assert [each.kind for each in rejected] == ["tag_of_no_scheme"] * 2
    assert "one tag a word" in rejected[0].message


@pytest.mark.parametrize(
    ("ids", "said", "n_sentences"),
    [
        ("1 2 1 2", "2 of its values come back after others, as '1', and begin a new sentence each time", 4),
        ("1 2 3 4", "every sentence is one word", 4),
        ("1 nan 2 nan", "2 nan there are taken for empty cells", 2),
        ("1 1 2 2", "", 2),
    ],
)
def test_doubtful_sentences_of_word_rows_are_told(tmp_path: Path, ids: str, said: str, n_sentences: int) -> None:
    path = tmp_path / "a.csv"
    rows = zip(ids.split(), ("Ada", "went", "Bob", "came"), ("B-PER", "O", "B-PER", "O"), strict=True)
    path.write_text("Sentence #,Word,Tag\n" + "".join(f"{','.join(row)}\n" for row in rows))
    found = read(path)
    assert len(found.examples) == n_sentences
    (told,) = (each.message for each in found.findings.of("decided") if each.kind == "form_read")
    after = told.partition("says where a sentence begins")[2]
    assert said in after
    assert bool(said) == (after != ".")


def test_of_word_rows_the_column_that_is_plainly_tags_wins(tmp_path: Path) -> None:
    def labels(names: str, second: tuple[str, str] = ("B-PER", "O"), columns: str = "") -> set[str]:
        path = tmp_path / "a.csv"
        path.write_text(
            f"sentence,word,{names}\n1,Ada,NNP,{second[0]}\n1,went,VBD,{second[1]}\n2,Ada,NNP,{second[0]}\n"
        )
        return {entity.label for each in read(path, columns=columns).examples for entity in each.gold or ()}

    assert labels("tag,label") == {"PER"}
    assert labels("tag,entity") == {"PER"}
    assert labels("tag,entity", ("x", "y")) == {"NNP", "VBD"}
    assert labels("tag,label", columns="tag=tag") == {"NNP", "VBD"}
    with pytest.raises(DataError, match="`tag`, `label` may hold the tags"):
        labels("tag,label", ("per", "none"))


def test_signs_inside_of_labels_join_nothing(tmp_path: Path) -> None:
    tags = ["B-GPE/ORG", "B-I/O", "I-A|B", "B-R&D", "B-Q4", "B-a:1", "B-x_Q1", "O"]
    found = read_rows(tmp_path, {"tokens": list("abcdefgh"), "tags": tags})
    assert {entity.label for entity in found.examples[0].gold or ()} == {tag[2:] for tag in tags[:-1]}


def test_a_table_in_plain_columns_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-per\nsang O\n")
    assert read(path).findings.items == []


def test_the_hint_names_the_columns_that_may_be_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("NNP B-per Ada\nVBZ O sang\nVBZ O sings\n. O .\n")
    with pytest.raises(
        DataError, match=r"Any of columns 1, 3 may hold the words \(column 2 is taken for the tags\)"
    ) as caught:
        read(path)
    assert "tokens=3,tags=2" in caught.value.fix


def test_remarks_and_white_space_inside_a_column_are_told_with_columns_that_are_named_too(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("# by me\n1\u00a0000 B-n\n# O\nit O\n\n# O\nNew York\tB-n\n")
    for columns in ("", "tokens=1,tags=2"):
        found = read(path, columns=columns)
        assert [example.text for example in found.examples] == ["1\u00a0000 # it", "# New York"]
        told = {finding.kind: finding.message for finding in found.findings.of("decided")}
        assert told.keys() == {"remarks_passed_over", "space_in_word"}
        assert "as '# by me'" in told["remarks_passed_over"]
        assert told["space_in_word"].startswith("2 lines hold white space inside a column")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_numbers_do_not_depend_on_how_lines_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(end.join(["Ada\tB-x", "", "sang\tO", "loud", "", "it\tO", ""]).encode())
    assert [finding.where for finding in read(path).findings.of("rejected")] == [f"{path}:4"]


def test_spans_beside_tokens_are_those_of_the_text_or_told(tmp_path: Path) -> None:
    span = {"start": 0, "end": 3, "label": "PER"}
    row = {"tokens": ["Ada", "sang"], "spans": [span]}
    found = read_rows(tmp_path, row, {"tokens": ["it", "rains"], "tags": ["O", "B-X"]})
    (finding,) = found.findings.of("rejected")
    assert finding.kind == "spans_of_tokens"
    assert "the last token or one past it is not said" in finding.message
    (example,) = read_rows(tmp_path, {**row, "text": "Ada sang"}).examples
    assert example.gold == (Entity(0, 1, "PER"),)


@pytest.mark.parametrize("spans", [{}, {"spans": []}], ids=["none", "an empty list"])
def test_a_row_of_prodigys_that_was_accepted_without_marks_is_counted(tmp_path: Path, spans: dict[str, Any]) -> None:
    token = {"text": "Ada", "start": 0, "end": 3, "id": 0}
    row = {"text": "Ada", "tokens": [token], "answer": "accept"}
    found = read_rows(tmp_path, {**row, "spans": [{"start": 0, "end": 3, "label": "PER"}]}, {**row, **spans})
    said = [each.message for each in found.findings.items if each.kind == "accepted_unmarked"]
    assert said == ["In 1 row without spans, accepted or submitted by somebody, nothing is marked."]
    assert [example.gold for example in found.examples] == [(Entity(0, 1, "PER"),), ()]
