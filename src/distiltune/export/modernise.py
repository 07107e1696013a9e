"""An older checkpoint as a modern model directory, with the head of its task and a card."""

from __future__ import annotations

from pathlib import Path

from distiltune.model.convert import Converted, convert
from distiltune.model.source import model_config
from distiltune.recipe.choose_task import entry_of_model
from distiltune.recipe.recipe import Recipe
from distiltune.report.model_card import converted_card
from distiltune.system.names import as_name
from distiltune.tasks.encoder.guide import bare_encoder_guide


def modernise(
    model: str | Path, output: str | Path, *, overwrite: bool = False, sentence_transformers: bool = False
) -> Converted:
    """Write a modern model directory from an older checkpoint: TensorFlow, PyTorch, sharded, or BERT.

    Args:
        model: a model directory, or a name on the hub.
        output: the model directory to make.
        overwrite: replace a model that is already there.
        sentence_transformers: add the files by which that library reads it too, with mean pooling.

    Raises:
        ModelError: if the model cannot be read, or ``output`` may not be written.
        HubError: if a hub name cannot be fetched.

    """
    name = as_name(model, "model")
    entry, config = entry_of_model(name), model_config(name)
    task = entry(Recipe(task=entry.name).with_stored(config)).open_model(config)

    def card(converted: Converted) -> str:
        return converted_card(converted, task.guide({}) if converted.has_head else bare_encoder_guide())

    return convert(
        name,
        output,
        head_rules=task.head_rules,
        architectures=(task.architecture,),
        card=card,
        overwrite=overwrite,
        sentence_transformers=sentence_transformers,
    )
