"""How much memory long work takes, ours and the server's, on books of any size.

`python -m tests.ledger.flat_memory --lines 10000000` fills a tenant, seals, exports, proves with
all hashes, recounts what is derived, and imports into an empty tenant; it prints the peak of each.
Linux only: peaks are read from /proc.
"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from engine.imports import bring_in
from kernel.database import connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger import rebuild, seal
from ledger.export_folder import Asked, write_export
from ledger.proof import prove
from ledger.service import post
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.ledger.drafts import fund, wallet

_EVENTS_AT_ONCE: Final = 4_000
_WALLETS: Final = 5_000
_LOOK_EACH_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Peak:
    """What a piece of work took beyond what was there before: kilobytes, ours and the server's."""

    what: str
    ours_kb: int
    server_kb: int
    seconds: float


def measure(
    server: EmbeddedServer, lines: int, folder: Path, *, with_import: bool = True
) -> list[Peak]:
    """Fill a database with so many lines, and do all long work on it."""
    found: list[Peak] = []
    names: list[str] = []

    def work(what: str, act: Callable[[], object]) -> None:
        with _watched(server.url("postgres"), names) as (ours, servers):
            began = time.monotonic()
            act()
            took = time.monotonic() - began
        found.append(Peak(what, ours[0], servers[0], took))

    with cloned_database(server) as one, cloned_database(server) as other:
        names += [make_url(each.app_url).database or "" for each in (one, other)]
        source, target = connect(one.app_url), connect(other.app_url)
        try:
            _fill(source, lines)
            work("export", lambda: _export(source, folder))
            work("prove", lambda: _prove(source))
            work("rebuild", lambda: _compare(source))
            if with_import:
                work("import", lambda: _import(target, folder))
        finally:
            source.dispose()
            target.dispose()
    return found


def _fill(engine: Engine, lines: int) -> None:
    for first in range(0, lines // 2, _EVENTS_AT_ONCE):
        numbers = range(first, min(first + _EVENTS_AT_ONCE, lines // 2))
        with transaction(engine, TENANT) as connection:
            post(
                connection, [fund(1 + n % 99, wallet(f"w{n * 7_919 % _WALLETS}")) for n in numbers]
            )
            seal.seal(connection, at=datetime.now(UTC))


def _export(engine: Engine, folder: Path) -> None:
    with snapshot(engine, TENANT) as connection:
        write_export(connection, tenant=TENANT, asked=Asked(), folder=folder)


def _prove(engine: Engine) -> None:
    with snapshot(engine, TENANT) as connection:
        assert prove(connection, leaves=True).is_clean


def _compare(engine: Engine) -> None:
    with snapshot(engine, TENANT) as connection:
        assert all(each.is_identical for each in rebuild.compare(connection, _nobody))


def _import(engine: Engine, folder: Path) -> None:
    stop = threading.Event()
    done = bring_in(engine, TENANT, folder, dry_run=False, progress=_nobody, stop=stop)
    assert done.is_complete


def _nobody(*_told: object) -> None:
    """Nobody watches the progress."""


@contextlib.contextmanager
def _watched(admin_url: str, databases: list[str]) -> Iterator[tuple[list[int], list[int]]]:
    """The peaks above the start of this process, and of the largest backend's own memory."""
    ours, servers = [0], [0]
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _kilobytes(Path("/proc/self/status"), "VmRSS")
    over = threading.Event()
    watcher = threading.Thread(target=_look, args=(admin_url, databases, servers, over))
    watcher.start()
    try:
        yield ours, servers
    finally:
        over.set()
        watcher.join()
        ours[0] = _kilobytes(Path("/proc/self/status"), "VmHWM") - before


def _look(admin_url: str, databases: list[str], peak: list[int], over: threading.Event) -> None:
    """Each moment, the largest of the backends that work on these databases."""
    engine = create_engine(admin_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        while not over.wait(_LOOK_EACH_S):
            rows = connection.exec_driver_sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s)", (databases,)
            )
            for pid in rows.scalars():
                with contextlib.suppress(OSError):
                    found = _kilobytes(Path(f"/proc/{pid}/status"), "RssAnon")
                    peak[0] = max(peak[0], found)


def _kilobytes(status: Path, name: str) -> int:
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


@click.command()
@click.option("--lines", type=click.IntRange(min=2), default=300_000, show_default=True)
def main(lines: int) -> None:
    """Print the peaks of all long work on books of so many lines."""
    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        tempfile.TemporaryDirectory() as scratch,
    ):
        for peak in measure(server, lines, Path(scratch) / "export"):
            click.echo(
                f"{peak.what:8} ours {peak.ours_kb / 1024:8.1f} MB  largest backend"
                f" {peak.server_kb / 1024:8.1f} MB  {peak.seconds:8.1f} s"
            )


if __name__ == "__main__":
    main()
