"""The settings that hold for every task; a task's own settings are a class derived from these."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from distiltune.data.column_names import mapping_text
from distiltune.data.file_form import Quoting, known_encoding
from distiltune.errors import RecipeError
from distiltune.settings.marks import STORED, Panel
from distiltune.system.names import as_name, as_names, as_text, described


def _name(value: object, info: ValidationInfo) -> str:
    return as_name(value, str(info.field_name), f"recipe: {info.field_name}")


def _optional_name(value: object, info: ValidationInfo) -> str:
    return "" if value == "" else _name(value, info)


def _names(value: object, info: ValidationInfo) -> tuple[str, ...]:
    return as_names(value, str(info.field_name), f"recipe: {info.field_name}")


def _text(value: object, info: ValidationInfo) -> str:
    return as_text(value, str(info.field_name), f"recipe: {info.field_name}")


def _columns(value: object) -> str:
    if isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair):
        return mapping_text(value)
    if not isinstance(value, str):
        raise RecipeError(
            f"columns is {described(value)}, and names no columns by strings.",
            where="recipe: columns",
            fix='give them as {"text": "NAME", "label": "NAME"}; a column that a number names by that, as "0"',
        )
    return value


def _freeze(value: object) -> object:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not _FREEZE.fullmatch(text):
        raise ValueError("it must be `embeddings`, `encoder`, a number of layers from 1 on, or empty")
    return text


def _lora_targets(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    known = ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")
    if not set(names) <= set(known) or len(set(names)) < len(names):
        raise ValueError(f"name some of {', '.join(known)}, each once")
    return ",".join(names)


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def joined_by(sign: str) -> Callable[[object], object]:
    """What writes several strings in a list as one setting has them, parted by this sign; others stay as they are."""

    def join(value: object) -> object:
        if isinstance(value, list | tuple) and all(isinstance(each, str) and sign not in each for each in value):
            return sign.join(value)
        return value

    return join


Name = Annotated[str, BeforeValidator(_name)]
"""Of a model: a string, or a path where a recipe is built."""

OptionalName = Annotated[str, BeforeValidator(_optional_name)]
"""The same, or empty: none."""

Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Of data: strings and paths, or a single one."""

Text = Annotated[str, BeforeValidator(_text)]
"""Any other string."""

Columns = Annotated[str, BeforeValidator(_columns)]
"""Field → column, as the text of ``--columns`` or as a dictionary."""

Tracker = Literal["tensorboard", "wandb", "mlflow"]

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
WindowLength = Annotated[int, Field(ge=16, le=131_072)]

_FREEZE: Final = re.compile(r"|embeddings|encoder|[1-9]\d{0,5}")

AUTO: Final = "auto"
"""Instead of a task's name: the one that the data or the model is of."""

MODEL_AND_DATA = Panel("Model and data")
WINDOWS = Panel("Windows")
TRAINING = Panel("Training")
DISTILLATION = Panel("Distillation")
BEST_EPOCH = Panel("Choosing the best epoch")
MACHINE = Panel("Machine")


class EngineSettings(BaseModel):
    """The settings that hold for every task."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=(), allow_inf_nan=False)

    base: Annotated[Literal["auto", "classic"], MODEL_AND_DATA] = AUTO
    """The named recipe that settings not given are of: `auto`, what a published rule makes of model, task and data; or
    `classic`, the numbers of the 2022 Keras tutorial. On the command line `--recipe NAME`."""
    task: Annotated[Text, MODEL_AND_DATA] = AUTO
    """What the training is for; `auto`: what the data, or else the model, is plainly for; `encoder` distils an encoder
    on plain text, before any task."""
    model: Annotated[Name, MODEL_AND_DATA] = "starter"
    """Where the weights come from: a model directory, a run, `starter`, `starter-qa`, or a name on the Hugging Face
    hub; for questions `starter-qa` where none is named."""
    train: Annotated[Names, MODEL_AND_DATA] = ("starter",)
    """Training data: files, directories, `starter`, or data set names on the hub; several are mixed."""
    validation: Annotated[Names, MODEL_AND_DATA] = ()
    """Validation data, as for training; if empty, some of the training data is set aside by `validation_share`."""
    validation_share: Annotated[float, Field(ge=0.0, le=0.5), MODEL_AND_DATA] = 0.1
    """Share of the training data set aside when no validation data is named (0: none); `starter` and hub names use
    their own validation split instead."""
    warm_up_data: Annotated[Names, MODEL_AND_DATA] = ()
    """Other data of the same task, such as questions made by `make-questions`, that is trained on before the training
    data, or among them; none if empty."""
    warm_up_order: Annotated[Literal["first", "mixed"], MODEL_AND_DATA] = "first"
    """`first`: before the training data, with a learning rate that rises and falls once for each; `mixed`: among them,
    some in every epoch."""
    warm_up_weight: Annotated[float, Field(gt=0.0, le=100.0), MODEL_AND_DATA] = 1.0
    """What a feature of the warm-up data weighs in the loss, where one of the training data weighs 1; only where they
    are mixed."""
    warm_up_epochs: Annotated[Positive, MODEL_AND_DATA] = 1
    """Passes over the warm-up data in the whole run; where they are mixed, at most `epochs`."""
    folds: Annotated[Count, MODEL_AND_DATA] = 0
    """Cross-validation: cut the training data into so many parts, and train once for each, without it, to evaluate on
    it (0: train once)."""
    fold: Annotated[Count | None, MODEL_AND_DATA] = None
    """Of `folds`, the one training only that leaves this part out, counted from 0."""
    columns: Annotated[Columns, MODEL_AND_DATA] = ""
    """Names of the columns of flat data where they differ, as `question=q,context=passage`, `text=tweet,label=mood`;
    a name with a comma in quotation marks, as `text="Review, full"`."""
    quoting: Annotated[Quoting, MODEL_AND_DATA] = "auto"
    """What quotation marks are in a CSV or TSV: `csv`, marks round a field; `none`, characters of a text; `auto`,
    whichever of the two the whole file shows, which is said."""
    no_header: Annotated[bool, MODEL_AND_DATA] = False
    """The first line of a CSV or TSV is a row; columns go by number then, as `--columns text=1,label=2`."""
    encoding: Annotated[Text, AfterValidator(known_encoding), MODEL_AND_DATA] = ""
    """Encoding of text files that are not UTF-8 and have no byte order mark, as `windows-1252`."""
    max_rejected_share: Annotated[float, Field(ge=0.0, le=1.0), MODEL_AND_DATA] = 0.05
    """Largest share of rows that may be unusable before the run stops."""
    train_examples: Annotated[Count, MODEL_AND_DATA] = 0
    """Use only this many training examples, drawn by `sample_seed` (0: all)."""
    validation_examples: Annotated[Count, MODEL_AND_DATA] = 0
    """Use only this many validation examples, drawn by `sample_seed` (0: all)."""
    sample_seed: Annotated[Count, MODEL_AND_DATA] = 0
    """Seed of those draws: examples in file order, `random.Random(seed).shuffle`, the first N."""

    max_length: Annotated[WindowLength, WINDOWS, STORED] = 384
    """Most tokens in a window, special tokens (and a question) included."""
    stride: Annotated[int, Field(ge=0), WINDOWS, STORED] = 128
    """Tokens that neighbouring windows of one text share."""

    epochs: Annotated[Positive, TRAINING] = 5
    """Passes over the training data."""
    batch_size: Annotated[Positive, TRAINING] = 16
    """Features in a batch."""
    accumulation_steps: Annotated[Positive, TRAINING] = 1
    """Batches whose gradients make one optimiser step: a step takes `batch_size` x `accumulation_steps` features."""
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0), TRAINING] = 2e-5
    """Learning rate at the start of the decay."""
    end_learning_rate: Annotated[float, Field(ge=0.0, le=1.0), TRAINING] = 0.0
    """Learning rate at the end of the decay."""
    layer_rate_decay: Annotated[float, Field(gt=0.0, le=1.0), TRAINING] = 1.0
    """Learning rate of each layer beside that of the one above it; the head has the whole rate, the embeddings the
    least (1: all have the same)."""
    decay_power: Annotated[float, Field(gt=0.0, le=10.0), TRAINING] = 1.0
    """Power of the polynomial decay; 1 is linear."""
    warmup_steps: Annotated[Count, TRAINING] = 0
    """Optimiser steps over which the learning rate rises linearly from 0 before the decay begins."""
    warmup_share: Annotated[float, Field(ge=0.0, lt=1.0), TRAINING] = 0.0
    """The same as a share of all steps; excludes `warmup_steps`."""
    adam_beta1: Annotated[Probability, TRAINING] = 0.9
    """Decay of Adam's mean of gradients."""
    adam_beta2: Annotated[Probability, TRAINING] = 0.999
    """Decay of Adam's mean of squared gradients."""
    adam_epsilon: Annotated[float, Field(gt=0.0, le=1.0), TRAINING] = 1e-8
    """Added to Adam's denominator."""
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0), TRAINING] = 0.0
    """Decoupled weight decay (AdamW); biases and norms are left out."""
    max_gradient_norm: Annotated[float, Field(ge=0.0), TRAINING] = 0.0
    """Gradients are scaled down to this norm where theirs is larger (0: never)."""
    average: Annotated[Literal["none", "steps", "epochs"], TRAINING] = "none"
    """Evaluate and keep a mean of the weights: `steps`, an exponential one over the steps (EMA); `epochs`, that of the
    ends of the last `average_epochs`. The training itself goes on from its own weights."""
    average_decay: Annotated[float, Field(gt=0.0, lt=1.0), TRAINING] = 0.999
    """Decay of the mean over the steps; at step t at most (1 + t) / (10 + t), so that the start is soon forgotten."""
    average_epochs: Annotated[Positive, TRAINING] = 3
    """Ends of how many of the planned epochs, the last ones, make the mean over epochs; earlier ones are kept as they
    are."""
    dropout: Annotated[Probability | None, TRAINING] = None
    """Dropout of the embeddings and layers; by default what the model's config.json says (0.1 for DistilBERT)."""
    attention_dropout: Annotated[Probability | None, TRAINING] = None
    """Dropout of the attention weights; by default what the model's config.json says (0.1 for DistilBERT). In bfloat16
    on a GPU it is not applied, and the run says so."""
    head_dropout: Annotated[Probability | None, TRAINING] = None
    """Dropout before the head; by default what the model's config.json says (0.1 for DistilBERT, 0.2 where it
    classifies texts)."""
    seed: Annotated[int, Field(ge=0, lt=2**63), TRAINING] = 0
    """Seed of the head's first weights, the shuffling and the dropout."""

    freeze: Annotated[Text, BeforeValidator(_freeze), TRAINING] = ""
    """What is not trained, but stays as it is in the model: `embeddings`; a number, the embeddings and so many of the
    first layers; `encoder`, all but the head; nothing if empty."""

    lora_rank: Annotated[Count, TRAINING] = 0
    """LoRA: train narrow products of this rank beside the encoder's layers, and the head, and leave the rest as it is;
    it wants some ten times the learning rate (0: train the layers themselves)."""
    lora_alpha: Annotated[float, Field(gt=0.0), TRAINING] = 16.0
    """What they are multiplied by, over `lora_rank`."""
    lora_dropout: Annotated[Probability, TRAINING] = 0.0
    """Dropout of what goes into them."""
    lora_targets: Annotated[Text, BeforeValidator(joined_by(",")), AfterValidator(_lora_targets), TRAINING] = (
        "q_lin,v_lin"
    )
    """Which layers have them, as `transformers` calls those: `q_lin`, `k_lin`, `v_lin`, `out_lin`, `lin1`, `lin2`."""

    loss: Annotated[Text, TRAINING] = ""
    """Name of a loss of your own, whose function is given in Python, as `loss=function`; empty: the task's."""

    teacher: Annotated[OptionalName, DISTILLATION] = ""
    """A model to learn from besides the data, named as `model` is; none if empty."""
    temperature: Annotated[float, Field(gt=0.0, le=100.0), DISTILLATION] = 2.0
    """What the logits of teacher and student are divided by before they are compared."""
    soft_weight: Annotated[float, Field(ge=0.0, le=1.0), DISTILLATION] = 0.5
    """Weight of the teacher's softened answers in the loss; the labels have the rest."""

    metrics: Annotated[Names, BEST_EPOCH] = ()
    """Names of metrics of your own, whose functions are given in Python, as `metrics={"name": function}`."""
    monitor: Annotated[Text, BEST_EPOCH] = "validation_loss"
    """What decides which epoch is best; `model/` holds that one. Any figure of the validation data."""
    monitor_better: Annotated[Literal["auto", "higher", "lower"], BEST_EPOCH] = "auto"
    """Which way a metric of your own is better, if `monitor` names one; `auto`: higher. Of all others it is known."""
    epoch_choice: Annotated[Literal["best", "within_error"], BEST_EPOCH] = "best"
    """`best`: the epoch with the best `monitor`; `within_error`: the latest whose score is within a standard error of
    that, which so few examples do not tell from it."""
    patience: Annotated[Count, BEST_EPOCH] = 0
    """Stop after this many epochs without an improvement of `monitor` (0: never)."""
    min_change: Annotated[float, Field(ge=0.0), BEST_EPOCH] = 0.0
    """Smallest change of `monitor` that counts as an improvement."""

    evaluation_tokens: Annotated[int, Field(ge=512), MACHINE] = 4_096
    """Tokens in a batch of evaluation; changes speed and memory, not results."""

    device: Annotated[Text, MACHINE] = "auto"
    """`auto`, `cpu`, `cuda` or `mps` (Apple's GPU, on which nothing has run yet: `auto` never takes it)."""
    precision: Annotated[Literal["auto", "float32", "tf32", "bfloat16", "float16", "int8"], MACHINE] = "auto"
    """Of the matrix products; weights, sums and optimiser are float32 in any case. `auto` is bfloat16 on a GPU made for
    it, and on a processor made for it if the model is at least 256 wide; else float32, which `classic` has. `float16`
    on a GPU and `int8` on a processor are for using a model, never for training."""
    threads: Annotated[Count, MACHINE] = 0
    """Threads of tensor work on the CPU (0: as many as there are usable cores)."""
    log_every: Annotated[Positive, MACHINE] = 10
    """Optimiser steps between two lines of the log."""
    tracker: Annotated[tuple[Tracker, ...], BeforeValidator(_several), MACHINE] = ()
    """Tell the log's figures to these too, each an extra: `tensorboard`, into the run directory; `wandb`; `mlflow`."""

    checkpoint_minutes: Annotated[float, Field(ge=0.0), MACHINE] = 10.0
    """Most minutes of training that a kill or a power cut may cost; checkpoints are written often enough (0: no such
    bound)."""
    checkpoint_steps: Annotated[Count, MACHINE] = 0
    """The same in optimiser steps (0: no such bound); an epoch's end is kept in any case."""
    non_finite: Annotated[Literal["stop", "skip"], MACHINE] = "stop"
    """What happens at a step whose loss or gradient is NaN or infinite: `stop`, or `skip` it (counted and logged)."""
