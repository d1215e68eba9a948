"""`holdfast payouts` and `holdfast bank`: two people pay a run, and give a file to the bank."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel import keys
from kernel.database import Tenant, connect, transaction
from kernel.principals import PrincipalKind
from tests.fixtures.databases import TestDatabase
from tests.payouts import bank_stage as stage
from tests.payouts.builders import give, new_method, new_payee


def holdfast(*arguments: str, key: str | None = None) -> Result:
    env = {"HOLDFAST_KEY": key} if key else {}
    return CliRunner().invoke(main, list(arguments), env=env, catch_exceptions=False)


@pytest.fixture
def engine(own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The database that the commands use."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    made = connect(own_database.app_url)
    yield made
    made.dispose()


@pytest.fixture
def people(engine: Engine, tenant: Tenant) -> tuple[str, str]:
    """The keys of two operators in person."""
    with engine.begin() as connection:
        one, other = (
            keys.create(
                connection, tenant, scopes=[], kind=PrincipalKind.PERSON, is_operator=True
            ).secret
            for _ in range(2)
        )
    return one, other


def test_a_run_is_paid_by_two_people_on_the_command_line(
    engine: Engine, tenant: Tenant, people: tuple[str, str]
) -> None:
    """Previewed (1 where nobody would be paid), prepared, approved by another, executed, shown."""
    one, other = people
    with transaction(engine, tenant) as connection:
        payees = [new_payee(connection) for _ in range(3)]
        for payee_id in payees[:2]:
            new_method(connection, payee_id)
            give(connection, payee_id, 12_345)
        give(connection, payees[2], 500)
    wanted = ("--currency", "EUR", "--everyone")

    nobody = holdfast("payouts", "run", "preview", "--currency", "JPY", "--everyone", key=one)
    seen = json.loads(holdfast("payouts", "run", "preview", *wanted, "--json", key=one).stdout)
    made = json.loads(holdfast("payouts", "run", "prepare", *wanted, "--json", key=one).stdout)
    approve = ("payouts", "run", "approve", made["run_id"], "--content", made["content"])
    alone = holdfast(*approve, key=one)
    approved = holdfast(*approve, key=other)
    early = holdfast("payouts", "run", "stop", made["run_id"], key=one)
    paid = holdfast("payouts", "run", "execute", made["run_id"], key=one)
    shown = json.loads(holdfast("payouts", "run", "show", made["run_id"], "--json").stdout)

    assert nobody.exit_code == 1
    assert [item["why"] for item in seen["items"]].count("payouts.no_method") == 1
    assert alone.exit_code == early.exit_code == 1
    assert "cannot approve" in alone.stdout
    assert (approved.exit_code, paid.exit_code) == (0, 0)
    assert "2 of 3 payees, 246.90 EUR" in paid.stdout
    assert shown["state"] == "done"
    assert shown["progress"]["requested"]["count"] == 2
    assert made["run_id"] in holdfast("payouts", "run", "list").stdout


def test_a_schedule_is_set_from_a_file_and_told_in_a_sentence(
    engine: Engine, tenant: Tenant, people: tuple[str, str], tmp_path: Path
) -> None:
    """What will happen stands in one sentence; without a setting it says so."""
    with transaction(engine, tenant) as connection:
        payee_id = new_payee(connection)
        give(connection, payee_id, 12_000, "KWD")
    file = tmp_path / "schedule.json"
    body = {"payee_id": str(payee_id), "currency": "KWD", "cadence": "monthly", "day": 31}
    file.write_text(json.dumps({**body, "valid_from_on": "2199-01-01"}))

    before = holdfast("payouts", "schedule", str(payee_id))
    made = holdfast("payouts", "set-schedule", str(file), key=people[0])
    after = holdfast("payouts", "schedule", str(payee_id))

    assert "asks for it" in before.stdout
    assert made.exit_code == 0, made.output
    assert "On Thursday 2199-01-31, about 12.000 KWD if it stays as it is." in after.stdout


def test_a_file_is_made_by_one_and_released_by_another(
    engine: Engine, tenant: Tenant, people: tuple[str, str], tmp_path: Path
) -> None:
    """The file on the disk is its writer's alone, and comes out the same again."""
    one, other = people
    with transaction(engine, tenant) as connection:
        ours = stage.set_up(connection)
        account_id, _ = stage.add(connection, new_payee(connection))
    stage.send(engine, tenant, [stage.order_of(account_id)])
    out, again = tmp_path / "out.xml", tmp_path / "again.xml"
    bad = tmp_path / "account.json"
    bad.write_text(json.dumps({"party_id": str(ours), "name": "A", "iban": "DE00123456"}))

    waiting = json.loads(holdfast("bank", "waiting", "--json").stdout)
    made = json.loads(
        holdfast("bank", "file", "--currency", "EUR", "--out", str(out), "--json", key=one).stdout
    )
    alone = holdfast("bank", "release", made["file_id"], key=one)
    released = holdfast("bank", "release", made["file_id"], key=other)
    written = holdfast("bank", "export", made["file_id"], "--out", str(again), key=other)
    refused = holdfast("bank", "account", str(bad), key=one)

    assert [(each["orders"], each["minor"]) for each in waiting] == [(1, 12_345)]
    assert out.stat().st_mode & 0o077 == 0
    assert (alone.exit_code, released.exit_code, written.exit_code) == (1, 0, 0)
    assert again.read_bytes() == out.read_bytes()
    assert made["content"] in written.stdout
    assert (refused.exit_code, "DE00123456" in refused.output) == (1, False)
    assert UUID(made["file_id"]).hex in out.read_text()
    assert "released" in holdfast("bank", "list").stdout
