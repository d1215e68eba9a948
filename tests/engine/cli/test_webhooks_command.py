"""`holdfast webhooks` and `holdfast payouts methods|policy|accounts`, as finance uses them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from engine.webhooks import service, store
from engine.webhooks.model import DeliveryState
from kernel import keys
from kernel.database import Tenant, connect, transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM, PrincipalKind
from payouts import service_policy
from payouts.commands import PreparePolicy
from tests.fixtures.databases import TestDatabase
from tests.payouts.builders import DAY, NOON, OPERATOR, new_method, new_payee


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


def receiver(engine: Engine, tenant: Tenant) -> tuple[UUID, int]:
    """An endpoint, and a message to it that was given up."""
    command = service.CreateEndpoint(
        actor=OPERATOR, endpoint_id=new_id(), url="https://example.com/hook?token=secret"
    )
    with transaction(engine, tenant) as connection:
        endpoint, _ = service.create(connection, command, at=NOON)
        (number,) = store.add_deliveries(connection, endpoint, [None])
        store.save_try(
            connection, number, DeliveryState.DEAD, status=500, trouble="status 500", wait=None
        )
    return endpoint.id, number


def test_what_did_not_arrive_is_bad_news_until_it_is_sent_again(
    engine: Engine, tenant: Tenant, people: tuple[str, str]
) -> None:
    """None: exit 0. One given up: exit 1. Tried anew: it waits; an unknown one is refused."""
    key, _ = people
    nobody, none = holdfast("webhooks", "endpoints"), holdfast("webhooks", "dead")
    endpoint_id, number = receiver(engine, tenant)

    listed = holdfast("webhooks", "endpoints", "--json")
    some = holdfast("webhooks", "dead", "--endpoint", str(endpoint_id), "--json")
    nameless = holdfast("webhooks", "redeliver", str(number))
    again = holdfast("webhooks", "redeliver", str(number), key=key)
    waits = holdfast("webhooks", "deliveries", "--state", "waiting")
    unknown = holdfast("webhooks", "redeliver", "999", key=key)

    assert (nobody.exit_code, nobody.stdout) == (0, "Nobody is told of events.\n")
    assert (none.exit_code, none.stdout) == (0, "Nothing was given up.\n")
    assert [each["id"] for each in json.loads(listed.stdout)["endpoints"]] == [str(endpoint_id)]
    assert "whsec_" not in listed.stdout
    assert some.exit_code == 1
    assert [each["trouble"] for each in json.loads(some.stdout)["deliveries"]] == ["status 500"]
    assert (nameless.exit_code, again.exit_code, unknown.exit_code) == (2, 0, 1)
    assert str(endpoint_id) in waits.stdout
    assert holdfast("webhooks", "dead").exit_code == 0


def test_all_is_sent_once_more_from_a_number_on(
    engine: Engine, tenant: Tenant, people: tuple[str, str]
) -> None:
    """A new round of the receiver; one that is not there is refused."""
    endpoint_id, _ = receiver(engine, tenant)

    done = holdfast("webhooks", "replay", str(endpoint_id), "--from", "1", "--json", key=people[0])
    unknown = holdfast("webhooks", "replay", str(new_id()), "--from", "1", key=people[0])

    assert (done.exit_code, unknown.exit_code) == (0, 1)
    assert json.loads(done.stdout)["from_journal_no"] == "1"
    with transaction(engine, tenant) as connection:
        assert store.find_endpoints(connection, [endpoint_id])[endpoint_id].round_no == 1


def test_a_policy_takes_two_and_a_method_is_verified(
    engine: Engine, tenant: Tenant, people: tuple[str, str], tmp_path: Path
) -> None:
    """Prepared by one, not approved by him, approved by another; then a method is checked."""
    one, other = people
    asks = PreparePolicy(
        actor=SYSTEM,
        policy_id=new_id(),
        valid_from=NOON - 2 * DAY,
        cooling_days=0,
        needs_verifying=True,
    )
    with transaction(engine, tenant) as connection:
        assert service_policy.prepare_policy(connection, [asks], at=NOON - DAY)[0].is_done
        payee_id = new_payee(connection)
        method_id = new_method(connection, payee_id)
    file = tmp_path / "policy.json"
    limit = {"amount": "1.500", "currency": "KWD"}
    valid = (NOON + timedelta(days=1)).isoformat()
    file.write_text(json.dumps({"currency": "KWD", "valid_from": valid, "approval_above": limit}))

    made = holdfast("payouts", "policy", "prepare", str(file), "--json", key=one)
    policy_id = json.loads(made.stdout)["id"]
    alone = holdfast("payouts", "policy", "approve", policy_id, key=one)
    approved = holdfast("payouts", "policy", "approve", policy_id, key=other)
    shown = json.loads(holdfast("payouts", "policy", "show", "--json").stdout)
    verified = holdfast("payouts", "methods", "verify", str(method_id), key=one)
    twice = holdfast("payouts", "methods", "verify", str(method_id), key=one)
    listed = json.loads(holdfast("payouts", "methods", "list", str(payee_id), "--json").stdout)
    accounts = json.loads(holdfast("payouts", "accounts", str(payee_id), "--json").stdout)

    assert (made.exit_code, alone.exit_code, approved.exit_code) == (0, 1, 0)
    (version,) = [each for each in shown["items"] if each["id"] == policy_id]
    assert version["approval_above"] == limit
    assert version["approved_by"] != version["prepared_by"]
    assert (verified.exit_code, twice.exit_code) == (0, 1)
    assert [(each["id"], each["state"]) for each in listed["methods"]] == [
        (str(method_id), "active")
    ]
    assert accounts == {"accounts": []}
