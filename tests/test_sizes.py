"""The bars on size: a function is read at one glance, a file says one thing, a call names what it needs."""

from __future__ import annotations

from pathlib import Path

from tools import sizes

LONGER_FUNCTIONS: dict[str, str] = {}
LONGER_FILES: dict[str, str] = {}
MORE_PARAMETERS: dict[str, str] = {
    "commands/asking.py:ask": "a parameter is a flag of the command",
    "commands/labelling.py:label": "a parameter is a flag of the command",
    "commands/making.py:make_questions": "a parameter is a flag of the command",
    "commands/models.py:export": "a parameter is a flag of the command",
    "commands/serving.py:serve": "a parameter is a flag of the command",
    "commands/tool.py:mcp": "a parameter is a flag of the command",
    "commands/training.py:distill": "a parameter is a flag of the command",
    "export/onnx.py:export_onnx": "public; all but two by keyword only, each a flag of `export`",
    "python/making.py:make_questions": "public; all but two by keyword only, each a flag of `make-questions`",
    "python/models.py:export_onnx": "the same, with data in memory",
    "python/estimators.py:DistilBertClassifier.__init__": "scikit-learn reads the parameters off this signature",
    "python/estimators.py:_Trained.__init__": "the same",
    "python/serve.py:serve": "public; all but the model by keyword only",
    "python/studies.py:cross_validate": "public; all but the recipe by keyword only",
    "python/training.py:fine_tune": "public; all but the recipe by keyword only",
    "runs/fine_tune.py:fine_tune": "the same, with data under names",
    "tasks/question_answering/answerer.py:Answerer.__init__": "public; all but the model by keyword only",
}
"""What is over a bar, and why. An entry that is no longer needed fails too."""


def test_no_function_is_long() -> None:
    over = {each.where for each in sizes.functions() if each.n_lines > sizes.MOST_FUNCTION_LINES}
    assert over == LONGER_FUNCTIONS.keys()


def test_no_file_is_long() -> None:
    assert {name for name, n in sizes.file_lines().items() if n > sizes.MOST_FILE_LINES} == LONGER_FILES.keys()


def test_no_function_takes_many_things() -> None:
    over = {each.where for each in sizes.functions() if each.n_parameters > sizes.MOST_PARAMETERS}
    assert over == MORE_PARAMETERS.keys()


def test_few_modules_lie_at_the_root() -> None:
    assert len(sizes.root_modules()) <= sizes.MOST_ROOT_MODULES


def test_what_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "distiltune"
    source.mkdir()
    (source / "__init__.py").write_text("")
    (source / "a.py").write_text(
        "class A:\n"
        "    def method(self, x, /, y, *, z): ...\n"
        "    @staticmethod\n"
        "    def plain(x): ...\n"
        "def outer(*all, **named):\n"
        "    async def inner():\n"
        "        return 1\n"
        "    return inner\n"
    )
    assert [(each.where, each.n_lines, each.n_parameters) for each in sizes.functions(source)] == [
        ("a.py:A.method", 1, 3),
        ("a.py:A.plain", 1, 1),
        ("a.py:outer", 4, 2),
        ("a.py:outer.inner", 2, 0),
    ]
    assert sizes.file_lines(source) == {"__init__.py": 0, "a.py": 8}
    assert sizes.root_modules(source) == ["a"]
