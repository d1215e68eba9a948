"""`holdfast breaks`: what matching leaves over, who looks at it, and how it ends."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import click

from engine.api.reads_breaks import break_json
from engine.commands.acting import act, key_option, tell
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
from reconciliation import service_breaks, store_breaks
from reconciliation.commands_breaks import AssignBreak, BreakCommand, DecideWriteOff

_AT_ONCE: Final = 500
_MOST_SHOWN: Final = 1_000


@click.group()
def command() -> None:
    """What the statements have and the books do not, and the other way round."""


@command.command("list")
@tenant_option
@json_option
@in_words
def list_(tenant_name: str | None, *, as_json: bool) -> None:
    """List open breaks with age and due day; exit 1 if there are any that do not just wait."""
    found: list[Mapping[str, Any]] = []
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            today = clock.now(connection).date()
            after = UUID(int=0)
            while some := store_breaks.list_breaks(connection, after=after, limit=_AT_ONCE):
                found += [break_json(row, today) for row in some]
                after = some[-1]["id"]
    found.sort(key=lambda each: (each["due_on"], each["id"]))
    if as_json:
        print_json({"tenant": tenant.name, "on": today.isoformat(), "breaks": found})
    elif found:
        _tell(found)
    else:
        click.echo("There are no breaks.")
    if any(each["kind"] != "timing" for each in found):
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@click.argument("break_id", type=click.UUID)
@tenant_option
@json_option
@in_words
def show(break_id: UUID, tenant_name: str | None, *, as_json: bool) -> None:
    """Show all that happened to a break and was said of it."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            notes = store_breaks.list_notes(connection, break_id)
    if as_json:
        print_json({"break_id": str(break_id), "notes": notes})
        return
    rows = [[each[name] for name in ("noted_at", "kind", "actor_id", "told")] for each in notes]
    print_table(["when", "what", "who", "words"], rows)


@command.command()
@click.argument("break_id", type=click.UUID)
@click.argument("told")
@click.option("--explains", is_flag=True, help="The words say why the break is there.")
@tenant_option
@key_option
@json_option
@in_words
def comment(
    break_id: UUID,
    told: str,
    *,
    explains: bool,
    tenant_name: str | None,
    secret: str | None,
    as_json: bool,
) -> None:
    """Say something of a break."""
    outcome = act(
        lambda actor: BreakCommand(actor=actor, break_id=break_id, told=told),
        service_breaks.explain if explains else service_breaks.comment,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, "Noted.", as_json=as_json)


@command.command()
@click.argument("break_id", type=click.UUID)
@click.argument("owner_id", type=click.UUID)
@tenant_option
@key_option
@json_option
@in_words
def assign(
    *, break_id: UUID, owner_id: UUID, tenant_name: str | None, secret: str | None, as_json: bool
) -> None:
    """Say who looks at a break."""
    outcome = act(
        lambda actor: AssignBreak(actor=actor, break_id=break_id, owner_id=owner_id),
        service_breaks.assign,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, "Assigned.", as_json=as_json)


@command.command("write-off")
@click.argument("break_id", type=click.UUID)
@click.argument("reason")
@tenant_option
@key_option
@json_option
@in_words
def write_off(
    break_id: UUID, reason: str, *, tenant_name: str | None, secret: str | None, as_json: bool
) -> None:
    """Propose that the platform bears a break; another person decides."""
    outcome = act(
        lambda actor: BreakCommand(actor=actor, break_id=break_id, told=reason),
        service_breaks.propose_write_off,
        tenant_name=tenant_name,
        secret=secret,
    )
    said = f"Proposed as {outcome.facts.get('write_off_id')}; another person decides."
    tell(outcome, said, as_json=as_json)


@command.command()
@click.argument("write_off_id", type=click.UUID)
@click.option("--reject", is_flag=True, help="Reject it instead.")
@click.option("--reason", default="", help="Why.")
@tenant_option
@key_option
@json_option
@in_words
def decide(
    write_off_id: UUID,
    *,
    reject: bool,
    reason: str,
    tenant_name: str | None,
    secret: str | None,
    as_json: bool,
) -> None:
    """Approve a write-off that another person proposed: it is posted and the break is over."""
    outcome = act(
        lambda actor: DecideWriteOff(
            actor=actor, write_off_id=write_off_id, is_approved=not reject, reason=reason
        ),
        service_breaks.decide_write_offs,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, "Rejected." if reject else "Written off.", as_json=as_json)


def _tell(found: Sequence[Mapping[str, Any]]) -> None:
    columns = ("id", "where", "kind", "amount", "age", "due", "state", "what")
    print_table(
        columns,
        [
            [
                each["id"],
                each["rail_account"] or each["place"],
                each["kind"],
                f"{each['amount']['amount']} {each['amount']['currency']}",
                each["bucket"],
                f"{each['due_on']}{' LATE' if each['is_late'] else ''}",
                each["state"],
                each["what"],
            ]
            for each in found[:_MOST_SHOWN]
        ],
        right=["amount"],
    )
    if len(found) > _MOST_SHOWN:
        click.echo(f"... and {len(found) - _MOST_SHOWN} more; --json has them all.")
