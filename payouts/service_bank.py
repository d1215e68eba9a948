"""Bank accounts, files of payments by two people, and what statements say of them.

Details of an account are sealed with the key of its party. A file is written anew from its orders
each time it is exported, and must come out with the hash that it was made with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.money import exponent
from kernel.principals import Actor
from ledger import parties, personal
from ledger.model import Draft
from ledger.model_parties import PartyKind
from payouts import service, settlement
from payouts.checks_bank import check_maker, of_listed, why_lost
from payouts.commands_bank import AddAccount, EndAccount, FileCommand, MakeFile
from payouts.desk import post_facts, twice_in
from payouts.refusals import OperatorOnly, SanctionsHit, SubjectTwice, UnknownPayee
from payouts.rules import role_of
from rails import service as rails
from rails.bank import store
from rails.bank.files import write
from rails.bank.model import (
    AccountDetails,
    BankAccount,
    BankFile,
    BankMatch,
    BankOrder,
    FileFormat,
    FileState,
    OrderState,
    Payment,
    account_json,
    file_json,
)
from rails.bank.refusals import (
    AccountServes,
    AmountDiffers,
    BadAccount,
    BadDay,
    DetailsErased,
    FileTakesTwo,
    FileWrongState,
    NoOwnAccount,
    NothingToFile,
    OrderWrongState,
    UnknownAccount,
    UnknownFile,
    UnknownOrder,
)
from rails.bank.rules import AFTER, checked, result_of
from rails.model import RailAccount
from rails.telling import ResultHandler

MOST_ORDERS: Final = 2_000
"""Payments of one file (some two seconds of checking); what is more waits for the next."""

_BANKS: Final = frozenset({RailAccount.CUSTODY_BANK.value, RailAccount.PLATFORM_BANK.value})
_LONGEST_WAIT: Final = timedelta(days=366)

RESULT_HANDLERS: Final[Mapping[str, ResultHandler]] = MappingProxyType(
    {service.HANDLER: service.hear, settlement.HANDLER: settlement.hear_transfers}
)
"""Who hears of orders: payouts, and transfers between our banks."""


def add_accounts(
    connection: Connection, commands: Sequence[AddAccount], *, at: datetime
) -> list[Outcome]:
    """Keep accounts, sealed; a bank of ours belongs to a party of the kind operator.

    Refuses with `payouts.unknown_payee`, `not_yours`, `operator_only`, `bank.bad_account`,
    `bank.account_serves`, `money.unknown_currency`.
    """
    known = parties.lock_share(connection, {command.party_id for command in commands})
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            party = known.get(command.party_id)
            if party is None:
                raise UnknownPayee(payee_id=str(command.party_id))
            details = checked(command.details)
            _check_account(connection, command, is_ours=party.kind is PartyKind.OPERATOR)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        account = BankAccount(
            id=command.account_id,
            party_id=command.party_id,
            sealed=b"",
            country=details.iban[:2],
            last4=details.iban[-4:],
            serves=command.serves,
            currency=command.currency,
            added_at=at,
        )
        key = personal.get_keys(connection, [command.party_id], at=at)[command.party_id]
        sealed = key.seal(_plain(details), bound_to=account.bound_to)
        told = account_json(account)
        detail = {name: told[name] for name in ("account_id", "country", "last4", "serves")}
        subject = f"party:{account.party_id}"
        post_facts(
            connection, [Draft("bank_account.added", subject, command.actor, at, detail=detail)]
        )
        store.add_accounts(connection, [replace(account, sealed=sealed)])
        outcomes.append(done(**told))
    return outcomes


def end_accounts(
    connection: Connection, commands: Sequence[EndAccount], *, at: datetime
) -> list[Outcome]:
    """Let nothing more be ordered to accounts; refuses `bank.unknown_account`."""
    outcomes: list[Outcome] = []
    for command in commands:
        named = str(command.account_id)
        try:
            found = store.find_accounts(connection, [command.account_id]).get(command.account_id)
            if found is None or found.ended_at is not None:
                raise UnknownAccount(account_id=named)
            role_of(command.actor, found.party_id)
            if found.serves and not command.actor.is_operator:
                raise OperatorOnly
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        subject, detail = f"party:{found.party_id}", {"account_id": named, "last4": found.last4}
        post_facts(
            connection, [Draft("bank_account.ended", subject, command.actor, at, detail=detail)]
        )
        store.end_account(connection, found.id, at)
        outcomes.append(done(**account_json(replace(found, ended_at=at))))
    return outcomes


def make_files(
    connection: Connection, commands: Sequence[MakeFile], *, at: datetime
) -> list[Outcome]:
    """Put the orders that wait into files, which another person releases.

    An order whose account was erased meanwhile, or whose payee was found on a sanctions list, is
    refused by itself. Refuses with
    `bank.file_in_person`, `nothing_to_file`, `no_own_account`, `bad_day`, `cannot_write`,
    `payouts.operator_only`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_maker(command.actor)
            exponent(command.currency)
            if not at.date() <= command.execute_on <= at.date() + _LONGEST_WAIT:
                raise BadDay(execute_on=command.execute_on.isoformat())
            file, orders, lost = _put_together(connection, command, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = file_json(file)
        post_facts(connection, [_draft(file, "bank_file.made", command.actor, at)])
        store.add_file(connection, file)
        ids = [order.id for order in orders]
        store.move_orders(connection, ids, OrderState.FILED, file_id=file.id)
        if lost:
            store.save_heard(connection, lost)
        outcomes.append(done(**told))
    return outcomes


def release_files(
    connection: Connection, commands: Sequence[FileCommand], *, at: datetime
) -> list[Outcome]:
    """Say that a file goes to the bank; who made it cannot.

    Refuses with `bank.file_in_person`, `unknown_file`, `file_wrong_state`, `file_takes_two`, and
    with `payouts.sanctions_hit` where a payee was found on a list since: it is withdrawn then.
    """
    return [_decide(connection, command, FileState.RELEASED, at) for command in commands]


def withdraw_files(
    connection: Connection, commands: Sequence[FileCommand], *, at: datetime
) -> list[Outcome]:
    """Give up a file that was not released: its orders wait for another."""
    return [_decide(connection, command, FileState.WITHDRAWN, at) for command in commands]


def export_file(connection: Connection, file: BankFile) -> bytes:
    """The bytes of a file, the same each time; Broken if they do not have its hash.

    Refuses with `bank.file_wrong_state` (withdrawn) and `bank.details_erased`.
    """
    if file.state is FileState.WITHDRAWN:
        raise FileWrongState(file_id=str(file.id), state=file.state.value)
    orders = store.list_of_file(connection, file.id)
    opened = _open_all(connection, orders, file.currency)
    payer = store.find_accounts(connection, [file.account_id])[file.account_id]
    details = _opened(connection, [payer])[0]
    if details is None or any(to is None for to in opened):
        raise DetailsErased(file_id=str(file.id))
    payments = [_payment(order, to) for order, to in zip(orders, opened, strict=True) if to]
    written = write(file, payments, details)
    if sha256(written).digest() != file.content_sha256:
        raise Broken("a bank file came out otherwise than it was made", file_id=str(file.id))
    return written


def confirm(connection: Connection, matches: Sequence[BankMatch], at: datetime) -> list[Outcome]:
    """Book what statements say of orders: made, come back, or rejected.

    What was heard before changes nothing. Refuses with `bank.unknown_order`,
    `bank.order_wrong_state`, `bank.amount_differs`, `payouts.subject_twice`.
    """
    ids = [match.operation_id for match in matches]
    twice = twice_in(ids)
    known = store.lock_orders(connection, ids)
    operations = {each.id: each for each in rails.list_operations(connection, ids)}
    outcomes: list[Outcome] = []
    heard: list[BankOrder] = []
    for match in matches:
        try:
            if match.operation_id in twice:
                raise SubjectTwice(operation_id=str(match.operation_id))
            order = _after(known.get(match.operation_id), match)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        if order is not known[match.operation_id]:
            heard.append(order)
        outcomes.append(done(operation_id=str(order.id), state=order.state.value))
    if heard:
        store.save_heard(connection, heard)
        results = [result_of(order, operations[order.id]) for order in heard]
        for name, news in sorted(rails.store_results(connection, results, at).items()):
            RESULT_HANDLERS[name](connection, news, at)
    return outcomes


def _after(order: BankOrder | None, match: BankMatch) -> BankOrder:
    """The order as it is by this word; the very same if it says nothing new."""
    facts = {"operation_id": str(match.operation_id), "heard": match.heard.value}
    if order is None:
        raise UnknownOrder(**facts)
    if (order.amount_minor, order.currency) != (match.amount_minor, match.currency):
        raise AmountDiffers(**facts, statement_minor=match.amount_minor)
    if not 0 <= match.kept_minor <= order.amount_minor:
        raise AmountDiffers(**facts, kept_minor=match.kept_minor)
    to = AFTER.get((order.state, match.heard))
    if to is None:
        if (order.state.value, order.statement_ref) == (match.heard.value, match.statement_ref):
            return order
        raise OrderWrongState(**facts, state=order.state.value)
    return replace(
        order,
        state=to,
        code=match.code,
        kept_minor=match.kept_minor if to is OrderState.RETURNED else 0,
        statement_ref=match.statement_ref,
        heard_at=match.occurred_at,
    )


def _put_together(
    connection: Connection, command: MakeFile, at: datetime
) -> tuple[BankFile, list[BankOrder], list[BankOrder]]:
    """The file, its orders, and the orders that nobody can pay any more."""
    waiting = store.lock_waiting(
        connection, source=command.source, currency=command.currency, limit=MOST_ORDERS
    )
    own = store.find_serving(connection, [command.source], currency=command.currency)
    if command.source not in own:
        raise NoOwnAccount(source=command.source, currency=command.currency)
    payer = own[command.source]
    opened = _open_all(connection, waiting, command.currency)
    listed = of_listed(connection, waiting)
    pairs = [
        (order, to)
        for order, to in zip(waiting, opened, strict=True)
        if to is not None and order.id not in listed
    ]
    paid = {order.id for order, _ in pairs}
    lost = [
        replace(order, state=OrderState.REFUSED, code=why_lost(order, listed), heard_at=at)
        for order in waiting
        if order.id not in paid
    ]
    details = _opened(connection, [payer])[0]
    if not pairs or details is None:
        raise NothingToFile(source=command.source, currency=command.currency)
    is_euro = command.currency == "EUR"
    form = command.format or (FileFormat.PAIN_03 if is_euro else FileFormat.CSV)
    if is_euro == (form is FileFormat.CSV):
        raise BadAccount(field="format")
    file = BankFile(
        id=command.file_id,
        message_id=f"HF{command.file_id.hex}",
        format=form,
        account_id=payer.id,
        currency=command.currency,
        execute_on=command.execute_on,
        order_count=len(pairs),
        control_minor=sum(order.amount_minor for order, _ in pairs),
        content_sha256=b"",
        made_by=command.actor.principal_id,
        made_at=at,
    )
    written = write(file, [_payment(order, to) for order, to in pairs], details)
    whole = replace(file, content_sha256=sha256(written).digest())
    return whole, [order for order, _ in pairs], lost


def _decide(connection: Connection, command: FileCommand, to: FileState, at: datetime) -> Outcome:
    try:
        check_maker(command.actor)
        file = store.lock_file(connection, command.file_id)
        if file is None:
            raise UnknownFile(file_id=str(command.file_id))
        if file.state is not FileState.MADE:
            raise FileWrongState(file_id=str(file.id), state=file.state.value)
        by = command.actor.principal_id
        if to is FileState.RELEASED and by == file.made_by:
            raise FileTakesTwo(file_id=str(file.id))
        if to is FileState.RELEASED:
            export_file(connection, file)
            listed = of_listed(connection, store.list_of_file(connection, file.id))
            if listed:
                raise SanctionsHit(payee_id=str(min(listed.values())))
    except Refusal as refusal:
        return refused(refusal)
    decided = replace(file, state=to, decided_by=by, decided_at=at)
    kind = f"bank_file.{to.value}"
    post_facts(connection, [_draft(decided, kind, command.actor, at, reason=command.reason)])
    ids = [order.id for order in store.list_of_file(connection, file.id)]
    is_released = to is FileState.RELEASED
    state = OrderState.RELEASED if is_released else OrderState.ORDERED
    store.move_orders(connection, ids, state, file_id=file.id if is_released else None)
    store.decide_file(connection, file.id, to, by=by, at=at)
    return done(**file_json(decided))


def _open_all(
    connection: Connection, orders: Sequence[BankOrder], currency: str
) -> list[AccountDetails | None]:
    """Whom each order pays, opened; None where the details were erased."""
    accounts = store.find_accounts(connection, {o.account_id for o in orders if o.account_id})
    targets = {order.target for order in orders if order.target}
    own = store.find_serving(connection, targets, currency=currency)
    if targets - own.keys():
        raise NoOwnAccount(source=min(targets - own.keys()), currency=currency)
    to = [accounts[o.account_id] if o.account_id else own[o.target] for o in orders]
    return _opened(connection, to)


def _opened(connection: Connection, accounts: Sequence[BankAccount]) -> list[AccountDetails | None]:
    texts = personal.opened(connection, [(each.sealed, each.bound_to) for each in accounts])
    return [None if text is None else AccountDetails(**orjson.loads(text)) for text in texts]


def _payment(order: BankOrder, to: AccountDetails) -> Payment:
    return Payment(end_to_end_id=order.end_to_end_id, to=to, amount_minor=order.amount_minor)


def _plain(details: AccountDetails) -> str:
    told = {"name": details.name, "iban": details.iban, "bic": details.bic}
    return orjson.dumps(told).decode()


def _check_account(connection: Connection, command: AddAccount, *, is_ours: bool) -> None:
    if command.account_id in store.find_accounts(connection, [command.account_id]):
        raise BadAccount(field="account_id")
    if not command.serves:
        role_of(command.actor, command.party_id)
        if command.currency is not None:
            raise BadAccount(field="currency")
        return
    if not command.actor.is_operator:
        raise OperatorOnly
    if command.serves not in _BANKS or not is_ours or command.currency is None:
        raise BadAccount(field="serves")
    exponent(command.currency)
    if store.find_serving(connection, [command.serves], currency=command.currency):
        raise AccountServes(serves=command.serves, currency=command.currency)


def _draft(file: BankFile, kind: str, actor: Actor, at: datetime, *, reason: str = "") -> Draft:
    told: dict[str, Any] = file_json(file)
    names = ("message_id", "format", "execute_on", "order_count", "control_sum", "content")
    detail = {name: told[name] for name in names}
    return Draft(kind, f"bank_file:{file.id}", actor, at, reason=reason, detail=detail)
