"""Decisions on conversions: exchanging what a payee may withdraw, and what a provider filled."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from commissions.commands_fx import AskQuote
from commissions.maths_fx import share_gap
from commissions.model_fx import Conversion, ConversionKind, ConvertAt, Fill, FixedSide, Quote
from commissions.refusals_fx import (
    AlreadyFilled,
    FillInAnotherCurrency,
    FillTaken,
    OnHold,
    PartyNotClear,
    QuoteOfAnotherPair,
    UnknownConversion,
)
from commissions.rules_fx import check_operator, check_use
from escrow.commands_fx import Convert, RecordFill
from escrow.model import Contract, Funding, Method, Plan, Purpose
from escrow.movements_fx import convert_balance, p34_fill
from escrow.refusals import ContractNotRunning, UnknownContract
from escrow.rules_deal import event
from kernel.money import MAX_MINOR, NotPositive, TooLarge, to_json
from ledger.chart import account
from ledger.model import AccountKey
from rails.rates.model import show_rate


def release_margin_bps(contract: Contract | None, command: AskQuote) -> int:
    """Our margin on a release under a contract, that a quote is asked for by one of its sides.

    Refuses `escrow.unknown_contract`, `escrow.contract_not_running`, `fx.quote_does_not_fit`.
    """
    sides = {contract.client_id, contract.payee_id} if contract else set()
    if contract is None or not (command.actor.is_operator or command.actor.party_id in sides):
        raise UnknownContract(contract_id=str(command.contract_id))
    if contract.accepted_at is None:
        raise ContractNotRunning(contract_id=str(contract.id), state=contract.state)
    terms = contract.terms
    fits = (command.sold, command.bought) == (contract.currency, terms.payee_currency)
    is_at_release = terms.convert_at is ConvertAt.RELEASE and command.fixed is FixedSide.SELL
    if not fits or not is_at_release or command.party_id not in sides:
        raise QuoteOfAnotherPair(contract_id=str(contract.id))
    return contract.pins.fx_margin_bps


def convert(
    quote: Quote | None,
    command: Convert,
    at: datetime,
    *,
    unclear: frozenset[UUID],
    held: Mapping[UUID, tuple[str, ...]],
) -> tuple[Plan, Conversion]:
    """Exchange at a quote: both amounts are its own.

    Refuses `fx.unknown_quote`, `fx.quote_used`, `fx.quote_expired`, `fx.party_not_clear`,
    `fx.on_hold`.
    """
    actor = command.actor
    party_id = quote.party_id if quote and actor.is_operator else actor.party_id
    used = check_use(quote, command.quote_id, party_id=party_id or UUID(int=0), at=at)
    if used.party_id in unclear:
        raise PartyNotClear(party_id=str(used.party_id))
    if held.get(used.party_id):
        raise OnHold(party_id=str(used.party_id), holds=list(held[used.party_id]))
    made = conversion_at(
        used,
        at,
        conversion_id=command.conversion_id,
        kind=ConversionKind.BALANCE if command.is_wallet else ConversionKind.PAYOUT,
        subject=f"party:{used.party_id}",
    )
    entries = convert_balance(
        kind="custody.wallet" if command.is_wallet else "custody.earned_available",
        party_id=made.party_id,
        sold=made.sold,
        bought=made.bought,
        sold_minor=made.sold_minor,
        bought_minor=made.bought_minor,
    )
    facts = conversion_facts(made)
    draft = event(
        command,
        at,
        kind="conversion.made",
        subject=subject_of(made),
        entries=entries,
        detail=without_id(facts),
    )
    return Plan(drafts=(draft,), facts=facts), made


def fill(
    conversion: Conversion | None,
    command: RecordFill,
    at: datetime,
    *,
    taken: Mapping[tuple[str, str], Conversion],
) -> tuple[Plan, Fill | None]:
    """Book what the provider gave (P34, P36); the same fill again changes nothing.

    Refuses `fx.not_operator`, `fx.unknown_conversion`, `fx.fill_in_another_currency`,
    `fx.fill_taken`, `fx.already_filled`.
    """
    check_operator(command.actor)
    _check_fill(command)
    if conversion is None:
        raise UnknownConversion(conversion_id=str(command.conversion_id))
    if command.currency not in {"", conversion.bought}:
        raise FillInAnotherCurrency(currency=conversion.bought, given=command.currency)
    name = {"provider": command.provider, "provider_ref": command.provider_ref}
    before = taken.get((command.provider, command.provider_ref))
    if before is not None:
        is_same = before.id == conversion.id and before.fill is not None
        if not is_same or before.fill is None or before.fill.filled_minor != command.filled_minor:
            raise FillTaken(**name, conversion_id=str(before.id))
        return Plan(drafts=(), facts=conversion_facts(before)), None
    if conversion.fill is not None:
        raise AlreadyFilled(
            provider=conversion.fill.provider, provider_ref=conversion.fill.provider_ref
        )
    given = _given(conversion, command, at)
    entries = p34_fill(
        sold=conversion.sold,
        bought=conversion.bought,
        sold_minor=conversion.sold_minor,
        filled_minor=given.filled_minor,
        owed_minor=conversion.bought_minor,
        margin_minor=conversion.margin_minor,
        paid_from=paid_from(conversion),
    )
    facts = conversion_facts(conversion, given)
    draft = event(
        command,
        at,
        kind="conversion.filled",
        subject=subject_of(conversion),
        entries=entries,
        detail=without_id(facts),
    )
    return Plan(drafts=(draft,), facts=facts), given


def _given(conversion: Conversion, command: RecordFill, at: datetime) -> Fill:
    gap = share_gap(
        filled_minor=command.filled_minor,
        owed_minor=conversion.bought_minor,
        margin_minor=conversion.margin_minor,
    )
    return Fill(
        filled_minor=command.filled_minor,
        filled_at=at,
        provider=command.provider,
        provider_ref=command.provider_ref,
        gap_minor=gap.due_to_platform_minor,
        loss_minor=gap.loss_minor,
    )


def conversion_at(
    used: Quote, at: datetime, *, conversion_id: UUID, kind: ConversionKind, subject: str
) -> Conversion:
    """The conversion that a quote is used for: both amounts are the quote's own."""
    return Conversion(
        id=conversion_id,
        kind=kind,
        subject=subject,
        party_id=used.party_id,
        mid=used.mid,
        rate=used.rate,
        margin_bps=used.margin_bps,
        sold_minor=used.sold_minor,
        bought_minor=used.bought_minor,
        margin_minor=used.margin_minor,
        at=at,
        quote_id=used.id,
    )


def at_quote(
    funding: Funding, quote: Quote | None, at: datetime, *, client_id: UUID, quote_id: UUID
) -> Funding:
    """The same payment in the currency that the quote sells; it buys exactly what is asked.

    Refuses `fx.unknown_quote`, `fx.quote_used`, `fx.quote_expired`, `fx.quote_does_not_fit`.
    """
    used = check_use(quote, quote_id, party_id=client_id, at=at)
    is_plain = funding.purpose is Purpose.SLOT and funding.method is Method.CARD
    fits = (used.mid.bought, used.bought_minor) == (funding.currency, funding.asked_minor)
    if not is_plain or not fits:
        raise QuoteOfAnotherPair(
            quote_id=str(quote_id), asked=to_json(funding.asked_minor, funding.currency)
        )
    return replace(
        funding,
        currency=used.mid.sold,
        amount_minor=used.sold_minor,
        client_fee_minor=0,
        quote_id=used.id,
    )


def paid_from(conversion: Conversion) -> AccountKey:
    """Where the sold money lies: with the processor that took it, or in the bank."""
    if conversion.rail_account:
        return account("custody.processor_available", conversion.sold, conversion.rail_account)
    return account("custody.bank", conversion.sold)


def subject_of(conversion: Conversion) -> str:
    """The conversion's name in events."""
    return f"conversion:{conversion.id}"


def conversion_facts(conversion: Conversion, given: Fill | None = None) -> dict[str, Any]:
    """What people are told of a conversion; `fill` is null until the provider has filled it."""
    found = given or conversion.fill
    bought = conversion.bought
    return {
        "conversion_id": str(conversion.id),
        "kind": conversion.kind.value,
        "subject": conversion.subject,
        "party_id": str(conversion.party_id),
        "sold": to_json(conversion.sold_minor, conversion.sold),
        "bought": to_json(conversion.bought_minor, bought),
        "mid": show_rate(conversion.mid.rate),
        "rate": show_rate(conversion.rate),
        "margin_bps": conversion.margin_bps,
        "source": conversion.mid.source,
        "as_of": conversion.mid.as_of.isoformat(),
        "quote_id": str(conversion.quote_id) if conversion.quote_id else None,
        "state": "filled" if found else "open",
        "at": conversion.at.isoformat(),
        "fill": _fill_facts(found, conversion) if found else None,
    }


def without_id(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts for an event, whose subject names the conversion already."""
    return {name: value for name, value in facts.items() if name != "conversion_id"}


def _fill_facts(found: Fill, conversion: Conversion) -> dict[str, Any]:
    bought = conversion.bought
    return {
        "provider": found.provider,
        "provider_ref": found.provider_ref,
        "filled": to_json(found.filled_minor, bought),
        "margin": to_json(conversion.margin_minor, bought),
        "loss": to_json(found.loss_minor, bought),
        "gap": to_json(found.gap_minor, bought),
        "filled_at": found.filled_at.isoformat(),
    }


def _check_fill(command: RecordFill) -> None:
    if command.filled_minor <= 0:
        raise NotPositive(amount_minor=command.filled_minor)
    if command.filled_minor > MAX_MINOR:
        raise TooLarge(amount_minor=command.filled_minor)
