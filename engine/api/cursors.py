"""Cursors of lists: where a page ended, bound to the list, its filters and whoever asked.

A cursor holds no right. Its mark only tells a forged, stale or foreign one from ours, and is made
from what the reader's principal shares with us: any process can check it, after any restart.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import orjson

from engine.api.refusals import BadCursor

Position = Sequence[str | int]
"""The sort key of the last item of a page."""

_MARK_BYTES: Final = 12
_LONGEST: Final = 500


def write_cursor(position: Position, *, bound_to: bytes) -> str:
    """The cursor for a position in the list that `bound_to` names."""
    payload = orjson.dumps(list(position))
    return base64.urlsafe_b64encode(_mark(payload, bound_to) + payload).decode().rstrip("=")


def read_cursor(cursor: str, *, bound_to: bytes) -> list[Any]:
    """The position in a cursor of ours; refuses `request.cursor` for any other text."""
    if len(cursor) > _LONGEST:
        raise BadCursor
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursor from None
    mark, payload = raw[:_MARK_BYTES], raw[_MARK_BYTES:]
    if not hmac.compare_digest(mark, _mark(payload, bound_to)):
        raise BadCursor
    position: list[Any] = orjson.loads(payload)
    return position


def _mark(payload: bytes, bound_to: bytes) -> bytes:
    return hmac.new(sha256(bound_to).digest(), payload, sha256).digest()[:_MARK_BYTES]
