"""A whole Holdfast in a directory of its own, whose processes can be struck dead one by one.

PostgreSQL keeps its promises here: fsync is on, and the start-up check of the program says so.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from engine.api.access import Scope
from engine.run import is_ready
from engine.startup import Database, open_database
from kernel import clock, keys
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.settings import read_settings
from migrations import runner
from payouts import service_policy, settlement
from payouts.commands import OpenCapital, PreparePolicy
from tests.durability.crashes import PATIENCE_S, kill_postmaster
from tests.fixtures.network import quiet_port
from tests.fixtures.sources import ROOT

TENANT: Final = Tenant("test")
START: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
CAPITAL_MINOR: Final = 1_000_000
HOST: Final = "127.0.0.1"
API: Final = "api"
WORKER: Final = "worker"
POSTGRESQL: Final = "postgresql"
_POOL: Final = 4


@dataclass(slots=True)
class House:
    """The database, the API and the worker; `kills` counts who was struck how often."""

    directory: Path
    database: Database
    secret: str
    port: int
    kills: Counter[str] = field(default_factory=Counter)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log_of(self, name: str) -> Path:
        """Where a process writes what it has to say."""
        return self.directory / f"{name}.log"

    @property
    def server_log(self) -> Path:
        """What PostgreSQL itself has to say."""
        return self.directory / "data" / "server.log"

    def start(self, name: str) -> None:
        """Start the API or the worker, its words at the end of its log."""
        words = {
            API: ["engine", "serve", "--host", HOST, "--port", str(self.port)],
            WORKER: ["tests.durability.worker_process"],
        }[name]
        with _open(self.log_of(name)) as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env={**os.environ, **_environment(self.directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Until the API serves; nobody may have given up by himself."""
        give_up_at = time.monotonic() + PATIENCE_S
        while not is_ready(HOST, self.port):
            assert time.monotonic() < give_up_at, "the API does not come back"
            self.check_alive()
            time.sleep(0.05)

    def check_alive(self) -> None:
        """Only a blow may end a process."""
        for name, process in self.running.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}"

    def strike(self, victims: Sequence[str]) -> None:
        """Kill them without a warning, all before the first is started again."""
        server = self.database.server
        assert server is not None
        for name in victims:
            self.kills[name] += 1
            if name == POSTGRESQL:
                kill_postmaster(self.directory / "data" / "cluster")
            else:
                process = self.running.pop(name)
                process.kill()
                process.wait()
        if POSTGRESQL in victims:
            server.ensure_running()
        for name in victims:
            if name != POSTGRESQL:
                self.start(name)

    def end(self, name: str) -> int:
        """Ask a process to end, and wait for it; its exit code."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_S)


@contextmanager
def opened_house(directory: Path) -> Iterator[House]:
    """Make the books and start everything; nothing is left running at the end."""
    settings = read_settings(_environment(directory))
    with open_database(settings, migrate=True, pool_size=_POOL) as database:
        assert database.owner_url is not None
        runner.create_tenant(database.owner_url, TENANT)
        with transaction(database.engine, TENANT) as connection:
            clock.make_sandbox(connection, at=START)
            # The rail takes its fees before the platform has earned anything.
            capital = OpenCapital(actor=SYSTEM, currency="EUR", amount_minor=CAPITAL_MINOR)
            (promised,) = settlement.open_capital(connection, [capital], at=START)
            assert promised.is_done
            # What is earned here is paid out on the same day.
            at_once = PreparePolicy(
                actor=SYSTEM,
                policy_id=new_id(),
                valid_from=START,
                cooling_days=0,
                needs_verifying=False,
            )
            (counts,) = service_policy.prepare_policy(connection, [at_once], at=START)
            assert counts.is_done
        with database.engine.begin() as connection:
            scopes = [scope.value for scope in Scope]
            secret = keys.create(connection, TENANT, scopes=scopes, is_operator=True).secret
        house = House(directory, database, secret, quiet_port(HOST))
        try:
            for name in (API, WORKER):
                house.start(name)
            house.wait_until_ready()
            yield house
        finally:
            for process in house.running.values():
                process.kill()
                process.wait()


def _environment(directory: Path) -> dict[str, str]:
    """No setting of whoever runs this may reach the house."""
    unset = dict.fromkeys(("DATABASE_URL", "HOLDFAST_OWNER_URL", "HOLDFAST_BROKER_URL"), "")
    return {**unset, "HOLDFAST_DATA": str(directory / "data")}


def _open(path: Path) -> IO[bytes]:
    return path.open("ab")
