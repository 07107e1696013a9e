"""Write `docs/architecture.md` and its picture from the code: the packages, who imports whom, two paths through them.

Run from the repository: `python -m tools.docs.architecture`. A test holds both files to what this writes, and another
runs both paths and holds them to what happens.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tools.docs.layers import BOX_WIDTH, Layout, lay_out, rows_of, without_what_follows
from tools.imports import LAYERS, SOURCE, unit_arrows

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "architecture.md"
PICTURE = DOCS / "pictures" / "architecture.svg"


@dataclass(frozen=True)
class Step:
    """A function on a path."""

    module: str
    """Its file, from the package's folder: ``data/packing.py``."""
    function: str
    """Its qualified name: ``Adam.step``."""
    what: str
    """What it does there, for the page."""


QUESTION = (
    Step(
        "runs/evaluate.py", "predict", "takes settings, finds the task by the model, loads it, and calls what follows"
    ),
    Step(
        "tasks/question_answering/read.py", "read_examples", "data to examples; what cannot be used becomes a finding"
    ),
    Step("data/files.py", "iter_rows", "a file of any form to rows"),
    Step("tasks/question_answering/question_rows.py", "questions_of", "a row to the questions in it"),
    Step("tasks/question_answering/features.py", "make_features", "examples to windows of tokens, kept in the cache"),
    Step("inference/predictor.py", "outputs", "features through the model, batch by batch, without gradients"),
    Step("data/packing.py", "pack", "windows end to end in one batch, no padding"),
    Step("model/encoder.py", "TaskModel.forward", "encoder, then head: a row of scores for every token"),
    Step("model/attention.py", "packed_attention", "each window attends to itself only"),
    Step("tasks/heads.py", "TokenHead.forward", "hidden states to scores of a start and an end"),
    Step("tasks/question_answering/decode.py", "decode", "scores to the best spans of a window"),
    Step("tasks/question_answering/evaluation.py", "PredictionFiles.add", "the answer as text into `predictions.json`"),
)
"""One question from its file to its answer, in the order in which the functions are first called by `predict`."""

LEARNING_RATE = (
    Step("runs/fine_tune.py", "fine_tune", "takes `learning_rate` (a field of `EngineSettings`) as a setting"),
    Step("recipe/recipe.py", "Recipe.with_changes", "checks it with all other settings; the recipe is what is kept"),
    Step("runs/stages.py", "schedule", "recipe and number of steps to the schedule"),
    Step("training/loop.py", "train", "the loop, which knows no recipe: it takes a function of the step"),
    Step("training/schedule.py", "PolynomialDecay.__call__", "the rate of step t, from 0"),
    Step("training/optimiser.py", "Adam.step", "takes the step with it"),
)
"""The learning rate from the recipe to the weights, in the order in which the functions are first called."""

_QUESTION_MARKED = [(str(at), step) for at, step in enumerate(QUESTION, 1)]
_RATE_MARKED = list(zip("abcdefghijklm", LEARNING_RATE, strict=False))

_INTRODUCTION = """# Architecture

Every package imports only what is below it, and no two files import each other, not in a roundabout way either
(`tests/test_architecture.py`). Nothing in `data`, `model`, `training` and `inference` knows a task. A script makes this
page and its picture from the imports and the first lines of the packages: `python -m tools.docs.architecture`.

![The packages in layers, with arrows to those that they import; two paths are marked](pictures/architecture.svg)

{said}

| package | what it is for |
|---|---|
"""

_QUESTION_SAID = """
## One question, from file to answer

What `distiltune predict --model runs/mine --data dev.json --output answers` comes to, in the order of the first calls:

| | function | what it does |
|---|---|---|
"""

_RATE_SAID = """
## The learning rate, from recipe to Adam

What `distiltune train --learning-rate 3e-5 …` does with its number:

| | function | what it does |
|---|---|---|
"""

_END = """
Where to look for the test of a module, and how to run it: `CONTRIBUTING.md` in the repository.
"""


def page() -> str:
    """The whole page."""
    arrows = unit_arrows()
    drawn = without_what_follows(arrows)
    said = (
        f"{_count(drawn)} of {_count(arrows)} arrows are drawn: those that follow from others are left out. "
        "`starter` is data only; `__init__` has the public names, each imported when it is first asked for."
    )
    return (
        _INTRODUCTION.format(said=said)
        + "".join(f"| `{name}` | {_purpose(name)} |\n" for name in _downward(drawn))
        + _QUESTION_SAID
        + "".join(_step_row(*each) for each in _QUESTION_MARKED)
        + _RATE_SAID
        + "".join(_step_row(*each) for each in _RATE_MARKED)
        + _END
    )


def check_steps() -> None:
    """Look every step up in the source.

    Raises:
        LookupError: naming the step whose function there is not.

    """
    for step in (*QUESTION, *LEARNING_RATE):
        node: ast.AST = ast.parse((SOURCE / step.module).read_text(encoding="utf-8"))
        for name in step.function.split("."):
            inner = [each for each in ast.iter_child_nodes(node) if getattr(each, "name", None) == name]
            if not inner:
                raise LookupError(f"There is no {step.function} in {step.module}: mend the path in {__file__}.")
            node = inner[0]


def _count(arrows: dict[str, set[str]]) -> int:
    return sum(map(len, arrows.values()))


def _downward(drawn: dict[str, set[str]]) -> list[str]:
    """Every unit, row by row as in the picture, the uppermost first."""
    rows = rows_of(drawn)
    return sorted(rows, key=lambda name: (rows[name], -LAYERS.index(name)))


def _purpose(name: str) -> str:
    """The first line of its docstring, without the full stop."""
    package = SOURCE / name / "__init__.py"
    file = package if package.is_file() else SOURCE / f"{name}.py"
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].rstrip(".")


def _step_row(mark: str, step: Step) -> str:
    return f"| {mark} | `{step.module}` `{step.function}` | {step.what} |\n"


_ROW = 74.0
_BOX_HEIGHT = 44.0
_MARGIN = 24.0
_TOP = 76.0
_PANEL = 322.0
_MARK = 18.0

_STYLE = """
  .paper { fill: #ffffff } .box { fill: #f4f6f8; stroke: #8a94a0 } .name { fill: #16202a } .said { fill: #4a5663 }
  .line { stroke: #7b8794; fill: none; stroke-width: 1.3 } .head { fill: #7b8794 }
  .one { fill: #0b62c4 } .two { fill: #b34700 } .mark { fill: #ffffff }
  text { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px }
  .name { font-weight: 600 } .title { font-size: 15px; font-weight: 600 } .mark { font-size: 10px; font-weight: 700 }
  .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 11.5px } .small { font-size: 11.5px }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12171d } .box { fill: #1f2730; stroke: #76828f } .name { fill: #eef2f6 } .said { fill: #b3bec9 }
    .line { stroke: #8c99a6 } .head { fill: #8c99a6 } .one { fill: #6cb2ff } .two { fill: #ffa05c }
    .mark { fill: #12171d }
  }
"""


def picture() -> str:
    """The picture as SVG, light or dark as its reader has it."""
    arrows = unit_arrows()
    layout = lay_out(without_what_follows({name: arrows[name] for name in reversed(LAYERS)}))
    width = layout.width + _PANEL + 4 * _MARGIN
    height = _TOP + (max(layout.rows.values()) + 1) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="The packages of distiltune and who imports whom">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="8"/>',
        _text(_MARGIN, 34, "name title", "Packages: each imports only what is below it"),
        _text(_MARGIN, 52, "said small", "Arrows that follow from others are left out."),
        f'<g transform="translate({_MARGIN:.0f} 0)">',
        *_lines(layout),
        *(part for name in layout.rows for part in _box(layout, name)),
        "</g>",
        *_panels(layout.width + 3 * _MARGIN),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _text(x: float, y: float, kind: str, said: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{escape(said)}</text>'


def _top(row: int) -> float:
    return _TOP + row * _ROW


def _lines(layout: Layout) -> list[str]:
    """A curve for each arrow; those that meet at a box arrive side by side."""
    found = []
    for (name, other), through in layout.lines.items():
        row = layout.rows[name]
        start = through[0] + _port([(ends, xs[1]) for ends, xs in layout.lines.items() if ends[0] == name], other, 1)
        end = through[-1] + _port([(ends, xs[-2]) for ends, xs in layout.lines.items() if ends[1] == other], name, 0)
        x, y = start, _top(row) + _BOX_HEIGHT
        drawn = [f"M{x:.1f} {y:.1f}"]
        for at, next_x in enumerate([*through[1:-1], end], row + 1):
            is_last = at == row + len(through) - 1
            next_y = _top(at) - (7 if is_last else 0)
            bend = (next_y - y) / 2
            drawn.append(f"C{x:.1f} {y + bend:.1f} {next_x:.1f} {next_y - bend:.1f} {next_x:.1f} {next_y:.1f}")
            x, y = next_x, next_y
            if not is_last:
                y = _top(at) + _BOX_HEIGHT
                drawn.append(f"L{x:.1f} {y:.1f}")
        found.append(f'<path class="line" d="{" ".join(drawn)}"/>')
        found.append(f'<path class="head" d="M{x - 4:.1f} {y:.1f}h8l-4 7z"/>')
    return found


def _port(beside: list[tuple[tuple[str, str], float]], other: str, which: int) -> float:
    """How far from the middle a line begins or ends, so that it does not lie on another."""
    names = [ends[which] for ends, _ in sorted(beside, key=lambda each: (each[1], each[0]))]
    return (names.index(other) - (len(names) - 1) / 2) * min(18.0, (BOX_WIDTH - 20) / len(names))


def _box(layout: Layout, name: str) -> list[str]:
    x, y = layout.centres[name] - BOX_WIDTH / 2, _top(layout.rows[name])
    marks = [
        *(("one", mark) for mark, step in _QUESTION_MARKED if _unit(step) == name),
        *(("two", mark) for mark, step in _RATE_MARKED if _unit(step) == name),
    ]
    middle = x + BOX_WIDTH / 2
    left = middle - (len(marks) - 1) * _MARK / 2
    return [
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{BOX_WIDTH:.0f}" height="{_BOX_HEIGHT:.0f}" rx="6"/>',
        _text(middle, y + (18 if marks else 27), "name", name, ' text-anchor="middle"'),
        *(part for at, (kind, mark) in enumerate(marks) for part in _mark(left + at * _MARK, y + 32, kind, mark)),
    ]


def _mark(x: float, y: float, kind: str, said: str) -> tuple[str, str]:
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>',
        _text(x, y + 3.6, "mark", said, ' text-anchor="middle"'),
    )


def _unit(step: Step) -> str:
    return step.module.partition("/")[0]


def _panels(left: float) -> list[str]:
    """Both paths as lists, beside the packages."""
    found, y = [], 34.0
    for title, kind, marked in (
        ("One question, from file to answer", "one", _QUESTION_MARKED),
        ("The learning rate, from recipe to Adam", "two", _RATE_MARKED),
    ):
        found.append(_text(left, y, "name title", title))
        y += 30
        for mark, step in marked:
            found += _mark(left + 8, y - 4, kind, mark)
            found.append(_text(left + 24, y, "name code", step.function))
            found.append(_text(left + 24, y + 15, "said small", step.module))
            y += 40
        y += 22
    return found


if __name__ == "__main__":
    check_steps()
    PAGE.write_text(page(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"written: {PAGE}, {PICTURE}")
