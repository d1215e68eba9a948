"""Where the bench runs: an embedded server of its own, a database, a tenant for each part."""

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    """A running server with our database on it, whose name begins the names of the tenants."""

    server: EmbeddedServer
    data_dir: Path
    database: str
    tenants: list[Tenant] = field(default_factory=list)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """The program's own login, as the engine uses it."""
        engine = connect(self.server.url(self.database, runner.APP), pool_size=1)
        try:
            yield engine
        finally:
            engine.dispose()

    def conninfo(self, database: str = "", user: str = "postgres") -> str:
        """How psycopg and pgbench reach a database of this server."""
        return f"host={self.server.socket_dir} dbname={database or self.database} user={user}"

    def admin(self, database: str = "") -> psycopg.Connection:
        """The superuser, outside any transaction."""
        return psycopg.connect(self.conninfo(database), autocommit=True)

    def make_database(self, name: str) -> None:
        """An empty database."""
        with self.admin("postgres") as admin:
            admin.execute(f'CREATE DATABASE "{name}"'.encode())

    def drop_database(self, name: str) -> None:
        """End a database, whoever is in it."""
        with self.admin("postgres") as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def make_tenant(self, part: str) -> Tenant:
        """A tenant of ours for one part of the bench."""
        tenant = Tenant(f"{self.database}_{part}")
        runner.create_tenant(self.server.url(self.database, runner.OWNER), tenant)
        self.tenants.append(tenant)
        return tenant

    def backends(self, database: str = "") -> list[int]:
        """The processes that serve connections to a database just now, but for the asking one."""
        with self.admin("postgres") as admin:
            rows = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s", (database or self.database,)
            )
            return [pid for (pid,) in rows]

    def count_deadlocks(self) -> int:
        """Deadlocks in our database since it was made."""
        with self.admin() as admin:
            row = admin.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
            return int(row[0]) if row else 0

    def settle(self) -> None:
        """Do now what autovacuum and the checkpointer would do in the middle of a round."""
        with self.admin() as admin:
            admin.execute("VACUUM (ANALYZE)")
            admin.execute("CHECKPOINT")

    def prove(self, tenant: Tenant) -> Proof:
        """Recount a tenant's books."""
        engine = create_engine(self.server.url(self.database, runner.APP), poolclass=NullPool)
        with snapshot(engine, tenant) as connection:
            return prove(connection)


@contextmanager
def open_ground() -> Iterator[Ground]:
    """Start a server in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        data_dir = Path(folder)
        with EmbeddedServer.start(data_dir, settings=SETTINGS) as server:
            yield prepare(server, data_dir, "bench")


def prepare(server: EmbeddedServer, data_dir: Path, database: str) -> Ground:
    """Make the database, without tenants yet, on a server that runs."""
    ground = Ground(server, data_dir, database)
    ground.make_database(database)
    runner.prepare_roles(server.url(database))
    runner.upgrade_shared(server.url(database, runner.OWNER))
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
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory_bytes() / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "load_average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
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
