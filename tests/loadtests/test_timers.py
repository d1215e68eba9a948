"""The figures of timers, at a small fraction: each once, none early, in due order. No times."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from kernel.embedded import EmbeddedServer
from kernel.timers import DueTimer
from loadtests.bench.ground import Ground, prepare
from loadtests.timers.__main__ import measure
from loadtests.timers.parts import Sizes
from loadtests.timers.watch import Rung, Watch
from tests.fixtures.databases import data_dir

SMALL = Sizes(pending=2_000, due=120, jumping=60, window_s=2.0)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def ground(server: EmbeddedServer) -> Iterator[Ground]:
    """The load test's database on the tests' server, gone with its roles afterwards."""
    ground = prepare(server, data_dir(), f"test_{os.getpid()}_t")
    yield ground
    ground.drop_database(ground.database)
    with ground.admin("postgres") as admin:
        for tenant in ground.tenants:
            admin.execute(f"DROP ROLE {tenant.role}".encode())


@pytest.mark.slow
def test_every_clock_rings_once_none_early_in_due_order(ground: Ground) -> None:
    """Due over two seconds, overdue all at once, and under a clock that leaps."""
    found = measure(ground, SMALL, 1, say=lambda _sentence: None)

    assert found["proven"]
    assert found["deadlocks"] == 0
    for part, count in (("due", SMALL.due), ("backlog", SMALL.due), ("jumps", SMALL.jumping)):
        assert found[part]["fired"] == count
        wrong = ("twice", "early", "out_of_order", "left")
        assert [found[part][name] for name in wrong] == [0, 0, 0, 0]
    assert found["due"]["pending"] >= SMALL.pending


def rung(subject: str, due_at: datetime, at: datetime) -> Rung:
    return Rung(DueTimer(due_at, subject, "escrow.auto_release", 1), at, at)


def test_the_watch_sees_what_rang_early_twice_or_out_of_order() -> None:
    """A watch that could find nothing wrong would prove nothing."""
    watch = Watch()
    watch.rung += [
        rung("slot:a", NOON + MINUTE, NOON + 2 * MINUTE),
        rung("slot:b", NOON, NOON + 59 * MINUTE / 60),
        rung("slot:a", NOON + MINUTE, NOON + 3 * MINUTE),
    ]

    assert watch.count_inversions() == 1
    assert watch.count_early(MINUTE) == 1
    assert watch.count_twice() == 1
    assert watch.rung[2].late(MINUTE) == MINUTE


def test_a_fraction_keeps_the_rate() -> None:
    """A twentieth is a twentieth of the timers in a twentieth of the time."""
    whole, part = Sizes(), Sizes().part(0.05)

    assert (part.pending, part.due) == (50_000, 5_000)
    assert part.due / part.window_s == whole.due / whole.window_s
