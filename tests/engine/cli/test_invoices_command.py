"""`holdfast invoices` and `holdfast tax`: issue, list, show, and the tax that is owed."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pypdf import PdfReader
from sqlalchemy import Connection, Engine

from engine.__main__ import main
from escrow.model import Terms
from kernel import clock
from kernel.database import Tenant, transaction
from tests.escrow.stage import START, Stage
from tests.escrow.stage_price import released
from tests.fixtures.databases import TestDatabase
from tests.tax.stage import add_buyer, add_fee, add_party, set_supplier


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def stand(connection: Connection) -> None:
    """A release at 10 % with German tax, in a sandbox of March 2026."""
    clock.make_sandbox(connection, at=START)
    set_supplier(connection)
    stage = Stage(connection, "EUR", Terms(commission_bps=1_000, client_fee_bps=300), (100_000,))
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE", name="Ada Byron")
    for outcome in (stage.propose(), stage.accept()):
        assert outcome.is_done, outcome
    released(stage)


def test_documents_are_issued_listed_shown_and_tie(
    own_database: TestDatabase,
    own_engine: Engine,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """From an empty house to a PDF; a fee that nobody posted does not tie, and exits 1."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    assert json.loads(holdfast("invoices", "issue", "--json").stdout) == {
        "issued": [],
        "waiting": 0,
    }
    with transaction(own_engine, tenant) as connection:
        stand(connection)

    issued = json.loads(holdfast("invoices", "issue", "--json").stdout)["issued"]

    assert issued == ["INV2026-000001", "RCP2026-000001"]
    assert "19.00" in holdfast("invoices", "list").stdout
    named = json.loads(holdfast("invoices", "list", "--series", "RCP2026", "--json").stdout)
    assert [each["number"] for each in named] == ["RCP2026-000001"]
    assert json.loads(holdfast("invoices", "list", "--since", "2026-03-03", "--json").stdout) == []
    file = tmp_path / "invoice.pdf"
    shown = holdfast("invoices", "show", "INV2026-000001", "--pdf", str(file), "--json")
    assert json.loads(shown.stdout)["total"] == {"amount": "119.00", "currency": "EUR"}
    assert "EUR 119.00" in PdfReader(io.BytesIO(file.read_bytes())).pages[0].extract_text()
    assert "to Ada Byron" in holdfast("invoices", "show", "INV2026-000001").stdout
    assert holdfast("invoices", "show", "INV2026-000009").exit_code == 2

    assert holdfast("tax", "vat", "--since", "2026-04-01", "--until", "2026-01-01").exit_code == 2
    vat = holdfast("tax", "vat", "--json")
    assert vat.exit_code == 0
    rows = {row["country"]: row for row in json.loads(vat.stdout)["rows"]}
    assert rows["DE"]["fees"] == rows["DE"]["posted"] == rows["DE"]["documents"]
    assert "Platform Ltd" in holdfast("tax", "supplier").stdout

    with transaction(own_engine, tenant) as connection:
        party_id = add_party(connection)
        add_buyer(connection, party_id, "FI")
        add_fee(connection, party_id, 10_000, at=START)
    assert holdfast("tax", "vat").exit_code == 1
