"""What other libraries call our settings, so that who writes `lr` is told of `learning_rate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OTHER_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("lr", "rate", "learning_rates"), "learning_rate"),
    **dict.fromkeys(("epoch", "num_epochs", "num_train_epochs", "n_epochs"), "epochs"),
    **dict.fromkeys(("batch", "bs", "per_device_train_batch_size", "train_batch_size"), "batch_size"),
    **dict.fromkeys(("max_seq_length", "max_seq_len", "max_len", "max_tokens"), "max_length"),
    **dict.fromkeys(("doc_stride", "overlap"), "stride"),
    **dict.fromkeys(("output_dir", "out", "save", "save_dir", "run"), "output"),
    **dict.fromkeys(("model_name_or_path", "model_name", "checkpoint", "pretrained"), "model"),
    **dict.fromkeys(("train_file", "train_data", "training", "training_data"), "train"),
    **dict.fromkeys(("validation_file", "eval", "val", "valid", "dev", "dev_file", "eval_data", "test"), "validation"),
    **dict.fromkeys(("data_set", "dataset", "dataset_name", "test_file", "input"), "data"),
    **dict.fromkeys(("file", "doc", "docs", "documents", "context", "folder"), "document"),
    **dict.fromkeys(("gpu", "cuda"), "device"),
    **dict.fromkeys(("fp16", "bf16", "half", "mixed_precision", "amp"), "precision"),
    **dict.fromkeys(("gradient_accumulation_steps", "grad_accum"), "accumulation_steps"),
    **dict.fromkeys(("warmup", "warmup_ratio"), "warmup_share"),
    **dict.fromkeys(("max_grad_norm", "clip", "clip_norm"), "max_gradient_norm"),
    **dict.fromkeys(("early_stopping", "early_stopping_patience"), "patience"),
    **dict.fromkeys(("num_labels", "labels", "classes"), "label_names"),
    **dict.fromkeys(("num_workers", "workers", "n_jobs", "jobs", "cpus"), "threads"),
    **dict.fromkeys(("force", "overwrite_output_dir"), "overwrite"),
    **dict.fromkeys(("config", "settings"), "recipe"),
    **dict.fromkeys(("top_k", "topk"), "n_best"),
    **dict.fromkeys(("qa", "squad", "extractive_qa"), "question-answering"),
    **dict.fromkeys(
        ("sentiment", "classify", "sequence-classification", "sequence_classification"), "text-classification"
    ),
    **dict.fromkeys(("ner", "entities", "tagging", "pos"), "token-classification"),
    "logging_steps": "log_every",
    "save_steps": "checkpoint_steps",
    "metric_for_best_model": "monitor",
}
"""What others call a setting of ours, or another argument of commands and functions, to propose the right one."""
