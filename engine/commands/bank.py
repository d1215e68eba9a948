"""`holdfast bank`: accounts, and files of payments that two people make and release."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import click

from engine.api.writes_bank import BankAccountBody
from engine.commands.acting import act, actor_of, body_of, key_option, tell
from engine.commands.frame import (
    CouldNotTell,
    database,
    grouped,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from kernel import clock
from kernel.commands import Command
from kernel.database import snapshot, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from payouts import service_bank
from payouts.commands_bank import AddAccount, FileCommand, MakeFile
from rails.bank import store
from rails.bank.model import AccountDetails, FileFormat, file_json

_PAGE = 500
_out = click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the file is written; it is readable by you alone.",
)


@click.group()
def command() -> None:
    """The bank's side of payouts: what waits, files of payments, accounts."""


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_option
@tenant_option
@json_option
@in_words
def account(*, file: Path, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Keep the account of a JSON file, which is as the body of POST /v1/bank_accounts."""
    body = body_of(file, BankAccountBody, what="bank account")
    if body.party_id is None:
        raise CouldNotTell(f"{file} names no party_id.")
    party_id = body.party_id
    outcome = act(
        lambda actor: AddAccount(
            actor=actor,
            account_id=new_id(),
            party_id=party_id,
            details=AccountDetails(body.name, body.iban, body.bic),
            serves=body.serves,
            currency=body.currency,
        ),
        service_bank.add_accounts,
        tenant_name=tenant_name,
        secret=secret,
    )
    last4 = outcome.facts.get("last4", "")
    tell(outcome, f"Kept: {outcome.facts.get('token', '')} (..{last4}).", as_json=as_json)


@command.command()
@tenant_option
@json_option
@in_words
def waiting(*, tenant_name: str | None, as_json: bool) -> None:
    """What waits for a file, by bank of ours and currency."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.sum_waiting(connection)
    if as_json:
        print_json(
            [
                {"source": bank, "currency": currency, "orders": count, "minor": minor}
                for bank, currency, count, minor in found
            ]
        )
        return
    rows = [(bank, str(count), grouped(minor, code), code) for bank, code, count, minor in found]
    print_table(("from", "orders", "sum", "currency"), rows, right=("orders", "sum"))


@command.command()
@click.option("--currency", required=True, metavar="CODE")
@click.option("--on", "on", type=click.DateTime(formats=["%Y-%m-%d"]), help="Today if left out.")
@click.option("--from", "source", default="custody_bank", show_default=True)
@click.option("--format", "form", type=click.Choice([each.value for each in FileFormat]))
@_out
@key_option
@tenant_option
@json_option
@in_words
def file(
    *,
    currency: str,
    on: datetime | None,
    source: str,
    form: str | None,
    out: Path,
    secret: str | None,
    tenant_name: str | None,
    as_json: bool,
) -> None:
    """Make a file of what waits and write it; another person releases it."""
    file_id = new_id()
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        with transaction(opened.engine, tenant) as connection:
            at = clock.now(connection)
            asked = MakeFile(
                actor=actor,
                file_id=file_id,
                currency=currency,
                execute_on=(on or at).date(),
                source=source,
                format=FileFormat(form) if form else None,
            )
            (outcome,) = service_bank.make_files(connection, [asked], at=at)
            made = store.find_file(connection, file_id)
            if made is not None:
                _write(out, service_bank.export_file(connection, made))
    tell(outcome, f"Made: {out}; another person releases {file_id}.", as_json=as_json)


@command.command()
@click.argument("file_id", type=click.UUID)
@_out
@key_option
@tenant_option
@in_words
def export(*, file_id: UUID, out: Path, secret: str | None, tenant_name: str | None) -> None:
    """Write a file of payments again, to the byte; operators in person alone."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        if not actor.is_operator or actor.kind is not PrincipalKind.PERSON:
            raise CouldNotTell("Files of payments are written for operators in person.")
        with snapshot(opened.engine, tenant) as connection:
            found = store.find_file(connection, file_id)
            if found is None:
                raise CouldNotTell("There is no bank file with this id.")
            data = service_bank.export_file(connection, found)
        _write(out, data)
    click.echo(f"{out}: {found.message_id}, sha256 {sha256(data).hexdigest()}")


@command.command()
@click.argument("file_id", type=click.UUID)
@key_option
@tenant_option
@json_option
@in_words
def release(*, file_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Say that a file, which another person made, goes to the bank."""
    outcome = act(
        _decide(file_id), service_bank.release_files, tenant_name=tenant_name, secret=secret
    )
    tell(outcome, f"File {file_id} is released.", as_json=as_json)


@command.command()
@click.argument("file_id", type=click.UUID)
@key_option
@tenant_option
@json_option
@in_words
def withdraw(*, file_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Give up a file that was not released: its payments wait for another."""
    outcome = act(
        _decide(file_id), service_bank.withdraw_files, tenant_name=tenant_name, secret=secret
    )
    tell(outcome, f"File {file_id} is withdrawn.", as_json=as_json)


@command.command(name="list")
@tenant_option
@json_option
@in_words
def list_(*, tenant_name: str | None, as_json: bool) -> None:
    """The newest five hundred files of payments."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.list_files(connection, after=None, limit=_PAGE)
    if as_json:
        print_json([file_json(each) for each in found])
        return
    rows = [
        (
            str(each.id),
            each.format.value,
            each.state.value,
            written(each.made_at),
            str(each.order_count),
            grouped(each.control_minor, each.currency),
            each.currency,
        )
        for each in found
    ]
    head = ("file", "format", "state", "made, UTC", "payments", "control sum", "currency")
    print_table(head, rows, right=("payments", "control sum"))


def _decide(file_id: UUID) -> Callable[[Actor], Command]:
    return lambda actor: FileCommand(actor=actor, file_id=file_id)


def _write(out: Path, data: bytes) -> None:
    """A file that names people and their accounts is its writer's alone."""
    out.touch(mode=0o600)
    out.write_bytes(data)
