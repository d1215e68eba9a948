"""Where the bench runs: an embedded server of its own, and a tenant with its twin.

The twin is a second tenant in the same database. Whatever is posted to the first is copied into
the twin row by row, so the two always hold the same rows, and a COPY into the twin meets exactly
the tables that the posting met.
"""

import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, connect, snapshot
from kernel.embedded import EmbeddedServer
from kernel.machine_size import memory_bytes
from ledger.proof import Proof, prove
from migrations import runner

DATABASE: Final = "bench"
BENCH: Final = Tenant("bench")
TWIN: Final = Tenant("bench_twin")

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": f"{max(memory_bytes() // 4 // 2**20, 128)}MB",
        "max_wal_size": "16GB",
        "jit": "off",
    }
)


@dataclass(frozen=True, slots=True)
class Ground:
    """A running server with an empty, migrated database."""

    server: EmbeddedServer
    data_dir: Path

    def engine(self, *, pool_size: int = 1) -> Engine:
        """The program's own login, as the engine uses it."""
        return connect(self.server.url(DATABASE, runner.APP), pool_size=pool_size, max_overflow=0)

    def conninfo(self, database: str = DATABASE, user: str = "postgres") -> str:
        """How psycopg and pgbench reach a database of this server."""
        return f"host={self.server.socket_dir} dbname={database} user={user}"

    def admin(self, database: str = DATABASE) -> psycopg.Connection:
        """The superuser, outside any transaction."""
        return psycopg.connect(self.conninfo(database), autocommit=True)

    def make_database(self, name: str) -> None:
        """An empty database for a contestant of its own."""
        with self.admin("postgres") as admin:
            admin.execute(f'CREATE DATABASE "{name}"'.encode())

    def make_tenant(self, tenant: Tenant) -> None:
        """One more tenant of ours."""
        runner.create_tenant(self.server.url(DATABASE, runner.OWNER), tenant)

    def backends(self) -> list[int]:
        """Processes that serve the program's login just now."""
        with self.admin() as admin:
            rows = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = %s",
                (DATABASE, runner.APP),
            )
            return [pid for (pid,) in rows]

    def deadlocks(self) -> int:
        """Deadlocks in our database since it was made."""
        with self.admin() as admin:
            row = admin.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (DATABASE,)
            ).fetchone()
            return int(row[0]) if row else 0

    def checkpoint(self) -> None:
        """Write out what earlier work left dirty, so that it does not fall into a later round."""
        with self.admin() as admin:
            admin.execute("CHECKPOINT")

    def analyze(self) -> None:
        """Let the planner know the tables as autovacuum would a minute later."""
        with self.admin() as admin:
            admin.execute("VACUUM (ANALYZE)")

    def prove(self, tenant: Tenant = BENCH) -> Proof:
        """Recount a tenant's books."""
        engine = create_engine(self.server.url(DATABASE, runner.APP), poolclass=NullPool)
        with snapshot(engine, tenant) as connection:
            return prove(connection)


@contextmanager
def open_ground() -> Iterator[Ground]:
    """Start a server in a directory that is gone afterwards, with both tenants."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        data_dir = Path(folder)
        with EmbeddedServer.start(data_dir, settings=SETTINGS) as server:
            yield prepare(server, data_dir)


def prepare(
    server: EmbeddedServer, data_dir: Path, tenants: tuple[Tenant, ...] = (BENCH, TWIN)
) -> Ground:
    """Make the database with its tenants on a server that runs."""
    ground = Ground(server, data_dir)
    ground.make_database(DATABASE)
    runner.prepare_roles(server.url(DATABASE))
    runner.upgrade_shared(server.url(DATABASE, runner.OWNER))
    for tenant in tenants:
        ground.make_tenant(tenant)
    return ground


def describe(ground: Ground) -> dict[str, str]:
    """The machine, the programs and the settings, for whoever reads the figures later."""
    with ground.admin() as admin:
        shown = {
            name: str((admin.execute(f"SHOW {name}".encode()).fetchone() or ("?",))[0])
            for name in ("server_version", *SETTINGS)
        }
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{_processor()}, {_cores()} cores, {memory_bytes() / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": shown.pop("server_version"),
        "settings": ", ".join(f"{name}={value}" for name, value in shown.items()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    import os

    return os.cpu_count() or 1
