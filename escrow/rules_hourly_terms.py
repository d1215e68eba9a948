"""Decisions on hourly terms: offer, accept, another limit, a higher rate (domain/escrow.md 2.5)."""

from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from escrow.commands_hourly import AddHours, ChangeHours, HourlyOffer, ProposeHours, TermCommand
from escrow.machine import CONTRACTS, Trigger
from escrow.machine_hourly import WEEKS
from escrow.maths_hourly import week_of
from escrow.model import Contract, ContractState, Plan, Role
from escrow.model_hourly import HourlyTerm, Rate, Step, TermState, Worked
from escrow.refusals import ContractNotRunning, OtherPartyMustSign, SameParty, WrongState
from escrow.refusals_hourly import BadHours, RateOnlyRises
from escrow.refusals_hybrid import TermOver
from escrow.rules import check_text, roles, step
from escrow.rules_deal import LONGEST_TEXT, check_price_terms, check_terms, contract_facts, event
from escrow.rules_funding import LONGEST_TOKEN
from escrow.rules_hourly import (
    MOST_PERCENT,
    Desk,
    NewId,
    new_week,
    opened,
    opening_alarms,
    term_facts,
)
from escrow.rules_rails import check_rail_account
from escrow.rules_zone import is_zone
from kernel.commands import Command
from kernel.money import exponent

HIGHEST_RATE_MINOR: Final = 10**12
LONGEST_WEEK: Final = 169 * 60
"""Minutes of the longest week: 168 hours, and one more where a clock goes back."""


def propose_hours(command: ProposeHours, at: datetime) -> Step:
    """A new contract in draft with one hourly term."""
    if command.client_id == command.payee_id:
        raise SameParty(party_id=str(command.client_id))
    exponent(command.currency)
    check_terms(command.terms)
    check_price_terms(command.terms, command.currency)
    contract = Contract(
        command.contract_id,
        command.client_id,
        command.payee_id,
        command.currency,
        ContractState.DRAFT,
        1,
        Role.CLIENT,
        command.terms,
        at,
    )
    _, role = step(CONTRACTS, None, Trigger.PROPOSE, roles(command.actor, contract))
    contract = replace(contract, proposed_by=role)
    detail = {
        "client_id": str(command.client_id),
        "payee_id": str(command.payee_id),
        "currency": command.currency,
    }
    subject = f"contract:{contract.id}"
    proposed = event(command, at, kind="contract.proposed", subject=subject, detail=detail)
    offered = _offer(contract, role, command.offer, command, at)
    plan = replace(
        offered.plan,
        drafts=(proposed, *offered.plan.drafts),
        facts=contract_facts(contract, term_id=str(command.offer.term_id)),
        contracts=(contract,),
    )
    return Step(plan, offered.worked)


def add_hours(contract: Contract, command: AddHours, at: datetime) -> Step:
    """Hours under a running contract, for the other party to accept."""
    _, role = step(CONTRACTS, None, Trigger.PROPOSE, roles(command.actor, contract))
    if contract.state is not ContractState.ACTIVE:
        raise ContractNotRunning(contract_id=str(contract.id), state=contract.state)
    return _offer(contract, role, command.offer, command, at)


def accept_hours(
    contract: Contract, term: HourlyTerm, command: TermCommand, at: datetime, new_id: NewId
) -> Step:
    """The other party signs: the terms are pinned, the first week opens.

    Refuses: `escrow.other_party_must_sign`, `escrow.wrong_state`, `escrow.not_yours`.
    """
    row, role = step(CONTRACTS, contract.state, Trigger.ACCEPT, roles(command.actor, contract))
    if term.state is not TermState.PROPOSED:
        raise WrongState(term_id=str(term.term_id), state=term.state, trigger="accept")
    if term.proposed_by is role:
        raise OtherPartyMustSign(term_id=str(term.term_id))
    after = replace(term, state=TermState.ACTIVE, version=term.version + 1, accepted_at=at)
    week = new_week(after, week_of(at, ZoneInfo(term.week_zone)), new_id())
    signed = replace(
        contract,
        state=ContractState(row.to),
        version=contract.version + 1,
        accepted_at=contract.accepted_at or at,
    )
    drafts = [
        event(command, at, kind="term.accepted", subject=f"term:{term.term_id}"),
        opened(week, command, at),
    ]
    moves: tuple[tuple[Contract, Contract], ...] = ()
    if contract.state is ContractState.DRAFT:
        moves = ((contract, signed),)
        subject = f"contract:{contract.id}"
        drafts.insert(0, event(command, at, kind="contract.accepted", subject=subject))
    plan = Plan(
        drafts=tuple(drafts),
        facts=term_facts(after, week_id=str(week.id)),
        moved_contracts=moves,
        alarms=opening_alarms(week, after, at),
    )
    return Step(plan, Worked(moved_terms=((term, after),), weeks=(week,)))


def change_hours(desk: Desk, command: ChangeHours, at: datetime) -> Step:
    """A higher limit acts at once, a lower one on the next segment; a rate only rises.

    `desk.weeks` has the week that runs now, if one does; `logged_minutes` what it holds already.
    """
    term, contract = desk.term, desk.contract
    mine = roles(command.actor, contract)
    step(WEEKS, None, Trigger.OPEN_WEEK, tuple(each for each in mine if each is Role.CLIENT))
    if term.state is not TermState.ACTIVE:
        raise WrongState(term_id=str(term.term_id), state=term.state, trigger="change")
    if term.ended_at is not None:
        raise TermOver(term_id=str(term.term_id))
    limit = term.limit_minutes if command.limit_minutes is None else command.limit_minutes
    _check_range("limit_minutes", limit, 0, LONGEST_WEEK)
    newest = desk.rates[-1]
    rates: tuple[Rate, ...] = ()
    if command.rate_minor is not None:
        _check_range("rate_minor", command.rate_minor, 1, HIGHEST_RATE_MINOR)
        if command.rate_minor <= newest.rate_minor or at <= newest.from_at:
            raise RateOnlyRises(rate_minor=newest.rate_minor, given=command.rate_minor)
        rates = (Rate(term.term_id, newest.seq + 1, command.rate_minor, at),)
    after = replace(term, limit_minutes=limit, version=term.version + 1)
    moves = tuple(
        (week, replace(week, limit_minutes=bound, version=week.version + 1))
        for week in desk.weeks.values()
        if (bound := max(limit, min(desk.logged_minutes, week.limit_minutes))) != week.limit_minutes
    )
    detail = {"limit_minutes": limit, "rate_minor": command.rate_minor}
    subject = f"term:{term.term_id}"
    return Step(
        Plan(
            drafts=(event(command, at, kind="term.changed", subject=subject, detail=detail),),
            facts=term_facts(after),
        ),
        Worked(moved_terms=((term, after),), rates=rates, moved_weeks=moves),
    )


def _offer(
    contract: Contract, role: Role, offer: HourlyOffer, command: Command, at: datetime
) -> Step:
    _check_range("rate_minor", offer.rate_minor, 1, HIGHEST_RATE_MINOR)
    _check_range("limit_minutes", offer.limit_minutes, 0, LONGEST_WEEK)
    _check_range("activity_floor", offer.activity_floor, 0, MOST_PERCENT)
    if not is_zone(offer.week_zone):
        raise BadHours(field="week_zone", lowest="an IANA name", highest="such as Europe/Berlin")
    check_text(offer.method_token, field="method_token", longest=LONGEST_TOKEN)
    check_text(offer.title, field="title", longest=LONGEST_TEXT)
    check_rail_account(offer.rail_account)
    term = HourlyTerm(
        offer.term_id,
        contract.id,
        contract.payee_id,
        contract.currency,
        TermState.PROPOSED,
        1,
        role,
        offer.week_zone,
        offer.activity_floor,
        offer.method,
        offer.method_token,
        offer.rail_account,
        offer.limit_minutes,
        False,
        at,
        collect=offer.collect,
        unused=offer.unused,
    )
    detail = {
        "contract_id": str(contract.id),
        "rate_minor": offer.rate_minor,
        "limit_minutes": offer.limit_minutes,
        "week_zone": offer.week_zone,
        "method": offer.method.value,
        "title": offer.title,
        "collect": offer.collect.value,
        "unused": offer.unused.value,
    }
    subject = f"term:{term.term_id}"
    return Step(
        Plan(
            drafts=(event(command, at, kind="term.proposed", subject=subject, detail=detail),),
            facts=term_facts(term),
        ),
        Worked(terms=(term,), rates=(Rate(term.term_id, 1, offer.rate_minor, _BEGINNING),)),
    )


_BEGINNING: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
"""From when the first rate counts."""


def _check_range(field: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise BadHours(field=field, lowest=str(lowest), highest=str(highest))
