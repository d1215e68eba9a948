"""A consumer of the log is killed again and again while writers hold transactions open.

Statement 12 of the ledger asks for 100 kills with transactions open up to 30 seconds. Every second
life ends at some instant, the others by the consumer's own hand with events that its place does not
cover yet: what they had is delivered again for certain. The first transaction of each holder stays
open until a younger event is sealed, so that its own comes late for certain. The test runs a tenth
of the kills; `python -m tests.statements.killed_consumers` runs it in full on a server
of its own.
"""

import argparse
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from sqlalchemy import Engine

from engine.api.access import Scope
from engine.api.app import make_app, server_config
from engine.api.doors import TenantDoors
from kernel import keys
from kernel.database import connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger.model import Posted
from ledger.service import post
from tests.fixtures.databases import TENANT, TestDatabase, cloned_database
from tests.ledger.drafts import fund, move, wallet
from tests.ledger.sealing import seal_everything, seal_now

WRITERS: Final = 6
HOLDERS: Final = 3
"""So many of the writers hold their transactions open; the others commit at once."""

CONSUMER: Final = Path(__file__).with_name("consumer.py")
PATIENCE_S: Final = 120
_QUICK_S: Final = 0.02
_LIFE_S: Final = (0.3, 0.8)
_LIFE_EVENTS: Final = (1, 50)

_COMMITTED: Final = "SELECT id FROM event ORDER BY id"
_HIGHEST: Final = "SELECT max(event_id) FROM seal"
_SEALED: Final = "SELECT journal_no, event_id FROM seal ORDER BY journal_no"


@dataclass(frozen=True)
class Seen:
    """What a run came to.

    `again` counts deliveries of what an earlier life had already, `late` events with a higher
    number of the journal than an event with a higher id: their transaction was held open. `wrong`
    says what must not be, and is empty.
    """

    lives: int
    events: int
    again: int
    late: int
    wrong: tuple[str, ...]


class _Log:
    """What the writers and the sealer know of each other."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.highest_id = 0
        self.overtaken = threading.Semaphore(0)
        """One for each holder whose first transaction was committed after a younger one's seal."""

    def await_younger(self, event_id: int) -> None:
        """Come back when an event with a higher id is sealed, or all is over."""
        give_up_at = time.monotonic() + PATIENCE_S
        while self.highest_id <= event_id and not self.is_over.wait(_QUICK_S):
            assert time.monotonic() < give_up_at, "nothing younger is sealed"


def run(database: TestDatabase, folder: Path, *, kills: int, hold_s: float) -> Seen:
    """Kill the consumer so many times, then let it read to the end, and look at what it saw."""
    engine = connect(database.app_url, pool_size=WRITERS + 4)
    with transaction(engine, TENANT) as connection:
        post(connection, [fund(1_000_000, wallet(f"w{each}")) for each in range(WRITERS)])
    log = _Log()
    with served(engine) as (port, secret), ThreadPoolExecutor(WRITERS + 1) as pool:
        command = [sys.executable, "-S", str(CONSUMER), str(port), secret, str(folder)]
        try:
            work = [pool.submit(_write, engine, each, hold_s, log) for each in range(WRITERS)]
            work.append(pool.submit(_seal, engine, log))
            chance = random.Random(kills)
            for life in range(kills):
                if life % 2:
                    _live_and_die(command, chance.uniform(*_LIFE_S))
                else:
                    _live_until(command, chance.randint(*_LIFE_EVENTS))
            for _ in range(HOLDERS):
                assert log.overtaken.acquire(timeout=PATIENCE_S), "nobody came late"
        finally:
            log.is_over.set()
        for each in work:
            each.result()
        size = seal_everything(engine, TENANT).size
        subprocess.run([*command, str(size), "0"], check=True, timeout=PATIENCE_S)
    with snapshot(engine, TENANT) as connection:
        committed = {row[0] for row in connection.exec_driver_sql(_COMMITTED)}
        sealed = {row[0]: row[1] for row in connection.exec_driver_sql(_SEALED)}
    engine.dispose()
    return look((folder / "delivered").read_text(), committed, sealed)


def look(delivered: str, committed: set[int], sealed: dict[int, int]) -> Seen:
    """Hold what the lives were handed against what is committed and sealed."""
    wrong = []
    seen: dict[int, int] = {}
    lives = again = late = last = 0
    highest_id = 0
    for line in delivered.splitlines():
        if line == "life":
            lives, last = lives + 1, 0
            continue
        number, event_id = (int(part) for part in line.split())
        if last and number != last + 1:
            wrong.append(f"after {last} came {number}")
        if number > len(seen) + 1:
            wrong.append(f"{number} came before {len(seen) + 1}")
        is_new = number not in seen
        if seen.setdefault(number, event_id) != event_id:
            wrong.append(f"{number} was {seen[number]} and is {event_id}")
        again += not is_new
        late += is_new and event_id < highest_id
        highest_id, last = max(highest_id, event_id), number
    if set(seen.values()) != committed:
        wrong.append(f"{len(committed - set(seen.values()))} committed events were not seen")
    if seen != sealed:
        wrong.append("the log says otherwise")
    return Seen(lives, len(seen), again, late, tuple(wrong[:10]))


@contextmanager
def served(engine: Engine) -> Iterator[tuple[int, str]]:
    """The API on loopback: its port, and a key that reads events."""
    with engine.begin() as connection:
        made = keys.create(connection, TENANT, scopes=[Scope.EVENTS_READ.value], is_operator=True)
    doors = TenantDoors(engine)
    app = make_app(engine, doors, logs_access=False)
    server = uvicorn.Server(server_config(app, host="127.0.0.1", port=0))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1]), made.secret
    finally:
        server.should_exit = True
        thread.join(timeout=120)
        doors.close()


def _live_and_die(command: list[str], life_s: float) -> None:
    """One life of the consumer, ended by SIGKILL wherever it is."""
    with subprocess.Popen([*command, "0", "0"]) as victim:
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the consumer ended by itself: {victim.wait(life_s)}")
        victim.kill()


def _live_until(command: list[str], events: int) -> None:
    """One life of the consumer, which kills itself when so many events are delivered to it."""
    ended = subprocess.run([*command, "0", str(events)], check=False, timeout=PATIENCE_S)
    assert ended.returncode == -signal.SIGKILL


def _write(engine: Engine, number: int, hold_s: float, log: _Log) -> None:
    """Post to accounts of one's own; a holder's commit comes any time up to `hold_s` later."""
    chance = random.Random(number)
    source, target = wallet(f"w{number}"), wallet(f"v{number}")
    is_holder, turn = number < HOLDERS, 0
    while not log.is_over.is_set():
        with transaction(engine, TENANT) as connection:
            moves = [move(1, source, target) for _ in range(chance.randint(1, 3))]
            first, *_ = post(connection, moves)
            assert isinstance(first, Posted)
            if is_holder and turn == 0:
                log.await_younger(first.event_id)
            elif is_holder:
                log.is_over.wait(chance.uniform(0, hold_s))
        if is_holder and turn == 0:
            log.overtaken.release()
        turn += 1
        log.is_over.wait(_QUICK_S)


def _seal(engine: Engine, log: _Log) -> None:
    while not log.is_over.wait(_QUICK_S):
        seal_now(engine, TENANT)
        with snapshot(engine, TENANT) as connection:
            highest = connection.exec_driver_sql(_HIGHEST).scalar_one()
        log.highest_id = max(log.highest_id, int(highest or 0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.statements.killed_consumers", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--hold", type=float, default=30, help="seconds")
    given = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedServer.start(directory / "data"))
        found = stack.enter_context(cloned_database(server))
        seen = run(found, directory, kills=given.kills, hold_s=given.hold)
        sys.stdout.write(f"{seen}\n")
        sys.exit(1 if seen.wrong else 0)
