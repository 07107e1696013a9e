"""A model in another form or another place: modern, as ONNX, on the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distiltune.data.held import Data
from distiltune.export import onnx
from distiltune.export import push as pushing
from distiltune.export.modernise import modernise
from distiltune.export.onnx import Exported
from distiltune.export.push import Pushed
from distiltune.model.convert import Converted
from distiltune.python.arguments import held_data
from distiltune.python.wording import in_python


@in_python
def convert(
    model: str | Path, output: str | Path, *, overwrite: bool = False, sentence_transformers: bool = False
) -> Converted:
    """Write a modern model directory from an older checkpoint: TensorFlow, PyTorch, sharded, or BERT.

    Args:
        model: a model directory, also of the TensorFlow era, or a name on the hub.
        output: the model directory to make.
        overwrite: replace a model that is already there, weights and all.
        sentence_transformers: add the files by which that library reads it too, with mean pooling.

    Returns:
        The directory, whether the head was there, and notes on what was done.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    return modernise(model, output, overwrite=overwrite, sentence_transformers=sentence_transformers)


@in_python
def export_onnx(
    model: str | Path,
    output: str | Path,
    *,
    overwrite: bool = False,
    int8: bool = False,
    data: Data = (),
    questions: int = 500,
    accept_loss: bool = False,
    threads: int = 0,
    on_note: Callable[[str], None] = lambda note: None,
) -> Exported:
    """Write a model as an ONNX folder, checked against the original on real examples (needs the extra `export`).

    Args:
        model: a run, a model directory, or a name on the hub.
        output: the folder to make.
        overwrite: replace a model that is there already.
        int8: weights and products in 8 bits: smaller and quicker.
        data: examples to check with; by default the run's validation data.
        questions: at most so many of them (0: all).
        accept_loss: write it even if ``int8`` costs over 1 point of the score.
        threads: of tensor work; 0 means as many as there are usable cores.
        on_note: told what is going on.

    Returns:
        The folder, its size, and how it compares with the original.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    with held_data(data, "data") as names:
        return onnx.export_onnx(
            model,
            output,
            overwrite=overwrite,
            int8=int8,
            data=names,
            questions=questions,
            accept_loss=accept_loss,
            threads=threads,
            on_note=on_note,
        )


@in_python
def push(model: str | Path, name: str, *, private: bool = False, message: str = "Model made with distiltune") -> Pushed:
    """Put a model on the Hugging Face hub, once its card is checked; log in first with ``hf auth login``.

    Args:
        model: a run, a model directory, or an exported ONNX folder.
        name: ``owner/name`` on the hub.
        private: whether the repository is to be private; one that is there already must be.
        message: of the commit.

    Returns:
        The page, the commit, and the files that were sent.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    return pushing.push(model, name, private=private, message=message)
