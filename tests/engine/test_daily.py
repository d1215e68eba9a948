"""The daily safeguarding run, and the certificate and the breaks by command line."""

import json
import threading
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from engine.__main__ import main
from engine.daily import SafeguardingLoop, run_due
from kernel import clock
from kernel.database import Tenant, transaction
from rails.simulated.service import SimulatedRail
from reconciliation import service_breaks, store_breaks
from reconciliation.commands_breaks import SetHour
from tests.fixtures.databases import TestDatabase
from tests.payouts.builders import NOON, World, new_payee
from tests.reconciliation.certified import paid
from tests.reconciliation.desk import OPERATOR, rows

LATER = NOON + timedelta(days=3)
"""When the card's money is there and settled."""

NEXT = LATER + timedelta(days=1)
"""A day later, at noon."""


@pytest.fixture
def rail(own_engine: Engine, tenant: Tenant) -> SimulatedRail:
    """Of a sandbox in which a payee earned by a card, and a day was settled."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=LATER)
        payee = new_payee(connection)
    world = World(own_engine, tenant)
    world.fund(payee, 12_345)
    world.open_capital(10_000)
    world.wait(3)
    world.end_day()
    return world.rail


def advance(engine: Engine, tenant: Tenant, to: datetime) -> None:
    """Move the sandbox's clock on."""
    with transaction(engine, tenant) as connection:
        clock.advance(connection, to=to)


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_a_day_is_certified_once_at_its_hour(
    own_engine: Engine, tenant: Tenant, rail: SimulatedRail
) -> None:
    """Not before the hour; then once, whoever asks again; a standstill is caught up with."""
    with transaction(own_engine, tenant) as connection:
        wish = SetHour(actor=OPERATOR, hour=13)
        service_breaks.set_hours(connection, [wish], at=NOON)

    noon = run_due(own_engine, tenant, [rail])
    advance(own_engine, tenant, LATER + timedelta(days=1, hours=1))
    due, again = run_due(own_engine, tenant, [rail]), run_due(own_engine, tenant, [rail])
    advance(own_engine, tenant, LATER + timedelta(days=4, hours=1))
    caught_up = SafeguardingLoop(own_engine, lambda: [tenant], lambda _: [rail])
    count = caught_up.run_once(threading.Event())

    assert noon == []
    (report,) = due
    assert (report["is_safe"], report["findings"], again) == (True, [], [])
    (told,) = report["certificates"]
    assert (told["state"], told["shortfall"]["amount"]) == ("clean", "0.00")
    assert count == 3
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, "safeguarding_run") == 4
        newest = store_breaks.newest_daily_run(connection)
    assert newest == LATER.date() + timedelta(days=3)


def test_what_is_short_is_told_and_a_run_goes_on_where_it_broke_off(
    own_engine: Engine, tenant: Tenant, rail: SimulatedRail
) -> None:
    """Money that only the books have: unsafe, an event for people, and nothing twice."""
    with transaction(own_engine, tenant) as connection:
        paid(connection, 5_000, on=LATER.date())
    advance(own_engine, tenant, NEXT)

    def rail_fails() -> SimulatedRail:
        raise OperationalError("select 1", {}, Exception("gone"))

    broken = SafeguardingLoop(own_engine, lambda: [tenant], lambda _: [rail_fails()])
    assert broken.run_once(threading.Event()) == 0
    (report,) = run_due(own_engine, tenant, [rail])

    assert not report["is_safe"]
    assert report["certificates"][0]["shortfall"]["amount"] == "50.00"
    assert any("custody.bank is" in each for each in report["findings"])
    with transaction(own_engine, tenant) as connection:
        events = connection.exec_driver_sql(
            "SELECT count(*) FROM event WHERE kind = 'safeguarding.shortfall'"
        ).scalar_one()
    assert (events, run_due(own_engine, tenant, [rail])) == (1, [])


@pytest.mark.usefixtures("rail")
def test_the_certificate_by_command_line(
    own_database: TestDatabase,
    own_engine: Engine,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clean 0, with breaks 1, a place without a statement 2; a day that is none 2."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    today = LATER.date().isoformat()

    untold = holdfast("certificate", "--on", today, "--as-is")
    clean = holdfast("certificate", "--on", today)
    none = holdfast("breaks", "list")
    with transaction(own_engine, tenant) as connection:
        paid(connection, 5_000, on=LATER.date())
    wrong = holdfast("certificate", "--on", today, "--currency", "EUR", "--json")
    spoken = holdfast("certificate", "--on", today, "--currency", "EUR")
    listed = holdfast("breaks", "list", "--json")

    assert (untold.exit_code, clean.exit_code, none.exit_code) == (2, 0, 0)
    assert "NOT TOLD" in untold.stdout
    assert "123.45" in clean.stdout
    assert "CLEAN" in clean.stdout
    assert (wrong.exit_code, spoken.exit_code, listed.exit_code) == (1, 1, 1)
    (certificate,) = json.loads(wrong.stdout)["certificates"]
    assert certificate["certificate"]["figures"]["breaks"]["amount"] == "50.00"
    assert "missing_external" in spoken.stdout
    (found,) = json.loads(listed.stdout)["breaks"]
    assert found["kind"] == "missing_external"
    assert found["id"] in holdfast("breaks", "list").stdout.replace("\n", "")
    assert "opened" in holdfast("breaks", "show", found["id"]).stdout
    for bad in ("soon", "2999-01-01"):
        assert holdfast("certificate", "--on", bad).exit_code == 2
    unsigned = holdfast("breaks", "comment", found["id"], "asked")
    assert unsigned.exit_code == 2
