"""A consumer of the log is killed again and again while writers hold transactions open.

Statement 12 of the ledger asks for 100 kills with transactions open up to 30 seconds. The test
runs a tenth of the kills; `python -m tests.statements.killed_consumers` runs it in full on a server
of its own.
"""

import argparse
import random
import socket
import subprocess
import sys
import tempfile
import threading
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

_COMMITTED: Final = "SELECT id FROM event ORDER BY id"
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


def run(database: TestDatabase, folder: Path, *, kills: int, hold_s: float) -> Seen:
    """Kill the consumer so many times, then let it read to the end, and look at what it saw."""
    engine = connect(database.app_url, pool_size=WRITERS + 4)
    with transaction(engine, TENANT) as connection:
        post(connection, [fund(1_000_000, wallet(f"w{each}")) for each in range(WRITERS)])
    is_over = threading.Event()
    with served(engine) as (port, secret), ThreadPoolExecutor(WRITERS + 1) as pool:
        command = [sys.executable, "-S", str(CONSUMER), str(port), secret, str(folder)]
        try:
            work = [pool.submit(_write, engine, each, hold_s, is_over) for each in range(WRITERS)]
            work.append(pool.submit(_seal, engine, is_over))
            chance = random.Random(kills)
            for _ in range(kills):
                _live_and_die(command, chance.uniform(*_LIFE_S))
        finally:
            is_over.set()
        for each in work:
            each.result()
        size = seal_everything(engine, TENANT).size
        subprocess.run([*command, str(size)], check=True, timeout=PATIENCE_S)
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
        if seen.setdefault(number, event_id) != event_id:
            wrong.append(f"{number} was {seen[number]} and is {event_id}")
        again += number < len(seen)
        late += number == len(seen) and event_id < highest_id
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
        thread.join(timeout=10)
        doors.close()


def _live_and_die(command: list[str], life_s: float) -> None:
    """One life of the consumer, ended by SIGKILL wherever it is."""
    with subprocess.Popen(command) as victim:
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the consumer ended by itself: {victim.wait(life_s)}")
        victim.kill()


def _write(engine: Engine, number: int, hold_s: float, is_over: threading.Event) -> None:
    """Post to accounts of one's own; a holder's commit comes any time up to `hold_s` later."""
    chance = random.Random(number)
    source, target = wallet(f"w{number}"), wallet(f"v{number}")
    while not is_over.is_set():
        with transaction(engine, TENANT) as connection:
            post(connection, [move(1, source, target) for _ in range(chance.randint(1, 3))])
            if number < HOLDERS:
                is_over.wait(chance.uniform(0, hold_s))
        is_over.wait(_QUICK_S)


def _seal(engine: Engine, is_over: threading.Event) -> None:
    while not is_over.wait(_QUICK_S):
        seal_now(engine, TENANT)


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
