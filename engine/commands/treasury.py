"""`holdfast treasury`: what is where, why it stays, and what settles next; nothing is moved."""

from typing import Any

import click

from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from kernel import clock
from kernel.database import snapshot
from payouts.treasury_page import page


@click.command()
@tenant_option
@json_option
@in_words
def command(tenant_name: str | None, *, as_json: bool) -> None:
    """Show what is where, why it stays, and what the next settlement moves.

    Exit 1 where payouts have stopped or the platform owes what it cannot bring.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            at = clock.now(connection)
            rows = page(connection, at=at)
    if as_json:
        print_json({"tenant": tenant.name, "at": at.isoformat(), "currencies": rows})
    elif rows:
        _tell(rows)
    else:
        click.echo("There is no money yet.")
    if any(row["payouts_stopped"] or _is_something(row["shortfall"]) for row in rows):
        raise click.exceptions.Exit(BAD_NEWS)


def _tell(rows: list[dict[str, Any]]) -> None:
    places = [
        (
            row["currency"],
            place["rail_account"],
            place["pending"]["amount"],
            place["available"]["amount"],
            place["promised_refunds"]["amount"],
            place["promised_payouts"]["amount"],
            place["mode"],
            place["why"],
        )
        for row in rows
        for place in row["places"]
    ]
    banks = [
        (
            row["currency"],
            "custody bank",
            "",
            row["bank"]["amount"],
            "",
            row["promised_by_bank"]["amount"],
            "",
            "",
        )
        for row in rows
    ]
    columns = ("currency", "where", "pending", "there", "refunds", "payouts", "mode", "why")
    print_table(columns, sorted([*places, *banks]), right=columns[2:6])
    for row in rows:
        for move in row["next"]:
            via = f" at {move['rail_account']}" if move["rail_account"] else ""
            amount = f"{move['amount']['amount']} {row['currency']}"
            click.echo(f"Next: {amount} from {move['source']} to {move['target']}{via}.")
        if _is_something(row["shortfall"]):
            short = f"{row['shortfall']['amount']} {row['currency']}"
            click.echo(f"The platform owes {short} to client money, and its bank has not got it.")
        if row["payouts_stopped"]:
            click.echo(f"No payout in {row['currency']} leaves: an account is below zero.")


def _is_something(amount: dict[str, str]) -> bool:
    return bool(amount["amount"].strip("0."))
