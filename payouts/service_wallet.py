"""Clients' wallets: money paid in for nothing in particular, and the least that is moved.

Source: domain/escrow.md 2.10 P06.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, NotPositive, TooLarge, exponent, to_json
from kernel.principals import Actor, PrincipalKind
from ledger.model import Draft
from payouts import store_wallet
from payouts.desk import lock_standings, post_facts
from payouts.model import PayeeStanding
from payouts.model_wallet import (
    SetMinimum,
    TopUp,
    TopUpWallet,
    top_up_facts,
)
from payouts.refusals import (
    NotYours,
    OperatorOnly,
    UnknownPayee,
)
from payouts.refusals_treasury import (
    BadMinimum,
    BelowMinimum,
    TopUpExists,
)
from payouts.rules import check_payee, check_token
from rails import service as rails
from rails.capabilities import capabilities_of, check_amount, rail_of
from rails.model import OperationKind, RailOperation

TOP_UP_HANDLER: Final = "payouts.top_up"
"""The name under which rails report top-ups to `hearing_wallet.hear_top_ups`."""

NO_MINIMUM: Final = (0, 0)


def top_up(
    connection: Connection, commands: Sequence[TopUpWallet], *, at: datetime
) -> list[Outcome]:
    """Ask rails for payments into wallets; booked when they are made. By the client, or for him.

    Refuses `payouts.unknown_payee`, `not_yours`, `not_verified`, `sanctions_hit`, `on_hold`,
    `bad_method`, `wallet.below_minimum`, `wallet.top_up_exists`, `rail.*`, `money.*`.
    """
    standings = lock_standings(connection, {command.client_id for command in commands})
    minimums = store_wallet.list_minimums(connection, at)
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    operations: list[RailOperation] = []
    for command in commands:
        try:
            standing = standing_of(standings, command.client_id, command.actor)
            check_payee(command.client_id, replace(standing, paused_for=None))
            made = _asked(command, minimums.get(command.currency, NO_MINIMUM)[0], at)
            if not store_wallet.add_top_up(connection, made):
                raise TopUpExists(top_up_id=str(made.id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        subject = f"top_up:{made.id}"
        operations.append(
            RailOperation(
                id=made.id,
                kind=OperationKind.FUND,
                handler=TOP_UP_HANDLER,
                subject=subject,
                amount_minor=made.asked_minor,
                currency=made.currency,
                method=made.method,
                facts={"rail_account": made.rail_account},
                rail=rail_of(made.rail_account),
            )
        )
        facts = top_up_facts(made)
        drafts.append(Draft("wallet.top_up_asked", subject, command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    rails.intend(connection, operations, at=at)
    return outcomes


def set_minimums(
    connection: Connection, commands: Sequence[SetMinimum], *, at: datetime
) -> list[Outcome]:
    """Say what the least of top-ups and withdrawals is from a time on; by an operator.

    Refuses `payouts.operator_only`, `wallet.bad_minimum`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        valid_from = command.valid_from or at
        least = command.top_up_minor, command.withdrawal_minor
        try:
            _check_minimum(command)
            if not store_wallet.add_minimum(
                connection,
                command.currency,
                least,
                valid_from=valid_from,
                set_by=command.actor.principal_id,
            ):
                raise BadMinimum(currency=command.currency)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        facts = {
            "currency": command.currency,
            "top_up": to_json(least[0], command.currency),
            "withdrawal": to_json(least[1], command.currency),
            "valid_from": valid_from.isoformat(),
        }
        drafts.append(Draft("wallet.minimum_set", "", command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    return outcomes


def _asked(command: TopUpWallet, least_minor: int, at: datetime) -> TopUp:
    check_minor(command.amount_minor, command.currency)
    check_token(command.method)
    able = capabilities_of(command.rail_account)
    check_amount(command.rail_account, command.amount_minor, currency=command.currency)
    if command.amount_minor < least_minor:
        raise BelowMinimum(least=to_json(least_minor, command.currency))
    return TopUp(
        id=command.top_up_id,
        client_id=command.client_id,
        currency=command.currency,
        asked_minor=command.amount_minor,
        rail_account=able.rail_account,
        method=command.method,
        asked_at=at,
    )


def standing_of(
    standings: Mapping[UUID, PayeeStanding], party_id: UUID, actor: Actor
) -> PayeeStanding:
    """What keeps a party's money; refuses strangers, and parties that are not known."""
    standing = standings.get(party_id)
    is_known = actor.is_operator or actor.party_id == party_id or actor.kind is PrincipalKind.SYSTEM
    if standing is None and is_known:
        raise UnknownPayee(payee_id=str(party_id))
    if standing is None or not is_known:
        raise NotYours(payee_id=str(party_id))
    return standing


def check_minor(amount_minor: int, currency: str) -> None:
    """Refuses `money.*`: an amount is above zero, and not beyond all reason."""
    exponent(currency)
    if amount_minor <= 0:
        raise NotPositive(amount_minor=amount_minor)
    if amount_minor > MAX_MINOR:
        raise TooLarge(amount_minor=amount_minor)


def _check_minimum(command: SetMinimum) -> None:
    if not (command.actor.is_operator or command.actor.kind is PrincipalKind.SYSTEM):
        raise OperatorOnly(currency=command.currency)
    exponent(command.currency)
    if not all(0 <= each <= MAX_MINOR for each in (command.top_up_minor, command.withdrawal_minor)):
        raise BadMinimum(currency=command.currency)
