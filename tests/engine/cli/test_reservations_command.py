"""`holdfast reservations` shows what is set aside, to people and to scripts."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from kernel.database import Tenant, connect, transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.model_reservations import Reserve, VoidReservation
from ledger.reservations import reserve, void
from ledger.service import post
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import fund, wallet

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN = wallet("ann")


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["reservations", *arguments], catch_exceptions=False)


def test_open_reservations_are_listed(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open ones by themselves, all with --all; nothing to list is told and is no bad news."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    before = holdfast()
    commands = [
        Reserve(
            actor=SYSTEM,
            reservation_id=new_id(),
            account=ANN,
            amount_minor=amount,
            reason="a deposit",
            expires_at=AT + timedelta(days=7) if amount == 60 else None,
        )
        for amount in (60, 40)
    ]
    engine = connect(own_database.app_url)
    with transaction(engine, tenant) as connection:
        post(connection, [fund(100, ANN)])
        reserve(connection, commands, at=AT)
    with transaction(engine, tenant) as connection:
        ended = VoidReservation(actor=SYSTEM, reservation_id=commands[1].reservation_id)
        void(connection, [ended], at=AT)
    engine.dispose()

    shown = holdfast()
    listed = json.loads(holdfast("--json").stdout)
    everything = json.loads(holdfast("--json", "--all", "--kind", "custody.wallet").stdout)

    assert (before.exit_code, before.stdout) == (0, "")
    assert "nothing set aside" in before.stderr
    assert shown.exit_code == 0
    for word in ("custody.wallet", "ann", "open", "0.60 EUR", "2026-03-09"):
        assert word in shown.stdout
    assert [(each["state"], each["remaining"]["amount"]) for each in listed] == [("open", "0.60")]
    assert sorted(each["state"] for each in everything) == ["open", "voided"]
    assert json.loads(holdfast("--json", "--subject", "ben").stdout) == []
