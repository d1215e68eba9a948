"""The explorer finds what it is for: a lock that was forgotten, a lost update, a deadlock."""

import re
from collections.abc import Iterator

import pytest

from kernel.database import Tenant
from tests.escrow.stage import Stage
from tests.fixtures.databases import TestDatabase
from tests.interleave import pairs_deal as deal
from tests.interleave.explore import Lab, open_lab
from tests.interleave.explorer import Finding
from tests.interleave.scenes import Pair

_LOCK = re.compile(r"\bFOR (NO KEY )?(UPDATE|SHARE)\b( OF \w+)?( SKIP LOCKED)?")

TWO_PARTS = Pair("part / part", deal.submitted, deal.part, deal.part)


@pytest.fixture
def lab(own_database: TestDatabase, tenant: Tenant) -> Iterator[Lab]:
    with open_lab(own_database, tenant) as lab:
        yield lab


def explore(lab: Lab, pair: Pair) -> list[Finding]:
    with lab.set_up(pair) as setting:
        found = map(setting.exploration.find, setting.schedules("one", 0, ""))
        return [each for each in found if each is not None]


def test_a_command_without_its_locks_is_found(lab: Lab) -> None:
    """A release whose statements lost their FOR UPDATE; with them nothing is found."""
    assert explore(lab, TWO_PARTS) == []

    lab.arena.players[0].change = lambda statement: _LOCK.sub("", statement)

    found = explore(lab, TWO_PARTS)
    assert found
    assert all(each.schedule.turns for each in found)


def test_a_lost_update_is_found(lab: Lab) -> None:
    """Two that read a number, and write one more than they read: one of them is lost."""

    def count_on(stage: Stage) -> int:
        read = stage.connection.exec_driver_sql(
            "SELECT notices FROM slot WHERE id = %s", (stage.slot_id,)
        ).scalar_one()
        stage.connection.exec_driver_sql(
            "UPDATE slot SET notices = %s, version = version + 1 WHERE id = %s",
            (read + 1, stage.slot_id),
        )
        return int(read)

    found = explore(lab, Pair("count / count", deal.submitted, count_on, count_on))

    assert {str(each.schedule) for each in found} == {"A1", "B1", "A2", "B2"}
    assert "only in turn: slot" in found[0].what


def test_a_deadlock_is_found(lab: Lab) -> None:
    """Two that lock two slots in opposite orders: the server ends one of them."""

    def locking(*order: int) -> object:
        def act(stage: Stage) -> None:
            for number in order:
                stage.connection.exec_driver_sql(
                    "SELECT 1 FROM slot WHERE id = %s FOR UPDATE", (stage.slot_ids[number],)
                )

        return act

    found = explore(lab, Pair("deadlock", deal.ready, locking(0, 1), locking(1, 0)))  # type: ignore[arg-type]

    assert {str(each.schedule) for each in found} == {"A1", "B1"}
    assert all("40P01" in each.what for each in found)


def test_the_same_order_twice_shows_the_same(lab: Lab) -> None:
    """What is compared does not depend on ids or on the real clock."""
    pair = Pair("release / refund", deal.submitted, deal.approve, deal.ask_back)

    with lab.set_up(pair) as setting:
        again = setting.exploration.play(setting.schedules("one", 0, "")[0])
        first, second = setting.exploration.serial

    assert again in (first, second)
    assert first != second
