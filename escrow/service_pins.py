"""What a deal pins when it is first accepted: schedules, a promotion, arms, margin of exchange.

Every kind of contract comes through here, whoever accepts what of it first: `service_batch.run`
hands over the plans of a batch before they are posted, and what was chosen is kept with them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_choice
from commissions.choosing import Ask, Chosen, Picked, trace_json
from commissions.model import Facts, Side
from commissions.service import choose_for
from commissions.service_experiments import Joined, Unit, arms_for, pin_arms
from commissions.service_fx import margins_for
from commissions.service_plans import plans_of
from escrow import store_pins
from escrow.model import Contract, Pins, Plan
from ledger import parties
from ledger.model import Draft

ACCEPTANCE: Final = "acceptance"


class Bare(NamedTuple):
    """What is known of a deal before its fees are chosen; `basis` None: terms of several kinds."""

    client_id: UUID
    payee_id: UUID
    currency: str
    origin: str | None = None
    category: str | None = None
    basis: str | None = None
    contract_id: UUID | None = None
    promotion: str | None = None


@dataclass(frozen=True, slots=True)
class Pinned:
    """What first acceptances chose, by contract; kept once their plans are accepted."""

    choices: Mapping[UUID, tuple[Picked, ...]] = field(default_factory=dict)
    joined: Mapping[UUID, Joined] = field(default_factory=dict)


NOTHING_PINNED: Final = Pinned()


def asks_for(connection: Connection, deals: Sequence[Bare], at: datetime) -> list[Ask]:
    """All that fee schedules ask of deals: plans, arms and the payee's country besides."""
    people = {each for deal in deals for each in (deal.client_id, deal.payee_id)}
    known = parties.find_many(connection, people)
    plans = plans_of(connection, people, at)
    arms = arms_for(connection, [Unit(deal.client_id, deal.payee_id) for deal in deals], at)
    return [
        Ask(
            Facts(
                contract_id=str(deal.contract_id) if deal.contract_id else None,
                promotion=deal.promotion,
                client_id=str(deal.client_id),
                plan=plans[deal.payee_id],
                client_plan=plans[deal.client_id],
                arms=mine,
                category=deal.category,
                origin=deal.origin,
                country=known[deal.payee_id].country if deal.payee_id in known else None,
                basis=deal.basis,
            ),
            deal.currency,
            deal.payee_id,
        )
        for deal, mine in zip(deals, arms, strict=True)
    ]


def bare_of(connection: Connection, contracts: Iterable[Contract]) -> list[Bare]:
    """Contracts as their fees are chosen, in the order given."""
    known = list(contracts)
    ids = [contract.id for contract in known]
    bases = store_pins.find_bases(connection, ids)
    named = store_choice.find_named(connection, ids)
    return [
        Bare(
            contract.client_id,
            contract.payee_id,
            contract.currency,
            contract.terms.origin,
            contract.terms.category,
            bases.get(contract.id),
            contract.id,
            named.get(contract.id),
        )
        for contract in known
    ]


def pin_first(
    connection: Connection, plans: Sequence[Plan], at: datetime
) -> tuple[list[Plan], Pinned]:
    """The plans with what their first acceptances pin, and what is to be kept of it."""
    first = [new for plan in plans for old, new in plan.moved_contracts if _is_first(old, new)]
    if not first:
        return list(plans), NOTHING_PINNED
    asks = asks_for(connection, bare_of(connection, first), at)
    chosen = choose_for(connection, asks, at)
    margins = _margins(connection, first)
    pins = {
        contract.id: pins_of(each, margins.get(contract.id, 0))
        for contract, each in zip(first, chosen, strict=True)
    }
    arms = {
        contract.id: ask.facts.arms
        for contract, ask in zip(first, asks, strict=True)
        if ask.facts.arms
    }
    joined = {
        contract.id: Joined(contract.id, Unit(contract.client_id, contract.payee_id), mine)
        for contract in first
        if (mine := arms.get(contract.id))
    }
    choices = {
        contract.id: picked(contract.id, each, at)
        for contract, each in zip(first, chosen, strict=True)
    }
    told = {each: _detail(pins[each], arms.get(each, frozenset())) for each in pins}
    return [_pinned(plan, pins, told) for plan in plans], Pinned(choices, joined)


def save_pinned(
    connection: Connection, plans: Iterable[Plan], pinned: Pinned, at: datetime
) -> None:
    """Keep what the accepted plans chose; the contracts' rows are written."""
    if pinned is NOTHING_PINNED:
        return
    ids = [new.id for plan in plans for _, new in plan.moved_contracts]
    choices = [each for contract_id in ids for each in pinned.choices.get(contract_id, ())]
    if choices:
        store_choice.add_choices(connection, choices)
    joined = [pinned.joined[each] for each in ids if each in pinned.joined]
    if joined:
        pin_arms(connection, joined, at)


def pins_of(chosen: Chosen, margin_bps: int) -> Pins:
    """A choice as a contract keeps it."""
    promotion = chosen.promotion
    return Pins(
        payee_schedule_id=chosen.payee.schedule.id if chosen.payee else None,
        client_schedule_id=chosen.client.schedule.id if chosen.client else None,
        promotion_schedule_id=promotion.schedule.id if promotion.schedule else None,
        promotion_until=promotion.until,
        fx_margin_bps=margin_bps,
    )


def picked(contract_id: UUID, chosen: Chosen, at: datetime) -> tuple[Picked, ...]:
    """A choice with its trace, as it is kept beside the contract."""

    def row(
        side: Side,
        schedule_id: UUID | None,
        trace: list[dict[str, Any]],
        *,
        is_promotion: bool = False,
    ) -> Picked:
        return Picked(
            contract_id=contract_id,
            side=side,
            is_promotion=is_promotion,
            schedule_id=schedule_id,
            promotion_until=chosen.promotion.until if is_promotion else None,
            why=ACCEPTANCE,
            chosen_at=at,
            trace=trace,
        )

    found = [
        row(side, choice.schedule.id, trace_json(choice.trace))
        for side, choice in ((Side.PAYEE, chosen.payee), (Side.CLIENT, chosen.client))
        if choice is not None
    ]
    promotion = chosen.promotion
    if promotion.trace:
        given = promotion.schedule.id if promotion.schedule else None
        found.append(row(Side.PAYEE, given, trace_json(promotion.trace), is_promotion=True))
    return tuple(found)


def _is_first(old: Contract, new: Contract) -> bool:
    return old.accepted_at is None and new.accepted_at is not None


def _margins(connection: Connection, contracts: Iterable[Contract]) -> dict[UUID, int]:
    """What is taken off the mid rate, where the payee is paid in another currency."""
    pairs = {
        contract.id: (contract.currency, contract.terms.payee_currency)
        for contract in contracts
        if contract.terms.payee_currency
    }
    if not pairs:
        return {}
    found = margins_for(connection, set(pairs.values()))
    return {contract_id: found[pair] for contract_id, pair in pairs.items()}


def _detail(pins: Pins, arms: frozenset[str]) -> dict[str, Any]:
    """What the event of the acceptance says was pinned; what was not is left out."""
    named = {
        "payee_schedule_id": pins.payee_schedule_id,
        "client_schedule_id": pins.client_schedule_id,
        "promotion_schedule_id": pins.promotion_schedule_id,
    }
    told: dict[str, Any] = {name: str(value) for name, value in named.items() if value}
    if pins.promotion_until is not None:
        told["promotion_until"] = pins.promotion_until.isoformat()
    if pins.fx_margin_bps:
        told["fx_margin_bps"] = pins.fx_margin_bps
    if arms:
        told["arms"] = sorted(arms)
    return told


def _pinned(plan: Plan, pins: Mapping[UUID, Pins], told: Mapping[UUID, dict[str, Any]]) -> Plan:
    mine = {new.id for old, new in plan.moved_contracts if _is_first(old, new)}
    if not mine:
        return plan
    subjects = {f"contract:{each}": each for each in mine}

    def tell(draft: Draft) -> Draft:
        contract_id = subjects.get(draft.subject)
        if contract_id is None or draft.kind != "contract.accepted":
            return draft
        return replace(draft, detail={**draft.detail, **told[contract_id]})

    return replace(
        plan,
        drafts=tuple(map(tell, plan.drafts)),
        moved_contracts=tuple(
            (old, replace(new, pins=pins[new.id]) if new.id in mine else new)
            for old, new in plan.moved_contracts
        ),
    )
