"""The recipe: every setting of a run as one frozen, typed value, readable and writable as TOML."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from distiltune.errors import RecipeError
from distiltune.tasks.settings import TaskSettings
from distiltune.tasks.table import AUTO, TASKS

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]

_MAX_RECIPE_BYTES = 1024**2
_A_RECIPE = "give a file of lines such as `epochs = 2`, or a run's recipe.toml"

MONITORS: dict[str, Literal["lower", "higher"]] = {
    name: better for entry in TASKS.values() for name, better in entry.monitors.items()
}
"""What early stopping and the choice of the best epoch may watch, and which way is better."""

WINDOW_SETTINGS = ("max_length", "stride", "max_question_tokens")
STORED_SETTINGS = (*WINDOW_SETTINGS, "max_answer_tokens", "long_texts")
"""What a model directory keeps from its training, so that it is read later as it was evaluated then."""

STORED_UNDER = "distiltune"
"""The entry of config.json that holds these, and what else a task stores."""


_EXCLUDE_EACH_OTHER = {
    "warmup_share": "warmup_steps",
    "train_questions": "train_examples",
    "validation_questions": "validation_examples",
}
"""Two ways to say one thing; the first is what a task may have a default for."""


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _known_task(name: str) -> str:
    if name not in (AUTO, *TASKS):
        raise ValueError(f"there is {_listed([repr(each) for each in (AUTO, *TASKS)])}")
    return name


def _known_monitor(name: str) -> str:
    if name not in MONITORS:
        raise ValueError(f"there is {_listed([repr(each) for each in MONITORS])}")
    return name


class EngineSettings(BaseModel):
    """The settings that hold for every task."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    task: Annotated[str, AfterValidator(_known_task)] = AUTO
    """What the training is for; `auto`: what the data, or else the model, is plainly for; `encoder` distils an encoder
    on plain text, before any task."""
    model: str = "starter"
    """Where the weights come from: a model directory, a run, `starter`, `starter-qa`, or a name on the Hugging Face
    hub."""
    train: tuple[str, ...] = ("starter",)
    """Training data: files, directories, `starter`, or data set names on the hub; several are mixed."""
    validation: tuple[str, ...] = ()
    """Validation data, as for training; if empty, some of the training data is set aside by `validation_share`."""
    validation_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1
    """Share of the training data set aside when no validation data is named (0: none); `starter` and hub names use
    their own validation split instead."""
    columns: str = ""
    """Names of the columns of flat data where they differ, as `question=q,context=passage`, `text=tweet,label=mood`."""
    max_rejected_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Largest share of rows that may be unusable before the run stops."""
    train_examples: Count = 0
    """Use only this many training examples, drawn by `sample_seed` (0: all)."""
    validation_examples: Count = 0
    """Use only this many validation examples, drawn by `sample_seed` (0: all)."""
    sample_seed: Count = 0
    """Seed of those draws: examples in file order, `random.Random(seed).shuffle`, the first N."""

    max_length: Annotated[int, Field(ge=16, le=131_072)] = 384
    """Most tokens in a window, special tokens (and a question) included."""
    stride: Annotated[int, Field(ge=0)] = 128
    """Tokens that neighbouring windows of one text share."""

    epochs: Positive = 5
    """Passes over the training data."""
    batch_size: Positive = 16
    """Features in a batch."""
    accumulation_steps: Positive = 1
    """Batches whose gradients make one optimiser step: a step takes `batch_size` x `accumulation_steps` features."""
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 2e-5
    """Learning rate at the start of the decay."""
    end_learning_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Learning rate at the end of the decay."""
    decay_power: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    """Power of the polynomial decay; 1 is linear."""
    warmup_steps: Count = 0
    """Optimiser steps over which the learning rate rises linearly from 0 before the decay begins."""
    warmup_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """The same as a share of all steps; excludes `warmup_steps`."""
    adam_beta1: Probability = 0.9
    """Decay of Adam's mean of gradients."""
    adam_beta2: Probability = 0.999
    """Decay of Adam's mean of squared gradients."""
    adam_epsilon: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-8
    """Added to Adam's denominator."""
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Decoupled weight decay (AdamW); biases and norms are left out."""
    max_gradient_norm: Annotated[float, Field(ge=0.0)] = 0.0
    """Gradients are scaled down to this norm where theirs is larger (0: never)."""
    dropout: Probability | None = None
    """Dropout of the embeddings and layers; by default what the model's config.json says (0.1 for DistilBERT)."""
    attention_dropout: Probability | None = None
    """Dropout of the attention weights; by default what the model's config.json says (0.1 for DistilBERT). In bfloat16
    on a GPU it is not applied, and the run says so."""
    head_dropout: Probability | None = None
    """Dropout before the head; by default what the model's config.json says (0.1 for DistilBERT, 0.2 where it
    classifies texts)."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the head's first weights, the shuffling and the dropout."""

    teacher: str = ""
    """A model to learn from besides the data, named as `model` is; none if empty."""
    temperature: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    """What the logits of teacher and student are divided by before they are compared."""
    soft_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Weight of the teacher's softened answers in the loss; the labels have the rest."""

    monitor: Annotated[str, AfterValidator(_known_monitor)] = "validation_loss"
    """What decides which epoch is best; `model/` holds that one."""
    patience: Count = 0
    """Stop after this many epochs without an improvement of `monitor` (0: never)."""
    min_change: Annotated[float, Field(ge=0.0)] = 0.0
    """Smallest change of `monitor` that counts as an improvement."""

    evaluation_tokens: Annotated[int, Field(ge=512)] = 4_096
    """Tokens in a batch of evaluation; changes speed and memory, not results."""

    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Of the matrix products; weights, sums and optimiser are float32 in any case. `auto` is bfloat16 on a GPU made for
    it, and on a processor made for it if the model is at least 256 wide; else float32, which `classic` has."""
    threads: Count = 0
    """Threads of tensor work on the CPU (0: as many as there are usable cores)."""
    log_every: Positive = 10
    """Optimiser steps between two lines of the log."""
    tensorboard: bool = False
    """Write TensorBoard events into the run directory too (needs the extra `tensorboard`)."""

    checkpoint_minutes: Annotated[float, Field(ge=0.0)] = 10.0
    """Most minutes of training that a kill or a power cut may cost; checkpoints are written often enough (0: no such
    bound)."""
    checkpoint_steps: Count = 0
    """The same in optimiser steps (0: no such bound); an epoch's end is kept in any case."""
    non_finite: Literal["stop", "skip"] = "stop"
    """What happens at a step whose loss or gradient is NaN or infinite: `stop`, or `skip` it (counted and logged)."""


class Recipe(TaskSettings, EngineSettings):
    """Every setting of a run. The defaults are the recipe ``classic``: the 2022 Keras tutorial's, number by number.

    Two may differ from the tutorial's. Of ``precision``: its products are float32, and attention is dropped out
    everywhere. Of the dropouts, 0.1 there: a model's own are taken, and both packaged ones have 0.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

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
        self._can_watch()
        self._fits_its_task()
        return self

    def _can_watch(self) -> None:
        if self.validation or self.validation_share:
            return
        for name in ("monitor", "patience", "min_change"):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} ({value}) is of validation data: validation names none, and validation_share is 0"
                )

    def _fits_its_task(self) -> None:
        entry = TASKS.get(self.task)
        if entry is None:  # not known yet
            return
        if self.monitor not in entry.monitors:
            raise ValueError(f"monitor is {self.monitor!r}, and {self.task} has {_listed(entry.monitors)}")
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
        owner = {name: entry.name for entry in TASKS.values() for name in entry.settings.model_fields}
        return tuple(n for n in type(self).model_fields if self.task == AUTO or owner.get(n, self.task) == self.task)

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
        for name in settings:
            if name not in cls.model_fields:
                near = difflib.get_close_matches(name, cls.model_fields, n=1)
                raise RecipeError(
                    f"There is no setting called {name!r}.",
                    where=f"recipe: {name}",
                    fix=f"did you mean {near[0]!r}?" if near else "see `distiltune train --help`",
                )
        try:
            return cls(**settings)
        except ValidationError as error:
            raise _as_recipe_error(error) from None

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
        stored = stored_settings(config)
        given = {name: getattr(self, name) for name in WINDOW_SETTINGS if name in self.model_fields_set}
        if given or not stored.keys().isdisjoint(WINDOW_SETTINGS):
            stored |= fill_windows(given, stored)
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
        return cls.build(read_settings(path))

    def to_toml(self) -> str:
        """The recipe as TOML, each setting that matters under the sentence that describes it."""
        lines = []
        for name, value in self.model_dump(mode="json", exclude_none=True, include=set(self.names)).items():
            lines.append(f"# {self.describe(name)}\n{tomli_w.dumps({name: value})}")
        return "\n".join(lines)


def read_settings(path: Path | str) -> dict[str, Any]:
    """The settings that a TOML file names, unchecked: its top level, or its table ``recipe`` if it has one.

    Raises:
        RecipeError: if the file cannot be read or is not TOML.

    """
    try:
        if Path(path).stat().st_size > _MAX_RECIPE_BYTES:
            raise RecipeError("The recipe is too large to be one.", where=str(path), fix=_A_RECIPE)
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"The recipe cannot be read: {error.strerror}.",
            where=str(path),
            fix="check the path, and that you may read it",
        ) from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a null in the name, nested too deep
        raise RecipeError(f"The recipe is not TOML: {error}.", where=str(path), fix=_A_RECIPE) from error
    inner = table.get("recipe")
    return dict(inner) if isinstance(inner, dict) else table


def stored_settings(config: Mapping[str, object]) -> dict[str, Any]:
    """The settings that a model's config.json keeps from its training; what is of another type is left out."""
    entry = config.get(STORED_UNDER)
    values = entry if isinstance(entry, Mapping) else {}
    return {name: values[name] for name in STORED_SETTINGS if _can_be(name, values.get(name))}


def _can_be(name: str, value: object) -> bool:
    options = get_args(Recipe.model_fields[name].annotation)
    return value in options if options else type(value) is int


def fill_windows(given: Mapping[str, int], stored: Mapping[str, int], limit: int | None = None) -> dict[str, int]:
    """All of `WINDOW_SETTINGS`: those given, and the others as a model was trained, fitted to them.

    A stride that is not given is at most a third of a window that is shorter than the model's own, and a question that
    is not given at most half of what windows of other lengths or strides leave. Whether windows can move on is not
    checked.

    Args:
        given: some of the settings; ``max_question_tokens`` of 0 means half of what a window leaves.
        stored: as `stored_settings` has them; what is missing is as in the recipe ``classic``.
        limit: most tokens that the model can read; a longer window is cut down, and what goes with it as if not given.

    """
    own = {name: stored.get(name, Recipe.model_fields[name].default) for name in WINDOW_SETTINGS}
    wanted = given.get("max_length", own["max_length"])
    length = wanted if limit is None else min(wanted, limit)
    is_cut = length < wanted
    stride = given.get("stride", own["stride"])
    if is_cut or ("stride" not in given and length < own["max_length"]):
        stride = min(stride, length // 3)
    half = (length - 3 - stride) // 2  # [CLS] question [SEP] context [SEP]
    question = given.get("max_question_tokens", own["max_question_tokens"]) or half
    as_trained = (length, stride) == (own["max_length"], own["stride"])
    if is_cut or ("max_question_tokens" not in given and not as_trained):
        question = min(question, half)
    return {"max_length": length, "stride": stride, "max_question_tokens": question}


def allowed(name: str) -> str:
    """The allowed range of a setting in words, empty if only its type bounds it."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    field = Recipe.model_fields[name]
    # Where None is allowed too, the bounds stand inside the union: Annotated[float, ...] | None.
    inner = [bound for part in get_args(field.annotation) for bound in getattr(part, "__metadata__", ())]
    flat = [each for bound in (*field.metadata, *inner) for each in getattr(bound, "metadata", (bound,))]
    parts = [f"{word} {getattr(each, name)}" for each in flat for name, word in words.items() if hasattr(each, name)]
    return " and ".join(parts)


def _as_recipe_error(error: ValidationError) -> RecipeError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return RecipeError(message, where="recipe", fix="change one of the two")
    expected = allowed(name)
    return RecipeError(
        f"{name} is {first['input']!r}: {message[0].lower()}{message[1:]}",
        where=f"recipe: {name}",
        fix=f"give a value {expected}" if expected else "see `distiltune train --help`",
    )
