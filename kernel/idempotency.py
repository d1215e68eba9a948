"""One effect per key, for ever: the answer to a key is stored with its effect and given again.

A key belongs to a principal. Its row is written once, with the answer's bytes, as the last
statement of the transaction that had the effect; the unique index settles twins of other
processes: the second is rolled back whole, runs again, and finds the answer (decision 0003).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.copying import PackedArray, TextArray, bytes_cell
from kernel.database import driver
from kernel.errors import Refusal


class IdempotencyMismatch(Refusal):
    """The key was used before for another request."""

    code = "idempotency_mismatch"


class IdempotencyKey(NamedTuple):
    """A caller's key: whose it is, its text, and the SHA-256 of the request it stands for."""

    principal_id: UUID
    key: str
    request_hash: bytes


_FIND: Final = """
SELECT principal_id, key, request_hash, code, answer
FROM stored_answers(%s::uuid[], %s::text[])
"""

_ADD: Final = """
INSERT INTO idempotency (principal_id, key, request_hash, code, answer, answered_at)
SELECT n.*, %s::timestamptz
FROM unnest(%s::uuid[], %s::text[], %s::bytea[], %s::text[], %s::bytea[]) AS n
"""


def find_answers(
    connection: Connection, keys: Sequence[IdempotencyKey]
) -> dict[IdempotencyKey, Outcome]:
    """The stored answers to these keys, marked replayed; a refusal where the request differs."""
    if not keys:
        return {}
    raw = driver(connection)
    rows = raw.execute(
        _FIND,
        (
            PackedArray("uuid", [bytes_cell(key.principal_id.bytes) for key in keys]),
            TextArray([key.key for key in keys]),
        ),
    )
    stored: dict[tuple[UUID, str], tuple[bytes, str, bytes]] = {
        (principal_id, key): rest for principal_id, key, *rest in rows
    }
    found = {}
    for key in keys:
        row = stored.get((key.principal_id, key.key))
        if row is not None:
            found[key] = _answer(key, *row)
    return found


def add_answers(
    connection: Connection, answers: Sequence[tuple[IdempotencyKey, Outcome]], *, at: datetime
) -> None:
    """Store answers, in the order of their keys; a twin's unique violation undoes everything."""
    if not answers:
        return
    kept = sorted(answers, key=lambda pair: pair[0][:2])
    driver(connection).execute(
        _ADD,
        (
            at,
            PackedArray("uuid", [bytes_cell(key.principal_id.bytes) for key, _ in kept]),
            TextArray([key.key for key, _ in kept]),
            PackedArray("bytea", [bytes_cell(key.request_hash) for key, _ in kept]),
            TextArray([outcome.code for _, outcome in kept]),
            PackedArray("bytea", [bytes_cell(orjson.dumps(o.facts)) for _, o in kept]),
        ),
    )


def mismatch(key: IdempotencyKey) -> Outcome:
    """The answer to a key that was used for another request."""
    return Outcome(IdempotencyMismatch.code, {"key": key.key}, replayed=False)


def _answer(key: IdempotencyKey, request_hash: bytes, code: str, answer: bytes) -> Outcome:
    if request_hash != key.request_hash:
        return mismatch(key)
    facts: dict[str, Any] = orjson.loads(answer)
    return Outcome(code, facts, replayed=True)
