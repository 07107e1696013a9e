"""Where the test of a module is: `tests/a/b/test_c.py` for `src/distiltune/a/b/c.py`, or what is said here."""

from __future__ import annotations

from pathlib import Path

from tools.imports import SOURCE

TESTS = Path(__file__).parent

TESTED_THROUGH: dict[str, tuple[str, ...]] = {
    "test_cli.py": (
        "version",
        *(f"commands/{name}" for name in ("app", "models", "options", "output", "training", "using")),
    ),
    "commands/test_asking.py": ("tasks/document_check", "tasks/document_files"),
    "commands/test_asking_folders.py": ("commands/searching",),
    "commands/test_check_names_unused_columns.py": ("data/unused_columns",),
    "commands/test_flags.py": ("settings/other_names",),
    "commands/test_wrong_calls.py": ("commands/naming",),
    "coach/test_advice.py": (
        *("checks/concerns", "coach/answers", "coach/evidence", "coach/learning", "coach/sickness"),
        "tasks/question_answering/check/training",
    ),
    "commands/test_coaching.py": (
        *(
            "checks/reading",
            "checks/vocabulary",
            "checks/windows",
        ),
        "tasks/checking",
    ),
    "data/test_columnar.py": ("data/parquet_pages",),
    "data/test_files.py": ("data/encodings", "data/file_form", "data/quotes", "data/rows"),
    "data/test_hostile_files.py": ("data/sources", "data/streams"),
    "data/test_held.py": ("data/streamed",),
    "data/test_hub.py": ("system/hub",),
    "data/test_tokens.py": ("data/panics",),
    "distillation/test_student.py": ("distillation/narrowing", "distillation/states"),
    "export/test_onnx.py": ("export/onnx_graph", "export/quantise", "inference/onnx_model"),
    "labelling/test_desk.py": ("labelling/items", "labelling/offered"),
    "labelling/test_retraining.py": ("labelling/niced",),
    "model/test_save.py": ("model/tokenizer", "system/tensor_file"),
    "model/test_strangers.py": ("model/tensor_bounds",),
    "model/test_source.py": ("model/small_json",),
    "python/test_estimators.py": ("python/estimator_data", "python/kept_model"),
    "python/test_product.py": (
        "export/modernise",
        *(
            f"python/{name}"
            for name in ("arguments", "check", "models", "serve", "settings", "studies", "training", "using")
        ),
    ),
    "python/test_showing.py": ("tasks/question_answering/reply_html",),
    "recipe/test_recipe.py": ("settings/engine", "settings/marks", "settings/stored", "tasks/settings"),
    "report/test_page.py": (
        *(f"report/{name}" for name in ("markup", "page_answers", "page_labels", "page_predictions", "run_summary")),
        "tasks/question_answering/guide",
    ),
    "report/test_stages.py": ("progress", "report/console"),
    "runs/test_embed.py": ("model/sentence_transformers_form",),
    "runs/test_evaluate.py": ("recipe/for_use",),
    "runs/test_fine_tune.py": ("runs/results", "runs/setup"),
    "runs/test_openings.py": ("runs/lora",),
    "runs/test_resume.py": ("runs/safekeeping", "training/reporter"),
    "runs/test_self_training.py": ("tasks/self_taught",),
    "runs/test_warming.py": ("runs/stages",),
    "studies/test_compare.py": ("runs/record", "studies/comparison_report", "tasks/analysis"),
    "studies/test_find_rate.py": ("studies/found_rate", "studies/rate_trials"),
    "studies/test_learning_rate.py": ("studies/range_picture",),
    "studies/test_tune.py": ("studies/search",),
    "tasks/encoder/test_task.py": tuple(f"tasks/encoder/{name}" for name in ("entry", "guide", "names", "settings")),
    "tasks/fill_mask/test_task.py": tuple(
        f"tasks/fill_mask/{name}" for name in ("entry", "guide", "names", "settings")
    ),
    "tasks/multiple_choice/test_read.py": tuple(
        f"tasks/multiple_choice/{name}" for name in ("choice_rows", "columns", "examples", "right_choices")
    ),
    "tasks/multiple_choice/test_task.py": tuple(
        f"tasks/multiple_choice/{name}"
        for name in ("analysis", "answerer", "check", "entry", "evaluation", "guide", "labelled", "names")
    ),
    "tasks/question_answering/check/test_data_check.py": tuple(
        f"tasks/question_answering/check/{name}" for name in ("fix", "repeats", "scripts", "windows")
    ),
    "tasks/question_answering/serve/test_service.py": (
        *("serving/asking", "serving/gate", "serving/metrics", "serving/reference", "serving/server"),
        "tasks/question_answering/serve/forms",
    ),
    "tasks/question_answering/test_answerer.py": (
        *("inference/precision", "tasks/question_answering/documents", "tasks/question_answering/found_answers"),
    ),
    "tasks/question_answering/test_features.py": ("data/windows", "tasks/question_answering/examples"),
    "tasks/question_answering/test_question_data.py": (
        "data/example_set",
        "data/reading",
        "data/rejections",
        "data/values",
    ),
    "tasks/question_answering/serve/test_tool.py": ("commands/tool",),
    "tasks/question_answering/search/test_folder.py": tuple(
        f"tasks/question_answering/search/{name}" for name in ("opening", "ranking", "refresh", "store")
    ),
    "python/test_calls.py": ("python/asking",),
    "tasks/question_answering/making/test_make.py": ("python/making",),
    "tasks/question_answering/test_pipeline.py": ("tasks/question_answering/pipeline_arguments",),
    "tasks/question_answering/test_read.py": tuple(
        f"tasks/question_answering/{name}"
        for name in ("no_answer", "question_layouts", "question_rows", "raw_answers", "raw_question")
    ),
    "tasks/question_answering/test_task.py": tuple(
        f"tasks/{name}" for name in ("base", *(f"question_answering/{each}" for each in ("entry", "names", "settings")))
    ),
    "tasks/test_every_task.py": (
        *("inference/trained_model", "runs/coaching", "serving/texts"),
        *(f"tasks/{name}" for name in ("entry", "guide", "heads", "labelled_model", "labels")),
        "tasks/trained",
        *(f"tasks/text_classification/{name}" for name in ("check", "evaluation", "labelled", "service")),
        *(f"tasks/token_classification/{name}" for name in ("check", "evaluation", "labelled", "service")),
    ),
    "tasks/test_labelling.py": (
        "tasks/label_sources",
        *(f"tasks/{name}_{kind}/labelling" for name, kind in (("text", "classification"), ("token", "classification"))),
        "tasks/question_answering/labelling",
    ),
    "tasks/text_classification/test_read.py": (
        "data/annotators",
        *(
            f"tasks/text_classification/{name}"
            for name in ("columns", "examples", "label_cells", "spellings", "targets")
        ),
        "tasks/text_classification/text_layouts",
    ),
    "tasks/text_classification/test_on_disk.py": ("tasks/text_classification/unlabelled",),
    "tasks/text_classification/test_task.py": tuple(
        f"tasks/text_classification/{name}" for name in ("classifier", "entry", "guide", "names", "settings")
    ),
    "tasks/token_classification/test_forms.py": (
        *("data/plain_rows", "data/spacy_forms", "data/standoff"),
        "tasks/token_classification/word_rows",
    ),
    "tasks/question_answering/test_on_disk.py": ("tasks/question_answering/contexts",),
    "tasks/token_classification/test_on_disk.py": ("tasks/token_classification/drafts",),
    "tasks/token_classification/test_read.py": (
        *("data/column_files", "data/column_layout", "data/conll"),
        *(f"tasks/token_classification/{name}" for name in ("columns", "spans", "settings")),
    ),
    "tasks/token_classification/test_task.py": tuple(
        f"tasks/token_classification/{name}" for name in ("entry", "examples", "guide", "marker", "names")
    ),
    "training/test_gradients.py": ("training/backward",),
    "training/test_loop.py": ("training/objective", "training/setup"),
}
"""Test file → the modules without a test file of their own that it runs."""


def mirror(module: str) -> Path:
    folder, _, name = module.rpartition("/")
    return TESTS / folder / f"test_{name}.py"


def modules() -> list[str]:
    """Every module but those that only name a package or call the command line, as ``a/b/c``."""
    files = sorted(SOURCE.rglob("*.py"))
    return [file.relative_to(SOURCE).with_suffix("").as_posix() for file in files if not file.stem.startswith("__")]


def test_every_module_has_its_test_where_one_looks_for_it() -> None:
    listed = [module for each in TESTED_THROUGH.values() for module in each]
    assert len(listed) == len(set(listed)), "listed twice"
    missing = {module for module in modules() if not mirror(module).is_file()}
    assert missing - set(listed) == set(), "give them a test file of their own, or list them in TESTED_THROUGH"
    assert set(listed) - missing == set(), "they have a test file of their own, or are no modules any more"


def test_the_test_files_listed_exist() -> None:
    assert [name for name in TESTED_THROUGH if not (TESTS / name).is_file()] == []
