"""The canonical bytes of an event with all its entries and lines, and their leaf hash.

Version 1: a sequence of fields, each written `<length in bytes>:<bytes>,` in decimal, an absent
value as `-,`. Numbers are signed decimal text in minor units; times are microseconds since
1970-01-01 UTC. Lengths come first, so no two events share their bytes. `docs/canonical-bytes.md`
lists the fields; the test vectors stand in `tests/ledger/vectors`.

Source: domain/audit-and-reliability.md 2.4; leaf prefix 0x00 as in RFC 6962 section 2.1.
"""

from hashlib import sha256
from typing import Final

VERSION: Final = "1"
_LEAF: Final = b"\x00"


def field(value: str | int | None) -> str:
    """One field; the length counts bytes of UTF-8, not characters."""
    if value is None:
        return "-,"
    text = str(value)
    length = len(text) if text.isascii() else len(text.encode())
    return f"{length}:{text},"


def leaf_hash(fields: str) -> bytes:
    """SHA-256 of the leaf prefix and the fields of one event: 32 bytes."""
    return sha256(_LEAF + fields.encode()).digest()
