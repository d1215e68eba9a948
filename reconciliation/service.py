"""Statements come in: each file once, each line once, or the whole of it refused.

How a line is known again, in this order: (1) the same bytes of a file add nothing; (2) a line with
a reference that is its alone (`own_id`) is the line of that reference in its account, and comes
with the same money or the file is refused; (3) any other line is the n-th line of exactly its
content in its account. n is counted from the beginning of the statement, since an overlapping one
lists the same lines again, unless the statement begins with the balance at which a known one ended,
and none of the same days began with it: then it goes on, and n is counted on from what is there.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import exponent
from kernel.principals import Actor, PrincipalKind
from rails.statements.model import Currency, Statement, StatementLine
from rails.statements.reading import read_any
from reconciliation import store_statements as store
from reconciliation.bank_orders import Confirmed, confirm_orders
from reconciliation.commands import OpenAccount, TakeFile
from reconciliation.refusals import (
    AccountExists,
    BadPlace,
    Contradicts,
    OperatorOnly,
    UnknownStatementAccount,
)
from reconciliation.store_statements import Account, KnownFile, NewLine

PLACES: Final = ("processor", "custody_bank", "platform_bank")
_NAMESPACE: Final = UUID("6f0f7f0e-5d0c-5d0b-9d3e-6a7d1f1b7c38")
_RAIL_SOURCES: Final = ("stripe.", "rail.")


def open_accounts(
    connection: Connection, commands: Sequence[OpenAccount], *, at: datetime
) -> list[Outcome]:
    """Say what accounts on statements stand for.

    Refuses `reconciliation.operator_only`, `statement.bad_place`, `statement.account_exists`,
    `money.unknown_currency`.
    """
    store.lock_statements(connection)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            account = _open(connection, command, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        outcomes.append(done(**account_facts(account)))
    return outcomes


def take_files(
    connection: Connection, commands: Sequence[TakeFile], *, at: datetime
) -> list[Outcome]:
    """Take the statements of files in: all of a file, or nothing of it.

    Refuses `reconciliation.operator_only`, `statement.unreadable`, `statement.unknown_account`,
    `statement.contradicts`. A file that was read before adds nothing, and is no refusal.
    """
    store.lock_statements(connection)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            with connection.begin_nested():
                facts = _take_file(connection, command, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        outcomes.append(done(**facts))
    return outcomes


def take_lines(
    connection: Connection,
    account: Account,
    lines: Sequence[StatementLine],
    source: str,
    *,
    actor: Actor,
    at: datetime,
) -> int:
    """Take lines of a rail's own listing in, known ones passed over; how many were new.

    Each must have its `own_id`. Refuses `statement.contradicts`.
    """
    assert all(line.own_id for line in lines), "a listing names its lines"
    store.lock_statements(connection)
    days = [line.booked_on for line in lines]
    statement = Statement(
        source=source,
        account="",
        currency=account.currency,
        from_on=min(days, default=None),
        to_on=max(days, default=None),
        lines=tuple(lines),
    )
    sorted_lines = _sort(connection, account, statement)
    if sorted_lines.new:
        _add(connection, account, statement, sorted_lines, file=(None, 1), actor=actor, at=at)
    return len(sorted_lines.new)


def account_of(
    connection: Connection, reference: str, currency: Currency, *, actor: Actor, at: datetime
) -> Account:
    """The account of a rail by its name (`stripe`, `stripe:acct_1`), opened where it is new."""
    store.lock_statements(connection)
    found = store.find_account(connection, reference, currency)
    if found is not None:
        return found
    return _open(
        connection,
        OpenAccount(
            actor=actor,
            reference=reference,
            currency=currency,
            place="processor",
            rail_account=reference,
        ),
        at,
    )


def unknown_accounts(connection: Connection, name: str, data: bytes) -> list[tuple[str, str]]:
    """Accounts of a file, by reference and currency, that nobody has opened; each once.

    Refuses `statement.unreadable`.
    """
    told = {(each.account, each.currency) for each in read_any(name, data)}
    return sorted(each for each in told if store.find_account(connection, *each) is None)


def check_operator(actor: Actor) -> None:
    """Refuse whoever does not work for the platform: its people and its programs."""
    is_ours = actor.is_operator or actor.kind is not PrincipalKind.PERSON
    if not is_ours or actor.party_id is not None:
        raise OperatorOnly


def account_facts(account: Account) -> dict[str, Any]:
    """An account for the API and the command line."""
    return {
        "account_id": str(account.id),
        "label": account.label,
        "currency": account.currency,
        "place": account.place,
        "rail_account": account.rail_account,
    }


def _open(connection: Connection, command: OpenAccount, at: datetime) -> Account:
    exponent(command.currency)
    is_processor = command.place == "processor"
    if command.place not in PLACES or is_processor != bool(command.rail_account):
        raise BadPlace(place=command.place[:40], rail_account=command.rail_account[:80])
    if not command.reference.strip():
        raise BadPlace(reference="")
    if store.find_account(connection, command.reference, command.currency) is not None:
        raise AccountExists(label=_label(command.reference), currency=command.currency)
    account = Account(
        id=uuid5(_NAMESPACE, f"{command.reference}|{command.currency}"),
        label=_label(command.reference),
        currency=command.currency,
        place=command.place,
        rail_account=command.rail_account,
        opened_at=at,
    )
    store.add_account(
        connection, account, reference=command.reference, by=command.actor.principal_id
    )
    return account


def _label(reference: str) -> str:
    """A rail account's name, or the end of a bank's number."""
    digits = sum(sign.isdigit() for sign in reference)
    return f"...{reference[-4:]}" if digits > 5 and ":" not in reference else reference[:80]


def _take_file(connection: Connection, command: TakeFile, at: datetime) -> dict[str, Any]:
    hashed = sha256(command.data).digest()
    known = store.find_file(connection, hashed)
    if known is not None:
        told = {"known_since": known.taken_at.isoformat(), "statements": []}
        return {"name": command.name[:255], "hash": hashed.hex(), "new_lines": 0, **told}
    statements = read_any(command.name, command.data)
    accounts = [_account_for(connection, statement, command.actor, at) for statement in statements]
    file = KnownFile(command.name[:255], statements[0].source, len(statements), at)
    store.add_file(
        connection, hashed, file, byte_count=len(command.data), by=command.actor.principal_id
    )
    told_statements = [
        _take_statement(connection, account, statement, (hashed, number), command.actor, at)
        for number, (statement, account) in enumerate(
            zip(statements, accounts, strict=True), start=1
        )
    ]
    return {
        "name": file.name,
        "hash": hashed.hex(),
        "known_since": None,
        "format": file.format,
        "new_lines": sum(told["new_lines"] for told in told_statements),
        "statements": told_statements,
    }


def _account_for(
    connection: Connection, statement: Statement, actor: Actor, at: datetime
) -> Account:
    found = store.find_account(connection, statement.account, statement.currency)
    if found is not None:
        return found
    if statement.source.startswith(_RAIL_SOURCES):
        return account_of(connection, statement.account, statement.currency, actor=actor, at=at)
    raise UnknownStatementAccount(
        account=_label(statement.account), currency=statement.currency, line=statement.file_line
    )


def _take_statement(
    connection: Connection,
    account: Account,
    statement: Statement,
    file: tuple[bytes, int],
    actor: Actor,
    at: datetime,
) -> dict[str, Any]:
    sorted_lines = _sort(connection, account, statement)
    statement_id = _add(connection, account, statement, sorted_lines, file=file, actor=actor, at=at)
    confirmed = Confirmed(0, 0, ())
    if account.place != "processor":
        some = [new.line for new in sorted_lines.new]
        confirmed = confirm_orders(connection, account.place, some, at=at)
    return {
        "statement_id": str(statement_id),
        **account_facts(account),
        "source": statement.source,
        "from_on": statement.from_on.isoformat() if statement.from_on else None,
        "to_on": statement.to_on.isoformat() if statement.to_on else None,
        "new_lines": len(sorted_lines.new),
        "known_lines": len(sorted_lines.known),
        "left_out": sorted_lines.left_out,
        "orders_booked": confirmed.booked,
        "orders_returned": confirmed.returned,
        "orders_refused": list(confirmed.refused),
    }


@dataclass(slots=True)
class _Sorted:
    """A statement's lines: new ones, those known before (number, id), and how many do not count."""

    new: list[NewLine]
    known: list[tuple[int, UUID]]
    left_out: int


def _sort(connection: Connection, account: Account, statement: Statement) -> _Sorted:
    counted = [
        (number, line)
        for number, line in enumerate(statement.lines, start=1)
        if _counts(account, statement, line)
    ]
    told = _identities(connection, account, statement, [line for _, line in counted])
    there = store.find_lines(connection, account.id, told)
    found = _Sorted([], [], len(statement.lines) - len(counted))
    for (number, line), identity in zip(counted, told, strict=True):
        known = there.get(identity)
        if known is None:
            line_id = uuid5(account.id, identity)
            found.new.append(NewLine(line_id, number, identity, line))
            continue
        if known.amount_minor != line.amount_minor:
            raise Contradicts(
                line=line.file_line,
                ref=line.ref[:80],
                amount_minor=line.amount_minor,
                known_minor=known.amount_minor,
            )
        found.known.append((number, known.id))
    return found


def _counts(account: Account, statement: Statement, line: StatementLine) -> bool:
    """Booked money; and what a processor sets in reserve stays with the processor."""
    is_inside = (
        account.place == "processor" and statement.opening_minor is None and "reserve" in line.kind
    )
    return not line.is_pending and line.amount_minor != 0 and not is_inside


def _identities(
    connection: Connection,
    account: Account,
    statement: Statement,
    lines: Sequence[StatementLine],
) -> list[str]:
    contents = [(_content(line), line) for line in lines if not line.own_id]
    nth: Counter[str] = Counter()
    if contents and store.goes_on(connection, account.id, statement):
        nth = store.count_like(connection, account.id, contents)
    told: list[str] = []
    for line in lines:
        if line.own_id:
            told.append(f"ref:{line.own_id}")
            continue
        content = _content(line)
        nth[content] += 1
        told.append(f"content:{content}:{nth[content]}")
    return told


def _content(line: StatementLine) -> str:
    """All that a line without a reference of its own says, as one hash."""
    parts = (
        line.booked_on.isoformat(),
        line.value_on.isoformat(),
        str(line.amount_minor),
        line.currency,
        *(line.ref, line.end_to_end_id, line.group_ref, line.trace_ref),
        *line.other_refs,
        line.kind,
        line.text,
    )
    return sha256("\x1f".join(parts).encode()).hexdigest()


def _add(
    connection: Connection,
    account: Account,
    statement: Statement,
    sorted_lines: _Sorted,
    *,
    file: tuple[bytes | None, int],
    actor: Actor,
    at: datetime,
) -> UUID:
    statement_id = new_id()
    store.add_statement(
        connection,
        statement,
        statement_id=statement_id,
        account_id=account.id,
        place=file,
        counts=(len(sorted_lines.new), len(sorted_lines.known), sorted_lines.left_out),
        by=actor.principal_id,
        at=at,
    )
    if sorted_lines.new:
        store.add_lines(
            connection, sorted_lines.new, statement_id=statement_id, account_id=account.id
        )
    if sorted_lines.known:
        store.add_overlap(connection, statement_id, sorted_lines.known)
    return statement_id
