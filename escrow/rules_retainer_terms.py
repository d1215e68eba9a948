"""Decisions on the offer of a retainer: its terms, and the contract that it may bring along."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from escrow.machine import CONTRACTS, Trigger
from escrow.machine_retainer import RETAINERS
from escrow.model import Contract, ContractState, Plan, Role
from escrow.model_retainer import (
    Moves,
    NewContract,
    OfferRetainer,
    Overage,
    Retainer,
    RetainerKind,
    RetainerState,
    RetainerTerms,
    Unused,
)
from escrow.refusals import ContractNotRunning, SameParty
from escrow.refusals_retainer import BadRetainer
from escrow.rules import check_amount, check_text, roles, step
from escrow.rules_deal import check_price_terms, check_terms, event
from escrow.rules_rails import check_rail_account
from escrow.rules_retainer import retainer_facts, subject_of
from escrow.rules_zone import is_zone
from kernel.money import MAX_MINOR, exponent

_NAMED: Final = 255


def new_contract(new: NewContract, command: OfferRetainer, at: datetime) -> Contract:
    """The draft that a retainer brings along; refuses as `rules_deal.propose` does."""
    if new.client_id == new.payee_id:
        raise SameParty(party_id=str(new.client_id))
    exponent(new.currency)
    check_terms(new.terms)
    check_price_terms(new.terms, new.currency)
    contract = Contract(
        command.contract_id,
        new.client_id,
        new.payee_id,
        new.currency,
        ContractState.DRAFT,
        1,
        Role.CLIENT,
        new.terms,
        at,
    )
    _, role = step(CONTRACTS, None, Trigger.PROPOSE, roles(command.actor, contract))
    return replace(contract, proposed_by=role)


def offer(contract: Contract, command: OfferRetainer, at: datetime) -> Moves:
    """One side offers a retainer; it stands when the other has accepted it.

    Refuses: `retainer.bad_terms`, `escrow.amount_out_of_range`, `escrow.contract_not_running`.
    """
    _, role = step(RETAINERS, None, Trigger.OFFER_RETAINER, roles(command.actor, contract))
    if contract.state not in {ContractState.DRAFT, ContractState.ACTIVE}:
        raise ContractNotRunning(contract_id=str(contract.id), state=contract.state)
    check_retainer_terms(command.terms)
    retainer = Retainer(
        command.retainer_id, contract.id, role, RetainerState.OFFERED, 1, command.terms, at
    )
    terms = command.terms
    detail = {
        "contract_id": str(contract.id),
        "kind": terms.kind.value,
        "amount_minor": terms.amount_minor,
        "every": terms.every.value,
        "anchor_on": terms.anchor_on.isoformat(),
        "zone": terms.zone,
        "unused": terms.unused.value,
        "overage": terms.overage.value,
        "on_pause": terms.on_pause.value,
        "notice_days": terms.notice_days,
    }
    drafts = [
        event(command, at, kind="retainer.offered", subject=subject_of(retainer), detail=detail)
    ]
    contracts: tuple[Contract, ...] = ()
    if command.new is not None:
        contracts = (contract,)
        whose = {"client_id": str(contract.client_id), "payee_id": str(contract.payee_id)}
        drafts.insert(
            0,
            event(
                command,
                at,
                kind="contract.proposed",
                subject=f"contract:{contract.id}",
                detail={**whose, "currency": contract.currency},
            ),
        )
    plan = Plan(drafts=tuple(drafts), facts=retainer_facts(retainer), contracts=contracts)
    return Moves(plan=plan, retainers=(retainer,))


def check_retainer_terms(terms: RetainerTerms) -> None:
    """Refuse terms outside their ranges, or that do not fit their kind."""
    check_amount(terms.amount_minor)
    check_rail_account(terms.rail_account)
    check_text(terms.method_token, field="method_token", longest=_NAMED)
    is_hours = terms.kind is RetainerKind.HOURS_DRAWDOWN
    is_quota = terms.kind is RetainerKind.DELIVERABLE_QUOTA
    rolls = terms.unused is Unused.ROLL
    largest = MAX_MINOR - terms.amount_minor  # what a period holds with all that rolls into it
    checks = {
        "zone": is_zone(terms.zone),
        "anchor_on": 2000 <= terms.anchor_on.year < 2200,
        "rest": terms.rest is not Unused.ROLL,
        "unused": not rolls or terms.kind is not RetainerKind.ACCESS_FEE,
        "roll_cap": (0 < terms.roll_cap_minor <= largest) if rolls else not terms.roll_cap_minor,
        "roll_periods": 1 <= terms.roll_periods <= 120,
        "hourly": (0 < terms.hourly_minor <= MAX_MINOR) if is_hours else not terms.hourly_minor,
        "quota": (0 < terms.quota <= 10_000) if is_quota else not terms.quota,
        "notice_days": 0 <= terms.notice_days <= 365,
        "overage": terms.overage is Overage.BLOCK or is_hours or is_quota,
        "overage_price": 0 <= terms.overage_minor <= MAX_MINOR
        and (terms.overage is not Overage.BLOCK or not terms.overage_minor),
    }
    for field, is_good in checks.items():
        if not is_good:
            raise BadRetainer(field=field)
