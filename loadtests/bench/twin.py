"""COPY, the plain bulk loader: writes the rows that our posting wrote into a twin tenant.

The twin is a second tenant in the same database and always holds the same rows as the first, so
a COPY into it meets exactly the tables that the posting met. The rows are read back from the
first tenant off the clock, packed as COPY BINARY wants them; one connection writes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import psycopg

from kernel.copying import PG_EPOCH_US, BigintArray, teach
from kernel.database import Tenant
from loadtests.bench.ground import Ground
from loadtests.bench.measure import Meter
from migrations import runner

_ROWS: Final = ("entry", "line", "event")
_EVENT_ID: Final = {"entry": "event_id", "line": "event_id", "event": "id"}

_COLUMNS: Final = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND NOT (%s AND atthasdef)
ORDER BY attnum
"""

_MOVED: Final = """
SELECT id, balance_minor, line_count,
       (extract(epoch FROM newest_recorded_at) * 1000000)::bigint - %s
FROM account
WHERE id IN (SELECT account_id FROM line WHERE event_id BETWEEN %s AND %s)
ORDER BY id
"""

_MOVE: Final = """
UPDATE account a
SET balance_minor = n.balance_minor, line_count = n.line_count,
    newest_recorded_at = timestamptz '2000-01-01 00:00:00+00' + n.newest_us * interval '1 us'
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS n (id, balance_minor, line_count, newest_us)
WHERE a.id = n.id
"""


class Price(StrEnum):
    """What a COPY pays for."""

    ALL = "copy"
    NO_TRIGGERS = "copy_without_triggers"
    ROWS_ONLY = "copy_rows_only"


@dataclass(frozen=True, slots=True)
class Packed:
    """One batch, ready to be written: header, rows by table, and the accounts it moved."""

    header: tuple[Any, ...]
    rows: dict[str, bytes]
    moved: tuple[BigintArray, ...]


_AWAIT_SEAL: Final = b"INSERT INTO unsealed (batch_id) VALUES (%s)"


class Twin:
    """The twin of a tenant, and the connections that write into it."""

    def __init__(self, ground: Ground, tenant: Tenant, twin: Tenant) -> None:
        """Connect: as the program for the full price, as superuser to switch triggers off."""
        self._tenant, self._twin = tenant, twin
        self._app = psycopg.connect(ground.conninfo(user=runner.APP))
        self._super = psycopg.connect(ground.conninfo())
        for connection in (self._app, self._super):
            connection.prepare_threshold = 1
            teach(connection)
        self._super.execute("SET session_replication_role = replica")
        self._columns = {name: self._list_columns(name) for name in _ROWS}
        self._header = self._list_columns("batch", without_defaults=True)
        self._super.commit()
        self._newest_batch = 0

    def backend(self, price: Price) -> int:
        """The server process that pays."""
        return self._connection(price).info.backend_pid

    def close(self) -> None:
        """Leave the server."""
        self._app.close()
        self._super.close()

    def catch_up(self) -> None:
        """Take over everything that the tenant has by now, off any meter."""
        with self._super.transaction():
            self._super.execute("SET LOCAL search_path = ''")
            for table in ("period", "account", "batch", *_ROWS):
                key = _EVENT_ID.get(table, "id")
                theirs, ours = f"{self._tenant.schema}.{table}", f"{self._twin.schema}.{table}"
                self._super.execute(
                    f"INSERT INTO {ours} SELECT * FROM {theirs} ORDER BY {key}".encode()
                )
            # Nobody seals the twin: all that it takes over waits.
            self._super.execute(
                f"INSERT INTO {self._twin.schema}.unsealed (batch_id)"
                f" SELECT id FROM {self._tenant.schema}.batch".encode()
            )
            row = self._super.execute(
                f"SELECT coalesce(max(id), 0) FROM {self._twin.schema}.batch".encode()
            ).fetchone()
        self._newest_batch = int(row[0]) if row else 0

    def read_new(self) -> list[Packed]:
        """The batches that the tenant posted since the last look."""
        with self._super.transaction():
            self._enter(self._super, self._tenant)
            names = ", ".join(self._header)
            headers = self._super.execute(
                f"SELECT {names} FROM batch WHERE id > %s ORDER BY id".encode(),
                (self._newest_batch,),
            ).fetchall()
            packed = [self._pack(header) for header in headers]
        # A month may have begun meanwhile; what a loader would have found there is not his work.
        period = f"{self._tenant.schema}.period"
        with self._super.transaction():
            self._super.execute(
                f"INSERT INTO {self._twin.schema}.period"
                f" SELECT * FROM {period} ON CONFLICT DO NOTHING".encode()
            )
        self._newest_batch = max((each.header[0] for each in packed), default=self._newest_batch)
        return packed

    def write(self, batches: Sequence[Packed], price: Price, meter: Meter, events: int) -> None:
        """Write what was read, on the meter; the accounts of ROWS_ONLY follow off the meter."""
        connection = self._connection(price)
        with meter.running(events), connection.transaction():
            self._enter(connection, self._twin)
            for packed in batches:
                self._write_rows(connection, packed, is_whole=price is not Price.ROWS_ONLY)
        if price is Price.ROWS_ONLY:
            with self._super.transaction():
                self._enter(self._super, self._twin)
                for packed in batches:
                    self._super.execute(_MOVE, packed.moved)

    def _write_rows(
        self, connection: psycopg.Connection[Any], packed: Packed, *, is_whole: bool
    ) -> None:
        places = ", ".join(["%s"] * len(self._header))
        statement = f"INSERT INTO batch ({', '.join(self._header)}) VALUES ({places})"
        connection.execute(statement.encode(), packed.header)
        connection.execute(_AWAIT_SEAL, packed.header[:1])
        for table, rows in packed.rows.items():
            columns = ", ".join(self._columns[table])
            statement = f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)"
            with connection.cursor().copy(statement.encode()) as copy:
                copy.write(rows)
        if is_whole:
            connection.execute(_MOVE, packed.moved)

    def _pack(self, header: tuple[Any, ...]) -> Packed:
        first = header[0] << 14
        last = first + 16_383
        rows = {table: self._read_rows(table, first, last) for table in _ROWS}
        moved = self._super.execute(_MOVED, (PG_EPOCH_US, first, last)).fetchall()
        columns = zip(*moved, strict=True) if moved else [()] * 4
        return Packed(header, rows, tuple(BigintArray(list(column)) for column in columns))

    def _read_rows(self, table: str, first: int, last: int) -> bytes:
        columns, key = ", ".join(self._columns[table]), _EVENT_ID[table]
        statement = (
            f"COPY (SELECT {columns} FROM {table} WHERE {key} BETWEEN {first} AND {last}"
            f" ORDER BY {key}) TO STDOUT (FORMAT binary)"
        )
        with self._super.cursor().copy(statement.encode()) as copy:
            return b"".join(copy)

    def _list_columns(self, table: str, *, without_defaults: bool = False) -> tuple[str, ...]:
        name = f"{self._twin.schema}.{table}"
        rows = self._super.execute(_COLUMNS, (name, without_defaults)).fetchall()
        return tuple(column for (column,) in rows)

    def _connection(self, price: Price) -> psycopg.Connection[Any]:
        return self._app if price is Price.ALL else self._super

    @staticmethod
    def _enter(connection: psycopg.Connection[Any], tenant: Tenant) -> None:
        connection.execute(
            "SELECT set_config('role', %s, true), set_config('search_path', %s, true)",
            (tenant.role, tenant.schema),
        )
