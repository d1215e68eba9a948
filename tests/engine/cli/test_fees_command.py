"""`holdfast fees` tells which schedules there are, what one charges, and why a contract has its."""

import json
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from commissions.model import Band, Scope
from engine.__main__ import main
from escrow import service_fee_move
from escrow.model import Terms
from escrow.model_fee_move import DecideMove, PrepareMove
from kernel import clock
from kernel.database import Tenant, connect, transaction
from kernel.ids import new_id
from tests.commissions.books import START, TIERS, draw_up, finance, hold, prepare, tariff
from tests.escrow.stage import Stage
from tests.fixtures.databases import TestDatabase


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["fees", *arguments], catch_exceptions=False)


@pytest.fixture
def told(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> tuple[UUID, UUID]:
    """A schedule that holds, beside one that waits, and a contract that pinned it."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    engine = connect(own_database.app_url)
    with transaction(engine, tenant) as connection:
        prices = (tariff("EUR", *TIERS, cap_minor=9_900), tariff("JPY", Band(None, 1_250)))
        schedule_id = hold(connection, tariffs=prices)
        assert prepare(connection, draw_up("pro", scope=Scope(plan="pro"))).is_done
        stage = Stage(connection)
        assert stage.propose().is_done
        assert stage.accept().is_done
    engine.dispose()
    return schedule_id, stage.contract_id


def test_schedules_are_listed_and_shown(told: tuple[UUID, UUID]) -> None:
    """All of them, those of a state, and one with its prices; for people and for scripts."""
    schedule_id, _ = told

    every = json.loads(holdfast("list", "--json").stdout)
    waiting = json.loads(holdfast("list", "--state", "prepared", "--json").stdout)
    listed = holdfast("list")
    shown = holdfast("show", str(schedule_id))
    one = json.loads(holdfast("show", str(schedule_id), "--json").stdout)

    assert [each["name"] for each in every] == ["standard", "pro"]
    assert [each["name"] for each in waiting] == ["pro"]
    assert listed.exit_code == 0
    assert "payees on plan pro" in listed.stdout
    for line in (
        "standard version 1, approved",
        "20 % from 0.00 EUR to 500.00 EUR",
        "5 % above 10000.00 EUR",
        "no more than 99.00 EUR per payment",
        "12.5 % of all",
    ):
        assert line in shown.stdout
    assert one["tariffs"][1]["currency"] == "JPY"
    assert one["endings"] == []


def test_a_contract_is_explained(told: tuple[UUID, UUID]) -> None:
    """What it pinned and why; for the side without a schedule, the rate of its terms."""
    _, contract_id = told

    shown = holdfast("explain", str(contract_id))
    found = json.loads(holdfast("explain", str(contract_id), "--json").stdout)

    assert shown.exit_code == 0
    for line in (
        "No schedule for the client: the terms' 300 basis points hold.",
        "standard version 1, for everybody (default): holds.",
        "  10 % from 500.00 EUR to 10000.00 EUR",
    ):
        assert line in shown.stdout
    assert found["choices"][0]["part"] == "payee"


def test_what_there_is_not_is_bad_news(told: tuple[UUID, UUID]) -> None:
    """An unknown schedule or contract: exit 1 and one line; no id at all: exit 2."""
    assert told
    for verb, status in (("show", 1), ("explain", 1)):
        outcome = holdfast(verb, str(new_id()))
        assert (outcome.exit_code, outcome.stdout) == (status, "")
        assert "has no" in outcome.stderr
    assert holdfast("show", "x").exit_code == 2


def test_a_move_is_looked_at_and_run_to_its_end(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run writes nothing; what nobody approved does not run; then all are moved."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    engine = connect(own_database.app_url)
    with transaction(engine, tenant) as connection:
        clock.make_sandbox(connection, at=START)
        for rate in (1_000, 1_000, 300):
            stage = Stage(connection, terms=Terms(commission_bps=rate))
            assert stage.propose().is_done
            assert stage.accept().is_done
        schedule_id = hold(connection, tariffs=(tariff("EUR", Band(None, 500)),))
        command = PrepareMove(actor=finance(), move_id=new_id(), schedule_id=schedule_id)
        assert service_fee_move.prepare_move(connection, [command], at=START)[0].is_done
    named = str(command.move_id)

    dry = holdfast("move", named, "--dry-run")
    listed = json.loads(holdfast("move", named, "--dry-run", "--json").stdout)
    waits = holdfast("move", named)
    with transaction(engine, tenant) as connection:
        approve = DecideMove(actor=finance(), move_id=command.move_id)
        assert service_fee_move.approve_move(connection, [approve], at=START)[0].is_done
    engine.dispose()
    ran = holdfast("move", named)
    again = json.loads(holdfast("move", named, "--json").stdout)

    assert (dry.exit_code, waits.exit_code, ran.exit_code) == (0, 1, 0)
    assert "2 contracts would move, 1 would stay." in dry.stdout
    assert [each["why_not"] for each in listed] == [None, None, "would be dearer: rate"]
    assert "The move is prepared: 0 contracts moved" in waits.stdout
    assert "The move is done: 2 contracts moved, 1 stayed." in ran.stdout
    assert (again["state"], again["moved_count"]) == ("done", 2)
    assert holdfast("move", str(new_id())).exit_code == 1
