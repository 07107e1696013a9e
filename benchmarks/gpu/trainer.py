"""The `transformers` Trainer on the same features and batches, padded to the longest of each batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from torch.utils.data import Sampler

from benchmarks import workload
from benchmarks.contestant import Rows, padded
from benchmarks.gpu.ours import CLIP, RATE, STRETCHES
from benchmarks.gpu.work import DISTILBERT, MODELS, Say, Work, now, speed, stretch_of
from distiltune.system.device import allow_tf32


@dataclass(frozen=True, slots=True)
class Variant:
    """How the Trainer is asked to calculate, and the steps of warm-up and of a stretch."""

    name: str
    bf16: bool = False
    tf32: bool = False
    compiled: bool = False
    warm_up: int = 20
    steps: int = 30


VARIANTS: Final = (
    Variant("Trainer bfloat16", bf16=True),
    Variant("Trainer TF32", tf32=True),
    Variant("Trainer float32", warm_up=10, steps=20),
)
COMPILED: Final = Variant("Trainer bfloat16, torch.compile", bf16=True, compiled=True, warm_up=60)


def stretches(work: Work, say: Say) -> None:
    """Time the three precisions, both models."""
    for variant in VARIANTS:
        for name in MODELS:
            say(_one(work, name, variant))


def compiled(work: Work, say: Say) -> None:
    """Time the compiled one: of the large model alone, since compiling takes long."""
    say(_one(work, DISTILBERT, COMPILED))


def _one(work: Work, name: str, variant: Variant) -> dict[str, Any]:
    import transformers

    warm_up, steps = (1, 1) if work.rehearses else (variant.warm_up, variant.steps)
    marks = [warm_up + number * steps for number in range(STRETCHES + 1)]
    times: list[float] = []
    batches = work.batches()

    class Order(Sampler[int]):
        """The batches that distiltune takes, in its order."""

        def __iter__(self) -> Iterator[int]:
            for batch in batches:
                yield from batch.tolist()

        def __len__(self) -> int:
            return len(work.features)

    class Trainer(transformers.Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *args: Any) -> Any:
            return Order()

    class Timer(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if len(times) < len(marks) and state.global_step == marks[len(times)]:
                times.append(now(work.device))

    on_gpu = work.device.type == "cuda"
    allow_tf32(variant.tf32)
    arguments = transformers.TrainingArguments(
        output_dir=str(work.folder / "trainer"),
        per_device_train_batch_size=workload.BATCH_SIZE,
        learning_rate=RATE[name],
        max_steps=marks[-1] + 1,
        max_grad_norm=CLIP,
        lr_scheduler_type="linear",
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        bf16=variant.bf16 and on_gpu,
        torch_compile=variant.compiled and on_gpu,
        dataloader_num_workers=4 if on_gpu else 0,
        use_cpu=not on_gpu,
        disable_tqdm=True,
    )
    began = now(work.device)
    trainer = Trainer(
        model=work.hf_model(name),
        args=arguments,
        train_dataset=Rows(work.features),
        data_collator=partial(padded, length=0),
        callbacks=[Timer()],
    )
    trainer.train()
    timed = [
        stretch_of(work.features, batches[mark : mark + steps], after - before)
        for mark, before, after in zip(marks, times, times[1:], strict=False)
    ]
    return {
        "model": name,
        "contestant": variant.name,
        **speed(work, name, timed),
        "warm_up_seconds": times[0] - began,
    }
