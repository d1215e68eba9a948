"""Rounds of deals over HTTP and `kill -9` of the API, the worker and PostgreSQL; then the audit."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from engine.handlers import RAIL_NOTICES, RAIL_RESULTS, TIMERS
from engine.scanner import Scanner
from kernel import clock
from kernel.database import transaction
from payouts import service as payouts
from payouts import settlement
from rails.caller import run_once
from rails.simulated.service import SimulatedRail
from tests.durability.audit import Audit, audit
from tests.durability.caller import Caller, Count, Heard, Sent, read_log
from tests.durability.crashes import PATIENCE_S
from tests.durability.deals import drive, drive_clock
from tests.durability.house import API, POSTGRESQL, TENANT, WORKER, House, opened_house
from tests.durability.worker_process import BEHAVIOUR

CALLERS: Final = ("a", "b", "c", "d", "e", "f")
CLOCK: Final = "clock"
BLOWS: Final = (
    (API, WORKER),
    (POSTGRESQL,),
    (API,),
    (WORKER,),
    (POSTGRESQL, WORKER),
    (API, POSTGRESQL, WORKER),
)
"""Who is struck in which round, in turn."""

ENOUGH: Final = 50
"""Answers that are heard before the blow, and again after it."""

PAYOUTS: Final = 3
"""Deals that come to their end at least, however short the load is."""

ENDED_WELL: Final = frozenset({0, -signal.SIGTERM})
"""The API, once it has shut down in order, passes the signal on to itself."""

Tell = Callable[[str], None]
Drive = Callable[[Caller, str, Count, threading.Event], None]


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of all rounds; `complaints` is empty if logs, books and rail agree.

    `told_again` are commands that had taken effect while a blow lost their answer.
    """

    kills: Counter[str]
    sent: int
    acknowledged: int
    retries: int
    told_again: int
    audit: Audit
    complaints: tuple[str, ...]


@dataclass(slots=True)
class Load:
    """The callers at work."""

    count: Count
    futures: Sequence[Future[None]]
    callers: Sequence[Caller]

    def wait_for(self, more: int) -> float:
        """Until so many more answers were heard; the seconds that it took."""
        began_at = time.monotonic()
        wanted = self.count.total + more
        self._wait_until(lambda: self.count.total >= wanted)
        return time.monotonic() - began_at

    def wait_for_payouts(self) -> None:
        """Until some deals have come to their end."""
        self._wait_until(lambda: self.count.payouts >= PAYOUTS)

    def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not is_reached():
            for future in self.futures:
                if future.done():
                    future.result()
            assert time.monotonic() < give_up_at, "the callers hear nothing any more"
            time.sleep(0.01)


def play(directory: Path, *, rounds: int, seed: int, tell: Tell) -> Played:
    """So many rounds in a directory of one's own, settled and audited."""
    chance = random.Random(seed)
    with opened_house(directory) as house:
        with _driven(house) as load:
            for number in range(rounds):
                _strike_once(house, load, BLOWS[number % len(BLOWS)], chance, number, tell)
            load.wait_for_payouts()
        complaints = [f"a promise failed: {said}" for each in load.callers for said in each.broken]
        house.wait_until_ready()
        if house.end(WORKER) not in ENDED_WELL:
            complaints.append("the worker did not end well")
        settle(house)
        logs = [line for name in (*CALLERS, CLOCK) for line in read_log(_log(house, name))]
        complaints += ask_again(house, logs)
        if house.end(API) not in ENDED_WELL:
            complaints.append("the API did not end well")
        complaints += _of_server(house)
        audited = audit(house.database.engine, TENANT, logs)
        acknowledged = sum(heard is not None for _, heard in logs)
        complaints += audited.complaints
        return Played(
            kills=house.kills,
            sent=len(logs),
            acknowledged=acknowledged,
            retries=sum(each.retries for each in load.callers),
            told_again=sum(each.told_again for each in load.callers),
            audit=audited,
            complaints=tuple(complaints),
        )


def _strike_once(
    house: House,
    load: Load,
    victims: Sequence[str],
    chance: random.Random,
    number: int,
    tell: Tell,
) -> None:
    """Load, a blow at a random moment, and load again."""
    load.wait_for(ENOUGH)
    strike_at = time.monotonic() + chance.random()
    while time.monotonic() < strike_at:
        time.sleep(0.01)
    house.check_alive()
    house.strike(victims)
    back_s = load.wait_for(ENOUGH)
    house.wait_until_ready()
    tell(
        f"round {number + 1}: {' and '.join(victims)} killed, {ENOUGH} more answers"
        f" after {back_s:.1f} s, {load.count.total} in all"
    )


@contextmanager
def _driven(house: House) -> Iterator[Load]:
    """The callers and the clock at work; at the end each finishes what it has sent."""
    over = threading.Event()
    count = Count()
    drives: dict[str, Drive] = {**dict.fromkeys(CALLERS, drive), CLOCK: drive_clock}
    with ExitStack() as stack:
        callers = {
            name: stack.enter_context(
                Caller(port=house.port, secret=house.secret, log_path=_log(house, name))
            )
            for name in drives
        }
        pool = stack.enter_context(ThreadPoolExecutor(len(drives)))
        stack.callback(over.set)
        futures = [
            pool.submit(work, callers[name], name, count, over) for name, work in drives.items()
        ]
        yield Load(count, futures, list(callers.values()))
        over.set()
        for future in futures:
            future.result(PATIENCE_S)


def settle(house: House) -> None:
    """Everything that is due happens: timers, settlement, payouts, what the rail has to say."""
    engine = house.database.engine
    rail = SimulatedRail(engine, TENANT.name, BEHAVIOUR)
    scanner = Scanner(engine=engine, tenants=lambda: [TENANT], handlers=TIMERS, grace=timedelta(0))
    is_quiet = False
    while not is_quiet:
        fired = scanner.fire_due(TENANT)
        with transaction(engine, TENANT) as connection:
            at = clock.now(connection)
            settled = settlement.settle(connection, at=at)
        with transaction(engine, TENANT) as connection:
            payouts.submit_due(connection, at=at)
        counts = run_once(
            engine,
            TENANT,
            rail,
            RAIL_RESULTS,
            at,
            notice_handlers=RAIL_NOTICES,
            lease=timedelta(0),
        )
        is_quiet = counts.is_quiet and not fired and not settled


def ask_again(house: House, logs: Sequence[tuple[Sent, Heard | None]]) -> list[str]:
    """Send every command once more: the answer is the one that was given before."""

    def ask(share: Sequence[tuple[Sent, Heard | None]]) -> list[str]:
        with Caller(port=house.port, secret=house.secret) as caller:
            found = [(sent, heard, caller.post(sent)) for sent, heard in share]
        return [
            f"{sent.key} was answered {heard} and then {again}"
            for sent, heard, again in found
            if heard is None
            or not again.is_replayed
            or (heard.status, heard.body) != (again.status, again.body)
        ]

    with ThreadPoolExecutor(len(CALLERS)) as pool:
        shares = [logs[start :: len(CALLERS)] for start in range(len(CALLERS))]
        return [complaint for found in pool.map(ask, shares) for complaint in found]


def _of_server(house: House) -> Iterator[str]:
    """Deadlocks that PostgreSQL told of: an outcome that locks in one order never have."""
    said = house.server_log.read_text(encoding="utf-8", errors="replace")
    for line in said.splitlines():
        if "deadlock detected" in line:
            yield line


def _log(house: House, name: str) -> Path:
    return house.log_of(f"caller-{name}")
