"""Where payees want their money, what a payout costs, and letting paused payouts go on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, exponent, to_json
from kernel.principals import PrincipalKind
from ledger import parties
from ledger.model import Draft
from payouts import store
from payouts.commands import AddMethod, Resume, SetFee
from payouts.desk import post_facts
from payouts.model import MethodState, PayoutMethod
from payouts.refusals import (
    BadFee,
    MethodExists,
    NotPaused,
    OperatorOnly,
    SubjectTwice,
    UnknownPayee,
)
from payouts.rules import check_token, role_of


def add_methods(
    connection: Connection, commands: Sequence[AddMethod], *, at: datetime
) -> list[Outcome]:
    """Name places to be paid to.

    Refuses with `payouts.unknown_payee`, `not_yours`, `bad_method`, `method_exists` (the id, or an
    active method of the same token), `subject_twice` (the payee, within one list).
    """
    known = parties.lock_share(connection, {command.party_id for command in commands})
    named = set(store.find_methods(connection, [command.method_id for command in commands]))
    active = {
        (method.party_id, method.token)
        for method in store.list_methods(connection, known)
        if method.state is MethodState.ACTIVE
    }
    counted = Counter(command.party_id for command in commands)
    outcomes: list[Outcome] = []
    added: list[PayoutMethod] = []
    drafts: list[Draft] = []
    for command in commands:
        facts = {"payee_id": str(command.party_id), "method_id": str(command.method_id)}
        try:
            if counted[command.party_id] > 1:
                raise SubjectTwice(**facts)
            if command.party_id not in known:
                raise UnknownPayee(**facts)
            role_of(command.actor, command.party_id)
            check_token(command.token)
            if command.method_id in named or (command.party_id, command.token) in active:
                raise MethodExists(**facts)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        added.append(
            PayoutMethod(id=command.method_id, party_id=command.party_id, token=command.token)
        )
        named.add(command.method_id)
        drafts.append(
            _draft("payout_method.added", command, f"party:{command.party_id}", at, facts)
        )
        outcomes.append(done(**facts, state=MethodState.ACTIVE.value))
    post_facts(connection, drafts)
    if added:
        store.add_methods(connection, added, at)
    return outcomes


def resume(connection: Connection, commands: Sequence[Resume], *, at: datetime) -> list[Outcome]:
    """Let paused payouts go on; refuses with `payouts.operator_only` and `payouts.not_paused`."""
    known = parties.lock_share(connection, {command.party_id for command in commands})
    pauses = store.list_pauses(connection, known)
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        facts = {"payee_id": str(command.party_id)}
        try:
            if not command.actor.is_operator:
                raise OperatorOnly(**facts)
            if command.party_id not in pauses:
                raise NotPaused(**facts)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = {"paused_for": pauses.pop(command.party_id)}
        subject = f"party:{command.party_id}"
        drafts.append(_draft("payouts.resumed", command, subject, at, told, command.reason))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    going_on = [
        command.party_id
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.is_done
    ]
    store.remove_pauses(connection, going_on)
    return outcomes


def set_fees(connection: Connection, commands: Sequence[SetFee], *, at: datetime) -> list[Outcome]:
    """Say what payouts cost from a time on; a fee that counts from a time never changes.

    Refuses with `payouts.operator_only`, `payouts.bad_fee`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        facts = {"currency": command.currency, "valid_from": command.valid_from.isoformat()}
        try:
            _check_fee(command)
            key = (command.currency, command.valid_from)
            if not store.add_fees(connection, {key: command.fee_minor}):
                raise BadFee(**facts)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        fee = to_json(command.fee_minor, command.currency)
        drafts.append(_draft("payout_fee.set", command, "", at, {**facts, "fee": fee}))
        outcomes.append(done(**facts, fee=fee))
    post_facts(connection, drafts)
    return outcomes


def _check_fee(command: SetFee) -> None:
    if not (command.actor.is_operator or command.actor.kind is PrincipalKind.SYSTEM):
        raise OperatorOnly(currency=command.currency)
    exponent(command.currency)
    if not 0 <= command.fee_minor <= MAX_MINOR:
        raise BadFee(fee_minor=command.fee_minor)


def _draft(
    kind: str,
    command: Command,
    subject: str,
    at: datetime,
    detail: Mapping[str, object],
    reason: str = "",
) -> Draft:
    return Draft(kind, subject, command.actor, at, reason=reason, detail=detail)
