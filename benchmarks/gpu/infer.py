"""Answers' logits of SQuAD's validation features, in bfloat16: distiltune beside `transformers`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch

from benchmarks.contestant import Rows, padded
from benchmarks.gpu.work import MODELS, Say, Work, now
from distiltune.inference.precision import InPrecision
from distiltune.inference.predictor import outputs

ROUNDS: Final = 3
BATCH_TOKENS: Final = (4_096, 32_768)
"""What evaluation takes, and what fills a large GPU."""
BATCH_ROWS: Final = (32, 192)
"""The like of them in padded rows."""


def inference(work: Work, say: Say) -> None:
    """Time all of them; every contestant's logits come back to the host."""
    for name in MODELS:
        for size in BATCH_TOKENS:
            say(_ours(work, name, size))
        for rows in BATCH_ROWS:
            say(_theirs(work, name, rows))
    say({"note": "8 bits: the package has no such path on a GPU, so none is timed."})


def _ours(work: Work, name: str, batch_tokens: int) -> dict[str, Any]:
    model = InPrecision(work.model(name), "bfloat16" if work.device.type == "cuda" else "float32").eval()
    features = work.validation

    def run() -> None:
        for _, output in outputs(model, features, np.arange(len(features)), batch_tokens):
            output.float().cpu()

    return {
        "model": name,
        "contestant": f"distiltune bfloat16, {batch_tokens:,} tokens a batch",
        **_timed(work, run),
    }


def _theirs(work: Work, name: str, n_rows: int) -> dict[str, Any]:
    kind = torch.bfloat16 if work.device.type == "cuda" else torch.float32
    model = work.hf_model(name, dropout=False).to(work.device, kind).eval()
    features, rows = work.validation, Rows(work.validation)
    order = np.argsort(-features.lengths, kind="stable")
    packed = [
        padded([rows[index] for index in order[first : first + n_rows].tolist()], 0)
        for first in range(0, len(order), n_rows)
    ]  # beforehand: its way of padding is not what is compared

    def run() -> None:
        with torch.inference_mode():
            for batch in packed:
                ids, mask = (batch[key].to(work.device) for key in ("input_ids", "attention_mask"))
                out = model(input_ids=ids, attention_mask=mask)
                torch.stack([out.start_logits, out.end_logits]).float().cpu()

    return {
        "model": name,
        "contestant": f"transformers bfloat16, sorted, {n_rows} rows a batch, padded beforehand",
        **_timed(work, run),
    }


def _timed(work: Work, run: Callable[[], None]) -> dict[str, Any]:
    run()
    seconds = []
    for _ in range(work.n(ROUNDS, 1)):
        began = now(work.device)
        run()
        seconds.append(now(work.device) - began)
    middle = statistics.median(seconds)
    return {
        "features_per_second": len(work.validation) / middle,
        "tokens_per_second": float(work.validation.lengths.sum()) / middle,
        "seconds": seconds,
    }
