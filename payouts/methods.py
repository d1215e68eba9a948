"""Where payees want their money, what a payout costs, and letting paused payouts go on."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, exponent, to_json
from kernel.principals import PrincipalKind
from ledger import parties
from ledger.model import Draft
from payouts import store, store_policy
from payouts.commands import AddMethod, Resume, SetFee, VerifyMethod
from payouts.desk import post_facts, twice_in
from payouts.model import MethodState, PayoutMethod
from payouts.model_policy import InForce
from payouts.refusals import (
    BadFee,
    MethodExists,
    NotPaused,
    NotUnverified,
    OperatorOnly,
    SubjectTwice,
    UnknownMethod,
    UnknownPayee,
)
from payouts.rules import check_token, role_of
from rails.capabilities import capabilities_of


def add_methods(
    connection: Connection, commands: Sequence[AddMethod], *, at: datetime
) -> list[Outcome]:
    """Name places to be paid to; the payee hears of it by the event, whoever named it.

    It takes payouts once it is verified, where the policy asks for that, and after its cooling
    time, the first method too. Refuses with `payouts.unknown_payee`, `not_yours`, `bad_method`,
    `method_exists` (the id, or a method of the same rail and token that is not disabled),
    `subject_twice` (the payee, within one list), `rail.unknown`.
    """
    known = parties.lock_share(connection, {command.party_id for command in commands})
    named = set(store.find_methods(connection, [command.method_id for command in commands]))
    there = {
        (method.party_id, method.rail, method.token)
        for method in store.list_methods(connection, known)
        if method.state is not MethodState.DISABLED
    }
    policy = store_policy.find_in_force(connection, at)
    counted = Counter(command.party_id for command in commands)
    outcomes: list[Outcome] = []
    added: list[PayoutMethod] = []
    drafts: list[Draft] = []
    for command in commands:
        facts = {"payee_id": str(command.party_id), "method_id": str(command.method_id)}
        try:
            if counted[command.party_id] > 1:
                raise SubjectTwice(**facts)
            _check_method(command, known)
            key = (command.party_id, command.rail, command.token)
            if command.method_id in named or key in there:
                raise MethodExists(**facts)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        method = _new_method(command, policy, at)
        added.append(method)
        named.add(command.method_id)
        told = {**facts, **_told(method)}
        drafts.append(_draft("payout_method.added", command, f"party:{command.party_id}", at, told))
        outcomes.append(done(**told))
    post_facts(connection, drafts)
    if added:
        store.add_methods(connection, added, at)
    return outcomes


def verify_methods(
    connection: Connection, commands: Sequence[VerifyMethod], *, at: datetime
) -> list[Outcome]:
    """Say that methods were checked to be their payees'; another's word than the payee's own.

    Refuses with `payouts.operator_only`, `unknown_method`, `not_unverified`, `subject_twice`.
    """
    ids = [command.method_id for command in commands]
    seen = store.find_methods(connection, ids)
    parties.lock_share(connection, {method.party_id for method in seen.values()})
    locked = store.lock_methods(connection, ids)
    twice = twice_in(ids)
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    verified: list[PayoutMethod] = []
    for command in commands:
        facts = {"method_id": str(command.method_id)}
        try:
            if command.method_id in twice:
                raise SubjectTwice(**facts)
            method = locked.get(command.method_id)
            if method is None:
                raise UnknownMethod(**facts)
            _check_verifier(command, method)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        method = replace(method, state=MethodState.ACTIVE, verified_at=at)
        verified.append(method)
        told = {"payee_id": str(method.party_id), **facts, **_told(method)}
        subject = f"party:{method.party_id}"
        drafts.append(_draft("payout_method.verified", command, subject, at, told, command.reason))
        outcomes.append(done(**told))
    post_facts(connection, drafts)
    store.save_verified(connection, [method.id for method in verified], at)
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


def _new_method(command: AddMethod, policy: InForce, at: datetime) -> PayoutMethod:
    return PayoutMethod(
        id=command.method_id,
        party_id=command.party_id,
        token=command.token,
        state=MethodState.UNVERIFIED if policy.needs_verifying else MethodState.ACTIVE,
        rail=command.rail,
        usable_from=at + timedelta(days=policy.cooling_days),
    )


def _check_method(command: AddMethod, known: Collection[UUID]) -> None:
    if command.party_id not in known:
        raise UnknownPayee(payee_id=str(command.party_id), method_id=str(command.method_id))
    role_of(command.actor, command.party_id)
    check_token(command.token)
    capabilities_of(command.rail)


def _check_verifier(command: VerifyMethod, method: PayoutMethod) -> None:
    actor = command.actor
    if not actor.is_operator or actor.party_id == method.party_id:
        raise OperatorOnly(method_id=str(method.id))
    if method.state is not MethodState.UNVERIFIED:
        raise NotUnverified(method_id=str(method.id), state=method.state.value)


def _told(method: PayoutMethod) -> dict[str, object]:
    return {
        "rail": method.rail,
        "state": method.state.value,
        "usable_from": method.usable_from.isoformat(),
    }


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
