"""Stripe's contract as the installed `stripe` package knows it: every route, closed on both sides.

The package's services and typed parameters are read as text (nothing is imported or run), one
route at a time, and turned into JSON Schemas: parameters and answers are closed, `str` beside a
list of values is dropped, what is not marked as optional is required. What it cannot see is
meaning: a call that is well formed and comes at the wrong time.

`python -m tests.doubles.contract --write` keeps the calls we use beside the guard's test.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import stripe

ROOT: Final = Path(stripe.__file__).parent
Schema = dict[str, Any]
_REQUEST: Final = re.compile(r'self\._request\(\s*"(\w+)",\s*"(/v[12]/[^"]*)"')
_SIMPLE: Final[Mapping[str, Schema]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "Decimal": {"type": "decimal"},
    "Any": {},
    "object": {},
    "StripeObject": {"type": "object"},
    "UntypedStripeObject": {"type": "object"},
    "None": {"type": "null"},
}


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the package, read as text."""

    name: str
    imports: Mapping[str, tuple[str, str]]
    classes: Mapping[str, ast.ClassDef]
    assigned: Mapping[str, ast.expr]


@cache
def module(name: str) -> Module:
    """A module by its dotted name."""
    path = ROOT.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assigned = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return Module(name, imports, dict(_classes(tree.body, "")), assigned)


def _classes(body: list[ast.stmt], within: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield f"{within}{node.name}", node
            yield from _classes(node.body, f"{within}{node.name}.")


@cache
def class_schema(ref: str) -> Schema:
    """The closed schema of a class, by `module:Qualified.Name`."""
    home, _, qualname = ref.partition(":")
    where = module(home)
    if qualname in where.assigned:
        return _assigned_schema(where, qualname)
    node = where.classes[qualname]
    schema: Schema = {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    for above in node.bases:
        _inherit(schema, where, ast.unparse(above))
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            _add(schema, field.target.id, _parsed(field.annotation), where, qualname)
    return _renamed(schema, node)


def _assigned_schema(where: Module, name: str) -> Schema:
    """A TypedDict made by a call, for keys that are no identifiers; or another name of a type."""
    value = where.assigned[name]
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "TypedDict"):
        return schema_of(value, where, "")
    fields = value.args[1]
    assert isinstance(fields, ast.Dict)
    schema: Schema = {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    for key, annotation in zip(fields.keys, fields.values, strict=True):
        assert isinstance(key, ast.Constant)
        _add(schema, str(key.value), _parsed(annotation), where, "")
    return schema


def _inherit(schema: Schema, where: Module, name: str) -> None:
    """The fields of a class above, unless it is part of the package's machinery."""
    if name in where.classes or name in where.assigned:
        above = class_schema(f"{where.name}:{name}")
    elif name in where.imports and not _is_machinery(where.imports[name][0]):
        above = class_schema(":".join(where.imports[name]))
    else:
        return
    schema["properties"].update(above["properties"])
    schema["required"].extend(above["required"])


def _is_machinery(name: str) -> bool:
    return not name.startswith("stripe.") or name.endswith(
        ("_resource", "_request_options", "_stripe_object", "_test_helpers")
    )


def _add(schema: Schema, name: str, annotation: ast.expr, where: Module, within: str) -> None:
    outer = _head(annotation)
    if outer == "ClassVar":
        return
    schema["properties"][name] = schema_of(annotation, where, within)
    if outer not in {"NotRequired", "Optional"}:
        schema["required"].append(name)


def _renamed(schema: Schema, node: ast.ClassDef) -> Schema:
    """Fields by their names on the wire, where Python had to call them otherwise."""
    for part in node.body:
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "_field_remappings":
            for ours, theirs in ast.literal_eval(part.value).items():
                if ours in schema["properties"]:
                    schema["properties"][theirs] = schema["properties"].pop(ours)
                    schema["required"] = [theirs if r == ours else r for r in schema["required"]]
    return schema


def _parsed(annotation: ast.expr) -> ast.expr:
    """An annotation in quotes is read as what stands between them."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _parsed(ast.parse(annotation.value.strip(), mode="eval").body)
    return annotation


def _head(annotation: ast.expr) -> str:
    return ast.unparse(annotation.value) if isinstance(annotation, ast.Subscript) else ""


def schema_of(annotation: ast.expr, where: Module, within: str) -> Schema:
    """The schema of an annotation that stands in a class (`within`) of a module."""
    node = _parsed(annotation)
    if isinstance(node, ast.BinOp):
        return _union([*_sides(node)], where, within)
    if isinstance(node, ast.Subscript):
        return _generic(node, where, within)
    name = ast.unparse(node)
    return dict(_SIMPLE[name]) if name in _SIMPLE else _named(name, where, within)


def _generic(node: ast.Subscript, where: Module, within: str) -> Schema:
    """The schema of `Head[...]`."""
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    head = ast.unparse(node.value)
    if head == "Literal":
        return {"enum": [ast.literal_eval(value) for value in inner]}
    if head == "Union":
        return _union(inner, where, within)
    of = schema_of(inner[-1], where, within)
    if head in {"ListObject", "SearchResultObject"}:
        return _page(of, v2=where.imports[head][0].startswith("stripe.v2"))
    shapes: dict[str, Schema] = {
        "NotRequired": of,
        "Optional": _any_of([of, {"type": "null"}]),
        "ExpandableField": _any_of([{"type": "string"}, of]),
        "List": {"type": "array", "items": of},
        "Dict": {"type": "object", "additionalProperties": of},
        "UntypedStripeObject": {"type": "object", "additionalProperties": of},
    }
    return shapes[head]


def _sides(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from _sides(node.left)
        yield from _sides(node.right)
    else:
        yield node


def _union(parts: list[ast.expr], where: Module, within: str) -> Schema:
    kept = [_parsed(part) for part in parts]
    heads = {_head(part) for part in kept}
    if "Literal" in heads and not heads & {"List", "Dict"} - {"Literal"}:
        kept = [part for part in kept if ast.unparse(part) != "str"]
    if "Dict" in heads or len(kept) > 1:
        kept = [part for part in kept if not ast.unparse(part).startswith("UntypedStripeObject")]
    return _any_of([schema_of(part, where, within) for part in kept])


def _any_of(options: list[Schema]) -> Schema:
    flat = [one for option in options for one in option.get("anyOf", [option])]
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _page(of: Schema, *, v2: bool) -> Schema:
    properties: Schema = {"data": {"type": "array", "items": of}}
    if v2:
        address = {"anyOf": [{"type": "string"}, {"type": "null"}]}
        properties |= {"next_page_url": address, "previous_page_url": address}
        required = ["data"]
    else:
        properties |= {
            "object": {"enum": ["list"]},
            "has_more": {"type": "boolean"},
            "url": {"type": "string"},
            "total_count": {"type": "integer"},
        }
        required = ["data", "has_more", "object", "url"]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _named(name: str, where: Module, within: str) -> Schema:
    scope = within
    while scope:
        if f"{scope}.{name}" in where.classes:
            return {"$ref": f"{where.name}:{scope}.{name}"}
        scope = scope.rpartition(".")[0]
    if name in where.classes or name in where.assigned:
        return {"$ref": f"{where.name}:{name}"}
    first, dot, rest = name.partition(".")
    home, original = where.imports[first]
    return {"$ref": f"{home}:{original}{dot}{rest}"}


@dataclass(frozen=True, slots=True)
class Route:
    """One call: its method and path, and what goes in and comes out. No parameters: None."""

    method: str
    path: str
    params: Schema | None
    answer: Schema

    @property
    def is_v2(self) -> bool:
        """Whether it speaks JSON both ways."""
        return self.path.startswith("/v2/")


@cache
def paths() -> Mapping[tuple[str, str], str]:
    """The module of the service behind every (method, path) of the package."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted(ROOT.rglob("*_service.py")):
        name = ".".join(("stripe", *file.relative_to(ROOT).with_suffix("").parts))
        for method, path in _REQUEST.findall(file.read_text(encoding="utf-8")):
            found[method.upper(), path] = name
    return found


@cache
def route(method: str, path: str) -> Route:
    """A route by its method and its path with names in braces; KeyError if there is none."""
    name = paths()[method, path]
    where = module(name)
    for node in where.classes.values():
        for function in node.body:
            if isinstance(function, ast.FunctionDef) and _called(function) == (method, path):
                assert function.returns is not None
                return Route(
                    method, path, _params(function, where), schema_of(function.returns, where, "")
                )
    raise KeyError(path)


def _called(function: ast.FunctionDef) -> tuple[str, str] | None:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "_request":
            method, path = node.args[0], node.args[1]
            if isinstance(path, ast.Call) and isinstance(path.func, ast.Attribute):
                path = path.func.value
            return str(ast.literal_eval(method)).upper(), str(ast.literal_eval(path))
    return None


def _params(function: ast.FunctionDef, where: Module) -> Schema | None:
    for argument in function.args.args:
        if argument.arg == "params" and argument.annotation is not None:
            node = _parsed(argument.annotation)
            if _head(node) == "Optional":
                assert isinstance(node, ast.Subscript)
                node = node.slice
            return schema_of(node, where, "")
    return None


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """The route that serves a path, and what stands in it for each name in braces."""
    for template, pattern in _patterns(method):
        if match := pattern.fullmatch(path):
            return route(method, template), match.groupdict()
    return None


@cache
def _patterns(method: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    templates = sorted((p for m, p in paths() if m == method), key=lambda p: (p.count("{"), p))
    return tuple((p, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", p))) for p in templates)


def conform(value: Any, schema: Schema, *, text: bool, at: str = "") -> tuple[Any, list[str]]:
    """A value in the types of its schema, and all that is wrong with it.

    With `text` the leaves come from a form, where everything is a string.
    """
    if "$ref" in schema:
        return conform(value, class_schema(schema["$ref"]), text=text, at=at)
    if "anyOf" in schema:
        tried = [conform(value, option, text=text, at=at) for option in schema["anyOf"]]
        return min(tried, key=lambda one: (len(one[1]), _misses(one[1], at)))
    if "enum" in schema:
        read = value == "true" if text and schema["enum"] == [True] else value
        fits = any(read == one and type(read) is type(one) for one in schema["enum"])
        return read, [] if fits else [f"{at}: {value!r} is none of {schema['enum']}"]
    kind = schema.get("type")
    if kind == "object":
        return _conform_object(value, schema, text=text, at=at)
    if kind == "array":
        return _conform_array(value, schema, text=text, at=at)
    return _conform_leaf(value, kind, text=text, at=at)


def _misses(problems: list[str], at: str) -> int:
    """An option of the wrong kind is a worse guess than one with a mistake inside."""
    return sum(problem.startswith(f"{at}: ") for problem in problems)


_LEAVES: Final[Mapping[str, type]] = {
    "integer": int,
    "boolean": bool,
    "string": str,
    "decimal": str,
    "null": type(None),
}
_NUMERAL: Final = re.compile(r"-?\d+")


def _conform_leaf(value: Any, kind: str | None, *, text: bool, at: str) -> tuple[Any, list[str]]:
    if text and isinstance(value, str):
        if kind == "integer" and _NUMERAL.fullmatch(value):
            value = int(value)
        elif kind == "boolean" and value in {"true", "false"}:
            value = value == "true"
    if kind is None:
        return value, []
    if kind == "number":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = type(value) is _LEAVES[kind]
    return value, [] if fits else [f"{at}: {value!r} is not of the type {kind}"]


def _conform_object(value: Any, schema: Schema, *, text: bool, at: str) -> tuple[Any, list[str]]:
    if not isinstance(value, dict):
        return value, [f"{at}: {value!r} is no object"]
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    problems = [f"{at}.{name}: missing" for name in schema.get("required", ()) if name not in value]
    out: dict[str, Any] = {}
    for name, part in value.items():
        inner = known.get(name, rest)
        if inner is False:
            problems.append(f"{at}.{name}: unknown")
            continue
        if part is None and not text and name not in schema.get("required", ()):
            out[name] = None
            continue
        out[name], wrong = conform(part, inner, text=text, at=f"{at}.{name}")
        problems += wrong
    return out, problems


def _conform_array(value: Any, schema: Schema, *, text: bool, at: str) -> tuple[Any, list[str]]:
    if text and isinstance(value, dict) and list(value) == [str(n) for n in range(len(value))]:
        value = list(value.values())
    if not isinstance(value, list):
        return value, [f"{at}: {value!r} is no list"]
    parts = [
        conform(part, schema["items"], text=text, at=f"{at}[{number}]")
        for number, part in enumerate(value)
    ]
    return [part for part, _ in parts], [problem for _, wrong in parts for problem in wrong]


def decode_form(encoded: str) -> dict[str, Any]:
    """A form's `a[b][0][c]=v` as objects in objects; every leaf a string."""
    out: dict[str, Any] = {}
    for key, value in parse_qsl(encoded, keep_blank_values=True):
        first, *others = re.split(r"\]?\[|\]$", key)
        steps = [first, *(step for step in others if step or not key.endswith("]"))]
        inner = out
        for step in steps[:-1]:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{key} is a value and an object")  # noqa: TRY004  # bad input
        inner[steps[-1]] = value
    return out


@cache
def error_codes() -> frozenset[str]:
    """Every error code that the package lists for a payment's last error."""
    schema = class_schema("stripe._payment_intent:PaymentIntent.LastPaymentError")
    options = schema["properties"]["code"]["anyOf"]
    return frozenset(code for option in options for code in option.get("enum", ()))


@cache
def reporting_categories() -> frozenset[str]:
    """Every reporting category of a balance transaction that the package knows."""
    where = "stripe.params.reporting._report_run_create_params"
    asked = class_schema(f"{where}:ReportRunCreateParamsParameters")
    return frozenset(asked["properties"]["reporting_category"]["enum"])


def resource(name: str) -> Schema | None:
    """The schema of a resource by its `object`, such as `charge`; None if there is none."""
    return _resources().get(name)


@cache
def thin_event(kind: str) -> Schema | None:
    """The schema of a v2 event by its type; None if the package knows none such."""
    known = module("stripe.events._event_classes").assigned["_V2_EVENT_CLASS_LOOKUP"]
    home = ast.literal_eval(known).get(kind)
    return None if home is None else {"$ref": ":".join(home)}


@cache
def _resources() -> Mapping[str, Schema]:
    found: dict[str, Schema] = {}
    text = (ROOT / "_object_classes.py").read_text(encoding="utf-8")
    for name, home, original in re.findall(r'"([\w.]+)": \(\s*"([\w.]+)",\s*"(\w+)",?\s*\)', text):
        found.setdefault(name, {"$ref": f"{home}:{original}"})
    return found


if __name__ == "__main__":
    from tests.doubles.contract_guard import main

    sys.exit(main(sys.argv[1:]))
