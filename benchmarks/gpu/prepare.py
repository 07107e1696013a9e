"""SQuAD's features, made once for all stages."""

from __future__ import annotations

import gzip
import shutil
import time

import numpy as np

from benchmarks import workload
from benchmarks.gpu.work import REHEARSED_WORDS, TRAINING_FILE, VALIDATION_FILE, Say, Work, save_features
from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import cumulative_lengths


def prepare(work: Work, say: Say) -> None:
    """Read and cut SQuAD; a rehearsal draws features at random."""
    began = time.perf_counter()
    if work.rehearses:
        for seed, name in enumerate((TRAINING_FILE, VALIDATION_FILE)):
            save_features(work.folder / name, _drawn(seed))
    else:
        _cut_squad(work)
    say(
        {
            "training_features": len(work.features),
            "training_tokens": int(work.features.lengths.sum()),
            "validation_features": len(work.validation),
            "seconds": time.perf_counter() - began,
        }
    )


def _cut_squad(work: Work) -> None:
    from distiltune.model.tokenizer import load_tokenizer
    from distiltune.tasks.question_answering.features import WindowSettings, make_features
    from distiltune.tasks.question_answering.read import read_examples

    tokenizer = load_tokenizer(work.shared / "models" / "minilm-l6-distilbert")
    for split, source, target in (("train", "train", TRAINING_FILE), ("validation", "dev", VALIDATION_FILE)):
        file = work.folder / f"{source}.json"
        with gzip.open(work.shared / "data" / "squad-v1.1" / f"{source}.json.gz") as packed, file.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        use = "training" if split == "train" else "evaluation"
        examples = read_examples([str(file)], split=split, use=use).examples  # type: ignore[arg-type]
        save_features(work.folder / target, make_features(examples, tokenizer, WindowSettings()).features)


def _drawn(seed: int) -> FeatureSet:
    """Short ones, ten batches."""
    rng, n = np.random.default_rng(seed), 10 * workload.BATCH_SIZE
    lengths = rng.integers(8, 25, n)
    tokens = rng.integers(5, REHEARSED_WORDS, lengths.sum()).astype(np.int32)
    labels = np.sort(rng.integers(0, lengths[:, None], (n, 2)), axis=1).astype(np.int32)
    return FeatureSet(tokens, cumulative_lengths(lengths), labels, np.arange(n))
