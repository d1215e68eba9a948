"""Decisions on reserves: the part of a release that is kept back for a while, and its end."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from escrow.clocks import RESERVE_RELEASE
from escrow.model import Alarm, Contract, Plan, Release
from escrow.model_clocks import Reserve, ReserveRule, ReserveState
from escrow.movements_reserve import give_reserve, keep_reserve
from escrow.refusals import Held
from escrow.rules_deal import event
from kernel.commands import Command
from kernel.money import to_json

_WHOLE_BPS = 10_000


def kept_minor(net_minor: int, *, rate_bps: int) -> int:
    """The part that is kept back: rounded down, so never more than the rule says."""
    return net_minor * rate_bps // _WHOLE_BPS


def keep_back(
    plan: Plan,
    release: Release,
    rule: ReserveRule,
    command: Command,
    at: datetime,
    reserve_id: UUID,
) -> tuple[Plan, Reserve | None]:
    """The plan that makes a release available, with what is kept back of it.

    Claims of the platform go first: of what they leave, no more than there is.
    """
    recovered = sum(old.remaining_minor - new.remaining_minor for old, new in plan.moved_claims)
    wanted = kept_minor(release.free_minor, rate_bps=rule.reserve_bps)
    amount = min(wanted, release.free_minor - recovered)
    if amount <= 0:
        return plan, None
    kept = Reserve(
        reserve_id,
        release.id,
        release.contract_id,
        release.payee_id,
        release.purse_currency,
        amount,
        ReserveState.KEPT,
        at,
        at + timedelta(days=rule.reserve_days),
    )
    entries = keep_reserve(
        payee_id=kept.payee_id, currency=kept.currency, amount_minor=kept.amount_minor
    )
    first = replace(plan.drafts[0], entries=plan.drafts[0].entries + entries)
    told = event(
        command,
        at,
        kind="reserve.kept",
        subject=subject_of(kept),
        detail={"release_id": str(release.id), "due_at": kept.due_at.isoformat()},
    )
    changed = replace(
        plan,
        drafts=(first, *plan.drafts[1:], told),
        facts={**plan.facts, "kept_back": to_json(amount, kept.currency)},
        alarms=(*plan.alarms, Alarm(subject_of(kept), RESERVE_RELEASE, kept.due_at, 0)),
    )
    return changed, kept


def give(
    kept: Reserve, contract: Contract, held_by: tuple[str, ...], command: Command, at: datetime
) -> Plan:
    """The time is over: the part becomes available, unless a hold still stands."""
    if kept.state is not ReserveState.KEPT:
        return Plan(drafts=(), facts=reserve_facts(kept))
    if held_by:
        raise Held(reserve_id=str(kept.id), holds=list(held_by))
    entries = give_reserve(
        payee_id=kept.payee_id, currency=kept.currency, amount_minor=kept.amount_minor
    )
    detail = {"release_id": str(kept.release_id), "contract_id": str(contract.id)}
    draft = event(
        command,
        at,
        kind="reserve.given",
        subject=subject_of(kept),
        entries=entries,
        detail=detail,
    )
    return Plan(drafts=(draft,), facts=reserve_facts(replace(kept, state=ReserveState.GIVEN)))


def subject_of(kept: Reserve) -> str:
    """The reserve's name in events and timers."""
    return f"reserve:{kept.id}"


def reserve_facts(kept: Reserve) -> dict[str, object]:
    """What people are told of a reserve."""
    return {
        "reserve_id": str(kept.id),
        "release_id": str(kept.release_id),
        "payee_id": str(kept.payee_id),
        "amount": to_json(kept.amount_minor, kept.currency),
        "state": kept.state.value,
        "kept_at": kept.kept_at.isoformat(),
        "due_at": kept.due_at.isoformat(),
    }
