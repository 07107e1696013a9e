"""Every form of words and marks that is read: what comes of a file of each, and what is said of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distiltune.data.column_names import split_columns
from distiltune.data.file_form import FileForm
from distiltune.errors import DataError
from distiltune.recipe.choose_task import with_task_of_training
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.examples import TokenSet
from distiltune.tasks.token_classification.read import Choices, read_marked

FORMS = Path(__file__).parents[2] / "data" / "forms"


def read(path: Path, columns: str = "", choices: Choices = Choices()) -> TokenSet:  # noqa: B008
    return read_marked([str(path)], "train", TokenColumns.parse(columns), 1.0, choices=choices)


def marked(read: TokenSet) -> list[list[str]]:
    """Each example's entities as ``text/label``."""
    return [
        [f"{e.text[e.words[g.start][0] : e.words[g.end - 1][1]]}/{g.label}" for g in e.gold or ()]
        for e in read.examples
    ]


@dataclass(frozen=True)
class Case:
    """A file, what is marked in it, and what is said: parts of the sentences that tell what was decided."""

    file: str
    wanted: list[list[str]]
    told: tuple[str, ...] = ()
    columns: str = ""


CASES = [
    Case(
        "number_last.conll",
        [["Orla/ORG"], ["Venn/ORG"]],
        ("column 1 is taken for the words and column 2 for the tags", "column 3 always holds '0'"),
    ),
    Case(
        "germeval.conll",
        [["Ada of York/PER"], ["Ben/PER"]],
        ("column 4 holds tags too", "column 2 is taken for the words and column 3", "column 1 numbers the words"),
    ),
    Case(
        "annotator.iob2",
        [["tampa/LOC"], ["asti/LOC"]],
        ("column 2 is taken for the words and column 3 for the tags", "column 4 always holds '-'"),
    ),
    Case("tag_first.bio", [["tom vale/ACTOR"], ["moonrise/TITLE"]], ("column 2 is taken for the words and column 1",)),
    Case(
        "joined.conll",
        [["Ada/PER"], ["Ben/PER"]],
        ("Each line is taken for a sentence, its words joined to their tags by '|'", "column 1 is taken for the words"),
    ),
    Case("joined_words.conll", [["Ada/PER"], ["Ben/PER"]], ("Each line is taken for a word",)),
    Case("conll2003.conll", [["Orla/ORG"], ["Ben/PER"]], ("column 3 holds chunks", "column 4 for the tags")),
    Case("conll2012.v4_gold_conll", [["Ada Venn/PERSON", "Bern/GPE"], []], ("CoNLL-2012", "brackets")),
    Case(
        "pos.conllu",
        [["Geht/VERB", "'s/PRON", "gut/ADV"], ["Nein/INTJ"]],
        ("The tags have no prefixes", "every word has a label"),
        "tokens=2,tags=4",
    ),
    Case("doccano.jsonl", [[], ["Ada/PER", "Ben/PER"]], ("`label` is taken for spans",)),
    Case("doccano_entities.jsonl", [["Ada/PER", "York/LOC"]], ("start_offset",)),
    Case("prodigy.jsonl", [["Ada/PER"], []], ("Rows are Prodigy's",)),
    Case("label_studio.json", [["Ada/PER", "Ben/PER"], ["Ada/PER"], ["Ben/PER"], []], ("Rows are Label Studio's",)),
    Case("label_studio_min.json", [["Ada/PER"]], ("the marks are `ner`",)),
    Case("spacy_v2.json", [["Ada/PER"], []], ("spaCy's documents",)),
    Case("spacy_pairs.json", [["Ada/PER", "Ben/PER"], []], ("spaCy's pairs",)),
    Case("ner_annotator.json", [["Ada/PER"]], ("spaCy's pairs",)),
    Case(
        "brat",
        [["Ada Venn/PER", "Ben/PER", "aspirin or a pill/DRUG"], []],
        ("brat", "relations, events, attributes and notes are passed over"),
    ),
    Case(
        "kaggle.csv", [["Ada/per"], []], ("`Word` is taken for one word a row, `Tag` for its tag; `Sentence #` says",)
    ),
    Case("word_rows.csv", [["Ada/PER"], []], ("`words` is taken",)),
    Case("word_rows_gaps.csv", [["Ada/PER"], []], ("empty lines say",)),
    Case("lists_in_cells.csv", [["Ada/PER"], []], ("Lists written into cells",)),
    Case("gliner.jsonl", [["Ada Venn/person", "Bern/city"]], ("GLiNER", "both ends included")),
    Case("spert.json", [["Ada Venn/Peop", "Bern/Loc"]], ("SpERT", "one past the last")),
    Case("cluener.json", [["安娜/name", "伯尔尼/address"], []], ("CLUENER",)),
    Case("dataturks.json", [["Ada Venn/PER", "Bern/LOC"]], ("Dataturks", "last character")),
    Case("articles.pubtator", [["Aspirin/Chemical", "aspirin/Chemical"], []], ("PubTator",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_every_form_is_read_and_told(case: Case) -> None:
    found = read(FORMS / case.file, case.columns)
    assert marked(found) == case.wanted
    told = " ".join(found.findings.decisions())
    for part in case.told:
        assert part in told
    assert found.findings.n_rows == len(found.examples) + len(found.findings.unused())


def test_no_form_is_without_its_case() -> None:
    told_elsewhere = {"numbers.jsonl"}
    assert {each.name for each in FORMS.iterdir()} == {case.file for case in CASES} | told_elsewhere


def test_offsets_of_other_kinds_are_put_right_and_told() -> None:
    found = read(FORMS / "label_studio.json")
    assert [(each.row_id, each.kind) for each in found.findings.of("repaired")] == [
        ("2", "offset_in_utf16"),
        ("3", "offset_without_carriage_returns"),
    ]
    assert [(each.row_id, each.kind) for each in found.findings.of("left_out")] == [("4", "answer_ignore")]
    assert [(each.row_id, each.kind) for each in found.findings.of("rejected")] == [("5", "annotations_differ")]


def test_what_an_annotator_rejected_is_left_out_and_counts_as_no_fault(tmp_path: Path) -> None:
    found = read_marked([str(FORMS / "prodigy.jsonl")], "train", TokenColumns(), 0.0)  # nothing may be rejected
    assert [each.kind for each in found.findings.of("left_out")] == ["answer_reject", "answer_ignore"]
    assert not found.findings.of("rejected")
    to_predict = read_marked([str(FORMS / "prodigy.jsonl")], "validation", TokenColumns(), 0.0, "prediction")
    assert [example.gold is None for example in to_predict.examples] == [False, True, True, False]
    path = tmp_path / "all.jsonl"
    path.write_text(json.dumps({"text": "a", "spans": [], "answer": "reject"}) + "\n")
    with pytest.raises(DataError, match="All 1 rows are marked as not wanted"):
        read(path)


def test_tags_that_are_numbers_need_names() -> None:
    path = FORMS / "numbers.jsonl"
    with pytest.raises(DataError, match=r"--tag-names O,B-person") as caught:
        read_marked([str(path)], "train", TokenColumns(), 0.05)
    assert "from 0 to 2" in str(caught.value)
    assert marked(read(path, choices=Choices(("O", "B-PER", "I-PER")))) == [["Ada Venn/PER"], []]
    too_few = read(path, choices=Choices(("O", "B-PER")))
    assert [each.kind for each in too_few.findings.of("rejected")] == ["tag_without_name"]


def test_no_column_of_a_treebank_is_guessed() -> None:
    with pytest.raises(DataError, match="No column is O or a prefix") as caught:
        read(FORMS / "pos.conllu")
    assert caught.value.fix == "say which, as --columns tokens=2,tags=4"


def test_brat_without_a_text_and_with_a_broken_line(tmp_path: Path) -> None:
    shutil.copytree(FORMS / "brat", tmp_path, dirs_exist_ok=True)
    (tmp_path / "three.ann").write_text("T1\tPER 0 3\tAda\n")
    (tmp_path / "two.ann").write_text("#1\tnote\nT1 PER 0 3 Ada\n")
    found = read(tmp_path)
    assert len(found.examples) == 1
    rejected = {each.where: each.message for each in found.findings.of("rejected")}
    assert "no three.txt beside it" in rejected[str(tmp_path / "three.ann")]
    assert "is no mark" in rejected[f"{tmp_path / 'two.ann'}:2"]


def test_the_fingerprint_of_brat_holds_the_texts(tmp_path: Path) -> None:
    shutil.copytree(FORMS / "brat", tmp_path, dirs_exist_ok=True)
    before = read(tmp_path).fingerprint
    (tmp_path / "two.txt").write_text("Somebody came.\n")
    assert read(tmp_path).fingerprint != before


def test_one_word_a_row_says_where_sentences_end_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("word,tag\nAda,B-PER\nsang,O\n")
    with pytest.raises(DataError, match="nothing says where a sentence ends") as caught:
        read(path)
    assert "--columns sentence=" in caught.value.fix
    path.write_text("w,t,s\nAda,B-PER,1\nsang,O,1\nRain,O,2\n")
    assert marked(read(path, "word=w,tag=t,sentence=s")) == [["Ada/PER"], []]


def test_a_bad_row_of_words_costs_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("sentence,word,tag\n1,Ada,B-PER\n1,,O\n2,Rain,O\n2,fell\n3,Ben,B-PER\n")
    found = read(path)
    assert marked(found) == [["Ben/PER"]]
    assert [each.where for each in found.findings.of("rejected")] == [f"{path}:3", f"{path}:5"]


def test_lists_as_numpy_prints_them_are_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "numpy.csv"
    path.write_text("tokens,tags\n\"['Ada' 'sang']\",\"['B-PER' 'O']\"\n\"['a', 'b']\",\"['O', 'O']\"\n")
    found = read(path)
    assert [example.text for example in found.examples] == ["Ada sang", "a b"]
    assert marked(found) == [["Ada/PER"], []]


def test_choices_beside_label_studios_marks_are_told(tmp_path: Path) -> None:
    mark = {"from_name": "ner", "value": {"start": 0, "end": 3, "labels": ["PER"]}}
    choice = {"from_name": "mood", "value": {"choices": ["glad"]}}
    task = {"id": 1, "data": {"text": "Ada sang."}, "annotations": [{"result": [mark, choice]}]}
    row = {"id": 1, "text": "Ada sang.", "ner": [mark["value"]], "mood": "glad", "annotation_id": 1}
    for name, value, said in (
        ("a.json", task, "what was said of the whole text (`mood`) for text-classification"),
        ("b.json", row, "left out: `mood`"),
    ):
        path = tmp_path / name
        path.write_text(json.dumps([value]), encoding="utf-8")
        read = read_marked([path], "train", TokenColumns(), 0.0)
        assert len(read.examples) == 1
        assert any(said in each.message for each in read.findings.of("decided")), read.findings.items


def read_rows(tmp_path: Path, *rows: dict[str, Any], columns: str = "") -> TokenSet:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    form = FileForm(mapped=tuple(split_columns(columns)))
    return read_marked([str(path)], "train", TokenColumns.parse(columns), 1.0, form=form)


ADA = "Ada Venn met Ben"
SPANS: dict[str, dict[str, Any]] = {
    "lists": {"spans": [[0, 8, "PER"], [13, 16, "PER"]]},
    "lists, the label first": {"spans": [["PER", 0, 8], ["PER", 13, 16]]},
    "a label in a list": {"spans": [{"start": a, "end": b, "label": ["PER"]} for a, b in ((0, 8), (13, 16))]},
    "lists in a cell": {"spans": '[[0, 8, "PER"], (13, 16, "PER")]'},
    "beside tokens": {"tokens": ADA.split(), "entities": [[0, 8, "PER"], [13, 16, "PER"]]},
    "with types beside tokens": {
        "tokens": ADA.split(),
        "entities": [{"start": 0, "end": 8, "type": "PER"}, {"start": 13, "end": 16, "type": "PER"}],
    },
}


@pytest.mark.parametrize("name", SPANS)
def test_spans_in_other_forms(name: str, tmp_path: Path) -> None:
    assert marked(read_rows(tmp_path, {"text": ADA, **SPANS[name]})) == [["Ada Venn/PER", "Ben/PER"]]


@pytest.mark.parametrize("columns", ["", "spans=entities"])
def test_what_a_form_reads_may_be_named_too(columns: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": ADA, "entities": [[0, 8, "PER"]]}, {"text": ADA, "entities": []}]
    assert marked(read_rows(tmp_path, *rows, columns=columns)) == [["Ada Venn/PER"], []]
    recipe = Recipe.build({"train": (str(tmp_path / "rows.jsonl"),), "columns": columns})
    assert with_task_of_training(recipe).task == "token-classification"


@pytest.mark.parametrize(
    "empty",
    [
        {"text": ADA, "label": {}},
        {"text": ADA, "label": []},
        {"text": ADA, "label": "[]"},
        {"text": ADA, "entities": {}},
        {"text": ADA, "annotations": []},
        {"text": ADA, "tokens": ADA.split(), "entities": []},
        {"content": ADA, "annotation": None, "extras": None, "metadata": {"status": "done"}},
    ],
    ids=["cluener", "doccano", "in a cell", "gate", "older doccano", "beside tokens", "dataturks"],
)
def test_a_row_in_which_nothing_is_marked_is_read(empty: dict[str, Any], tmp_path: Path) -> None:
    found = read_rows(tmp_path, {"text": ADA, "spans": [[0, 8, "PER"]]}, empty)
    assert (marked(found), found.findings.unused()) == ([["Ada Venn/PER"], []], [])


def test_a_document_of_dataturks_that_was_skipped_is_left_out(tmp_path: Path) -> None:
    skipped = {"content": ADA, "annotation": None, "metadata": {"status": "skipped"}}
    found = read_rows(tmp_path, {"text": ADA, "spans": [[0, 8, "PER"]]}, skipped)
    assert [each.kind for each in found.findings.of("left_out")] == ["answer_ignore"]


def test_a_suggestion_that_was_accepted_says_nothing_of_the_rest(tmp_path: Path) -> None:
    span = {"start": 0, "end": 8, "label": "PER"}
    suggested = {"text": ADA, "answer": "accept", "_view_id": "ner", "spans": [{**span, "score": 0.5}]}
    older = {"text": ADA, "answer": "accept", "spans": [{**span, "score": 0.5, "rank": 0}], "meta": {"score": 0.5}}
    whole = {"text": ADA, "answer": "accept", "_view_id": "ner_manual", "spans": [span]}
    found = read_rows(tmp_path, suggested, older, {**suggested, "answer": "reject"}, whole)
    assert [each.kind for each in found.findings.unused()] == ["marks_partial", "marks_partial", "answer_reject"]
    assert "prodigy ner.silver-to-gold" in found.findings.unused()[0].message
    assert marked(found) == [["Ada Venn/PER"]]


def test_a_span_of_several_labels_and_labels_by_number(tmp_path: Path) -> None:
    def row(label: object) -> dict[str, Any]:
        return {"text": ADA, "spans": [{"start": 0, "end": 8, "label": label}]}

    found = read_rows(tmp_path, row(["PER", "KEY"]), row(1), row([]))
    first, second = found.findings.unused()
    assert (first.kind, "has 2 labels" in first.message) == ("span_of_several_labels", True)
    assert (second.kind, "no label" in second.message) == ("span_malformed", True)
    assert marked(found) == [["Ada Venn/1"]]
    assert [each.kind for each in found.findings.of("noted")] == ["labels_by_number"]
