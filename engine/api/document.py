"""The OpenAPI document, drawn from the same rows that make the routes: every status is in it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from engine.api import answers
from engine.api.access import Scope
from engine.api.models import ID_PATTERN
from engine.api.problems import MEDIA_TYPE

_REF: Final = "#/components/schemas/{model}"
_SEEN_ON_READS: Final = (400, 401, 403, 404, 422, 500, 503)
_SEEN_ON_WRITES: Final = (400, 401, 403, 404, 408, 409, 413, 415, 422, 500, 503)

_TEXTS: Final[Mapping[int, str]] = {
    200: "Done.",
    201: "Made.",
    400: "The request cannot be read.",
    401: "No valid API key.",
    403: "The key is not good for this.",
    404: "Nothing there that the caller may see.",
    408: "The body came too slowly.",
    409: "The rules say no as things stand.",
    413: "The body is too large.",
    415: "The body is not plain JSON.",
    422: "The fields are not what this call takes.",
    500: "A fault of ours.",
    503: "Try again soon, with the same Idempotency-Key.",
}

_PATH_PATTERNS: Final[Mapping[str, str]] = {
    "account_id": "^[0-9]{1,19}$",
    "event_id": "^[0-9]{1,19}$",
    "key_id": "^[0-9a-f]{32}$",
    "rail": "^[a-z_]{1,40}$",
    "tenant": "^[a-z][a-z0-9_]{0,30}$",
    "endpoint": "^[A-Za-z0-9_-]{1,100}$",
    "number": "^[A-Z]{1,8}[0-9]{4}-[0-9]{6,19}$",
    "month": "^[0-9]{4}-[0-9]{2}$",
}

_KEY_PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Unique per principal, kept for ever: the same key gives the same answer.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255},
}

_PARTY_PARAMETER: Final = {
    "name": "Holdfast-Party",
    "in": "header",
    "required": False,
    "description": "The party that a platform's key acts for.",
    "schema": {"type": "string", "format": "uuid", "pattern": f"^{ID_PATTERN}$"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path, as the document tells it. No `scope`: open to anyone.

    `media`: what it answers in; `answer` is the JSON among them. `refuses` are statuses of refusals
    where nobody needs a key, and those of a read beside the usual ones.
    """

    method: str
    path: str
    summary: str
    answer: type[BaseModel]
    scope: Scope | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
    pages: bool = False
    needs_key: bool = True
    media: tuple[str, ...] = ("application/json",)
    refuses: tuple[int, ...] = ()


def draw(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """The whole document (OpenAPI 3.1)."""
    models = {operation.answer for operation in operations} | {answers.Problem}
    models |= {operation.body for operation in operations if operation.body is not None}
    named = sorted(models, key=lambda model: (model.__module__, model.__name__))
    refs, schemas = models_json_schema(
        [(model, "validation") for model in named], ref_template=_REF
    )
    by_model = {model: refs[model, "validation"] for model in named}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, by_model
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast",
            "version": version,
            "description": "Escrow and payments ledger engine.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    operation: Operation, refs: Mapping[type[BaseModel], Mapping[str, Any]]
) -> dict[str, Any]:
    is_write = operation.method == "POST"
    parameters = [*_path_parameters(operation.path), *_query_parameters(operation.query)]
    if operation.scope is not None:
        parameters.append(_PARTY_PARAMETER)
    if is_write and operation.needs_key:
        parameters.append(_KEY_PARAMETER)
    drawn: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "tags": [re.split("[/:]", operation.path.removeprefix("/v1/").strip("/"))[0]],
        "parameters": parameters,
        "responses": _responses(operation, refs, is_write=is_write),
        "security": [{"api_key": []}] if operation.scope is not None else [],
    }
    if operation.scope is not None:
        drawn["x-scope"] = operation.scope.value
    if operation.body is not None:
        drawn["requestBody"] = {
            "required": any(f.is_required() for f in operation.body.model_fields.values()),
            "content": {"application/json": {"schema": refs[operation.body]}},
        }
    return drawn


def _name(operation: Operation) -> str:
    words = re.findall("[a-z_]+", operation.path.removeprefix("/v1"))
    return "_".join([operation.method.lower(), *words])


def _responses(
    operation: Operation, refs: Mapping[type[BaseModel], Mapping[str, Any]], *, is_write: bool
) -> dict[str, Any]:
    schema: Mapping[str, Any] = refs[operation.answer]
    if operation.pages:
        schema = {
            "type": "object",
            "additionalProperties": False,
            "required": ["items", "next_cursor"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "next_cursor": {"type": ["string", "null"]},
            },
        }
    good: dict[str, Any] = {
        "description": _TEXTS[operation.status],
        "content": {
            kind: {"schema": schema} if kind == "application/json" else {}
            for kind in operation.media
        },
    }
    if is_write:
        good["headers"] = {
            "Idempotent-Replayed": {
                "description": "There where the answer was given before.",
                "required": False,
                "schema": {"type": "string", "const": "true"},
            }
        }
    seen: Iterable[int] = _SEEN_ON_WRITES if is_write else _SEEN_ON_READS
    trouble = sorted({*operation.refuses, *((500, 503) if operation.scope is None else seen)})
    problem = {MEDIA_TYPE: {"schema": refs[answers.Problem]}}
    found = {str(status): {"description": _TEXTS[status], "content": problem} for status in trouble}
    return {str(operation.status): good, **found}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _path_schema(name: str) -> dict[str, Any]:
    if name in _PATH_PATTERNS:
        return {"type": "string", "pattern": _PATH_PATTERNS[name]}
    return {"type": "string", "format": "uuid", "pattern": f"^{ID_PATTERN}$"}


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    drawn = query.model_json_schema()
    required = set(drawn.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _without_null(schema, drawn.get("$defs", {})),
        }
        for name, schema in drawn.get("properties", {}).items()
    ]


def _without_null(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; it is never null. What it refers to is written out."""
    given = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    (one,) = given
    if "$ref" in one:
        one = shared[one["$ref"].rpartition("/")[2]]
    return {key: value for key, value in one.items() if key not in {"title", "default"}}
