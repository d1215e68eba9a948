"""Records what our store writes for a batch, and writes the very same into a twin.

The twin is a second tenant in the same database. Whatever is posted to the first is copied into
the twin, so the two always hold the same rows, and a COPY into the twin meets exactly the tables
that the posting met.

The recorder sits under SQLAlchemy, in the driver's cursor, and keeps references only, so that it
costs the posting next to nothing. A replay is what a plain bulk loader could do at best: the
rows are packed beforehand, and one connection sends them by COPY BINARY.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.abc import Buffer, Params, Query
from psycopg.copy import LibpqWriter
from sqlalchemy import Engine, event

from kernel.copying import teach
from kernel.database import Tenant
from loadtests.bench.ground import Ground
from loadtests.bench.measure import Meter
from migrations import runner

# What a loader must write for the checks at commit: the header, the rows, the accounts' new state.
_WRITES: Final = re.compile(r"\s*(COPY|INSERT INTO batch|UPDATE account)\b")
# What the first batch of a month or with new accounts adds before; not part of the load itself.
_PREPARES: Final = re.compile(r"\s*INSERT INTO (period|account)\b")
_READS: Final = re.compile(r"\s*(;|(SELECT|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT)\b)")


class UnknownStatement(Exception):  # noqa: N818  it says what happened
    """Our store sends something of which the bench cannot say whether it writes."""


@dataclass(slots=True)
class Statement:
    """One statement with its parameters or, for a COPY, its data."""

    text: str
    params: Params | None = None
    chunks: list[bytes] = field(default_factory=list)

    @property
    def is_copy(self) -> bool:
        """Whether the statement takes data."""
        return self.text.lstrip().startswith("COPY")


@dataclass(slots=True)
class Recording:
    """All statements of one transaction, in order."""

    statements: list[Statement] = field(default_factory=list)

    def writes(self) -> list[Statement]:
        """What the load itself writes."""
        return [s for s in self.statements if _WRITES.match(s.text)]

    def preparations(self) -> list[Statement]:
        """New periods and accounts."""
        return [s for s in self.statements if _PREPARES.match(s.text)]

    def check(self) -> None:
        """Raise if a statement is neither known to write nor known to read."""
        for statement in self.statements:
            if not any(p.match(statement.text) for p in (_WRITES, _PREPARES, _READS)):
                raise UnknownStatement(statement.text)


class Recorder:
    """Records the transactions of an engine, one after the other."""

    def __init__(self, engine: Engine) -> None:
        """Have every new connection of the engine use a cursor that records."""
        self._recording: Recording | None = None
        recorder = self

        class RecordingCursor(psycopg.Cursor[Any]):
            def execute(
                self, query: Query, params: Params | None = None, **named: Any
            ) -> "RecordingCursor":
                recorder.keep(query, params, self)
                super().execute(query, params, **named)
                return self

            @contextmanager
            def copy(
                self, statement: Query, params: Params | None = None, *, writer: Any = None
            ) -> Iterator[psycopg.Copy]:
                kept = recorder.keep(statement, params, self)
                writer = writer or _Recording(self, kept.chunks)
                with super().copy(statement, params, writer=writer) as copy:
                    yield copy

        @event.listens_for(engine, "connect")
        def _use_recording_cursor(raw: psycopg.Connection[Any], _record: object) -> None:
            raw.cursor_factory = RecordingCursor

    def keep(self, query: Query, params: Params | None, cursor: psycopg.Cursor[Any]) -> Statement:
        """Note a statement, if a recording runs."""
        if self._recording is None:
            return Statement("")
        text = query.as_string(cursor) if isinstance(query, sql.Composable) else query
        statement = Statement(text.decode() if isinstance(text, bytes) else str(text), params)
        self._recording.statements.append(statement)
        return statement

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """Record what happens inside."""
        self._recording = Recording()
        try:
            yield self._recording
            self._recording.check()
        finally:
            self._recording = None


class _Recording(LibpqWriter):
    """Sends COPY data on and keeps it."""

    def __init__(self, cursor: psycopg.Cursor[Any], chunks: list[bytes]) -> None:
        super().__init__(cursor)
        self._chunks = chunks

    def write(self, data: Buffer) -> None:
        self._chunks.append(bytes(data))
        super().write(data)


class Price(StrEnum):
    """What a replay pays for."""

    ALL = "copy"
    NO_TRIGGERS = "copy_without_triggers"
    ROWS_ONLY = "copy_rows_only"


class Replayer:
    """Writes recordings into the twin, by a connection of its own."""

    def __init__(self, ground: Ground, twin: Tenant) -> None:
        """Connect: as the program for the full price, as superuser to switch triggers off."""
        self._twin = twin
        self._app = psycopg.connect(ground.conninfo(user=runner.APP))
        self._super = psycopg.connect(ground.conninfo())
        for connection in (self._app, self._super):
            connection.prepare_threshold = 1
            teach(connection)
        self._super.execute("SET session_replication_role = replica")
        self._super.commit()

    def backend(self, price: Price) -> int:
        """The server process that pays."""
        return self._connection(price).info.backend_pid

    def close(self) -> None:
        """Leave the server."""
        self._app.close()
        self._super.close()

    def take_over(self, recording: Recording) -> None:
        """Write a recording the cheap way, off any meter: while the tables are being filled."""
        self.replay(recording, Price.NO_TRIGGERS, Meter(()), 0)

    def replay(self, recording: Recording, price: Price, meter: Meter, operations: int) -> None:
        """Write a recording; only the load itself runs on the meter."""
        self._write(self._app, recording.preparations())
        load = [_prebuilt(statement) for statement in recording.writes()]
        later = []
        if price is Price.ROWS_ONLY:
            later = [s for s in load if s.text.lstrip().startswith("UPDATE")]
            load = [s for s in load if s not in later]
        with meter.running(operations):
            self._write(self._connection(price), load)
        self._write(self._super, later)

    def _connection(self, price: Price) -> psycopg.Connection[Any]:
        return self._app if price is Price.ALL else self._super

    def _write(self, connection: psycopg.Connection[Any], statements: Sequence[Statement]) -> None:
        if not statements:
            return
        with connection.transaction():
            connection.execute(
                "SELECT set_config('role', %s, true), set_config('search_path', %s, true)",
                (self._twin.role, self._twin.schema),
            )
            for statement in statements:
                if statement.is_copy:
                    with connection.cursor().copy(statement.text.encode()) as copy:
                        for chunk in statement.chunks:
                            copy.write(chunk)
                else:
                    connection.execute(statement.text.encode(), statement.params)


def _prebuilt(statement: Statement) -> Statement:
    if not statement.is_copy:
        return statement
    return Statement(statement.text, None, [b"".join(statement.chunks)])
