"""The raw-body gate: what comes before any model sees a request.

Size, time, encoding and content type are checked while the body arrives, so that an endless one
costs no more memory than a legal one. Source: domain/audit-and-reliability.md 4.3, line 20.
"""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from engine.api.refusals import (
    BadHeader,
    BadIdempotencyKey,
    BodyTooLarge,
    BodyTooSlow,
    NotJson,
)

LARGEST_BODY: Final = 1 << 20
"""Bytes of a body."""

BODY_TIMEOUT_S: Final = 20.0
"""From the first byte of the headers' end to the last of the body, however it trickles."""

_LONGEST_KEY: Final = 255


async def read_body(
    request: Request, *, largest: int = LARGEST_BODY, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """The whole body; refuses what is compressed, not JSON, too large or too slow."""
    _check_content(request)
    return await read_raw(request, largest=largest, timeout_s=timeout_s)


async def read_raw(
    request: Request, *, largest: int = LARGEST_BODY, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """The whole body as it came, whatever it is; refuses what is too large or too slow."""
    declared = single_header(request, b"content-length")
    if declared is not None and (not declared.isdigit() or int(declared[:20]) > largest):
        raise BodyTooLarge(largest_bytes=largest)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.stream():
                size += len(part)
                if size > largest:
                    raise BodyTooLarge(largest_bytes=largest)
                parts.append(part)
    except TimeoutError:
        raise BodyTooSlow(timeout_s=timeout_s) from None
    except ClientDisconnect:
        raise BodyTooSlow(timeout_s=timeout_s) from None
    return b"".join(parts)


def read_key(request: Request) -> str:
    """The Idempotency-Key; refuses `request.idempotency_key` where it is missing or odd."""
    values = request.headers.getlist("idempotency-key")
    if len(values) != 1:
        raise BadIdempotencyKey(given=len(values))
    key = values[0]
    if not 1 <= len(key) <= _LONGEST_KEY or not all("!" <= letter <= "~" for letter in key):
        raise BadIdempotencyKey(longest=_LONGEST_KEY)
    return key


def single_header(request: Request, name: bytes) -> str | None:
    """A header's value; refuses `request.header` where two of them could disagree."""
    values = [value for key, value in request.scope["headers"] if key == name]
    if len(values) > 1:
        raise BadHeader(header=name.decode())
    return values[0].decode("latin-1") if values else None


def _check_content(request: Request) -> None:
    if (single_header(request, b"content-encoding") or "identity").strip().lower() != "identity":
        raise NotJson(why="content_encoding")
    media, *parameters = (single_header(request, b"content-type") or "").lower().split(";")
    if media.strip() != "application/json":
        raise NotJson(why="content_type")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in {"utf-8", "utf8"}:
            raise NotJson(why="charset")
