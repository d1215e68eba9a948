"""Asking a service what it would answer: it reads and decides as ever, locks and writes nothing.

While a command is rehearsed, the connection drops every lock from the statements that it sends,
and `ledger.service.post` weighs the drafts instead of writing them and ends the rehearsal there.
So an answer follows the very code that a command follows, in a read-only snapshot too.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.database import driver
from kernel.errors import Refusal

C = TypeVar("C", bound=Command)

_LOCK: Final = re.compile(
    rb"\sFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b"
    rb"(?:\s+OF\s+\w+(?:\s*,\s*\w+)*)?(?:\s+SKIP\s+LOCKED|\s+NOWAIT)?"
)


class Service(Protocol):
    """A use case, as every room has them."""

    def __call__(
        self, connection: Connection, commands: Sequence[Any], *, at: datetime
    ) -> list[Outcome]:
        """One outcome for each command."""


class Rehearsed(Exception):  # noqa: N818  nothing went wrong: the rehearsal has come to its end
    """How far a rehearsal goes: the drafts are weighed, and the verdict is known."""

    def __init__(self, verdict: Refusal | None) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class _Unlocked(psycopg.Cursor[Any]):
    """Sends statements without their locks."""

    def execute(self, query: Any, params: Any = None, **rest: Any) -> "_Unlocked":  # noqa: ANN401  as psycopg has it
        if isinstance(query, sql.Composable):
            query = query.as_bytes(self)
        elif isinstance(query, str):
            query = query.encode()
        return super().execute(without_locks(query), params, **rest)


def without_locks(statement: bytes) -> bytes:
    """A statement that reads the same rows and locks none of them."""
    return _LOCK.sub(b"", statement)


def is_rehearsal(connection: Connection) -> bool:
    """Whether what is being done on this connection is only rehearsed."""
    return driver(connection).cursor_factory is _Unlocked


def rehearse(connection: Connection, service: Service, command: C, *, at: datetime) -> Outcome:
    """What the service would answer to this command now; `done` without facts, or the refusal."""
    return rehearse_step(connection, lambda: service(connection, [command], at=at)[0])


def rehearse_step(connection: Connection, act: Callable[[], Outcome]) -> Outcome:
    """The same for anything that ends in a post on this connection."""
    raw = driver(connection)
    before = raw.cursor_factory
    raw.cursor_factory = _Unlocked
    try:
        outcome = act()
    except Rehearsed as heard:
        outcome = refused(heard.verdict) if heard.verdict else done()
    except Refusal as refusal:
        outcome = refused(refusal)
    finally:
        raw.cursor_factory = before
    return outcome
