"""`holdfast plans` sells by two people, and tells who has what and how much of it is earned."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from kernel import keys
from kernel.database import Tenant, connect, transaction
from kernel.principals import PrincipalKind
from tests.escrow.stage_plans import Shop
from tests.fixtures.databases import TestDatabase


def holdfast(*arguments: str, key: str | None = None) -> Result:
    env = {"HOLDFAST_KEY": key} if key else {}
    return CliRunner().invoke(main, ["plans", *arguments], env=env, catch_exceptions=False)


@pytest.fixture
def people(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """The keys of two operators in person."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    engine = connect(own_database.app_url)
    with engine.begin() as connection:
        one, other = (
            keys.create(
                connection, tenant, scopes=[], kind=PrincipalKind.PERSON, is_operator=True
            ).secret
            for _ in range(2)
        )
    engine.dispose()
    return one, other


@pytest.fixture
def party_id(own_database: TestDatabase, tenant: Tenant, people: tuple[str, str]) -> UUID:
    """A party with a plan and a product."""
    assert people
    engine = connect(own_database.app_url)
    with transaction(engine, tenant) as connection:
        shop = Shop(connection)
        shop.tax()
        shop.earn(10_000)
        shop.sell()
        shop.sell_product()
        assert shop.subscribe().is_done
        assert shop.buy().is_done
    engine.dispose()
    return shop.party_id


def test_two_people_sell_a_plan(people: tuple[str, str], tmp_path: Path) -> None:
    """Prepared from a file by one, refused to him, approved by another; listed for both."""
    file = tmp_path / "pro.json"
    file.write_text(
        '{"kind": "plan", "name": "pro", "side": "payee", "reason": "why not",'
        ' "prices": [{"every": "month", "price": {"amount": "14.99", "currency": "EUR"}}]}'
    )

    prepared = json.loads(holdfast("prepare", str(file), "--json", key=people[0]).stdout)
    alone = holdfast("approve", prepared["offering_id"], key=people[0])
    approved = holdfast("approve", prepared["offering_id"], key=people[1])
    listed = holdfast("list", "--state", "approved")

    assert prepared["state"] == "prepared"
    assert alone.exit_code == 1
    assert "plans.second_person" in alone.stdout
    assert (approved.exit_code, "is approved" in approved.stdout) == (0, True)
    assert "14.99 EUR month" in listed.stdout
    assert holdfast("reject", prepared["offering_id"], key=people[1]).exit_code == 1
    assert holdfast("approve", prepared["offering_id"]).exit_code == 2


def test_a_bad_file_is_told_and_nothing_is_written(people: tuple[str, str], tmp_path: Path) -> None:
    """A wrong field is named, exit 2; no version is there afterwards."""
    file = tmp_path / "wrong.json"
    file.write_text('{"kind": "plan", "name": "Pro Plan"}')

    refused = holdfast("prepare", str(file), key=people[0])

    assert refused.exit_code == 2
    assert "is no plan or product" in refused.stderr
    assert json.loads(holdfast("list", "--json").stdout) == []


def test_who_has_what_is_listed(party_id: UUID) -> None:
    """Subscriptions and purchases, for people and for scripts, of all or of one party."""
    plans = json.loads(holdfast("subscriptions", "--json").stdout)
    paid = json.loads(holdfast("purchases", "--party", str(party_id), "--json").stdout)
    nobody = holdfast("purchases", "--party", str(UUID(int=9)), "--json")

    assert [(each["plan"], each["state"]) for each in plans] == [("pro", "active")]
    assert [each["name"] for each in paid] == ["pro", "boost"]
    assert json.loads(nobody.stdout) == []
    assert "profile:1" in holdfast("purchases").stdout
    assert str(party_id) in holdfast("subscriptions").stdout
