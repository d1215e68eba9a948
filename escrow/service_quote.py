"""The whole price of a payment before anyone signs: fee, tax and exchange.

Schedules are chosen by the function that acceptance calls, and the price is looked up by the one
that a release calls, without locks: a quote writes nothing, and equals what is posted as long as
the pair bills nothing else and the day's rate and tax stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_choice
from commissions.choosing import Chosen, Picked
from commissions.explaining import choice_json, ids_in
from commissions.model import Basis
from commissions.service import choose_for, find_schedules
from commissions.service_fx import margins_for
from escrow import store
from escrow.model import Contract, ContractState, Role, Terms
from escrow.model_price import Pricing
from escrow.model_quote import AskQuote, Ground
from escrow.refusals import UnknownContract, UnknownParty
from escrow.rules_deal import check_price_terms, check_terms
from escrow.rules_quote import check
from escrow.rules_quote import quote as price_of
from escrow.rules_quote_facts import quote_facts
from escrow.service_pins import Bare, asks_for, bare_of, picked, pins_of
from escrow.service_price import price_contracts, put_client_tariffs
from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import exponent
from ledger import parties


@dataclass(slots=True)
class _Look:
    """One question on its way: the contract, as it is or as it would be accepted now."""

    ask: AskQuote
    contract: Contract
    is_pinned: bool
    bare: Bare | None = None
    normal: Contract | None = None
    choices: tuple[Picked, ...] = ()
    chosen_until: datetime | None = None


def quote(connection: Connection, commands: Sequence[AskQuote], *, at: datetime) -> list[Outcome]:
    """The whole price of each; locks and writes nothing, so that any snapshot will do.

    Refuses `fees.bad_quote`, `fees.net_out_of_reach`, `escrow.unknown_contract`,
    `escrow.unknown_party`, `escrow.bad_terms`, `money.unknown_currency`, and `fx.*` where the
    payee's currency has no rate.
    """
    looks = _look(connection, commands, at)
    open_ = [each for each in looks if isinstance(each, _Look)]
    _choose(connection, [each for each in open_ if not each.is_pinned], at)
    _read_choices(connection, [each for each in open_ if each.is_pinned])
    grounds = iter(_grounds(connection, open_, at))
    return [
        refused(each) if isinstance(each, Refusal) else _answer(next(grounds), each.ask, at)
        for each in looks
    ]


def _answer(ground: Ground, ask: AskQuote, at: datetime) -> Outcome:
    try:
        return done(**quote_facts(ground, price_of(ground, ask), at))
    except Refusal as refusal:
        return refused(refusal)


def _look(
    connection: Connection, commands: Sequence[AskQuote], at: datetime
) -> list[_Look | Refusal]:
    """Which deal each question is about, or why it is about none."""
    named = {each.contract_id for each in commands if each.contract_id is not None}
    contracts = {each.id: each for each in store.find_contracts(connection, sorted(named))}
    people = {who for each in commands for who in (each.client_id, each.payee_id) if who}
    known = parties.find_many(connection, people).keys() if people else set()
    return [_deal(each, contracts, known, at) for each in commands]


def _deal(
    ask: AskQuote, contracts: Mapping[UUID, Contract], known: Iterable[UUID], at: datetime
) -> _Look | Refusal:
    try:
        check(ask)
        if ask.contract_id is not None:
            contract = contracts.get(ask.contract_id)
            if contract is None or not _may_see(ask, contract.client_id, contract.payee_id):
                raise UnknownContract(contract_id=str(ask.contract_id))
            return _Look(ask, contract, is_pinned=contract.accepted_at is not None)
        return _Look(ask, _proposed(ask, set(known), at), is_pinned=False)
    except Refusal as refusal:
        return refusal


def _proposed(ask: AskQuote, known: set[UUID], at: datetime) -> Contract:
    """The contract that would be proposed."""
    assert ask.client_id is not None
    assert ask.payee_id is not None
    assert ask.currency is not None
    if not _may_see(ask, ask.client_id, ask.payee_id):
        raise UnknownParty(party_id=str(ask.client_id))
    for party_id in (ask.client_id, ask.payee_id):
        if party_id not in known:
            raise UnknownParty(party_id=str(party_id))
    exponent(ask.currency)
    terms = ask.terms or Terms()
    check_terms(terms)
    check_price_terms(terms, ask.currency)
    return Contract(
        new_id(),
        ask.client_id,
        ask.payee_id,
        ask.currency,
        ContractState.DRAFT,
        0,
        Role.CLIENT,
        terms,
        at,
    )


def _may_see(ask: AskQuote, *sides: UUID) -> bool:
    """The platform sees all deals, a party those of which it is a side."""
    return ask.actor.party_id is None or ask.actor.party_id in sides


def _choose(connection: Connection, looks: Sequence[_Look], at: datetime) -> None:
    """What each deal would pin if it were accepted now, and what it would without experiments."""
    if not looks:
        return
    asks = asks_for(connection, _bares(connection, looks), at)
    plain = [replace(ask, facts=replace(ask.facts, arms=frozenset())) for ask in asks]
    tested = [place for place, ask in enumerate(asks) if ask.facts.arms]
    chosen = choose_for(connection, [*asks, *(plain[place] for place in tested)], at)
    margins = _margins(connection, looks)
    for look, mine in zip(looks, chosen, strict=False):
        margin = margins.get((look.contract.currency, look.contract.terms.payee_currency), 0)
        look.choices = picked(look.contract.id, mine, at)
        look.chosen_until = _until(mine)
        # A number of its own: one offer may be asked for twice, with and without a promotion.
        look.contract = replace(look.contract, id=new_id(), pins=pins_of(mine, margin))
    for place, normal in zip(tested, chosen[len(asks) :], strict=True):
        look = looks[place]
        pins = pins_of(normal, look.contract.pins.fx_margin_bps)
        look.normal = replace(look.contract, id=new_id(), pins=pins)


def _bares(connection: Connection, looks: Sequence[_Look]) -> list[Bare]:
    """The deals as their fees are chosen: an offer as it stands, or one that might be made."""
    offers = [each.contract for each in looks if each.ask.contract_id is not None]
    offered = iter(bare_of(connection, offers) if offers else ())
    return [
        _named(next(offered), each.ask) if each.ask.contract_id else _bare(each) for each in looks
    ]


def _named(bare: Bare, ask: AskQuote) -> Bare:
    return bare if ask.promotion is None else bare._replace(promotion=ask.promotion)


def _bare(look: _Look) -> Bare:
    ask, contract = look.ask, look.contract
    return Bare(
        contract.client_id,
        contract.payee_id,
        contract.currency,
        contract.terms.origin,
        contract.terms.category,
        # A tip is paid under a contract of some other kind, which is not known.
        None if ask.kind is Basis.BONUS else ask.kind.value,
        None,
        ask.promotion,
    )


def _margins(
    connection: Connection, looks: Iterable[_Look]
) -> Mapping[tuple[str, str | None], int]:
    pairs = {
        (look.contract.currency, look.contract.terms.payee_currency)
        for look in looks
        if look.contract.terms.payee_currency
    }
    return dict(margins_for(connection, pairs)) if pairs else {}  # type: ignore[arg-type]


def _until(chosen: Chosen) -> datetime | None:
    """When the first of the chosen schedules ends, as far as is known."""
    held = [each.schedule for each in (chosen.payee, chosen.client) if each is not None]
    if chosen.promotion.schedule is not None:
        held.append(chosen.promotion.schedule)
    return min((each.valid_to for each in held if each.valid_to is not None), default=None)


def _read_choices(connection: Connection, looks: Sequence[_Look]) -> None:
    """What accepted contracts chose, as it was kept with them."""
    if not looks:
        return
    kept: dict[UUID, list[Picked]] = {}
    for choice in store_choice.list_choices(connection, {each.contract.id for each in looks}):
        kept.setdefault(choice.contract_id, []).append(choice)
    for look in looks:
        look.choices = tuple(kept.get(look.contract.id, ()))


def _grounds(connection: Connection, looks: Sequence[_Look], at: datetime) -> list[Ground]:
    """What each quote stands on, looked up for all of them together."""
    if not looks:
        return []
    contracts = {each.contract.id: each.contract for each in looks}
    normal = {each.normal.id: each.normal for each in looks if each.normal is not None}
    prices = price_contracts(connection, (contracts | normal).values(), at=at, locks=False)
    pricings = {each: Pricing() for each in contracts}
    put_client_tariffs(connection, [(contracts[each], pricings[each]) for each in contracts])
    told = _told(connection, looks)
    return [
        Ground(
            contract=look.contract,
            contract_id=look.ask.contract_id,
            price=prices[look.contract.id],
            client_tariff=pricings[look.contract.id].client_tariff,
            normal=None if look.normal is None else prices[look.normal.id],
            choices=choices,
            is_pinned=look.is_pinned,
            chosen_until=look.chosen_until,
        )
        for look, choices in zip(looks, told, strict=True)
    ]


def _told(connection: Connection, looks: Sequence[_Look]) -> list[tuple[Mapping[str, Any], ...]]:
    """Why each deal has its schedules, as facts and in words."""
    named = {UUID(each) for look in looks for each in ids_in(look.choices)}
    schedules = {str(key): each for key, each in find_schedules(connection, named).items()}
    told: list[tuple[Mapping[str, Any], ...]] = []
    for look in looks:
        facts = [choice_json(each, schedules, look.contract.currency) for each in look.choices]
        if not look.is_pinned:
            facts = [_not_yet(each) for each in facts]
        told.append(tuple(facts))
    return told


def _not_yet(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice that acceptance would make: its first sentence says so."""
    if choice["schedule_id"] is None:
        first = "No promotion would be given now."
    else:
        first = f"{choice['name']} version {choice['version']} would be pinned by acceptance now."
    return {**choice, "why": "quote", "words": [first, *choice["words"][1:]]}
