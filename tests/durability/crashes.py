"""Rounds of load and `kill -9`; in the end the clients' logs are compared with the books."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.database import connect, driver, snapshot
from kernel.embedded import EmbeddedServer
from kernel.postmaster import read_postmaster
from ledger.proof import prove
from migrations import runner
from tests.durability.client import TENANT, read_log
from tests.fixtures.sources import ROOT

CLIENTS: Final = ("a", "b")
DATABASE: Final = "books"
PATIENCE_S: Final = 600
# Answers that every client has to get before the blow, and again after it.
ENOUGH: Final = 60


@dataclass(frozen=True, slots=True)
class Report:
    """What the clients say and what the books say; `complaints` is empty if they agree."""

    kills: dict[str, int]
    sent: int
    acknowledged: int
    events: int
    complaints: tuple[str, ...]


class Bank:
    """A server of its own with everything durable on, in a directory that is thrown away."""

    def __init__(self, directory: Path, server: EmbeddedServer) -> None:
        self.directory = directory
        self.server = server
        self.app_url = server.url(DATABASE, runner.APP)
        self.kills: Counter[str] = Counter()

    def log_of(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def kill_server(self) -> None:
        """The next start has to recover."""
        kill_postmaster(self.directory / "data" / "cluster")
        self.kills["postgresql"] += 1


def kill_postmaster(cluster: Path) -> None:
    """End the server of these files: no warning, no time to write anything."""
    running = read_postmaster(cluster)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    while not _is_dead(running.pid):
        time.sleep(0.01)


def _is_dead(pid: int) -> bool:
    """Whether the kernel is done with a process: it is gone, or only waits to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


@contextmanager
def opened_bank(directory: Path) -> Iterator[Bank]:
    """Make the server and its books, and take both down at the end."""
    with EmbeddedServer.start(directory / "data", settings={"shared_buffers": "64MB"}) as server:
        admin_url, owner_url = server.url(DATABASE), server.url(DATABASE, runner.OWNER)
        engine = connect(server.url("postgres"))
        with engine.connect() as connection:
            driver(connection).rollback()
            driver(connection).autocommit = True
            driver(connection).execute(f"CREATE DATABASE {DATABASE}".encode())
            driver(connection).autocommit = False
        engine.dispose()
        runner.prepare_roles(admin_url)
        runner.upgrade_shared(owner_url)
        runner.create_tenant(owner_url, TENANT)
        yield Bank(directory, server)


def start_client(bank: Bank, name: str, mode: str) -> subprocess.Popen[bytes]:
    module = "tests.durability.client"
    words = [sys.executable, "-m", module, bank.app_url, str(bank.log_of(name)), name, mode]
    with (bank.directory / f"{name}.said").open("ab") as said:
        return subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=said)


def answered(bank: Bank, name: str) -> int:
    path = bank.log_of(name)
    return path.read_bytes().count(b"\nanswered ") if path.exists() else 0


def wait_for_answers(bank: Bank, clients: dict[str, subprocess.Popen[bytes]]) -> None:
    """Until every client has heard so many more answers."""
    wanted = {name: answered(bank, name) + ENOUGH for name in clients}
    give_up_at = time.monotonic() + PATIENCE_S
    while any(answered(bank, name) < count for name, count in wanted.items()):
        assert time.monotonic() < give_up_at, "the clients hear nothing any more"
        assert all(client.poll() is None for client in clients.values()), "a client broke"
        time.sleep(0.01)


def play_round(bank: Bank, chance: random.Random, number: int) -> None:
    """Load, a blow at a random moment (the server, a client, or both at once), load again."""
    with ExitStack() as stack:
        clients = {name: start_client(bank, name, "load") for name in CLIENTS}
        for client in clients.values():
            stack.callback(_end, client)
        wait_for_answers(bank, clients)
        strike_at = time.monotonic() + chance.random() / 3
        while time.monotonic() < strike_at:
            time.sleep(0.01)
        if number % 3 != 0:
            victim = clients.pop(chance.choice(CLIENTS))
            victim.kill()
            victim.wait()
            bank.kills["client"] += 1
        if number % 3 != 1:
            bank.kill_server()
            assert bank.server.ensure_running()
        wait_for_answers(bank, clients)
        for client in clients.values():
            client.communicate(b"stop\n", timeout=PATIENCE_S)
            assert client.returncode == 0


def _end(client: subprocess.Popen[bytes]) -> None:
    if client.poll() is None:
        client.kill()
    if client.stdin is not None:
        client.stdin.close()
    client.wait()


def settle(bank: Bank) -> None:
    """Every client sends every key it ever sent once more, and hears the answer."""
    clients = [start_client(bank, name, "settle") for name in CLIENTS]
    for client in clients:
        client.communicate(timeout=PATIENCE_S)
    assert [client.returncode for client in clients] == [0] * len(CLIENTS)


def compare(bank: Bank) -> Report:
    """The clients' logs against the books: nothing acknowledged is missing, nothing is doubled."""
    logs = {name: read_log(bank.log_of(name)) for name in CLIENTS}
    sent = {key for keys, _, _ in logs.values() for key in keys}
    answers = {key: said for _, said_by, _ in logs.values() for key, said in said_by.items()}
    engine = connect(bank.app_url)
    with snapshot(engine, TENANT) as connection:
        raw = driver(connection)
        events: dict[str, list[int]] = {}
        for event_id, key in raw.execute("SELECT id, detail::json ->> 'key' FROM event"):
            events.setdefault(key, []).append(event_id)
        stored = dict(raw.execute("SELECT key, code FROM idempotency").fetchall())
        findings = prove(connection).findings
    engine.dispose()
    complaints = [f"{key} was answered differently later" for _, _, c in logs.values() for key in c]
    complaints += [f"{key} took effect twice: {ids}" for key, ids in events.items() if len(ids) > 1]
    complaints += [f"{key} was sent and never answered" for key in sent if key not in answers]
    complaints += [f"{key} has an effect that nobody sent" for key in events if key not in sent]
    for key, said in answers.items():
        code, event_id = said.split()
        there = [str(number) for number in events.get(key, [])]
        if stored.get(key) != code or there != ([event_id] if code == "done" else []):
            complaints.append(f"{key} was answered {said}; the books say {stored.get(key)} {there}")
    complaints += [f"{finding.promise}: {finding.examples[0]}" for finding in findings]
    count = sum(map(len, events.values()))
    return Report(dict(bank.kills), len(sent), len(answers), count, tuple(complaints))


def _hear_nothing(_text: str) -> None:
    return


def crash(
    directory: Path, *, rounds: int, seed: int, tell: Callable[[str], None] = _hear_nothing
) -> Report:
    """So many rounds in a directory of one's own, settled and compared."""
    chance = random.Random(seed)
    with opened_bank(directory) as bank:
        for number in range(rounds):
            play_round(bank, chance, number)
            heard = sum(answered(bank, name) for name in CLIENTS)
            tell(f"round {number + 1}: {dict(bank.kills)} killed so far, {heard} answers in all")
        settle(bank)
        return compare(bank)
