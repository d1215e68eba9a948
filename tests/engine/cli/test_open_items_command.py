"""`holdfast open-items`: nothing is good news, anything is exit code 1."""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel.database import Tenant, transaction
from reconciliation.model import SORTS
from tests.escrow.every_scene import SCENES
from tests.fixtures.databases import TestDatabase


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_open_items_are_bad_news(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty house says so with 0; money of another amount is listed, and the exit code is 1."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)

    clean, clean_json = holdfast("open-items"), holdfast("open-items", "--json")
    with transaction(own_engine, tenant) as connection:
        SCENES["another_amount_came"](connection)
    shown, as_json = holdfast("open-items"), holdfast("open-items", "--json")

    assert (clean.exit_code, clean.stdout) == (0, "Nothing is open.\n")
    assert (clean_json.exit_code, json.loads(clean_json.stdout)["open_items"]) == (0, [])
    assert (shown.exit_code, as_json.exit_code) == (1, 1)
    (item,) = json.loads(as_json.stdout)["open_items"]
    assert item["sort"] == "suspense.aged"
    assert item["amount"] == {"amount": "50.00", "currency": "EUR"}
    assert item["days"] > 100
    assert f"1 suspense.aged: {SORTS['suspense.aged']}" in shown.stdout
    assert "50.00" in shown.stdout
