"""Balances and reports as of a date on the command line."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel.database import Tenant
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import fund, wallet
from tests.ledger.journal import START, post, seal_all

NAMES = ("trial-balance", "accounts", "general-ledger", "roll-forward", "ageing", "tie-out")


@pytest.fixture
def size(
    own_database: TestDatabase,
    own_engine: Engine,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> int:
    """Two days of funding, the second one not sealed yet; how many events are sealed."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    post(own_engine, tenant, [fund(1_000, wallet("ann"), at=START)])
    sealed = seal_all(own_engine)
    post(own_engine, tenant, [fund(500, wallet("ann"), at=START + timedelta(days=1))])
    return sealed


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def told(*arguments: str) -> Any:
    result = holdfast(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_balance_is_told_on_both_axes(size: int) -> None:
    """Now, before a day, and as it was known at a number of the journal."""

    def balance(*axes: str) -> str:
        (row,) = told("balance", "--kind", "custody.wallet", *axes)
        return str(row["balance"])

    assert balance() == "-15.00"
    assert balance("--effective-at", "2026-01-02") == "-10.00"
    assert balance("--as-of", str(size)) == "-10.00"
    assert balance("--as-of", str(size), "--effective-at", "2026-01-01") == "0.00"
    shown = holdfast("balance", "--as-of", str(size))
    assert "As known at journal number 1." in shown.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_json_with_its_hash_or_a_table(size: int, name: str) -> None:
    """The same document twice; and a table whose hash and prefix stand on standard error."""
    axes = ("--as-of", str(size), "--effective-at", "2026-03-01")
    report = told("report", name, *axes)

    assert report == told("report", name, *axes)
    assert (report["header"]["journal_no"], report["header"]["provisional"]) == (size, False)
    shown = holdfast("report", name, *axes)
    assert shown.exit_code == 0
    assert report["header"]["sha256"] in shown.stderr
    assert ("10.00" in shown.stdout) is (name != "ageing")


def test_trial_balance_and_statement_take_the_axes(size: int) -> None:
    """With a date they are the reports of those names; without, what they were."""
    trial = told("trial-balance", "--as-of", str(size))
    (account,) = told("balance", "--kind", "custody.bank")
    page = told("statement", str(account["account_id"]), "--from", "2026-01-02")

    assert {row["kind"]: row["closing_debit"]["amount"] for row in trial["rows"]} == {
        "custody.bank": "10.00",
        "custody.wallet": "0.00",
    }
    assert set(told("trial-balance")) == {"balanced", "rows", "totals"}
    assert [line["debit"]["amount"] for line in page["lines"]] == ["5.00"]
    assert page["accounts"][0]["opening"]["amount"] == "10.00"
    assert page["header"]["provisional"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "trial-balance", "--as-of", "99"),
        ("report", "trial-balance", "--as-of", "0"),
        ("report", "trial-balance", "--as-of", "1971-01-01"),
        ("report", "trial-balance", "--as-of", "2026-01-01T00:00:00"),
        ("report", "trial-balance", "--effective-at", "soon"),
        ("report", "trial-balance", "--from", "2026-01-02", "--effective-at", "2026-01-01"),
        ("report", "statement"),
        ("report", "statement", "--account", "999"),
        ("report", "gossip"),
        ("balance", "--as-of", "-1"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(size: int, arguments: tuple[str, ...]) -> None:
    """Exit code 2, nothing on standard output, no traceback."""
    assert size == 1
    result = holdfast(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert "Traceback" not in result.stderr
