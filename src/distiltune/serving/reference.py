"""The page ``/docs``: an OpenAPI description as plain HTML, made here, with no script and nothing from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: the API</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    '<link rel="icon" href="icon.svg" type="image/svg+xml"><link rel="stylesheet" href="page.css"></head><body>'
)


def reference_page(description: Mapping[str, Any]) -> str:
    """Every route with what it takes, what it gives, and an example to copy, as a page of HTML."""
    return "".join(_parts(description))


def _parts(description: Mapping[str, Any]) -> Iterator[str]:
    schemas = description.get("components", {}).get("schemas", {})
    title = html.escape(f"{description['info']['title']} {description['info']['version']}")
    yield _HEAD.format(title=title)
    yield f'<header><h1>{title}: the API</h1><p class="quiet"><a href="./">The page</a> · '
    yield '<a href="openapi.json">openapi.json</a>. Every error is <code>{"what": …, "where": …, "fix": …}</code>.</p>'
    yield '</header><main class="reference">'
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            yield from _operation(path, method.upper(), operation, schemas)
    yield "</main></body></html>"


def _operation(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"<section><h2><code>{method} {html.escape(path)}</code></h2>"
    yield f"<p>{html.escape(operation.get('summary', ''))}</p>"
    for parameter in operation.get("parameters", []):
        yield _list([(f"?{parameter['name']}", parameter["schema"])], schemas)
    body = operation.get("requestBody", {}).get("content", {})
    for media, content in body.items():
        yield f"<h3>What it takes, as {html.escape(media)}</h3>"
        yield from _fields(content.get("schema", {}), schemas)
        if "example" in content:
            example = json.dumps(content["example"], ensure_ascii=False)
            command = f"curl URL{path} -H 'Content-Type: {media}' \\\n  -d '{example}'"
            yield f'<pre tabindex="0"><code>{html.escape(command)}</code></pre>'
    given = operation["responses"].get("200", {}).get("content", {})
    for media, content in given.items():
        yield f"<h3>What it gives, as {html.escape(media)}</h3>"
        yield from _fields(content.get("schema", {}), schemas)
    others = {status: each for status, each in operation["responses"].items() if status != "200"}
    if others:
        yield "<h3>What else it may answer</h3><ul>"
        yield "".join(f"<li>{status}: {html.escape(each['description'])}</li>" for status, each in others.items())
        yield "</ul>"
    yield "</section>"


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """The fields of an object, of those of a list, or of each of several forms."""
    schema = _resolved(schema, schemas)
    forms = [each for each in schema.get("oneOf", schema.get("anyOf", [])) if each.get("type") != "null"]
    for form in forms:
        yield from _fields(form, schemas, depth)
    if "items" in schema:
        yield from _fields(schema["items"], schemas, depth)
    if not (properties := schema.get("properties")):
        return
    yield _list(list(properties.items()), schemas, depth)


def _list(fields: list[tuple[str, Any]], schemas: Mapping[str, Any], depth: int = 0) -> str:
    return f"<ul>{''.join(_field(name, schema, schemas, depth) for name, schema in fields)}</ul>"


def _field(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int) -> str:
    said = html.escape(f"{_kind(schema, schemas)}. {schema.get('description', '')}".strip())
    below = "".join(_fields(schema, schemas, depth + 1)) if depth < 3 else ""
    return f"<li><code>{html.escape(name)}</code>: {said}{below}</li>"


def _kind(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    schema = _resolved(schema, schemas)
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_kind(each, schemas) for each in schema.get("anyOf", schema.get("oneOf", [])))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), schemas)}"
    return str(schema.get("type", "object"))


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "")
    return schemas[reference.rpartition("/")[2]] if reference else schema
