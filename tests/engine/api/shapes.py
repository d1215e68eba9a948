"""Checks an answer against the OpenAPI document: a status that it names, a body of its shape."""

import re
from typing import Any


class WrongShape(AssertionError):  # noqa: N818  it says what is wrong
    """An answer is not what the document promises."""


def check_shape(document: dict[str, Any], method: str, path: str, status: int, body: Any) -> None:
    """Refuse a status that the operation does not name, and a body of another shape."""
    operation = find_operation(document, method, path)
    if operation is None:
        return
    promised = operation["responses"].get(str(status))
    if promised is None:
        raise WrongShape(f"{method} {path} answered {status}, which is not documented: {body}")
    (content,) = [each for kind, each in promised["content"].items() if "json" in kind]
    _check(document, content["schema"], body, at="$")


def find_operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation that serves a path; None for a path that the document does not have."""
    bare = path.partition("?")[0]
    for template, operations in document["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, bare) and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


def _check(document: dict[str, Any], schema: dict[str, Any], value: Any, *, at: str) -> None:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        _check(document, document["components"]["schemas"][name], value, at=at)
        return
    if "anyOf" in schema:
        _check_any(document, schema["anyOf"], value, at=at)
        return
    if "enum" in schema and value not in schema["enum"]:
        raise WrongShape(f"{at}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        raise WrongShape(f"{at}: {value!r} does not match {schema['pattern']}")
    kinds = schema.get("type", [])
    if kinds and not any(
        _is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ):
        raise WrongShape(f"{at}: {value!r} is no {kinds}")
    if isinstance(value, dict):
        _check_object(document, schema, value, at=at)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            _check(document, schema["items"], item, at=f"{at}[{number}]")


def _check_any(
    document: dict[str, Any], choices: list[dict[str, Any]], value: Any, *, at: str
) -> None:
    complaints = []
    for choice in choices:
        try:
            _check(document, choice, value, at=at)
        except WrongShape as complaint:
            complaints.append(str(complaint))
        else:
            return
    raise WrongShape(" / ".join(complaints))


def _check_object(
    document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any], *, at: str
) -> None:
    properties = schema.get("properties", {})
    missing = set(schema.get("required", ())) - value.keys()
    if missing:
        raise WrongShape(f"{at}: {sorted(missing)} missing in {value}")
    if schema.get("additionalProperties") is False and value.keys() - properties.keys():
        raise WrongShape(f"{at}: {sorted(value.keys() - properties.keys())} unknown")
    for name, inner in properties.items():
        if name in value:
            _check(document, inner, value[name], at=f"{at}.{name}")


def _is(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    kinds = {"string": str, "boolean": bool, "object": dict, "array": list, "number": float}
    return isinstance(value, kinds[kind])
