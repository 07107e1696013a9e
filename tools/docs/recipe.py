"""Write `docs/recipe.md` from the code: every setting, its default, its range and its meaning.

Run from the repository: `python tools/docs/recipe.py`. A test holds the page to what this writes.
"""

from __future__ import annotations

from pathlib import Path

from distiltune.recipe.recipe import BY_RULE, Recipe, allowed

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"

_INTRODUCTION = """# The recipe

A recipe is every setting of a run, as one value. Two have names. `auto`, the default, sets learning rate, epochs,
warm-up, clipping and monitor by what model, task and data are ([the rule and its evidence](recipe-auto.md)): a run
prints what was chosen and why, and its `recipe.toml` has the numbers. `--recipe classic` has the defaults below: the
numbers of the 2022 Keras tutorial, with two differences. The tutorial's products are float32; `precision = "auto"`
takes them in bfloat16 where the machine is made for it ([measured](performance.md#precision)), and then a GPU applies
no attention dropout. Its dropouts are those of `distilbert-base-uncased`, 0.1; a recipe that names none takes the
model's own, and both packaged models, `starter` and `starter-qa`, have 0. With `precision = "float32"`,
`dropout = 0.1`, `attention_dropout = 0.1` and `head_dropout = 0.1` nothing differs, whatever the model; what a run had
is in its `recipe.toml` under `[resolved]`.

Each setting is a flag (`--learning-rate 3e-5`), a line of a TOML file (`learning_rate = 3e-5`, used by
`--recipe FILE`; flags win), and an argument of `fine_tune` in Python. The run directory keeps the whole recipe in
`recipe.toml`, which can be used again as it is. The task `encoder` has some defaults of its own
([distillation](distillation.md)).

```toml
train = ["train.json"]
validation = ["dev.json"]
model = "distilbert-base-uncased"
epochs = 2
```

Adam's learning rate of step t, counted from 0, is
`(learning_rate - end_learning_rate) * (1 - t / steps) ** decay_power + end_learning_rate`; with a warm-up of w steps it
first rises as `learning_rate * (t + 1) / (w + 1)`, and the decay runs over what is left. The loss of a window is the
mean of the cross-entropies of its start and its end over its own tokens, padding never among them; that of a step is
the mean over its windows. The last, smaller batch of an epoch is kept.

| setting | default (`classic` where `auto` chooses) | allowed | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return _INTRODUCTION + "".join(_row(name) for name in Recipe.model_fields)


def _row(name: str) -> str:
    default = Recipe.model_fields[name].default
    shown = ", ".join(default) if isinstance(default, tuple) else "" if default is None else str(default)
    by_rule = " or by the rule" if name in BY_RULE else ""
    cells = (f"`{name}`", f"`{shown}`{by_rule}" if shown else "", allowed(name), Recipe.describe(name))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}")
