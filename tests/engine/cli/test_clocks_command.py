"""`holdfast clocks` tells what runs and what is late, to people and to scripts."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel import clock, timers
from kernel.database import Tenant, transaction
from kernel.timers import Arm
from tests.escrow.stage import Stage
from tests.fixtures.databases import TestDatabase

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def stage(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """A sandbox at noon with one deal under review."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
        return Stage(connection, now=NOON).submitted()


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["clocks", *arguments], catch_exceptions=False)


def test_clocks_are_counted_by_kind(stage: Stage) -> None:
    """All on time is no news; no worker has looked yet, and that is told."""
    shown, counted = holdfast(), json.loads(holdfast("--json").stdout)

    assert shown.exit_code == 0
    assert "escrow.auto_release" in shown.stdout
    assert "No worker has looked" in shown.stderr
    assert counted["on_time"] is True
    review = next(each for each in counted["kinds"] if each["kind"] == "escrow.auto_release")
    assert (review["running"], review["overdue"], review["late_s"]) == (1, 0, 0)
    assert review["next_at"] == (NOON + timedelta(days=14)).isoformat()
    assert stage.slot_id is not None


def test_an_overdue_clock_is_bad_news(stage: Stage, own_engine: Engine, tenant: Tenant) -> None:
    """Exit 1, with by how much the oldest is late; a clock in its grace is not."""
    subject = f"slot:{stage.slot_id}"
    with transaction(own_engine, tenant) as connection:
        timers.arm(connection, [Arm(subject, "escrow.auto_release", NOON, 1)])
    in_grace = holdfast()
    with transaction(own_engine, tenant) as connection:
        clock.advance(connection, to=NOON + timedelta(seconds=90))

    late = holdfast("--json")

    assert in_grace.exit_code == 0
    assert late.exit_code == 1
    review = next(
        each for each in json.loads(late.stdout)["kinds"] if each["kind"] == "escrow.auto_release"
    )
    assert (review["overdue"], review["late_s"]) == (1, 30)


def test_the_clocks_of_a_subject_and_of_a_party_are_listed(stage: Stage) -> None:
    """Each with its time and what then happens."""
    of_slot = holdfast("--subject", f"slot:{stage.slot_id}")
    of_party = json.loads(holdfast("--party", str(stage.payee.party_id), "--json").stdout)
    nothing = holdfast("--subject", "slot:nobody")

    assert of_slot.exit_code == 0
    assert "2026-03-16 12:00:00" in of_slot.stdout
    assert "released to the payee" in of_slot.stdout
    assert {each["kind"] for each in of_party} == {"escrow.auto_release", "escrow.dormant"}
    assert (nothing.exit_code, nothing.stdout) == (0, "")
