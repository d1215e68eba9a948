"""Instant payouts: quoted first, at a fee of their own, to methods and by rails that can.

The fee is posted with the payout (P37, platform.revenue.payout_fee). Runs never pay at once.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, NotPositive, TooLarge, exponent, to_json
from kernel.principals import PrincipalKind
from ledger.model import Draft
from payouts import service, store, store_instant
from payouts.commands import RequestPayout
from payouts.commands_runs import AllowInstant, RequestInstant, SetInstantFee
from payouts.desk import post_facts
from payouts.model_instant import InstantFee, fee_json, instant_fee_minor
from payouts.refusals import NothingLeft, OperatorOnly, UnknownMethod
from payouts.refusals_runs import BadInstantFee, NoInstant, PriceChanged
from rails.capabilities import capabilities_of

_MOST_BPS = 10_000


def set_fees(
    connection: Connection, commands: Sequence[SetInstantFee], *, at: datetime
) -> list[Outcome]:
    """Say what instant payouts cost from a time on; a fee that counts never changes.

    Refuses with `payouts.operator_only`, `payouts.bad_instant_fee`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if not (command.actor.is_operator or command.actor.kind is PrincipalKind.SYSTEM):
                raise OperatorOnly(currency=command.currency)
            fee = _checked(command)
            if command.valid_from < at or not store_instant.add_fee(connection, fee):
                raise BadInstantFee(field="valid_from")
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = fee_json(fee)
        post_facts(
            connection, [Draft("payout_instant_fee.set", "", command.actor, at, detail=told)]
        )
        outcomes.append(done(**told))
    return outcomes


def allow(
    connection: Connection, commands: Sequence[AllowInstant], *, at: datetime
) -> list[Outcome]:
    """Say which methods may be paid at once, as the rail told; an operator's word."""
    known = store.find_methods(connection, [command.method_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if not (command.actor.is_operator or command.actor.kind is PrincipalKind.SYSTEM):
                raise OperatorOnly
            method = known.get(command.method_id)
            if method is None:
                raise UnknownMethod(method_id=str(command.method_id))
            if command.allowed and not capabilities_of(method.rail).instant_payouts:
                raise NoInstant(currency="", rail=method.rail)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        detail = {"method_id": str(method.id), "may_be_instant": command.allowed}
        subject = f"party:{method.party_id}"
        draft = Draft("payout_method.instant", subject, command.actor, at, detail=detail)
        post_facts(connection, [draft])
        store_instant.allow(connection, [method.id], allowed=command.allowed)
        outcomes.append(done(**detail))
    return outcomes


def quote(
    connection: Connection, *, amount_minor: int, currency: str, at: datetime
) -> dict[str, Any]:
    """What an instant payout costs and leaves now, beside an ordinary one.

    Refuses `payouts.no_instant`, `payouts.nothing_left`, `money.*`.
    """
    fee_minor = _fee_minor(connection, amount_minor, currency=currency, at=at)
    plain_minor = store.list_fees(connection, [currency], at).get(currency, 0)
    return {
        "amount": to_json(amount_minor, currency),
        "fee": to_json(fee_minor, currency),
        "net": to_json(amount_minor - fee_minor, currency),
        "ordinary_fee": to_json(plain_minor, currency),
    }


def request(
    connection: Connection, commands: Sequence[RequestInstant], *, at: datetime
) -> list[Outcome]:
    """Ask for payouts at once, each at the fee that its command names: the one that was quoted.

    Refuses like `service.request`, and with `payouts.no_instant`, `instant_fee_changed`.
    """
    able = store_instant.find_able(connection, {command.method_id for command in commands})
    methods = store.find_methods(connection, {command.method_id for command in commands})
    outcomes: list[Outcome | None] = [None] * len(commands)
    asked: dict[int, RequestPayout] = {}
    for number, command in enumerate(commands):
        try:
            method = methods.get(command.method_id)
            if method is None:
                raise UnknownMethod(method_id=str(command.method_id))
            if method.id not in able or not capabilities_of(method.rail).instant_payouts:
                raise NoInstant(currency=command.currency, method_id=str(method.id))
            fee_minor = _fee_minor(
                connection, command.amount_minor, currency=command.currency, at=at
            )
            if fee_minor != command.fee_minor:
                raise PriceChanged(fee=to_json(fee_minor, command.currency))
        except Refusal as refusal:
            outcomes[number] = refused(refusal)
            continue
        asked[number] = RequestPayout(
            actor=command.actor,
            payout_id=command.payout_id,
            payee_id=command.payee_id,
            method_id=command.method_id,
            amount_minor=command.amount_minor,
            currency=command.currency,
            fee_minor=fee_minor,
            instant=True,
        )
    answers = service.request(connection, list(asked.values()), at=at) if asked else []
    for number, answer in zip(asked, answers, strict=True):
        outcomes[number] = answer
    return [outcome for outcome in outcomes if outcome is not None]


def _fee_minor(connection: Connection, amount_minor: int, *, currency: str, at: datetime) -> int:
    exponent(currency)
    if amount_minor <= 0:
        raise NotPositive(amount_minor=amount_minor)
    if amount_minor > MAX_MINOR:
        raise TooLarge(amount_minor=amount_minor)
    found = store_instant.find_fees(connection, [currency], at).get(currency)
    if found is None:
        raise NoInstant(currency=currency)
    plain_minor = store.list_fees(connection, [currency], at).get(currency, 0)
    fee_minor = instant_fee_minor(found, amount_minor=amount_minor, payout_fee_minor=plain_minor)
    if amount_minor <= fee_minor:
        raise NothingLeft(amount=to_json(amount_minor, currency), fee=to_json(fee_minor, currency))
    return fee_minor


def _checked(command: SetInstantFee) -> InstantFee:
    exponent(command.currency)
    for name, minor in (
        ("fixed_minor", command.fixed_minor),
        ("smallest_minor", command.smallest_minor),
        ("largest_minor", command.largest_minor or 0),
    ):
        if not 0 <= minor <= MAX_MINOR:
            raise BadInstantFee(field=name)
    if not 0 <= command.rate_bps <= _MOST_BPS:
        raise BadInstantFee(field="rate_bps")
    if command.largest_minor is not None and command.largest_minor < command.smallest_minor:
        raise BadInstantFee(field="largest_minor")
    return InstantFee(
        currency=command.currency,
        valid_from=command.valid_from,
        rate_bps=command.rate_bps,
        fixed_minor=command.fixed_minor,
        smallest_minor=command.smallest_minor,
        largest_minor=command.largest_minor,
        is_on_top=command.is_on_top,
    )
