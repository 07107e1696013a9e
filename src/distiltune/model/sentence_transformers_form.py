"""The small files that make a model directory one of sentence-transformers: which modules it has, how it pools."""

from __future__ import annotations

import json
from typing import Final

from distiltune.model.config import EncoderConfig

MODULES: Final = "modules.json"
POOLING_FOLDER: Final = "1_Pooling"
SENTENCE_SETTINGS: Final = "sentence_bert_config.json"
"""Says how many tokens of a text are read."""


def sentence_transformers_files(config: EncoderConfig) -> dict[str, bytes]:
    """Name → contents, for mean pooling over all that the encoder has positions for."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": POOLING_FOLDER, "type": "sentence_transformers.models.Pooling"},
    ]
    pooling = {"word_embedding_dimension": config.hidden_size, "pooling_mode_mean_tokens": True}
    settings = {"max_seq_length": config.max_position_embeddings, "do_lower_case": False}
    contents = {MODULES: modules, f"{POOLING_FOLDER}/config.json": pooling, SENTENCE_SETTINGS: settings}
    return {name: (json.dumps(content, indent=2) + "\n").encode() for name, content in contents.items()}
