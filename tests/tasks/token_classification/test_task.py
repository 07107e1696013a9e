"""The whole way from files to entities."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune import EntityMarker, evaluate, fine_tune, predict
from distiltune.errors import DataError, RecipeError
from distiltune.runs.fine_tune import FineTuned
from tests.helpers import TINY, word_pieces, write_tiny_model

PEOPLE = ("ada", "bob", "cem", "dee")
PLACES = ("rome", "oslo", "new york", "lima")
WINDOWS: dict[str, Any] = {"max_length": 24, "stride": 6}
FAST: dict[str, Any] = {
    **WINDOWS,
    "epochs": 10,
    "learning_rate": 5e-3,
    "batch_size": 8,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "threads": 1,
    "validation_share": 0.0,
}


def sentences() -> list[tuple[list[str], list[str]]]:
    """Who went where, as words and tags; some rows of several sentences, so that no place in a window is new."""
    found = []
    for verb in ("saw", "left", "likes"):
        for person in PEOPLE:
            for place in PLACES:
                words = [person, verb, *place.split(), "."]
                n = len(place.split())
                found.append((words, ["B-person", "O", "B-place", *["I-place"] * (n - 1), "O"]))
    long = [([*chain(*(found[j][0] for j in ids))], [*chain(*(found[j][1] for j in ids))]) for ids in _FOURS]
    return [*found, *long]


_FOURS = [[(7 * i + 11 * j) % 48 for j in range(4)] for i in range(40)]


def write_columns(path: Path) -> str:
    text = "\n\n".join(
        "\n".join(f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)) for words, tags in sentences()
    )
    path.write_text(text + "\n", encoding="utf-8")
    return str(path)


def test_where_nothing_is_marked_what_was_left_out_is_told(tmp_path: Path) -> None:
    """As of entities by their texts alone, all of which are refused: the row without any is what is left."""
    rows = [
        {"text": "Ada in Rome", "entities": [{"text": "Ada", "type": "PER"}]},
        {"text": "None here", "entities": []},
    ]
    with pytest.raises(DataError, match=r"(?s)Nothing is marked.*1 of 2 rows were left out.*has no start and no end"):
        fine_tune(
            train=rows,
            task="token-classification",
            model="starter",
            output=tmp_path / "run",
            max_rejected_share=1.0,
            validation_share=0.0,
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    folder = tmp_path_factory.mktemp("tokens")
    words = sorted({word for words, _ in sentences() for word in words})
    tokenizer = word_pieces([word for word in words if word != "lima"] + ["li", "##ma"])
    config = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    model = write_tiny_model(folder / "tiny", tokenizer, config)
    data = write_columns(folder / "train.conll")
    return fine_tune(model=str(model), train=data, validation=data, output=folder / "run", **FAST)


def test_entities_are_learnt_and_the_run_holds_what_it_says(trained: FineTuned) -> None:
    assert trained.recipe.task == "token-classification"
    assert trained.best.validation["f1"] == 1.0
    assert trained.best.train["accuracy"] > 0.9
    config = json.loads((trained.model / "config.json").read_text())
    assert list(config["id2label"].values()) == ["O", "B-person", "I-person", "B-place", "I-place"]
    lines = [json.loads(line) for line in (trained.directory / "predictions.jsonl").read_text().splitlines()]
    first = lines[2]
    assert first["text"] == "ada saw new york ."
    assert [(each["label"], each["text"]) for each in first["entities"]] == [("person", "ada"), ("place", "new york")]
    assert first["text"][first["entities"][1]["start"] : first["entities"][1]["end"]] == "new york"
    assert "new\tB-place\tB-place\nyork\tI-place\tI-place" in (trained.directory / "predictions.conll").read_text()
    assert json.loads((trained.directory / "entities.json").read_text())["place"]["f1"] == 1.0
    assert 'pipeline_tag: "token-classification"' in (trained.model / "README.md").read_text()


def test_transformers_finds_the_same_entities(trained: FineTuned) -> None:
    transformers = pytest.importorskip("transformers")
    text = "dee left new york."
    pipe = transformers.pipeline(
        "token-classification", model=str(trained.model), tokenizer=str(trained.model), aggregation_strategy="first"
    )
    theirs = [(each["entity_group"], each["start"], each["end"]) for each in pipe(text)]
    ours = EntityMarker(trained.model, **WINDOWS)([text])[0]
    assert [(each.label, each.start, each.end) for each in ours] == theirs
    assert [each.text for each in ours] == ["dee", "new york"]


def test_long_texts_are_marked_from_end_to_end(trained: FineTuned) -> None:
    text = " ".join("bob saw lima ." for _ in range(20))
    found = EntityMarker(trained.model, **WINDOWS)([text])[0]
    assert [each.text for each in found] == ["bob", "lima"] * 20
    assert all(text[each.start : each.end] == each.text for each in found)


def test_a_part_of_a_run_without_spaces_is_marked(trained: FineTuned) -> None:
    """Whatever the model says of one of its characters: a run of Han had one label."""
    text = "\u6628\u5929\u738b\u8001\u5e08\u6765\u4e86"
    marker = EntityMarker(trained.model, **WINDOWS)
    data = marker.prepare([text])
    scores = np.zeros((len(data.features.token_ids), len(marker.tags)), dtype=np.float32)
    scores[:, marker.tags.index("O")] = 1
    first = data.arrays["word_place"][2]
    scores[first, marker.tags.index("B-person")] = 2
    scores[first + 1 : first + 3, marker.tags.index("I-person")] = 2
    ((found,),) = marker.entities(data, [scores])
    assert (found.text, found.start, found.end) == (text[2:5], 2, 5)


def test_evaluate_and_predict(trained: FineTuned, tmp_path: Path) -> None:
    text = "Ada saw Lima."
    marked = {"text": text, "spans": [{"start": 8, "end": 12, "label": "place"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(marked) + "\n")
    found = evaluate(trained.model, tmp_path / "a.jsonl", **WINDOWS).metrics
    assert (found["recall"], found["precision"]) == (1.0, 0.5)  # Ada is not marked there
    (tmp_path / "new.jsonl").write_text(json.dumps({"text": text}) + "\n")
    with pytest.raises(DataError, match="nothing to measure"):
        evaluate(trained.model, tmp_path / "new.jsonl", **WINDOWS)
    result = predict(trained.model, tmp_path / "new.jsonl", tmp_path / "out", **WINDOWS)
    assert result.metrics == {}
    line = json.loads((tmp_path / "out" / "predictions.jsonl").read_text())
    assert [each["text"] for each in line["entities"]] == ["Ada", "Lima"]
    marked["spans"][0]["label"] = "river"  # type: ignore[index]
    (tmp_path / "other.jsonl").write_text(json.dumps(marked) + "\n")
    with pytest.raises(DataError, match="'river', which the model does not"):
        evaluate(trained.model, tmp_path / "other.jsonl", **WINDOWS)
    result = predict(trained.model, tmp_path / "other.jsonl", tmp_path / "out", **WINDOWS)
    assert [each.kind for each in result.noted] == ["label_unknown"]
    assert json.loads((tmp_path / "out" / "predictions.jsonl").read_text())["entities"] == line["entities"]


def test_texts_to_classify_are_refused(trained: FineTuned, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a", "label": "b"}) + "\n")
    with pytest.raises(RecipeError, match="data is for text-classification"):
        evaluate(trained.model, tmp_path / "a.jsonl", **WINDOWS)


def test_predictions_can_be_joined_with_every_row_of_the_input(trained: FineTuned, tmp_path: Path) -> None:
    """Also where most rows are rejected: of each there is a line with its place, in the order of the file."""
    path = tmp_path / "new.jsonl"
    path.write_text('{"id": "a", "text": "Ada saw Rome"}\n\n{"id": "b", "text": " "}\nno JSON\n{"tokens": ["Rome"]}\n')
    result = predict(trained.model, str(path), tmp_path / "out", **WINDOWS)
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [(line["file"], line["line"]) for line in lines] == [(str(path), number) for number in (1, 3, 4, 5)]
    assert [line["text"] for line in lines] == ["Ada saw Rome", None, None, "Rome"]
    assert [line["entities"] is None for line in lines] == [False, True, True, False]
    assert [line["id"] for line in lines[:3]] == ["a", "b", None]
    assert [line.get("kind") for line in lines] == [None, "text_empty", "row_unreadable", None]
    assert result.n_examples == 2


def test_a_bad_sentence_of_columns_has_a_line_too(trained: FineTuned, tmp_path: Path) -> None:
    path = tmp_path / "new.conll"
    good = "ada\tB-person\nsaw\tO\nrome\tB-place\n\n"
    path.write_text(good + "ada\tB-person\nsaw\n\n" + 30 * good)
    predict(trained.model, str(path), tmp_path / "out", **WINDOWS)
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [line["line"] for line in lines[:3]] == [1, 6, 8]
    assert (lines[1]["entities"], lines[1]["kind"]) == (None, "row_unreadable")
    assert "gold" in lines[2]
