"""The model card: read back as the hub reads it, with friendly and with hostile names."""

from __future__ import annotations

import contextlib
import io
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from distiltune.export.onnx import _Candidate, _readme
from distiltune.export.verify import ExportComparison
from distiltune.model.convert import Converted
from distiltune.report.epoch_table import as_markdown
from distiltune.report.model_card import converted_card, escape, model_card, yaml_string
from distiltune.report.run_summary import RunSummary
from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample
from distiltune.tasks.text_classification.guide import text_guide
from distiltune.tasks.text_classification.targets import Targets
from distiltune.tasks.token_classification.guide import token_guide

from ..model.tiny_models import tiny_model, write_vocabulary
from .a_run import COLUMNS, SCORES, a_run

HOSTILE = 'a: "b"\n---\nlicense: mit # <script>alert(1)</script> | `x` [y](http://z) \u2028 \\ é 😀'


def hostile_run() -> RunSummary:
    run = a_run(2, name=HOSTILE, base_model=HOSTILE, hub_names=frozenset({HOSTILE}), notes=(HOSTILE,))
    data = replace(run.train, sources=(HOSTILE,), fingerprint=HOSTILE, findings={f"rejected/{HOSTILE}": 1})
    return replace(run, train=data, validation=data, versions={HOSTILE: HOSTILE}, precision=HOSTILE)


def code_blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", card, re.DOTALL)


def test_the_front_matter_says_what_the_hub_asks_for() -> None:
    run = a_run()
    assert run.validation is not None
    run = replace(
        run,
        validation=replace(run.validation, sources=("squad:plain_text",)),
        hub_names=run.hub_names | {"squad:plain_text"},
    )
    data = ModelCard(model_card(run)).data
    assert data.library_name == "transformers"
    assert data.base_model == "distilbert-base-uncased"
    assert data.pipeline_tag == "question-answering"
    assert data.tags == ["distilbert", "distiltune", "question-answering"]
    assert data.language is None
    assert data.license is None
    assert data.eval_results is not None
    results = [(r.dataset_type, r.dataset_name, r.metric_type, r.metric_value) for r in data.eval_results]
    assert results == [
        ("squad", "squad:plain_text", "exact_match", 77.2345),
        ("squad", "squad:plain_text", "f1", 85.4567),
    ]


def test_figures_of_data_that_is_not_on_the_hub_claim_no_data_set() -> None:
    results = ModelCard(model_card(a_run())).data.eval_results
    assert results is not None
    assert {(result.dataset_type, result.dataset_name) for result in results} == {("custom", "dev.json")}


@pytest.mark.parametrize(
    "run",
    [
        a_run(2, validation=False),
        a_run(final_metrics={"loss": 1.0}),
        a_run(final_metrics={"exact_match": math.nan, "f1": math.nan}),
    ],
)
def test_without_the_scores_no_result_is_claimed(run: RunSummary) -> None:
    assert ModelCard(model_card(run)).data.eval_results is None


def test_a_local_base_model_is_not_claimed_to_be_on_the_hub() -> None:
    card = model_card(a_run(base_model="/home/jane/models/mine"))
    assert ModelCard(card).data.base_model is None
    assert "fine-tuned from mine with" in card


def test_nothing_tells_where_things_lay_on_the_training_machine() -> None:
    run = a_run(
        base_model="/home/jane/models/mine",
        notes=("The file /home/jane/train.json was read.", "C:\\Users\\jane\\x.json too"),
    )
    run = replace(
        run,
        train=replace(run.train, sources=("/home/jane/data/train.json",)),
        recipe=tuple(
            replace(entry, value=("/home/jane/data/train.json",)) if entry.name == "train" else entry
            for entry in run.recipe
        ),
    )
    card = model_card(run)
    assert "jane" not in card
    assert "| `train` | train.json |" in card


def test_the_epoch_table_is_the_terminals() -> None:
    run = a_run()
    assert as_markdown(run.epochs, COLUMNS) in model_card(run)


def test_the_scores_on_unanswerable_questions_are_shown() -> None:
    card = model_card(
        a_run(final_metrics={**SCORES, "n_unanswerable": 400.0, "unanswerable_exact_match": 61.5, "strange_new": 0.25})
    )
    assert "| Questions without an answer | 400 |" in card
    assert "| Exact match, questions without an answer | 61.50 % |" in card
    assert "| Strange new | 0.2500 |" in card
    assert "judged by a threshold" in card


def test_settings_and_findings_are_listed() -> None:
    card = model_card(a_run())
    assert "| `learning_rate` | 2e-5 | Learning rate at the start of the decay. |" in card
    assert "| Training | left out | answer not found | 12 |" in card
    assert "float32" in card


def test_hostile_names_stay_text() -> None:
    card = model_card(hostile_run())
    data = ModelCard(card).data
    assert data.license is None
    assert data.base_model == HOSTILE
    body = card.split("---\n", 2)[2]
    assert "<script" not in card.replace(yaml_string(HOSTILE), "").split("---\n", 2)[2]
    assert "](http://z)" not in body
    assert not re.search(r"^---$|^license", body, re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE):
        n_cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(n_cells) == 1, table


LABEL = "![x](http://z/p.png) <img src=http://z onerror=a()> [y](//z) `c` | $$\\frac{1}{2}$$ www.z.org a@z.org"
LABELS = (LABEL, "\n\n# heading\n\n", "\n---\nlicense: mit", "- item", "&lt;b&gt;", "~~~\n", "\x1b[31m\u202e", "***")


@pytest.mark.parametrize("labels", [LABELS, *((label,) for label in LABELS)], ids=repr)
@pytest.mark.parametrize("task", ["single-label", "multi-label", "tokens"])
def test_labels_of_data_stay_text(labels: tuple[str, ...], task: str, tmp_path: Path) -> None:
    """In the card of a run, of a converted model and of an exported one, as the hub renders them."""
    if task == "tokens":
        guide, plain_guide = token_guide(labels, 48), token_guide(["a"] * len(labels), 48)
    else:
        two = ("other", *labels)
        guide, plain_guide = (
            text_guide({}, Targets(task, each), 48, truncate=True)  # type: ignore[arg-type]
            for each in (two, ("a",) * len(two))
        )
    converted = Converted("starter", tmp_path / "model", True, 1, ())
    readme = partial(_readme, _Candidate("float32", tmp_path, ExportComparison(1, 1, 0.0, 1.0, "f1", 1.0, 1.0)))
    for card, without in (
        (model_card(a_run(guide=guide)), model_card(a_run(guide=plain_guide))),
        (converted_card(converted, guide), converted_card(converted, plain_guide)),
        (readme(guide, ""), readme(plain_guide, "")),
    ):
        assert markup(card) == markup(without)
        assert ModelCard(card).data.to_dict() == ModelCard(without).data.to_dict()
        body = card.split("---\n", 2)[2]
        assert not re.search(r"(?<!\\)\$|://z|www\.z|a@z|[\x1b\u202e]", body)


def markup(card: str) -> list[str]:
    """What a card is made of for whoever renders it, its texts left out."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(card.split("---\n", 2)[2])
    kinds = [each.type for token in tokens for each in (token, *(token.children or ()))]
    return [kind for kind in kinds if kind not in ("text", "text_special")]


@pytest.mark.parametrize("code", ["print(1)", "a = 1\n```\n# heading\n~~~", "`````"])
def test_code_stays_code(code: str) -> None:
    guide = replace(a_run().guide, usage=(UsageExample("In *Python*", "So:\n# now", "python", code),))
    tokens = MarkdownIt().parse(model_card(a_run(guide=guide)).split("---\n", 2)[2])
    assert [token.content.rstrip() for token in tokens if token.type == "fence"] == [code]


def test_what_utf8_cannot_hold_does_not_stop_the_card() -> None:
    model_card(a_run(name="caf\udce9", base_model="\udce9", hub_names=frozenset({"\udce9"}))).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"),
        ("*a* _b_ `c`", "\\*a\\* \\_b\\_ \\`c\\`"),
        ("[a](https://b)", "\\[a\\](https:&#47;&#47;b)"),
        ("a\n\n# b", "a \\# b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
    ],
)
def test_escaping(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_the_words_come_from_the_task() -> None:
    guide = TaskGuide(
        sentence="sorts texts into classes",
        pipeline_tag="text-classification",
        tags=("text-classification",),
        metrics={"loss": MetricLabel("Loss", "nats")},
        headlines=(),
        usage=(UsageExample("In Python", "So:", "python", "print(1)"),),
        limits=("It knows its classes and no others.",),
    )
    card = model_card(a_run(guide=guide))
    data = ModelCard(card).data
    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["distilbert", "distiltune", "text-classification"]
    assert data.eval_results is None
    assert code_blocks(card, "python") == ["print(1)"]
    assert "It knows its classes and no others." in card


def test_the_examples_of_use_work_and_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model("question answering").save_pretrained(tmp_path)
    write_vocabulary(tmp_path)
    monkeypatch.chdir(tmp_path)
    answers = []
    for block in code_blocks(model_card(a_run(max_window_tokens=48)), "python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, {})  # the card's own code
        answers.append(printed.getvalue().strip())
    ours, theirs = answers
    assert ours == theirs
    assert ours
    assert ours in "The lease is signed by the tenant and the owner."
