"""`holdfast quote` tells a price, `holdfast extract` what came of it; to people and to scripts."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pypdf import PdfReader
from sqlalchemy import Engine

from engine.__main__ import main
from escrow.model import Terms
from kernel import clock
from kernel.database import Tenant, transaction
from tests.commissions.books import TIERS, hold, tariff
from tests.escrow.stage import Stage
from tests.fixtures.databases import TestDatabase

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def stage(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """A sandbox at noon where 450.000 dinars were released."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
        hold(connection, at=NOON, tariffs=(tariff("KWD", *TIERS),))
        terms = Terms(client_fee_bps=0)
        stage = Stage(connection, "KWD", terms, amounts=(45_000,), now=NOON).submitted()
        assert stage.approve().is_done
        return stage


def holdfast(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], catch_exceptions=False)


def test_a_quote_is_told_part_by_part(stage: Stage) -> None:
    """After 45.000 the next 10.000 cost 5.000 at 20 % and 5.000 at 10 %."""
    asked = ("quote", "--contract", stage.contract_id, "--currency", "KWD")

    shown = holdfast(*asked, "--amount", "10.000")
    found = json.loads(holdfast(*asked, "--amount", "10.000", "--json").stdout)
    net = json.loads(holdfast(*asked, "--net", "8.500", "--json").stdout)

    assert shown.exit_code == 0
    assert "20.00 % of 5.000 KWD" in shown.stdout
    assert "8.500 KWD" in shown.stdout
    assert found["payee_gets"] == {"amount": "8.500", "currency": "KWD"}
    assert net["amount"] == {"amount": "10.000", "currency": "KWD"}


def test_an_offer_is_quoted_by_its_parties(stage: Stage) -> None:
    """Without a contract the price is that of one accepted now."""
    shown = holdfast(
        *("quote", "--client", stage.client.party_id, "--payee", stage.payee.party_id),
        *("--currency", "KWD", "--kind", "hourly", "--minutes", "60", "--rate", "10.000"),
    )

    assert shown.exit_code == 0
    assert "would be pinned by acceptance now" in shown.stdout


def test_a_question_without_a_price_could_not_be_told(stage: Stage) -> None:
    """Exit 2 and one sentence."""
    refused = holdfast("quote", "--contract", stage.contract_id, "--currency", "KWD")

    assert refused.exit_code == 2
    assert "No price can be told" in refused.stderr


def test_an_extract_is_shown_and_written(stage: Stage, tmp_path: Path) -> None:
    """Tables, JSON, CSV and PDF end with the same balance."""
    asked = ("extract", "--party", stage.payee.party_id, "--month", "2026-03")
    paper, table = tmp_path / "extract.pdf", tmp_path / "extract.csv"

    shown = holdfast(*asked)
    found = json.loads(holdfast(*asked, "--json").stdout)
    written = holdfast(*asked, "--pdf", paper, "--csv", table)

    assert shown.exit_code == written.exit_code == 0
    assert "36.000 KWD" in shown.stdout
    assert "commission 9.000" in shown.stdout
    assert [each["balance"]["amount"] for each in found["lines"]] == ["36.000"]
    assert found["currencies"][0]["closing"]["amount"] == "36.000"
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [row["balance"] for row in rows] == ["0.000", "36.000", "36.000"]
    assert "36.000" in PdfReader(paper).pages[0].extract_text()


def test_an_extract_of_nobody_or_of_no_month_could_not_be_told(stage: Stage) -> None:
    """Exit 2, and no file is left behind."""
    nobody = holdfast("extract", "--party", stage.contract_id, "--month", "2026-03")
    never = holdfast("extract", "--party", stage.payee.party_id, "--month", "2026-3")

    assert (nobody.exit_code, never.exit_code) == (2, 2)
    assert "has no party" in nobody.stderr
    assert "A month is written 2026-10" in never.stderr
