"""JSON read so that no two readers can disagree about it: pure, refuses what is ambiguous.

Source: domain/audit-and-reliability.md 4.3, lines 8, 10, 12-14, 18 and 19.
"""

import json
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, NoReturn

from engine.api.refusals import Unreadable

DEEPEST: Final = 16
"""Levels of lists and objects that a body may have."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LONGEST_NUMBER: Final = 400
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)


def parse(body: bytes) -> Any:  # noqa: ANN401  any JSON value
    """The value of a body; refuses `request.unreadable` with the reason why.

    `why` is one of: encoding, byte_order_mark, syntax, duplicate_key, number, depth,
    lone_surrogate, nul.
    """
    if body.startswith(_BYTE_ORDER_MARK):
        raise Unreadable(why="byte_order_mark")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(why="encoding", at_byte=error.start) from None
    _check_depth(body)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        raise Unreadable(why="syntax", at_character=error.pos) from None
    if "\\u" in text:
        _check_text(value)
    return value


def canonical(value: object) -> bytes:
    """One way to write a value: keys in order, no spaces; the same request, the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before a parser that recurses sees it; brackets in strings are text."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        if match[1]:
            depth += 1
            if depth > DEEPEST:
                raise Unreadable(why="depth", deepest=DEEPEST)
        elif match[2]:
            depth -= 1


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable(why="duplicate_key")
    return found


def _refuse_number(_text: str) -> NoReturn:
    raise Unreadable(why="number")


def _finite(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or not isfinite(value := float(text)):
        raise Unreadable(why="number")
    return value


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise Unreadable(why="number")
    return int(text)


def _check_text(value: object) -> None:
    """Refuse NUL and lone surrogates, which only an escape can bring in."""
    if isinstance(value, str):
        if "\0" in value:
            raise Unreadable(why="nul")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Unreadable(why="lone_surrogate")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)
