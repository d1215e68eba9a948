"""`holdfast clocks`: what runs, what is late, and what happens by itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Connection

from engine.api.reads_clocks import show
from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from escrow.service_clocks_look import ClockSeen, clocks_of, list_clocks
from escrow.store_clocks import count_clocks
from kernel import clock, outages
from kernel.database import snapshot
from kernel.timers import GRACE

_OUTAGES_SHOWN = 10


@click.command()
@tenant_option
@click.option("--subject", metavar="SUBJECT", help="The clocks of one subject, as slot:<id>.")
@click.option("--party", "party_id", type=click.UUID, help="The clocks of all deals of a party.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@json_option
@in_words
def command(
    *,
    tenant_name: str | None,
    subject: str | None,
    party_id: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """Count clocks by kind, with what is overdue and by how much; exit 1 if something is.

    With --subject or --party: those clocks, each with its time and consequence. A clock rings a
    minute after its time, so that a command that came before goes first.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            at = clock.now(connection)
            if subject is None and party_id is None:
                _tell_all(connection, at, as_json=as_json)
                return
            found = (
                clocks_of(connection, subject, at=at)
                if subject is not None
                else list_clocks(connection, party_id=party_id, limit=limit, at=at)
            )
    _tell(found, as_json=as_json)


def _tell_all(connection: Connection, at: datetime, *, as_json: bool) -> None:
    kinds = count_clocks(connection, grace=GRACE, at=at)
    sign, real_now = outages.find_sign(connection)
    past = outages.list_outages(connection, limit=_OUTAGES_SHOWN)
    is_late = any(each["overdue"] for each in kinds)
    if as_json:
        print_json(
            {
                "now": at.isoformat(),
                "on_time": not is_late,
                "scanned_at": sign.isoformat() if sign else None,
                "kinds": [_counted(each, at) for each in kinds],
                "outages": [
                    {
                        "from": each.from_at.isoformat(),
                        "until": each.until_at.isoformat(),
                        "delayed": each.delayed_count,
                    }
                    for each in past
                ],
            }
        )
    else:
        _print_kinds(kinds, at)
        _print_sign(sign, real_now)
        for each in past:
            click.echo(
                f"Nobody looked from {written(each.from_at)} to {written(each.until_at)} UTC:"
                f" {each.delayed_count} clocks were given more time."
            )
    if is_late:
        raise click.exceptions.Exit(BAD_NEWS)


def _counted(each: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    next_at = each["next_at"]
    return {
        "kind": each["kind"],
        "running": each["armed"],
        "stopped": each["paused"],
        "overdue": each["overdue"],
        "failed": each["failed"],
        "next_at": next_at.isoformat() if next_at else None,
        "late_s": _late(each, at),
    }


def _late(each: Mapping[str, Any], at: datetime) -> int:
    """By how many seconds the oldest of a kind is overdue, its grace taken off."""
    if not each["overdue"]:
        return 0
    late: timedelta = at - each["next_at"] - GRACE
    return int(late.total_seconds())


def _print_kinds(kinds: Sequence[Mapping[str, Any]], at: datetime) -> None:
    if not kinds:
        click.echo("No clock runs.", err=True)
        return
    print_table(
        ("clock", "running", "stopped", "overdue", "late, s", "failed", "next, UTC"),
        [
            (
                str(each["kind"]),
                f"{each['armed']:,}",
                f"{each['paused']:,}",
                f"{each['overdue']:,}",
                f"{_late(each, at):,}",
                f"{each['failed']:,}",
                written(each["next_at"]) if each["next_at"] else "",
            )
            for each in kinds
        ],
        right=("running", "stopped", "overdue", "late, s", "failed"),
    )


def _print_sign(sign: datetime | None, real_now: datetime) -> None:
    if sign is None:
        click.echo("No worker has looked at them yet: start one with `holdfast worker`.", err=True)
        return
    ago = int((real_now - sign).total_seconds())
    click.echo(f"A worker last looked {ago} s ago.")


def _tell(found: Sequence[ClockSeen], *, as_json: bool) -> None:
    if as_json:
        print_json([show(each) for each in found])
        return
    if not found:
        click.echo("No clock runs there.", err=True)
        return
    print_table(
        ("subject", "clock", "rings, UTC", "what then happens", "notice"),
        [
            (
                each.timer.subject,
                each.timer.kind,
                written(each.due_at) if each.due_at else f"stands, {each.remaining} left",
                each.consequence,
                "missing" if each.lacks_notice else "",
            )
            for each in found
        ],
    )
