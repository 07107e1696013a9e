"""One contestant in a process of its own, that works when told to.

    python -m benchmarks.contestant NAME MODEL SEED DATA

It reads `run N` lines from its input, works through N batches, and answers with one line of JSON: seconds, features
and real tokens of that stretch, its peak memory so far, and how long after its start that stretch ended. While the
others have their turn it waits.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import workload
from distiltune.data.feature_set import FeatureSet
from distiltune.system.device import choose_precision, keep_freed_memory, set_threads

if TYPE_CHECKING:  # what a contestant imports counts as its own
    from distiltune.model.build import LoadedModel
    from distiltune.training.objective import Objective

BEGAN = time.perf_counter()
CPU = torch.device("cpu")
TRAINING_FEATURES = 8_000
INFERENCE_FEATURES = 1_020  # about what 1,000 validation questions make
INFERENCE_PARTS = 8  # a stretch is a part of them, so that more turns are taken
SPAN = ("start_positions", "end_positions")
MODELS = {
    "question-answering": "DistilBertForQuestionAnswering",
    "text-classification": "DistilBertForSequenceClassification",
    "token-classification": "DistilBertForTokenClassification",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a contestant is given: a model directory, the seed of the round, and the kind of data."""

    model: str
    seed: int
    data: workload.Data


class Turns:
    """The contestant's end of the line to the referee."""

    def __init__(self, wishes: TextIO, answers: TextIO) -> None:
        self._wishes, self._answers = wishes, answers
        self._left = self._features = self._tokens = 0
        self._began = self._system = self._user = 0.0

    def batch_done(self, n_features: int, n_tokens: int) -> None:
        """Count a batch; at the end of a stretch report it and wait for the next."""
        self._features += n_features
        self._tokens += n_tokens
        self._left -= 1
        if self._left == 0:
            self._report(time.perf_counter() - self._began)
            self.wait()

    def wait(self) -> None:
        """Wait for a stretch to be asked for; leave when there is none."""
        line = self._wishes.readline().split()
        if not line or line[0] != "run":
            os._exit(0)
        self._left, self._features, self._tokens = int(line[1]), 0, 0
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._system, self._user = usage.ru_stime, usage.ru_utime
        self._began = time.perf_counter()

    def _report(self, seconds: float) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        system, user = usage.ru_stime - self._system, usage.ru_utime - self._user
        line = {
            "seconds": seconds,
            "features": self._features,
            "tokens": self._tokens,
            "peak_mib": usage.ru_maxrss / 1024,
            "system_share": system / (system + user),
            "since_start": time.perf_counter() - BEGAN,
        }
        self._answers.write(json.dumps(line) + "\n")
        self._answers.flush()


def load_distiltune(work: Work) -> tuple[LoadedModel, Objective, tuple[str, ...]]:
    """The model with the head of the data's task, its loss, and what that sums."""
    from distiltune.model.build import load_model
    from distiltune.tasks.heads import TokenHead
    from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
    from distiltune.tasks.question_answering.task import HEAD_RULES, make_span_head
    from distiltune.tasks.text_classification.head import SequenceHead, TextLoss, metric_names
    from distiltune.tasks.token_classification.head import METRIC_NAMES as WORD_METRICS
    from distiltune.tasks.token_classification.head import token_loss

    n_labels = work.data.n_labels
    if work.data.task == "question-answering":
        return load_model(work.model, HEAD_RULES, make_span_head, CPU), span_loss, METRIC_NAMES
    if work.data.task == "text-classification":
        loaded = load_model(work.model, (), lambda width, dropout: SequenceHead(width, n_labels, dropout), CPU)
        return loaded, TextLoss("single-label"), metric_names("single-label")
    loaded = load_model(work.model, (), lambda width, dropout: TokenHead(width, dropout, n_labels), CPU)
    return loaded, token_loss, WORD_METRICS


def train_distiltune(work: Work, turns: Turns, precision: str) -> None:
    """The loop of `distiltune train`, as `fine_tune` calls it; ``auto`` precision is what a user gets."""
    from distiltune.training.loop import NothingKept, StepReport, train
    from distiltune.training.optimiser import Adam
    from distiltune.training.schedule import PolynomialDecay
    from distiltune.training.setup import LoopSettings, TrainingSetup

    keep_freed_memory()
    set_threads(0)
    features = workload.features(TRAINING_FEATURES, work.seed, work.data)
    loaded, objective, metrics = load_distiltune(work)
    model = loaded.model

    class Watcher(NothingKept):
        def __init__(self) -> None:
            self.began = time.perf_counter()

        def on_step(self, report: StepReport) -> None:
            # The loop reports a rate and no count; both follow from the order of the epoch.
            first = report.step % len(batches)
            turns.batch_done(len(batches[first]), int(lengths[batches[first]].sum()))

    from distiltune.data.loader import epoch_order, split_batches

    lengths = features.lengths
    batches = split_batches(epoch_order(len(features), work.seed, 0), workload.BATCH_SIZE)
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    settings = LoopSettings(1, workload.BATCH_SIZE, 1, 0.0, work.seed, 1)
    setup = TrainingSetup(
        model,
        features,
        objective,
        metrics,
        optimiser,
        PolynomialDecay(2e-5, 0.0, 1.0, 0, len(batches)),
        settings,
        choose_precision(precision, CPU, loaded.source.config.hidden_size),
    )
    turns.wait()
    train(setup, dict, Watcher())


def train_transformers(work: Work, turns: Turns, batching: str) -> None:
    """`transformers` Trainer: padded to the window, to the longest of the batch, or that with like lengths together."""
    import transformers
    from torch.utils.data import Sampler
    from transformers.trainer_pt_utils import get_length_grouped_indices

    features = workload.features(TRAINING_FEATURES, work.seed, work.data)
    n_tokens: list[int] = []

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        n_tokens.append(sum(len(row["input_ids"]) for row in rows))
        return padded(rows, work.data.max_length if batching == "padded" else 0)

    class Callback(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            turns.batch_done(workload.BATCH_SIZE, n_tokens.pop(0))

    class Order(Sampler[int]):
        """Trainer's own grouping, its batches in random order: in its own order the longest of 50 come first."""

        def __iter__(self) -> Iterator[int]:
            order = get_length_grouped_indices(features.lengths.tolist(), workload.BATCH_SIZE)
            batches = np.array(order).reshape(-1, workload.BATCH_SIZE)
            yield from np.random.default_rng(work.seed).permutation(batches).ravel().tolist()

        def __len__(self) -> int:
            return len(features)

    class Trainer(transformers.Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *args: Any) -> Any:
            return Order() if "grouped" in batching else super()._get_train_sampler(*args)

    arguments = transformers.TrainingArguments(
        output_dir=f"{work.model}/out",
        per_device_train_batch_size=workload.BATCH_SIZE,
        learning_rate=2e-5,
        num_train_epochs=1,
        seed=work.seed,
        max_grad_norm=0.0,
        lr_scheduler_type="linear",
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16="bfloat16" in batching,
        disable_tqdm=True,
    )
    kind = getattr(transformers, MODELS[work.data.task])
    labels = {} if work.data.task == "question-answering" else {"num_labels": work.data.n_labels}
    model = kind.from_pretrained(work.model, dtype=torch.float32, **labels)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Rows(features),
        data_collator=collate,
        callbacks=[Callback()],
    )
    turns.wait()
    trainer.train()


def infer_distiltune(work: Work, turns: Turns, _: str) -> None:
    """The model's part of `distiltune evaluate`."""
    from distiltune.inference.predictor import outputs

    keep_freed_memory()
    set_threads(0)
    features = workload.features(INFERENCE_FEATURES, data=work.data)
    model = load_distiltune(work)[0].model
    turns.wait()
    for part in inference_parts(work.seed):
        for _batch, _output in outputs(model, features, part, 4_096):
            pass
        turns.batch_done(len(part), int(features.lengths[part].sum()))


def infer_transformers(work: Work, turns: Turns, batching: str) -> None:
    """`transformers`, padded to the longest of the batch; in file order, or longest first."""
    import transformers

    features = workload.features(INFERENCE_FEATURES, data=work.data)
    rows = Rows(features)
    kind = getattr(transformers, MODELS[work.data.task])
    model = kind.from_pretrained(work.model, dtype=torch.float32).eval()
    turns.wait()
    for part in inference_parts(work.seed):
        order = part if batching == "dynamic" else part[np.argsort(-features.lengths[part])]
        with torch.inference_mode():
            for first in range(0, len(order), workload.BATCH_SIZE):
                batch = padded([rows[index] for index in order[first : first + workload.BATCH_SIZE].tolist()], 0)
                model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        turns.batch_done(len(part), int(features.lengths[part].sum()))


def inference_parts(first: int) -> Iterator[npt.NDArray[np.int64]]:
    """The features of one stretch after the other, in file order; the same for every contestant."""
    for number in itertools.count(first):
        yield np.arange(number % INFERENCE_PARTS, INFERENCE_FEATURES, INFERENCE_PARTS)


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """The features as Trainer wants them."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> dict[str, Any]:
        features = self._features
        first, after = features.offsets[index : index + 2]
        row: dict[str, Any] = {"input_ids": features.token_ids[first:after].tolist()}
        if features.token_labels is not None:
            return {**row, "labels": features.token_labels[first:after].tolist()}
        labels = features.labels[index].tolist()
        return {**row, **dict(zip(("labels",) if len(labels) == 1 else SPAN, labels, strict=True))}


def padded(rows: list[dict[str, Any]], length: int) -> dict[str, torch.Tensor]:
    """A padded batch, to the longest row if ``length`` is 0."""
    length = length or max(len(row["input_ids"]) for row in rows)
    shape = len(rows), length
    batch = {"input_ids": torch.zeros(shape, dtype=torch.long), "attention_mask": torch.zeros(shape, dtype=torch.long)}
    of_tokens = isinstance(rows[0].get("labels"), list)
    if of_tokens:
        batch["labels"] = torch.full(shape, -100, dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row["input_ids"])
        batch["input_ids"][i, :n] = torch.tensor(row["input_ids"])
        batch["attention_mask"][i, :n] = 1
        if of_tokens:
            batch["labels"][i, :n] = torch.tensor(row["labels"])
    one_each = () if of_tokens else [name for name in rows[0] if name != "input_ids"]
    return {**batch, **{name: torch.tensor([row[name] for row in rows]) for name in one_each}}


CONTESTANTS: dict[str, tuple[Callable[[Work, Turns, str], None], str]] = {
    "training/distiltune": (train_distiltune, "auto"),
    "training/distiltune float32": (train_distiltune, "float32"),
    "training/Trainer padded": (train_transformers, "padded"),
    "training/Trainer dynamic": (train_transformers, "dynamic"),
    "training/Trainer grouped": (train_transformers, "grouped"),
    "training/Trainer grouped bfloat16": (train_transformers, "grouped bfloat16"),
    "inference/distiltune": (infer_distiltune, ""),
    "inference/transformers dynamic": (infer_transformers, "dynamic"),
    "inference/transformers sorted": (infer_transformers, "sorted"),
}


def main() -> None:
    """Take the turns that the referee gives."""
    name, model, seed, data = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    function, variant = CONTESTANTS[name]
    function(Work(model, int(seed), workload.DATA[data]), Turns(sys.stdin, answers), variant)


if __name__ == "__main__":
    main()
