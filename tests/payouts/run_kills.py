"""A payout run whose workers are killed with SIGKILL again and again, and what came of it.

Workers are real processes. The moments are drawn by a seed: each is a number of steps (an item
taken, a payout paid) after which the worker is killed, and a little later. In the end each payee
must have been paid exactly once, the rail's own log must say so, and the books must be proven.
The test runs a small one; `python -m tests.payouts.run_kills --payees 10000 --kills 20 --seed 1` is
the large one, on a server of its own. Exit 0: all well; 1: not.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel import clock
from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.proof import prove
from ledger.service import post
from payouts import methods, service_runs, store_runs
from payouts.commands import AddMethod
from payouts.commands_runs import ApproveRun, PrepareRun, RunCommand
from payouts.model_runs import RunKind, RunState, payout_id_of
from payouts.safeguarding import safeguarding
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, TestDatabase, cloned_database
from tests.payouts.builders import World
from tests.payouts.run_worker import rail_of

ONE: Final = Actor(UUID(int=9), PrincipalKind.PERSON, is_operator=True)
OTHER: Final = Actor(UUID(int=10), PrincipalKind.PERSON, is_operator=True)
AMOUNT_MINOR: Final = 1_234
PATIENCE_S: Final = 900.0
_BATCH: Final = 500
_LOOK_S: Final = 0.01
_ROOT: Final = Path(__file__).parents[2]

# How far the run is: an item taken counts one, a payout paid another.
_STEPS: Final = """
SELECT (SELECT count(*) FROM payout_run_item WHERE state = 'requested')
     + (SELECT count(*) FROM payout WHERE state = 'paid')
"""
_PAID: Final = "SELECT payee_id, id, state, amount_minor FROM payout"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run came to; `wrong` says what must not be, and is empty."""

    kills: int
    lives: int
    prepared_s: float
    paid: int
    wrong: tuple[str, ...]


def play(database: TestDatabase, *, payees: int, kills: int, seed: int, tell: Tell) -> Seen:
    """Prepare a run, kill its workers, let the last one end, and count."""
    engine = connect(database.app_url)
    ids = _stage(engine, TENANT, payees)
    tell(f"{payees} payees have money")
    started = time.monotonic()
    run_id = _prepared(engine, TENANT)
    prepared_s = time.monotonic() - started
    tell(f"prepared in {prepared_s:.1f} s")
    dice = random.Random(seed)
    marks = sorted(dice.randrange(2 * payees) for _ in range(kills))
    chunk = max(5, payees // 40)
    lives = 0
    for number, mark in enumerate(marks, start=1):
        lives += 1
        _live_until(engine, database.app_url, chunk, mark, dice.uniform(0, 0.05))
        tell(f"killed {number} of {kills} after {mark} steps")
    with _worker(database.app_url, chunk) as process:
        lives += 1
        status = process.wait(timeout=PATIENCE_S)
    wrong = [] if status == 0 else [f"the last worker ended with {status}"]
    wrong += _wrong(engine, TENANT, run_id, ids)
    engine.dispose()
    return Seen(kills, lives, prepared_s, len(ids), tuple(wrong))


def _stage(engine: Engine, tenant: Tenant, payees: int) -> list[UUID]:
    """Payees with money that really lies in the custody bank, by the rail's own word."""
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    with transaction(engine, tenant) as connection:
        clock.make_sandbox(connection, at=at)
    ids = [new_id() for _ in range(payees)]
    giver = new_id()
    for batch in _batches([giver, *ids]):
        with transaction(engine, tenant) as connection:
            _add(connection, batch, at)
    world = World(engine, tenant, rail_of(engine, tenant).behaviour, at)
    world.open_capital(AMOUNT_MINOR * payees)
    world.fund(giver, AMOUNT_MINOR * payees)
    world.wait(3)
    with transaction(engine, tenant) as connection:
        clock.advance(connection, to=world.at)
    world.end_day()
    for batch in _batches(ids):
        lines = [
            Line(account("custody.earned_available", "EUR", giver), AMOUNT_MINOR * len(batch)),
            *(Line(account("custody.earned_available", "EUR", i), -AMOUNT_MINOR) for i in batch),
        ]
        entry = Entry(Book.CUSTODY, "EUR", tuple(lines))
        with transaction(engine, tenant) as connection:
            (answer,) = post(connection, [Draft("test.given", "", ONE, world.at, (entry,))])
            assert not isinstance(answer, Exception), answer
    return ids


def _add(connection: Connection, ids: Sequence[UUID], at: datetime) -> None:
    kind, known = parties.PartyKind.FREELANCER, parties.KycState.VERIFIED
    made = [parties.CreateParty(actor=ONE, kind=kind, party_id=id_) for id_ in ids]
    changed = [parties.ChangeParty(actor=ONE, party_id=id_, kyc_state=known) for id_ in ids]
    named = [
        AddMethod(actor=ONE, method_id=new_id(), party_id=id_, token=f"payout-{id_}") for id_ in ids
    ]
    outcomes = parties.create(connection, made, at=at)
    outcomes += parties.change(connection, changed, at=at)
    outcomes += methods.add_methods(connection, named, at=at)
    assert all(outcome.is_done for outcome in outcomes)


def _prepared(engine: Engine, tenant: Tenant) -> UUID:
    """A run of everybody, approved by another and started."""
    run_id = new_id()
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        command = PrepareRun(
            actor=ONE,
            run_id=run_id,
            currency="EUR",
            kind=RunKind.EVERYONE,
            due_from_on=at.date(),
            cut_off_on=at.date(),
        )
        (prepared,) = service_runs.prepare(connection, [command], at=at)
    with transaction(engine, tenant) as connection:
        approval = ApproveRun(actor=OTHER, run_id=run_id, content=prepared.facts["content"])
        (approved,) = service_runs.approve(connection, [approval], at=at)
        order = RunCommand(actor=ONE, run_id=run_id)
        (started,) = service_runs.start(connection, [order], at=at)
    assert prepared.is_done and approved.is_done and started.is_done  # noqa: PT018  all at once
    return run_id


@contextmanager
def _worker(url: str, chunk: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "tests.payouts.run_worker", url, TENANT.name, str(chunk)]
    process = subprocess.Popen(command, cwd=_ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _live_until(engine: Engine, url: str, chunk: int, mark: int, later_s: float) -> None:
    """One life of a worker: killed once so many steps are done, or when it is over."""
    with _worker(url, chunk) as process:
        give_up_at = time.monotonic() + PATIENCE_S
        while _steps(engine) < mark and process.poll() is None:
            assert time.monotonic() < give_up_at, "the run stands still"
            _let_work(process, _LOOK_S)
        _let_work(process, later_s)
        process.send_signal(signal.SIGKILL)


def _let_work(process: "subprocess.Popen[bytes]", for_s: float) -> None:
    """Come back after a while, or at once when it has ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=for_s)


def _steps(engine: Engine) -> int:
    with transaction(engine, TENANT) as connection:
        found: int = connection.exec_driver_sql(_STEPS).scalar_one()
    return found


def _wrong(engine: Engine, tenant: Tenant, run_id: UUID, ids: Sequence[UUID]) -> list[str]:
    """What is not as it must be: payouts, the rail's log, the books."""
    rail = rail_of(engine, tenant)
    wrong: list[str] = []
    with snapshot(engine, tenant) as connection:
        at = clock.now(connection)
        run = store_runs.find_runs(connection, [run_id])[run_id]
        rows = connection.exec_driver_sql(_PAID).all()
        proof = prove(connection)
        safe = safeguarding(connection, rail.balances(at=at))
    if run.state is not RunState.DONE:
        wrong.append(f"the run is {run.state.value}")
    wanted = {(i, payout_id_of(run_id=run_id, payee_id=i), "paid", AMOUNT_MINOR) for i in ids}
    given = Counter((row[0], row[1], row[2], row[3]) for row in rows)
    if set(given) != wanted or set(given.values()) != {1}:
        wrong.append(f"{len(wanted - set(given))} payees not paid, {len(set(given) - wanted)} else")
    sent = Counter(
        line.operation_id
        for line in rail.log(after=0, limit=10**7, at=at)
        if line.kind == "paid_out" and line.amount_minor == -AMOUNT_MINOR
    )
    if sent != Counter(payout_id for _, payout_id, _, _ in wanted):
        wrong.append(f"the rail paid {len(sent)} payees, {sum(sent.values())} times")
    wrong += [f"{finding.promise}: {finding.count}" for finding in proof.findings]
    if not safe.is_safe:
        wrong.append("client money does not agree with the rail")
    return wrong


def _batches(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]


def main() -> int:
    """The run in full, on a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.payouts.run_kills", description=__doc__)
    parser.add_argument("--payees", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hfk") as directory:
        Path(directory).chmod(0o755)
        with (
            EmbeddedServer.start(Path(directory) / "data", settings=SERVER_SETTINGS) as server,
            cloned_database(server) as database,
        ):
            seen = play(
                database, payees=given.payees, kills=given.kills, seed=given.seed, tell=_tell
            )
    _tell(
        f"{seen.paid} payees, {seen.kills} kills in {seen.lives} lives,"
        f" prepared in {seen.prepared_s:.1f} s, {len(seen.wrong)} complaints"
    )
    for complaint in seen.wrong:
        _tell(complaint)
    return 1 if seen.wrong else 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
