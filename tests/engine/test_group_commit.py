"""Group commit: one effect per key, refusals kept, the poisoned alone, order and callers' doors."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from engine.group_commit import Closed, Door, GroupCommit
from kernel.commands import Command, Outcome, done, refused
from kernel.database import Tenant, driver, snapshot, transaction
from kernel.errors import Broken, Refusal
from kernel.idempotency import IdempotencyKey
from kernel.principals import SYSTEM
from ledger.model import Draft
from ledger.service import balances, post
from tests.ledger.drafts import fund, move, prove_clean, wallet

ANN, BEN = wallet("ann"), wallet("ben")
PATIENCE_S: Final = 120
PRINCIPAL: Final = UUID(int=21)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Command):
    """Post a draft; `poison` is what goes wrong on the way."""

    draft: Draft
    subject: str = ""
    poison: str = ""


@dataclass
class Counter:
    """A service that posts, and remembers the batches it was given."""

    batches: list[list[Move]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    on_entry: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(
        self, connection: Connection, commands: Sequence[Move], *, at: datetime
    ) -> list[Outcome]:
        assert at.tzinfo is not None
        self.batches.append(list(commands))
        self.on_entry()
        assert self.gate.wait(PATIENCE_S)
        for command in commands:
            spoil(connection, command.poison)
        return [
            refused(answer) if isinstance(answer, Refusal) else done(event_id=answer.event_id)
            for answer in post(connection, [command.draft for command in commands])
        ]


def spoil(connection: Connection, poison: str) -> None:
    """Let go wrong what a test asks for."""
    if poison == "broken":
        raise Broken("a promise of ours failed", why="test")
    if poison == "header":
        connection.exec_driver_sql(
            "INSERT INTO batch (event_count, entry_count, line_count) VALUES (1, 0, 0)"
        )
    elif poison:
        driver(connection).execute(
            f"DO $$ BEGIN RAISE EXCEPTION 'test' USING ERRCODE = '{poison}'; END $$".encode()
        )


def subjects_of(command: Move) -> tuple[str, ...]:
    if command.poison == "subject":
        raise Broken("a command that cannot say what it is about")
    return tuple(command.subject.split())


@contextmanager
def opened(engine: Engine, tenant: Tenant, *services: Counter) -> Iterator[GroupCommit]:
    """A group commit over services named by their places: "0", "1", ..."""
    doors = {str(n): Door(service, subjects_of) for n, service in enumerate(services)}
    group = GroupCommit(engine, tenant, doors)
    try:
        yield group
    finally:
        for service in services:
            service.gate.set()
        group.close()


def key(name: str, request: str = "", principal: UUID = PRINCIPAL) -> IdempotencyKey:
    return IdempotencyKey(principal, name, sha256(request.encode()).digest())


def command(draft: Draft, subject: str = "", poison: str = "") -> Move:
    return Move(actor=SYSTEM, draft=draft, subject=subject, poison=poison)


def results(futures: Sequence[Future[Outcome]]) -> list[Outcome]:
    return [future.result(PATIENCE_S) for future in futures]


def queue_behind(
    group: GroupCommit, service: Counter, commands: Sequence[tuple[Move, IdempotencyKey | None]]
) -> list[Future[Outcome]]:
    """Submit while the writer is held inside another batch, so that the rest arrives together."""
    entered = threading.Event()
    service.gate.clear()
    service.on_entry = entered.set
    group.submit("0", command(fund(1, wallet("gate"))))
    assert entered.wait(PATIENCE_S)
    futures = [group.submit("0", one, key=its) for one, its in commands]
    service.gate.set()
    return futures


def standing(engine: Engine, tenant: Tenant, *keys: Any) -> list[int]:
    with snapshot(engine, tenant) as connection:
        return list(balances(connection, keys).values())


def test_a_thousand_twins_have_one_effect(own_engine: Engine, tenant: Tenant) -> None:
    """1,000 concurrent submits of one key: one effect, one first answer, 999 replays of it."""
    with opened(own_engine, tenant, Counter()) as group, ThreadPoolExecutor(8) as callers:
        submit = lambda _: group.submit("0", command(fund(5, ANN)), key=key("k"))  # noqa: E731
        outcomes = results(list(callers.map(submit, range(1_000))))

    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 999
    assert len({(outcome.code, str(dict(outcome.facts))) for outcome in outcomes}) == 1
    assert standing(own_engine, tenant, ANN) == [-5]


def test_half_of_the_twins_ask_for_something_else(own_engine: Engine, tenant: Tenant) -> None:
    """Of 1,000 submits of one key the 500 with another request are mismatches and post nothing."""
    with opened(own_engine, tenant, Counter()) as group:
        futures = [
            group.submit("0", command(fund(5 + n % 2, ANN)), key=key("k", str(n % 2)))
            for n in range(1_000)
        ]
        outcomes = results(futures)

    assert {outcome.code for outcome in outcomes[0::2]} == {"done"}
    assert {outcome.code for outcome in outcomes[1::2]} == {"idempotency_mismatch"}
    assert standing(own_engine, tenant, ANN) == [-5]


def test_one_key_of_two_principals_is_two_keys(own_engine: Engine, tenant: Tenant) -> None:
    """A's key used by B has B's own effect."""
    with opened(own_engine, tenant, Counter()) as group:
        own = [key("k"), key("k", principal=UUID(int=22))]
        outcomes = results([group.submit("0", command(fund(5, ANN)), key=k) for k in own])

    assert [(o.code, o.replayed) for o in outcomes] == [("done", False)] * 2
    assert standing(own_engine, tenant, ANN) == [-10]


@pytest.mark.parametrize("count", [1, 40])
def test_two_processes_with_the_same_keys(own_engine: Engine, tenant: Tenant, count: int) -> None:
    """Twins in two processes that both began: one effect per key, one first answer, one replay."""
    together = threading.Barrier(2)
    services = [Counter(on_entry=lambda: together.wait(PATIENCE_S)) for _ in range(2)]
    with (
        opened(own_engine, tenant, services[0]) as one,
        opened(own_engine, tenant, services[1]) as two,
    ):
        work = [(command(fund(1, ANN)), key(f"k{n}")) for n in range(count)]
        for service in services:
            service.gate.clear()
        futures = [[g.submit("0", c, key=k) for c, k in work] for g in (one, two)]
        for service in services:
            service.gate.set()
        outcomes = [results(mine) for mine in futures]
        together.abort()

    for first, second in zip(*outcomes, strict=True):
        assert sorted([first.replayed, second.replayed]) == [False, True]
        assert first.facts == second.facts
    assert standing(own_engine, tenant, ANN) == [-count]
    prove_clean(own_engine, tenant)


def test_a_refusal_is_kept_after_funding(own_engine: Engine, tenant: Tenant) -> None:
    """Refused for lack of money stays refused for its key, word for word; a new key passes."""
    wanted = command(move(10, ANN, BEN))
    with opened(own_engine, tenant, Counter()) as group:
        (refusal,) = results([group.submit("0", wanted, key=key("k"))])
        results([group.submit("0", command(fund(10, ANN)))])
        again, fresh = results([group.submit("0", wanted, key=key(name)) for name in ("k", "n")])

    assert refusal.code == "ledger.insufficient_funds"
    assert (again.code, again.facts, again.replayed) == (refusal.code, refusal.facts, True)
    assert fresh.is_done
    assert standing(own_engine, tenant, ANN, BEN) == [0, -10]


@pytest.mark.parametrize(
    ("poison", "error"),
    [
        ("broken", Broken),
        ("HF999", psycopg.Error),
        ("23514", psycopg.Error),
        ("header", DBAPIError),
    ],
)
def test_a_poisoned_command_fails_alone(
    own_engine: Engine, tenant: Tenant, poison: str, error: type[Exception]
) -> None:
    """What breaks a batch is found one by one: its neighbours take effect, once, and it not."""
    service = Counter()
    with opened(own_engine, tenant, service) as group:
        bad = [n == 3 for n in range(7)]
        work = [
            (command(fund(1, ANN), poison=poison * b), key(f"k{b}{n}")) for n, b in enumerate(bad)
        ]
        futures = queue_behind(group, service, work)
        wait(futures, PATIENCE_S)

    assert isinstance(futures[3].exception(), error)
    assert all(future.result().is_done for n, future in enumerate(futures) if n != 3)
    assert standing(own_engine, tenant, ANN) == [-6]
    # The whole batch once, then each command once: a rule that is broken is not tried again.
    assert [len(batch) for batch in service.batches[1:]] == [7] + [1] * 7


def test_a_command_without_a_subject_to_name_fails_alone(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A command that cannot say what it is about fails at its caller and stops nobody else."""
    with opened(own_engine, tenant, Counter()) as group:
        with pytest.raises(Broken):
            group.submit("0", command(fund(1, ANN), poison="subject")).result(PATIENCE_S)

        assert group.submit("0", command(fund(1, ANN))).result(PATIENCE_S).is_done


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
def test_a_deadlock_is_tried_again(own_engine: Engine, tenant: Tenant, sqlstate: str) -> None:
    """A transaction that lost a deadlock runs again by itself, with or without a key."""
    service = Counter()
    lost = iter([sqlstate])
    with opened(own_engine, tenant, service) as group:

        def lose_once() -> None:
            with transaction(own_engine, tenant) as other:
                spoil(other, next(lost, ""))

        futures = queue_behind(group, service, [])
        service.on_entry = lose_once
        futures = [group.submit("0", command(fund(1, ANN)))]
        outcomes = results(futures)

    assert outcomes[0].is_done
    assert standing(own_engine, tenant, ANN) == [-1]


def test_a_service_that_loses_an_answer_is_broken(own_engine: Engine, tenant: Tenant) -> None:
    """One outcome per command: fewer is a broken promise, and nothing of it is kept."""

    def forgetful(
        connection: Connection, commands: Sequence[Any], *, at: datetime
    ) -> list[Outcome]:
        del at
        post(connection, [one.draft for one in commands])
        return []

    group = GroupCommit(own_engine, tenant, {"0": Door(forgetful, subjects_of)})
    with pytest.raises(Broken):
        group.submit("0", command(fund(1, ANN)), key=key("k")).result(PATIENCE_S)
    group.close()

    assert standing(own_engine, tenant, ANN) == [0]


def test_a_subject_is_once_in_a_batch(own_engine: Engine, tenant: Tenant) -> None:
    """Two commands on one subject never meet in a batch; others are not held up by them."""
    service = Counter()
    with opened(own_engine, tenant, service) as group:
        work = [command(fund(1, ANN), subject=f"s{n % 3}") for n in range(9)]
        work.append(command(fund(1, ANN)))
        results(queue_behind(group, service, [(one, None) for one in work]))

    batches = [[one.subject for one in batch] for batch in service.batches[1:]]
    assert batches == [["s0", "s1", "s2", ""], ["s0", "s1", "s2"], ["s0", "s1", "s2"]]


def test_commands_on_one_subject_keep_their_order(own_engine: Engine, tenant: Tenant) -> None:
    """Whatever waits for whom, each subject's commands run in the order they arrived in."""
    service = Counter()
    with opened(own_engine, tenant, service) as group:
        # Two subjects at a time: a command waits for either, and holds both against those behind.
        pairs = [f"s{n * n % 5} t{n % 3}" for n in range(60)]
        work = [command(fund(n + 1, ANN), subject=pair) for n, pair in enumerate(pairs)]
        results(queue_behind(group, service, [(one, None) for one in work]))

    ran = [one for batch in service.batches[1:] for one in batch]
    for subject in {name for pair in pairs for name in pair.split()}:
        assert about(subject, ran) == about(subject, work)


def about(subject: str, commands: Sequence[Move]) -> list[Move]:
    return [one for one in commands if subject in subjects_of(one)]


def test_services_take_turns(own_engine: Engine, tenant: Tenant) -> None:
    """A transaction runs one service, and a busy one does not starve its neighbour."""
    busy, calm = Counter(), Counter()
    with opened(own_engine, tenant, busy, calm) as group:
        futures = queue_behind(
            group, busy, [(command(fund(1, ANN), subject="s"), None) for _ in range(4)]
        )
        order: list[str] = []
        busy.on_entry = lambda: order.append("busy")
        calm.on_entry = lambda: order.append("calm")
        futures += [group.submit("1", command(fund(1, BEN)))]
        results(futures)

    assert order.index("calm") <= 1


def test_a_coroutine_and_a_thread_use_one_door(own_engine: Engine, tenant: Tenant) -> None:
    """Callers in an event loop and in threads share batches, keys and answers."""

    async def in_a_loop(group: GroupCommit) -> list[Outcome]:
        futures = [
            group.submit_async("0", command(fund(1, ANN)), key=key(f"k{n}")) for n in range(200)
        ]
        return list(await asyncio.wait_for(asyncio.gather(*futures), PATIENCE_S))

    with opened(own_engine, tenant, Counter()) as group, ThreadPoolExecutor(2) as callers:
        loops = [callers.submit(asyncio.run, in_a_loop(group)) for _ in range(2)]
        mine = [group.submit("0", command(fund(1, ANN)), key=key(f"k{n}")) for n in range(200)]
        answers = [results(mine), *(loop.result(PATIENCE_S) for loop in loops)]

    for same_key in zip(*answers, strict=True):
        assert sorted(one.replayed for one in same_key) == [False, True, True]
    assert standing(own_engine, tenant, ANN) == [-200]


def test_a_coroutine_hears_what_broke(own_engine: Engine, tenant: Tenant) -> None:
    """An awaiting caller gets the error of his own command, and only that one."""

    async def both(group: GroupCommit) -> list[Any]:
        futures = [
            group.submit_async("0", command(fund(1, ANN), poison=poison))
            for poison in ("broken", "")
        ]
        return await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), PATIENCE_S)

    with opened(own_engine, tenant, Counter()) as group:
        broken, fine = asyncio.run(both(group))

    assert isinstance(broken, Broken)
    assert fine.is_done


def test_a_caller_who_left_stops_nobody(own_engine: Engine, tenant: Tenant) -> None:
    """Who cancels his future, or closes his loop, is passed over; the writer goes on."""
    service = Counter()

    async def leave(group: GroupCommit) -> None:
        group.submit_async("0", command(fund(1, ANN)))

    with opened(own_engine, tenant, service) as group:
        futures = queue_behind(group, service, [(command(fund(1, ANN)), None)] * 3)
        futures[1].cancel()
        asyncio.run(leave(group))
        last = group.submit("0", command(fund(1, ANN)))

        assert last.result(PATIENCE_S).is_done
        assert futures[2].result(PATIENCE_S).is_done


def test_closing_finishes_what_waits(own_engine: Engine, tenant: Tenant) -> None:
    """close() answers all that was submitted before it, and nothing is taken after it."""
    service = Counter()
    with opened(own_engine, tenant, service) as group:
        futures = queue_behind(
            group, service, [(command(fund(1, ANN), subject=f"s{n % 7}"), None) for n in range(50)]
        )
        group.close()

        assert all(future.done() and future.result().is_done for future in futures)
        with pytest.raises(Closed):
            group.submit("0", command(fund(1, ANN)))
    assert standing(own_engine, tenant, ANN) == [-50]
