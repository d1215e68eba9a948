"""`holdfast period` and `holdfast journal`, as two people of finance use them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from kernel.database import Tenant, connect, transaction
from ledger.service import post
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import fund, wallet

JOURNAL = {
    "reason": "bank charges",
    "attachment_sha256": "ab" * 32,
    "effective_at": "2026-03-31T12:00:00Z",
    "entries": [
        {
            "book": "platform",
            "currency": "EUR",
            "lines": [
                {
                    "kind": "platform.expense.processor",
                    "debit": {"amount": "4.20", "currency": "EUR"},
                },
                {"kind": "platform.bank", "credit": {"amount": "4.20", "currency": "EUR"}},
            ],
        }
    ],
}


@pytest.fixture
def house(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> TestDatabase:
    """Books of March 2026, which is over, found by the commands in their settings."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    engine = connect(own_database.app_url)
    with transaction(engine, tenant) as connection:
        post(connection, [fund(100, wallet("ann"), at=datetime(2026, 3, 2, tzinfo=UTC))])
    engine.dispose()
    return own_database


def holdfast(*arguments: str, secret: str = "") -> Result:
    environment = {"HOLDFAST_KEY": secret} if secret else {}
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def person() -> str:
    made = holdfast("keys", "create", "--person", "--operator", "--json")
    return str(json.loads(made.stdout)["secret"])


@pytest.mark.usefixtures("house")
def test_a_month_is_closed_by_command(tmp_path: Path) -> None:
    """From a journal by two people to a closing that ties; exit 1 where the rules say no."""
    ann, bob = person(), person()
    file = tmp_path / "journal.json"
    file.write_text(json.dumps(JOURNAL), encoding="utf-8")

    (period,) = json.loads(holdfast("period", "list", "--json").stdout)
    number = period["id"]
    early = holdfast("period", "close", number, secret=ann)
    soft = holdfast("period", "soft-close", number, secret=ann)
    prepared = holdfast("journal", "prepare", str(file), "--json", secret=ann)
    journal = json.loads(prepared.stdout)["id"]
    own = holdfast("journal", "approve", journal, secret=ann)
    posted = holdfast("journal", "approve", journal, secret=bob)
    closed = holdfast("period", "close", number, secret=ann)
    asked = holdfast("period", "ask-reopen", number, "--reason", "late", secret=ann)
    alone = holdfast("period", "reopen", number, "--reason", "late", secret=ann)
    opened = holdfast("period", "reopen", number, "--reason", "late", secret=bob)
    checked = holdfast("period", "check", "--json")

    assert (early.exit_code, own.exit_code, alone.exit_code) == (1, 1, 1)
    assert "period.wrong_state" in early.stdout
    assert "journal.same_person" in own.stdout
    done = [soft, prepared, posted, closed, asked, opened, checked]
    assert [each.exit_code for each in done] == [0] * len(done)
    assert json.loads(checked.stdout) == {"tied": True, "findings": []}
    assert "posted" in holdfast("journal", "list").stdout
    assert holdfast("period", "closings", number).exit_code == 0


@pytest.mark.usefixtures("house")
def test_who_acts_is_said_by_a_key(tmp_path: Path) -> None:
    """No key, a wrong key, a file that is no journal: could not tell."""
    file = tmp_path / "journal.json"
    file.write_text("{}", encoding="utf-8")

    without = holdfast("period", "soft-close", "1")
    wrong = holdfast("period", "soft-close", "1", secret="hf_" + "x" * 43)
    malformed = holdfast("journal", "prepare", str(file), secret=person())

    assert [each.exit_code for each in (without, wrong, malformed)] == [2, 2, 2]
    assert "HOLDFAST_KEY" in without.stderr
    assert "reason" in malformed.stderr
