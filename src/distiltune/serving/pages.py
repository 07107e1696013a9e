"""Pages out of templates: what all have alike stands once, and is filled in when a server starts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


def rendered(page: str) -> str:
    """The page whose template this is; it may extend those of `serving/templates`.

    Raises:
        jinja2.TemplateError: if it asks for something that there is not.

    """
    return _environment().from_string(page).render()


@cache
def _environment() -> Environment:
    folder = files("distiltune.serving").joinpath("templates")
    return Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
