"""The commands of clients' wallets."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api import answers_care as answers
from engine.api.calls import Given, Write
from engine.api.models import Amount, Currency, Id, RailName, Request, Time, Token
from engine.api.refusals import Invalid
from engine.api.writes_care import AmountText, minor_of, write
from kernel.commands import Command
from kernel.ids import new_id
from payouts.model_wallet import CloseWallet, SetMinimum, TopUpWallet, Withdraw


class TopUpBody(Request):
    """A payment into a client's wallet; `client_id` may be left out by the client's own key."""

    client_id: Id | None = None
    amount: Amount
    method: Annotated[Token, Field(min_length=1)] = "card"
    rail: RailName | None = None


class WithdrawalBody(Request):
    """Wallet money out; `method_id` is needed for what no payment takes back any more."""

    party_id: Id | None = None
    amount: Amount
    method_id: Id | None = None


class CloseBody(Request):
    """Where the rest goes that no payment takes back any more."""

    method_id: Id | None = None


class MinimumBody(Request):
    """The least of top-ups and withdrawals."""

    currency: Currency
    top_up: AmountText
    withdrawal: AmountText
    valid_from: Time | None = None


def _top_up(given: Given[TopUpBody]) -> Command:
    body = given.body
    client_id = body.client_id or given.actor.party_id
    if client_id is None:
        raise Invalid(errors=[{"field": "client_id", "why": "say whose wallet it is"}])
    return TopUpWallet(
        actor=given.actor,
        top_up_id=new_id(),
        client_id=client_id,
        currency=body.amount.currency,
        amount_minor=body.amount.minor(),
        method=body.method,
        rail_account=given.pays_at(body.rail),
    )


def _withdraw(given: Given[WithdrawalBody]) -> Command:
    body = given.body
    party_id = body.party_id or given.actor.party_id
    if party_id is None:
        raise Invalid(errors=[{"field": "party_id", "why": "say whose wallet it is"}])
    return Withdraw(
        actor=given.actor,
        withdrawal_id=new_id(),
        party_id=party_id,
        currency=body.amount.currency,
        amount_minor=body.amount.minor(),
        method_id=body.method_id,
    )


def _close(given: Given[CloseBody]) -> Command:
    return CloseWallet(
        actor=given.actor, party_id=given.ids["party_id"], method_id=given.body.method_id
    )


def _minimum(given: Given[MinimumBody]) -> Command:
    body = given.body
    return SetMinimum(
        actor=given.actor,
        currency=body.currency,
        top_up_minor=minor_of(body.top_up, currency=body.currency),
        withdrawal_minor=minor_of(body.withdrawal, currency=body.currency),
        valid_from=body.valid_from,
    )


WALLETS: Final[tuple[Write[Any], ...]] = (
    write(
        "/v1/wallets/top_ups",
        TopUpBody,
        _top_up,
        answer=answers.TopUpAnswer,
        service="wallets.top_up",
        summary="Pay into a client's wallet",
        status=201,
    ),
    write(
        "/v1/wallets/withdrawals",
        WithdrawalBody,
        _withdraw,
        answer=answers.WithdrawalAnswer,
        service="wallets.withdraw",
        summary="Take money out of a wallet",
        status=201,
    ),
    write(
        "/v1/wallets/{party_id}/close",
        CloseBody,
        _close,
        answer=answers.ClosedAnswer,
        service="wallets.close",
        summary="Give back all that a wallet has",
    ),
    write(
        "/v1/wallets/minimums",
        MinimumBody,
        _minimum,
        answer=answers.MinimumAnswer,
        service="wallets.set_minimums",
        summary="Say what the least of top-ups and withdrawals is (operator)",
        status=201,
    ),
)
"""Every command on wallets."""
