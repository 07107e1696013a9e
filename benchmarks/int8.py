"""float32, bfloat16, 8 bits and 8-bit graphs of onnxruntime on the same windows: ``python -m benchmarks.int8``.

Full-size DistilBERT's measures by default, random weights, windows of SQuAD's lengths; one thread. Contestants take
turns, and what is compared is processor time, the least of the rounds, since a machine that does other things too makes
seconds of the clock mean little. ``transformers`` gets the windows longest first, padded to the longest of each batch
of 16. As a processor without AVX-512 does it, as far as PyTorch and oneDNN can be told so:

    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell python -m benchmarks.int8
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.workload import SHAPES, Shape, features
from distiltune.data.feature_set import FeatureSet
from distiltune.export.onnx_graph import write_graph
from distiltune.export.quantise import quantise_dynamic, quantise_static
from distiltune.inference.int8 import bytes_of, to_int8
from distiltune.inference.onnx_model import OnnxModel
from distiltune.inference.precision import InPrecision
from distiltune.inference.predictor import outputs
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.system.device import describe_machine, has_bfloat16, keep_freed_memory, set_threads
from distiltune.tasks.heads import TokenHead

RESULTS = Path("benchmarks/results/int8.json")
PACKAGES = ("distiltune", "torch", "transformers", "onnxruntime")
MAX_TOKENS = 4_096
PADDED_BATCH = 16


def a_model(shape: Shape) -> TaskModel:
    """Random weights: speed does not depend on them."""
    from distiltune.model.config import EncoderConfig

    torch.manual_seed(0)
    model = TaskModel(Encoder(EncoderConfig.from_hf(shape.hf_config())), TokenHead(shape.hidden, 0.0, 2))
    initialise(model, 0.02)
    return model.eval()


def packed(model: nn.Module, data: FeatureSet) -> Callable[[], None]:
    """All windows through a model, as every command does it."""
    ids = np.arange(len(data))

    def run() -> None:
        for _ in outputs(model, data, ids, MAX_TOKENS):
            pass

    return run


def by_transformers(shape: Shape, data: FeatureSet) -> Callable[[], None]:
    """The same windows, longest first, padded to the longest of a batch."""
    import transformers

    config = transformers.DistilBertConfig(**{k: v for k, v in shape.hf_config().items() if k != "architectures"})
    model = transformers.DistilBertForQuestionAnswering(config).eval()
    order = np.argsort(-data.lengths, kind="stable")

    @torch.inference_mode()
    def run() -> None:
        for first in range(0, len(order), PADDED_BATCH):
            rows = [
                torch.from_numpy(data.token_ids[data.offsets[i] : data.offsets[i + 1]]).long()
                for i in order[first : first + PADDED_BATCH]
            ]
            ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
            model(input_ids=ids, attention_mask=mask)

    return run


def contestants(shape: Shape, data: FeatureSet, folder: Path) -> tuple[dict[str, Callable[[], None]], dict[str, float]]:
    """What to run by name, and megabytes of numbers of ours."""
    plain = a_model(shape)
    small = copy.deepcopy(plain)
    to_int8(small)
    runs = {"float32": packed(plain, data), "int8": packed(small, data), "transformers": by_transformers(shape, data)}
    if has_bfloat16(torch.device("cpu")):
        runs["bfloat16"] = packed(InPrecision(copy.deepcopy(plain), "bfloat16"), data)
    graph = folder / "float32.onnx"
    write_graph(plain, graph, ("start_logits", "end_logits"))
    quantise_dynamic(graph, folder / "dynamic.onnx")
    quantise_static(graph, folder / "static.onnx", features(16, seed=1))
    for name, alone in (("dynamic", True), ("static", False)):
        exported = OnnxModel(folder / f"{name}.onnx", torch.device("cpu"), alone=alone)
        runs[f"onnxruntime int8 {name}"] = packed(exported, data)
    return runs, {"float32": bytes_of(plain) / 1e6, "int8": bytes_of(small) / 1e6}


def take_turns(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """The least processor time of each, in seconds."""
    least = dict.fromkeys(runs, float("inf"))
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = time.process_time()
            run()
            if number:  # the first warms up
                least[name] = min(least[name], time.process_time() - began)
    return least


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SHAPES), default="full")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    keep_freed_memory()
    set_threads(1)
    data = features(asked.windows)
    with tempfile.TemporaryDirectory() as folder:
        runs, megabytes = contestants(SHAPES[asked.size], data, Path(folder))
        seconds = take_turns(runs, asked.rounds)
    instructions = torch.backends.cpu.get_cpu_capability()
    rows = {name: {"tokens_per_second": data.lengths.sum() / each, "over_float32": seconds["float32"] / each}
            for name, each in seconds.items()}  # fmt: skip
    found: dict[str, Any] = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "megabytes": megabytes,
        "rows": rows,
    }
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    kept[f"{asked.size} {instructions}"] = found
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name:26} {row['tokens_per_second']:8.0f} tokens/s of processor time {row['over_float32']:6.2f}x")
    print(megabytes, "MB; written:", RESULTS)


if __name__ == "__main__":
    main()
