"""What every decision on a worked week shares: its row of the table, its event, its answer."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from escrow.machine import Transition, Trigger
from escrow.machine_hourly import WEEKS
from escrow.model import Contract, Role
from escrow.model_hourly import Week
from escrow.rules import roles, step
from escrow.rules_deal import event
from kernel.commands import Command
from kernel.money import to_json
from ledger.model import Draft


def week_facts(week: Week, currency: str, **more: object) -> dict[str, Any]:
    """What an answer says of a week."""
    return {
        "week_id": str(week.id),
        "term_id": str(week.term_id),
        "contract_id": str(week.contract_id),
        "slot_id": str(week.slot_id) if week.slot_id else None,
        "state": week.state.value,
        "version": week.version,
        "starts_at": week.starts_at.isoformat(),
        "ends_at": week.ends_at.isoformat(),
        "invoice_at": week.invoice_at.isoformat(),
        "review_ends_at": week.review_ends_at.isoformat(),
        "limit_minutes": week.limit_minutes,
        "amount": to_json(week.amount_minor, currency),
        "protected": to_json(week.protected_minor, currency),
        "advanced": to_json(week.advanced_minor, currency),
        "charge_attempts": week.charge_attempts,
        "code": week.code,
        **more,
    }


def week_step(
    week: Week, contract: Contract, trigger: Trigger, command: Command
) -> tuple[Transition, Role]:
    """The row of the table for this week, and the role in which the actor uses it."""
    return step(WEEKS, week.state, trigger, roles(command.actor, contract), week_id=str(week.id))


def moved_week(week: Week, **changes: Any) -> Week:  # noqa: ANN401  fields of Week
    """The week one version on."""
    return replace(week, version=week.version + 1, **changes)


def week_subject(week: Week) -> str:
    """The week's name in events, timers and holds."""
    return f"week:{week.id}"


def told_week(week: Week, kind: str, command: Command, at: datetime, **detail: object) -> Draft:
    """The event of what became of a week."""
    found = {"state": week.state.value, **detail}
    return event(command, at, kind=kind, subject=week_subject(week), detail=found)
