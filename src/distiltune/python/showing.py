"""Who shows the progress of a call where nobody was named: a notebook, an interactive terminal, else nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distiltune.progress import heard_by
from distiltune.python.wording import in_python_terms
from distiltune.report.notebook import NotebookDisplay, NotebookReporter, NotebookStages
from distiltune.training.reporter import Quiet, Reporter


def reporter_of_here() -> Reporter:
    """In a notebook one that shows bar, table and coach there; on IPython's terminal, text; in a script, nobody."""
    shell = _shell()
    if shell is None:
        return Quiet()
    if _is_notebook(shell):
        return NotebookReporter(NotebookDisplay(shell.display_pub), in_words=in_python_terms)
    return console_reporter()


def console_reporter() -> Reporter:
    """What the commands show, on standard output."""
    from rich.console import Console

    from distiltune.report.console import ConsoleReporter

    return ConsoleReporter(Console())


def told(*, verbose: bool) -> Reporter:
    """For an estimator: nobody, or whoever shows it here; standard output in a script."""
    if not verbose:
        return Quiet()
    return reporter_of_here() if _shell() is not None else console_reporter()


@contextmanager
def shown_here() -> Iterator[None]:
    """Within it a notebook shows how far each stage of the work is, if that takes a while; at the end nothing stays."""
    shell = _shell()
    if shell is None or not _is_notebook(shell):
        yield
        return
    stages = NotebookStages(NotebookDisplay(shell.display_pub))
    with heard_by(stages.show):
        try:
            yield
        finally:
            stages.clear()


def _shell() -> Any:
    """IPython's shell, if there is one: nothing is imported for it."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None


def _is_notebook(shell: Any) -> bool:
    """Whether it has a kernel, as in Jupyter, VS Code and Colab, and not a terminal."""
    return getattr(shell, "kernel", None) is not None and hasattr(shell, "display_pub")
