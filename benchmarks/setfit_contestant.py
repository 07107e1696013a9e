"""SetFit on one split, for `benchmarks.few_labels`: run by the Python of an environment of its own, without distiltune.

setfit/bin/python benchmarks/setfit_contestant.py '{"train": "train.jsonl", "test": "test.jsonl", "model": ...}'
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def n_pairs(labels: list[str]) -> int:
    """Pairs of an epoch with its default, oversampling: twice the more numerous kind."""
    n_alike = sum(labels.count(label) * (labels.count(label) - 1) // 2 for label in set(labels))
    return 2 * max(n_alike, len(labels) * (len(labels) - 1) // 2 - n_alike)


def turn(asked: dict[str, Any]) -> dict[str, Any]:
    """Train as SetFit's own example does, and score."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything that reads it is imported
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, models
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression

    torch.set_num_threads(asked["threads"])
    torch.manual_seed(asked["seed"])
    parts = []
    for name in ("train", "test"):
        parts.append([json.loads(line) for line in Path(asked[name]).read_text(encoding="utf-8").splitlines()])
    train, test = parts
    transformer = models.Transformer(asked["model"], max_seq_length=asked["max_length"])
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), "mean")
    body = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    model = SetFitModel(model_body=body, model_head=LogisticRegression())
    rounds = 20 if n_pairs([row["label"] for row in train]) > asked["most"] else None
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=asked["seed"],
            num_iterations=rounds,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_list(train))
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
    said = model.predict([row["text"] for row in test], show_progress_bar=False)
    right = sum(str(given) == row["label"] for given, row in zip(said, test, strict=True))
    return {"accuracy": right / len(test), "seconds": seconds, "rounds": rounds or 0}


if __name__ == "__main__":
    print(json.dumps(turn(json.loads(sys.argv[1]))))
