"""CSV and Parquet: the same five tables, read back by Python and by DuckDB."""

import csv
import io
from datetime import date
from typing import Any

import duckdb
import pytest

from tests.exports.recount import RFC_4180
from tests.exports.stage import ODD, ODD_WALLET, Export

TABLES = ["accounts", "entries", "events", "lines", "trial_balance"]

BALANCES = [
    ("2026-02", "custody.bank[] EUR", 0, 700, 0, 700),
    ("2026-02", "custody.wallet[ann] EUR", 0, 0, 700, -700),
    ("2026-03", "custody.bank[] EUR", 700, 10_000, 0, 10_700),
    ("2026-03", "custody.bank[] JPY", 0, 500, 0, 500),
    ("2026-03", "custody.wallet[ann] EUR", -700, 0, 10_000, -10_700),
    ("2026-03", "custody.wallet[ann] JPY", 0, 0, 500, -500),
    ("2026-04", "custody.bank[] EUR", 10_700, 0, 0, 10_700),
    ("2026-04", "custody.bank[] JPY", 500, 0, 0, 500),
    ("2026-04", "custody.due_to_platform[] EUR", 0, 0, 333, -333),
    ("2026-04", str(ODD_WALLET), 0, 0, 50, -50),
    ("2026-04", "custody.wallet[ann] EUR", -10_700, 383, 0, -10_317),
    ("2026-04", "custody.wallet[ann] JPY", -500, 0, 0, -500),
    ("2026-04", "platform.due_from_custody[] EUR", 0, 333, 0, 333),
    ("2026-04", "platform.revenue.commission[] EUR", 0, 0, 333, -333),
]


def query(export: Export, kind: str, columns: str, table: str) -> list[tuple[Any, ...]]:
    """Columns of a table as DuckDB finds them, its months told by their folders."""
    path = export.folder / kind / table / "*" / f"{table}.{kind}"
    options = f", all_varchar = true, {RFC_4180}" if kind == "csv" else ""
    source = f"read_{kind}('{path}', hive_partitioning = true{options})"
    with duckdb.connect() as duck:
        return duck.execute(f"SELECT {columns} FROM {source} ORDER BY ALL").fetchall()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_trial_balance_runs_on_from_month_to_month(export: Export, kind: str) -> None:
    """An account that stands still keeps its row; each month opens as the one before closed."""
    export(kind)

    found = query(
        export,
        kind,
        "CAST(period AS VARCHAR), account, opening_minor::BIGINT, debit_minor::BIGINT,"
        " credit_minor::BIGINT, closing_minor::BIGINT",
        "trial_balance",
    )

    assert found == sorted(BALANCES)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_lines_lie_in_the_month_they_count_in(export: Export, kind: str) -> None:
    """Wherever they stand in the journal."""
    export(kind)

    found = query(export, kind, "CAST(period AS VARCHAR), journal_no::BIGINT", "lines")

    assert found == sorted(
        2 * [("2026-02", 5), ("2026-03", 1), ("2026-03", 2), ("2026-04", 3)] + 4 * [("2026-04", 4)]
    )


def test_parquet_keeps_the_types(export: Export) -> None:
    """Amounts are whole numbers of 38 digits beside an exponent, times know their zone."""
    export("parquet")
    path = export.folder / "parquet/lines/*/lines.parquet"
    with duckdb.connect() as duck:
        described = duck.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()

    types = {row[0]: row[1] for row in described}

    assert types["amount_minor"] == types["balance_after_minor"] == "DECIMAL(38,0)"
    assert types["effective_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["journal_no"] == types["exponent"] == "BIGINT"


def test_odd_texts_survive_parquet(export: Export) -> None:
    """As they are, with nothing put in front."""
    export("parquet")

    assert query(export, "parquet", "reason", "events")[-1:] == [("no money moved",)]
    assert (ODD,) in query(export, "parquet", "reason", "events")
    assert (ODD_WALLET.subject,) in _subjects(export)


def test_odd_texts_survive_csv_and_start_no_formula(export: Export) -> None:
    """One apostrophe taken from the front gives the text back; rows end in CRLF."""
    export("csv")
    text = export.text("csv/events/period=2026-04/events.csv")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert rows[0]["reason"] == f"'{ODD}"
    assert [row["reason"] for row in rows[1:]] == ["", "no money moved"]
    assert text.endswith("\r\n")
    accounts = csv.DictReader(io.StringIO(export.text("csv/accounts.csv"), newline=""))
    assert f"'{ODD_WALLET.subject}" in [row["subject"] for row in accounts]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_all_five_tables_are_written(export: Export, kind: str) -> None:
    """And nothing is left behind beside them."""
    files = export(kind, period=(date(2026, 3, 1), date(2026, 3, 31)))

    assert sorted(file.name for file in files) == [
        f"{kind}/accounts.{kind}",
        *(f"{kind}/{table}/period=2026-03/{table}.{kind}" for table in TABLES[1:]),
    ]
    left = {path for path in export.folder.rglob("*") if path.is_file()}
    assert left == {export.folder / file.name for file in files}


def _subjects(export: Export) -> list[tuple[Any, ...]]:
    with duckdb.connect() as duck:
        path = export.folder / "parquet/accounts.parquet"
        return duck.execute(f"SELECT subject FROM read_parquet('{path}')").fetchall()
