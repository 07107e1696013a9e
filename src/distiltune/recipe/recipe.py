"""The recipe: every setting of a run as one frozen, typed value, readable and writable as TOML."""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self, get_args

import tomli_w
from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from distiltune.data.streams import open_bytes
from distiltune.errors import DataError, RecipeError
from distiltune.settings.bounds import allowed_range, settings_error
from distiltune.settings.engine import AUTO, EngineSettings
from distiltune.settings.other_names import OTHER_NAMES
from distiltune.settings.stored import fill_windows, stored_names, stored_settings
from distiltune.system.names import as_path, described, did_you_mean, names_beside, nearly
from distiltune.system.toml_text import parse_toml
from distiltune.tasks.entry import Better
from distiltune.tasks.settings import AllSettings
from distiltune.tasks.table import TASKS

_MAX_RECIPE_BYTES = 1024**2
_A_RECIPE = "give `auto`, `classic`, or a file of lines such as `epochs = 2`, as is a run's recipe.toml"

NAMED: tuple[str, ...] = get_args(EngineSettings.model_fields["base"].annotation)
"""The recipes that have a name."""

BY_RULE: Final = ("learning_rate", "epochs", "warmup_share", "max_gradient_norm", "monitor", "epoch_choice")
"""The settings that `recipe.auto` chooses where they are not given."""

MONITORS: dict[str, Better] = {name: better for entry in TASKS.values() for name, better in entry.watchable.items()}
"""What early stopping and the choice of the best epoch may watch, and which way is better; beside the recipe's own."""

IN_PYTHON: Final = ("metrics", "loss")
"""The settings that name functions, which only Python can give."""

_FIGURES: Final = frozenset({"loss", "n", "n_answerable", "n_unanswerable", "n_entities"})

_EXCLUDE_EACH_OTHER = {
    "warmup_share": "warmup_steps",
    "train_questions": "train_examples",
    "validation_questions": "validation_examples",
}
"""Two ways to say one thing; the first is what a task may have a default for."""


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


class Recipe(AllSettings):
    """Every setting of a run. The defaults are the recipe ``classic``: the 2022 Keras tutorial's, number by number.

    A run whose ``base`` is `auto` has what `recipe.auto` chooses in place of those that were not given, once model and
    data are known. Two of the defaults may differ from the tutorial's. Of ``precision``: its products are float32, and
    attention is dropped out everywhere. Of the dropouts, 0.1 there: a model's own are taken, and both packaged ones
    have 0.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @field_validator("task")
    @classmethod
    def _known_task(cls, name: str) -> str:
        if name not in (AUTO, *TASKS):
            meant = OTHER_NAMES.get(name.lower(), "") or next(iter(difflib.get_close_matches(name, TASKS, 1)), "")
            asked = f"; did you mean {meant!r}?" if meant in TASKS else ""
            raise ValueError(f"there is {_listed([repr(each) for each in (AUTO, *TASKS)])}{asked}")
        return name

    @field_validator("metrics")
    @classmethod
    def _usable_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or name in MONITORS or name in _FIGURES:
                raise ValueError(f"a metric of your own cannot be called {name!r}")
        return names

    @field_validator("monitor")
    @classmethod
    def _known_monitor(cls, name: str, info: ValidationInfo) -> str:
        own = info.data.get("metrics", ())
        if name not in (*MONITORS, *own):
            raise ValueError(f"there is {_listed([repr(each) for each in (*MONITORS, *own)])}")
        return name

    @model_validator(mode="wrap")
    @classmethod
    def _with_defaults_of_its_task(cls, given: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """What a task has other defaults for counts as not set, as all defaults do."""
        entry = TASKS.get(str(given.get("task"))) if isinstance(given, Mapping) else None
        if entry is None:
            return build(given)
        excluded = {name for name, other in _EXCLUDE_EACH_OTHER.items() if given.get(other)}
        defaults = {name: value for name, value in entry.defaults(given).items() if name not in excluded}
        recipe = build({**defaults, **given})
        recipe.model_fields_set.intersection_update(given)
        return recipe

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, other in _EXCLUDE_EACH_OTHER.items():
            if getattr(self, name) and getattr(self, other):
                raise ValueError(f"{other} and {name} exclude each other; set one of them to 0")
        if self.end_learning_rate > self.learning_rate:
            raise ValueError(
                f"end_learning_rate ({self.end_learning_rate}) is above learning_rate ({self.learning_rate})"
            )
        if not self.train:
            raise ValueError("train names no data")
        for name in ("temperature", "soft_weight"):
            if not self.teacher and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is of learning from a teacher, and teacher names no model")
        self._can_warm_up()
        if self.freeze == "encoder" and self.layer_rate_decay != 1.0:
            raise ValueError("layer_rate_decay and freeze 'encoder' exclude each other: only the head is trained")
        self._adapts()
        self._has_parts()
        self._averages()
        self._can_watch()
        self._fits_its_task()
        return self

    def _can_warm_up(self) -> None:
        for name in ("warm_up_order", "warm_up_weight", "warm_up_epochs"):
            if not self.warm_up_data and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is of warm-up data, and warm_up_data names none")
        if self.warm_up_order == "first" and self.warm_up_weight != 1.0:
            raise ValueError("warm_up_weight does nothing where warm_up_order is first; leave it out, or mix the data")

    @property
    def _reads_plain_text(self) -> bool:
        """Whether its task is one before any task, with a recipe of its own."""
        return self.task in TASKS and not TASKS[self.task].reads_rows

    def _adapts(self) -> None:
        if not self.lora_rank:
            for name in ("lora_alpha", "lora_dropout", "lora_targets"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is of LoRA, and lora_rank is 0")
        elif self.freeze:
            raise ValueError(f"lora_rank and freeze {self.freeze!r} exclude each other: LoRA freezes the encoder")
        elif self._reads_plain_text:
            raise ValueError(f"lora_rank and the task {self.task} exclude each other: what it makes is an encoder")

    def _has_parts(self) -> None:
        if self.folds == 1:
            raise ValueError("folds is 1, and something must be left to train on: 2 or more")
        if self.folds and self.validation:
            raise ValueError("folds and validation exclude each other: each part of the training data is validated on")
        if self.folds and self._reads_plain_text:
            raise ValueError(f"folds are of labelled data, and the task {self.task} has none")
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}, and folds is {self.folds}; they are counted from 0")

    def _averages(self) -> None:
        for name, needed in (("average_decay", "steps"), ("average_epochs", "epochs")):
            if self.average != needed and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is of average {needed!r}, and average is {self.average!r}")

    @property
    def better(self) -> Better:
        """Which way the monitored figure is better."""
        if self.monitor in self.metrics:
            return "lower" if self.monitor_better == "lower" else "higher"
        return MONITORS[self.monitor]

    def _can_watch(self) -> None:
        if self.monitor_better != "auto" and self.monitor not in self.metrics:
            raise ValueError(f"monitor_better is of metrics of your own, and monitor is {self.monitor!r}")
        if self.epoch_choice == "within_error" and (self.monitor.endswith("loss") or self.monitor in self.metrics):
            raise ValueError(f"epoch_choice 'within_error' is of a score of the task, and monitor is {self.monitor!r}")
        if self.validation or self.validation_share or self.folds:
            return
        for name in ("monitor", "metrics", "epoch_choice", "patience", "min_change"):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} ({value}) is of validation data: validation names none, and validation_share is 0"
                )

    def _fits_its_task(self) -> None:
        entry = TASKS.get(self.task)
        if entry is None:  # not known yet
            return
        if self.monitor not in (*entry.watchable, *self.metrics):
            watchable = _listed([*entry.watchable, *self.metrics])
            raise ValueError(f"monitor is {self.monitor!r}, and {self.task} has {watchable}")
        for name in sorted(self.model_fields_set - set(self.names)):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(self._foreign(name))
        entry.check(self)

    def _foreign(self, name: str) -> str:
        return f"{name} is a setting of another task than {self.task}; they exclude each other"

    def check_used(self, names: Iterable[str]) -> None:
        """Check settings that somebody gave on purpose: also at their default, another task's are refused.

        A recipe in a file may have them, since it may list all settings there are.

        Raises:
            RecipeError: naming the first that is another task's.

        """
        for name in sorted(set(names) - set(self.names)):
            raise RecipeError(self._foreign(name), where=f"recipe: {name}", fix="leave it out")

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that matter: every task's and this task's own; all while the task is not known."""
        owner = {name: entry.name for entry in TASKS.values() for name in entry.own_settings}
        return tuple(n for n in type(self).model_fields if self.task == AUTO or owner.get(n, self.task) == self.task)

    @property
    def open(self) -> tuple[str, ...]:
        """The settings that `recipe.auto` is to choose, once model and data are known."""
        if self.base != AUTO or self._reads_plain_text:
            return ()
        given = self.model_fields_set | ({"warmup_share"} if "warmup_steps" in self.model_fields_set else set())
        return tuple(name for name in BY_RULE if name not in given)

    @classmethod
    def describe(cls, name: str) -> str:
        """The sentence that says what a setting means."""
        return " ".join((cls.model_fields[name].description or "").split())

    @classmethod
    def build(cls, settings: Mapping[str, Any]) -> Recipe:
        """Build a recipe from settings by name, checking each and all together.

        Raises:
            RecipeError: naming the setting, the value, and what is allowed.

        """
        if not isinstance(settings, Mapping):
            raise RecipeError(
                f"settings is {described(settings)}, no dictionary.", where="recipe", fix="give settings by their names"
            )
        for name in settings:
            if name not in cls.model_fields:
                same = OTHER_NAMES.get(name.lower().replace("-", "_"), "")
                near = [same] if same in cls.model_fields else difflib.get_close_matches(name, cls.model_fields, n=1)
                raise RecipeError(
                    f"There is no setting called {name!r}.",
                    where=f"recipe: {name}",
                    fix=f"did you mean {near[0]!r}?" if near else "see `distiltune train --help`",
                )
        try:
            return cls(**settings)
        except ValidationError as error:
            raise settings_error(error, cls, "recipe") from None

    def with_changes(self, **changes: Any) -> Recipe:
        """The same recipe with some settings changed, checked again.

        Raises:
            RecipeError: naming the setting, the value, and what is allowed.

        """
        return Recipe.build({**self.model_dump(exclude_unset=True), **changes})

    def with_stored(self, config: Mapping[str, object], task: str = "") -> Recipe:
        """The same recipe with what a model's config.json keeps from its training in place of settings not given.

        With a ``task``, it is for that one.
        """
        entry = TASKS.get(task or self.task)
        kind = entry.settings if entry is not None else type(self)
        stored = stored_settings(config, kind)
        given = {name: getattr(self, name) for name in stored_names(kind) if name in self.model_fields_set}
        windows = (entry.windows if entry is not None else fill_windows)(given, stored)
        if not windows.keys().isdisjoint({*given, *stored}):
            stored |= windows
        changes = {"task": task} if task else {}
        names = set(self.model_copy(update=changes).names) - self.model_fields_set
        changes |= {name: value for name, value in stored.items() if name in names}
        return self.with_changes(**changes) if changes else self

    @classmethod
    def from_toml(cls, path: Path | str) -> Recipe:
        """Read a recipe; settings not named take their defaults. Reads a run's ``recipe.toml`` too.

        Raises:
            RecipeError: if the file cannot be read, is not TOML, or holds a bad setting.

        """
        return cls.build(read_settings(as_path(path, "recipe")))

    def to_toml(self) -> str:
        """The recipe as TOML, each setting that matters under the sentence that describes it.

        What a rule is still to choose is left out.
        """
        lines = []
        known = set(self.names) - set(self.open)
        for name, value in self.model_dump(mode="json", exclude_none=True, include=known).items():
            lines.append(f"# {self.describe(name)}\n{tomli_w.dumps({name: value})}")
        return "\n".join(lines)


def named_settings(recipe: Path | str) -> dict[str, Any]:
    """The settings of a recipe by name, `auto` or `classic`, or of a TOML file; unchecked.

    Raises:
        RecipeError: if it is neither of the names, nor a file that can be read and is TOML.

    """
    if str(recipe) in NAMED:
        return {"base": str(recipe)}
    return read_settings(recipe)


def read_settings(path: Path | str) -> dict[str, Any]:
    """The settings that a TOML file names, unchecked: its top level, or its table ``recipe`` if it has one.

    Raises:
        RecipeError: if the file cannot be read or is not TOML.

    """
    try:
        if Path(path).stat().st_size > _MAX_RECIPE_BYTES:
            raise RecipeError("The recipe is too large to be one.", where=str(path), fix=_A_RECIPE)
        # which waits for no pipe that nobody writes into
        with open_bytes(Path(path), _MAX_RECIPE_BYTES) as file:
            table = parse_toml(file.read().decode())
    except DataError as error:
        raise RecipeError(error.what, where=str(path), fix=_A_RECIPE) from error
    except OSError as error:
        near = [nearly(str(path), NAMED)] if nearly(str(path), NAMED) else names_beside(Path(path))
        raise RecipeError(
            f"The recipe cannot be read: {error.strerror or error}.",
            where=str(path),
            fix=f"{did_you_mean(near)}check the path, and that you may read it",
        ) from error
    except (ValueError, EOFError, zlib.error) as error:  # not TOML, not UTF-8, a null in the name, packed and cut short
        raise RecipeError(f"The recipe is not TOML: {error}.", where=str(path), fix=_A_RECIPE) from error
    inner = table.get("recipe")
    return dict(inner) if isinstance(inner, dict) else table


def allowed(name: str) -> str:
    """The allowed range of a setting in words, empty if only its type bounds it."""
    return allowed_range(Recipe.model_fields[name])
