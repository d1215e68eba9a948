"""Decisions on disputed lines: opened, served, answered, decided by two (domain/escrow.md 2.5).

A line is frozen by itself; the rest of the week goes on and is released on Friday.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.machine import Guard, Timer, Transition, Trigger
from escrow.machine_hourly import LINE_DISPUTES
from escrow.machine_slot import SLOTS
from escrow.model import Alarm, Contract, Funding, Plan, Role, SlotState
from escrow.model_hourly import Step, Week, WeekLine, Worked
from escrow.model_lines import (
    DisputeLine,
    LineCommand,
    LineDispute,
    LineState,
    ProposeLine,
    ServeLine,
)
from escrow.movements_more import p12_freeze
from escrow.refusals import ReasonRequired, ReviewIsOver, StaleVersion, WrongState
from escrow.refusals_hourly import BadRefund, LineInPerson, LineNotProposed, LineSamePerson
from escrow.rules import Deal, check_text, roles, slot_step, step
from escrow.rules_deal import LONGEST_REASON, acted, event
from escrow.rules_hourly_step import week_step
from kernel.commands import Command
from kernel.money import to_json
from kernel.principals import SYSTEM, PrincipalKind

REPLY_DAYS: Final = 3
"""How long the payee has, from when he was told."""


@dataclass(frozen=True, slots=True)
class LineCase:
    """A disputed line with its week, its slot and the slot's money, as locked."""

    deal: Deal
    week: Week
    dispute: LineDispute
    fundings: Mapping[UUID, Funding]

    @property
    def contract(self) -> Contract:
        """Whose deal it is."""
        return self.deal.contract


def dispute_facts(dispute: LineDispute, **more: object) -> dict[str, Any]:
    """What an answer says of a disputed line."""

    def money(minor: int) -> dict[str, str]:
        return to_json(minor, dispute.currency)

    proposed = dispute.proposed_refund_minor
    return {
        "line_dispute_id": str(dispute.id),
        "week_id": str(dispute.week_id),
        "line_no": dispute.line_no,
        "slot_id": str(dispute.slot_id),
        "state": dispute.state.value,
        "version": dispute.version,
        "frozen": money(dispute.amount_minor),
        "protected": money(dispute.protected_minor),
        "refunded": money(dispute.refunded_minor),
        "proposed_refund": None if proposed is None else money(proposed),
        "due_at": dispute.due_at.isoformat() if dispute.due_at else None,
        **more,
    }


def open_line(
    deal: Deal, week: Week, line: WeekLine, frozen_minor: int, command: DisputeLine, at: datetime
) -> Step:
    """The client disputes a line of the invoice under review: it is frozen (P12).

    `frozen_minor` is what other lines of the week have frozen. Refuses `escrow.wrong_state` unless
    the week is in review and its slot is not disputed as a whole, `escrow.review_is_over`,
    `escrow.reason_required`.
    """
    week_step(week, deal.contract, Trigger.DISPUTE_LINE, command)
    step(LINE_DISPUTES, None, Trigger.OPEN_DISPUTE, roles(command.actor, deal.contract))
    if at >= week.review_ends_at:
        raise ReviewIsOver(week_id=str(week.id), ended_at=week.review_ends_at.isoformat())
    if not command.reason.strip():
        raise ReasonRequired(week_id=str(week.id))
    slot = deal.slot
    by_engine = SlotCommand(actor=SYSTEM, slot_id=slot.id)
    row, _ = slot_step(SLOTS, deal, Trigger.FREEZE_LINE, by_engine, at)
    amount = min(line.amount_minor, slot.held_minor - slot.disputed_minor)
    if slot.disputed_minor != frozen_minor or not amount:
        raise WrongState(slot_id=str(slot.id), state=slot.state, trigger=Trigger.DISPUTE_LINE)
    dispute = LineDispute(
        id=command.line_dispute_id,
        week_id=week.id,
        line_no=line.line_no,
        slot_id=slot.id,
        contract_id=slot.contract_id,
        currency=slot.currency,
        amount_minor=amount,
        protected_minor=min(amount, line.protected_minor),
        opened_by=command.actor.principal_id,
        reason=command.reason,
        opened_at=at,
    )
    after = acted(slot, at, state=SlotState(row.to), disputed_minor=slot.disputed_minor + amount)
    entries = p12_freeze(slot_id=slot.id, currency=slot.currency, amount_minor=amount)
    detail = {"week_id": str(week.id), "line_no": line.line_no, "amount_minor": amount}
    subject = dispute.subject
    draft = event(
        command, at, kind="line.disputed", subject=subject, entries=entries, detail=detail
    )
    plan = Plan(drafts=(draft,), facts=dispute_facts(dispute), moved_slots=((slot, after),))
    return Step(plan, Worked(disputes=(dispute,)))


def serve(case: LineCase, command: ServeLine, at: datetime) -> Step:
    """The payee was told, and here is the proof: his three days run."""
    row, _ = line_step(case, Trigger.SERVE, command)
    for name, text, longest in (("channel", command.channel, 100), ("proof", command.proof, 500)):
        check_text(text, field=name, longest=longest)
        if not text.strip():
            raise ReasonRequired(line_dispute_id=str(case.dispute.id), field=name)
    due = at + timedelta(days=REPLY_DAYS)
    after = moved_line(
        case.dispute,
        row,
        served_at=at,
        served_by=command.actor.principal_id,
        channel=command.channel,
        proof=command.proof,
        due_at=due,
    )
    alarm = Alarm(after.subject, Timer.LINE_REPLY, due, 0)
    return _told(case, after, "line.served", command, at, alarms=(alarm,))


def reply(case: LineCase, command: LineCommand, at: datetime) -> Step:
    """The payee stands by his hours, and says why: a specialist decides."""
    row, _ = line_step(case, Trigger.REPLY, command)
    check_text(command.reason, field="reason", longest=LONGEST_REASON)
    after = moved_line(case.dispute, row, reply=command.reason, due_at=None)
    return _told(
        case, after, "line.contested", command, at, cancelled=((after.subject, Timer.LINE_REPLY),)
    )


def propose(case: LineCase, command: ProposeLine, at: datetime) -> Step:
    """One operator says what goes back; it takes another to agree. The newest proposal counts."""
    row, _ = line_step(case, Trigger.PROPOSE_DECISION, command)
    if not 0 <= command.refund_minor <= case.dispute.amount_minor:
        raise BadRefund(
            line_dispute_id=str(case.dispute.id),
            frozen=to_json(case.dispute.amount_minor, case.dispute.currency),
        )
    after = moved_line(
        case.dispute,
        row,
        proposed_refund_minor=command.refund_minor,
        proposed_by=command.actor.principal_id,
    )
    detail = {"refund_minor": command.refund_minor}
    return _told(case, after, "line.decision_proposed", command, at, detail=detail)


def line_step(case: LineCase, trigger: Trigger, command: Command) -> tuple[Transition, Role]:
    """The row for this line, its version and its guards; the money's own are the slot's row's."""
    dispute = case.dispute
    mine = roles(command.actor, case.contract)
    row, role = step(LINE_DISPUTES, dispute.state, trigger, mine, line_dispute_id=str(dispute.id))
    if isinstance(command, LineCommand) and command.version not in {None, dispute.version}:
        raise StaleVersion(
            line_dispute_id=str(dispute.id), version=dispute.version, given=command.version
        )
    for guard in row.guards:
        _check(guard, dispute, command)
    return row, role


def moved_line(
    dispute: LineDispute,
    row: Transition,
    **changes: Any,  # noqa: ANN401  fields of LineDispute
) -> LineDispute:
    """The disputed line one version on, where its row leads."""
    state = LineState(row.to)
    return replace(dispute, state=state, version=dispute.version + 1, **changes)


def _check(guard: Guard, dispute: LineDispute, command: Command) -> None:
    """Guards of a line; what pays out is asked of the slot's own row."""
    named = {"line_dispute_id": str(dispute.id)}
    if guard is Guard.REASON_GIVEN:
        if not getattr(command, "reason", "").strip():
            raise ReasonRequired(**named)
    elif guard is Guard.IN_PERSON:
        if command.actor.kind is not PrincipalKind.PERSON:
            raise LineInPerson(**named)
    elif guard is Guard.SECOND_PERSON:
        if dispute.proposed_by is None:
            raise LineNotProposed(**named)
        if dispute.proposed_by == command.actor.principal_id:
            raise LineSamePerson(**named)
    elif guard is Guard.SERVED:
        assert dispute.served_at is not None


def _told(
    case: LineCase,
    after: LineDispute,
    kind: str,
    command: Command,
    at: datetime,
    *,
    detail: dict[str, Any] | None = None,
    alarms: tuple[Alarm, ...] = (),
    cancelled: tuple[tuple[str, str], ...] = (),
) -> Step:
    """A step that moves no money."""
    found = {"week_id": str(after.week_id), "line_no": after.line_no, **(detail or {})}
    draft = event(command, at, kind=kind, subject=after.subject, detail=found)
    plan = Plan(drafts=(draft,), facts=dispute_facts(after), alarms=alarms, cancelled=cancelled)
    return Step(plan, Worked(moved_disputes=((case.dispute, after),)))
