"""`holdfast extract`: what a party had, what came and went in a month, and what we took."""

import io
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import click
import orjson
from sqlalchemy import Connection

from engine.commands.axes import as_of_option, told
from engine.commands.frame import (
    CouldNotTell,
    database,
    grouped,
    in_words,
    json_option,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from engine.extracts import csv_file, pdf_file
from engine.extracts.shown import Extract, extract_json, lines_of, movement_json, of_month
from escrow.model_extract import Standing
from escrow.rules_extract import ACCOUNT_WORDS
from escrow.service_extract import movements
from kernel.database import snapshot
from ledger.known import resolve

_File = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--party", "party_id", type=click.UUID, required=True, help="Whose extract.")
@click.option("--month", required=True, metavar="YYYY-MM", help="The month, in UTC.")
@click.option("--currency", metavar="CODE", help="One currency alone.")
@click.option("--pdf", "pdf", type=_File, help="Write it as PDF.")
@click.option("--csv", "csv", type=_File, help="Write it as CSV.")
@as_of_option
@tenant_option
@json_option
@in_words
def command(
    *,
    party_id: UUID,
    month: str,
    currency: str | None,
    pdf: Path | None,
    csv: Path | None,
    as_of: datetime | int | None,
    tenant_name: str | None,
    as_json: bool,
) -> None:
    """The account extract of a party (elsewhere: statement of account) for a month in UTC.

    Shown as tables, or as one JSON document with its lines; --pdf and --csv write files.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            known = resolve(connection, as_of)
            extract = of_month(connection, party_id, month, known=known, currency=currency)
            if extract is None:
                raise CouldNotTell(f"Tenant {tenant.name} has no party {party_id}.")
            if pdf is not None:
                _write_pdf(connection, extract, pdf)
            if csv is not None:
                _write_csv(connection, extract, csv)
            if as_json:
                _print_json(connection, extract)
            elif pdf is None and csv is None:
                _print(connection, extract)
    if not as_json:
        click.echo(told(known.journal_no, provisional=known.provisional), err=True)


def _write_pdf(connection: Connection, extract: Extract, path: Path) -> None:
    # Made whole before the file is: what is refused leaves no half of one.
    made = io.BytesIO()
    pdf_file.write(made, extract, partial(lines_of, connection, extract))
    path.write_bytes(made.getvalue())


def _write_csv(connection: Connection, extract: Extract, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv_file.write(file, extract, movements(connection, extract.book))


def _print_json(connection: Connection, extract: Extract) -> None:
    """One document, written line by line: an extract of any length takes the memory of a page."""
    head = orjson.dumps(extract_json(extract))
    click.echo(head[:-1] + b',"lines":[', nl=False)
    before = b"\n"
    for line in movements(connection, extract.book):
        click.echo(before + orjson.dumps(movement_json(line)), nl=False)
        before = b",\n"
    click.echo(b"]}")


def _print(connection: Connection, extract: Extract) -> None:
    if not extract.summaries:
        click.echo("No money was held in this month, and none came or went.")
    for summary in extract.summaries:
        money = partial(_grouped, currency=summary.currency)
        click.echo(f"{summary.currency}, {extract.month}")
        rows = [
            (ACCOUNT_WORDS[each.account], *map(money, _totals(each))) for each in summary.standings
        ]
        # What moved between the accounts came and went: only the ends say anything.
        ends = money(summary.opening_minor), "", "", money(summary.closing_minor)
        rows.append(("all accounts", *ends))
        amounts = ("opening", "in", "out", "closing")
        print_table(("account", *amounts), rows, right=amounts)
        fees = summary.fees
        if any(fees[1:]):
            click.echo(
                f"commission {money(fees.commission_minor)}, client fee"
                f" {money(fees.client_fee_minor)}, other {money(fees.other_minor)},"
                f" tax {money(fees.tax_minor)}"
            )
    rows = [
        (
            written(each.effective_at),
            each.what + (f": {each.about.title}" if each.about.title else ""),
            ACCOUNT_WORDS[each.account],
            grouped(each.debit_minor, each.currency) if each.debit_minor else "",
            grouped(each.credit_minor, each.currency) if each.credit_minor else "",
            f"{grouped(each.balance_minor, each.currency)} {each.currency}",
        )
        for each in movements(connection, extract.book)
    ]
    if rows:
        columns = ("counts at, UTC", "what", "account", "out", "in", "balance")
        print_table(columns, rows, right=columns[3:])


def _grouped(minor: int, *, currency: str) -> str:
    return grouped(minor, currency)


def _totals(each: Standing) -> tuple[int, int, int, int]:
    return each.opening_minor, each.credits_minor, each.debits_minor, each.closing_minor
