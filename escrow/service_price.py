"""Looking prices up: the pair's row is locked, schedule, tax and rates of exchange are read.

Called last of all locks before a use case decides: counters come after slots, payments and
disputes (design.md, section 4).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from commissions.maths_fx import customer_rate
from commissions.model import Schedule, Tariff
from commissions.service import find_schedules
from commissions.service_fx import rates_for
from escrow import store_price
from escrow.model import Contract, ConvertAt
from escrow.model_price import Exchange, FeeLine, Pair, Price, Pricing
from escrow.rules import Deal
from escrow.rules_price import flat, month_of
from escrow.store_price import PairKey
from kernel.errors import Broken, Refusal
from rails.rates.model import Rate
from tax.model_vat import Decision
from tax.service_vat import decide_for

Tariffs = Mapping[UUID | None, Tariff]


def price_deals(
    connection: Connection, deals: Iterable[Deal], *, at: datetime, with_lines: bool = False
) -> None:
    """Lock the pairs of the deals, and put on each deal what a release of it costs now.

    `with_lines`: with the fee lines of what was released already, where it may come back.
    """
    known = list(deals)
    if not known:
        return
    lines: dict[UUID, list[FeeLine]] = {}
    if with_lines:
        # Tax is credited under the pairs' locks alone: what they protect is read after them.
        store_price.lock_pairs(connection, [_key(deal.contract) for deal in known])
        for line in store_price.list_lines(connection, slot_ids=[d.slot.id for d in known]):
            if line.slot_id is not None:
                lines.setdefault(line.slot_id, []).append(line)
    contracts = {deal.contract.id: deal.contract for deal in known}
    made = price_contracts(connection, contracts.values(), at=at, lines=_flat(lines))
    for deal in known:
        price = made[deal.contract.id]
        deal.pricing.put(replace(price, lines=tuple(lines.get(deal.slot.id, ()))))


def put_client_tariffs(connection: Connection, deals: Iterable[tuple[Contract, Pricing]]) -> None:
    """Put on each what the client's payments cost: pinned, so nothing is locked."""
    known = list(deals)
    ids = {contract.pins.client_schedule_id for contract, _ in known} - {None}
    schedules = _find(connection, {each for each in ids if each is not None})
    for contract, pricing in known:
        pinned = contract.pins.client_schedule_id
        if pinned is None:
            pricing.put_client(flat(contract.currency, contract.terms.client_fee_bps))
            continue
        tariff = schedules[pinned].tariff(contract.currency)
        if tariff is None:
            raise Broken("a pinned schedule lacks a currency", id=str(pinned))
        pricing.put_client(tariff)


def price_contracts(
    connection: Connection,
    contracts: Iterable[Contract],
    *,
    at: datetime,
    lines: Sequence[FeeLine] = (),
    locks: bool = True,
) -> dict[UUID, Price]:
    """What a release under each of these contracts costs now, by contract.

    `lines` are lines that may come back: their tariffs are looked up too. Without `locks` it is
    to be shown: nothing is locked or written.
    """
    known = list(contracts)
    keys = [_key(contract) for contract in known]
    if locks:
        pairs: Mapping[PairKey, Pair] = store_price.lock_pairs(connection, keys)
    else:
        pairs = store_price.find_pairs(connection, keys)
    month = month_of(at)
    schedules = _schedules(connection, known, lines)
    taxes = decide_for(connection, {p for c in known for p in (c.client_id, c.payee_id)}, at)
    exchanges = _exchanges(connection, known, at)
    return {
        contract.id: _price(
            contract,
            pairs.get(_key(contract)) or Pair(*_key(contract), 0, month, 0),
            schedules,
            taxes,
            exchanges.get(contract.id),
            [line for line in lines if line.contract_id == contract.id],
            at=at,
        )
        for contract in known
    }


def _price(
    contract: Contract,
    pair: Pair,
    schedules: Mapping[UUID, Schedule],
    taxes: Mapping[UUID, Decision | None],
    exchange: Exchange | Refusal | None,
    lines: Sequence[FeeLine],
    *,
    at: datetime,
) -> Price:
    pins, currency = contract.pins, contract.currency
    tariffs = _tariffs(schedules, contract, lines)
    promotion_id = pins.promotion_schedule_id
    if pins.promotion_until is not None and at >= pins.promotion_until:
        promotion_id = None
    return Price(
        pair=pair,
        tariff=_tariff(tariffs, pins.payee_schedule_id, currency),
        # A release that waited for the pair over midnight counts where the pair is: of the month
        # before nothing is known any more, and its cap may be full.
        month=max(month_of(at), pair.month),
        schedule_id=pins.payee_schedule_id,
        promoted=_tariff(tariffs, promotion_id, currency) if promotion_id else None,
        promotion_id=promotion_id,
        tax=taxes[contract.payee_id],
        fee_tax=taxes[contract.client_id],
        exchange=exchange,
        tariffs=tariffs,
    )


def _tariffs(
    schedules: Mapping[UUID, Schedule], contract: Contract, lines: Sequence[FeeLine]
) -> Tariffs:
    """The tariffs of the contract's own schedules, and of those that its lines were made by."""
    pins = contract.pins
    wanted = {pins.payee_schedule_id, pins.promotion_schedule_id}
    for line in lines:
        wanted |= {line.schedule_id, line.promotion_id}
    found: dict[UUID | None, Tariff] = {
        None: flat(contract.currency, contract.terms.commission_bps)
    }
    for each in wanted - {None}:
        tariff = schedules[each].tariff(contract.currency) if each is not None else None
        if tariff is not None:
            found[each] = tariff
    return found


def _tariff(tariffs: Tariffs, schedule_id: UUID | None, currency: str) -> Tariff:
    found = tariffs.get(schedule_id)
    if found is None:
        raise Broken("a pinned schedule has no such currency", id=str(schedule_id), is_=currency)
    return found


def _schedules(
    connection: Connection, contracts: Collection[Contract], lines: Sequence[FeeLine]
) -> Mapping[UUID, Schedule]:
    wanted: set[UUID | None] = {line.schedule_id for line in lines}
    wanted |= {line.promotion_id for line in lines}
    for contract in contracts:
        wanted |= {contract.pins.payee_schedule_id, contract.pins.promotion_schedule_id}
    ids = {each for each in wanted if each is not None}
    return _find(connection, ids)


def _find(connection: Connection, ids: Collection[UUID]) -> Mapping[UUID, Schedule]:
    return find_schedules(connection, ids) if ids else {}


def _exchanges(
    connection: Connection, contracts: Collection[Contract], at: datetime
) -> dict[UUID, Exchange | Refusal]:
    """The payee's rate of today, where he is paid in another currency at release."""
    wanted = {
        contract.id: (contract.currency, contract.terms.payee_currency)
        for contract in contracts
        if contract.terms.payee_currency and contract.terms.convert_at is ConvertAt.RELEASE
    }
    if not wanted:
        return {}
    rates = rates_for(connection, {(a, b) for a, b in wanted.values() if b}, at)
    margins = {contract.id: contract.pins.fx_margin_bps for contract in contracts}
    return {
        contract_id: _exchange(rates[sold, bought or ""], margins[contract_id])
        for contract_id, (sold, bought) in wanted.items()
    }


def _exchange(rate: Rate | Refusal, margin_bps: int) -> Exchange | Refusal:
    if isinstance(rate, Refusal):
        return rate
    try:
        return Exchange(rate, customer_rate(rate.rate, margin_bps), margin_bps)
    except Refusal as refusal:
        return refusal


def _key(contract: Contract) -> PairKey:
    return (contract.client_id, contract.payee_id, contract.currency)


def _flat(lines: Mapping[UUID, Sequence[FeeLine]]) -> list[FeeLine]:
    return [line for some in lines.values() for line in some]
