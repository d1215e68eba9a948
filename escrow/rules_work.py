"""Decisions on the work: submit, withdraw, ask for changes, ask for a refund, fall silent."""

from datetime import datetime, timedelta
from typing import Final

from escrow.commands import SlotCommand, Submit
from escrow.machine import Timer, Transition, Trigger
from escrow.machine_slot import SLOTS
from escrow.model import Alarm, Plan, Slot, SlotState, Submission
from escrow.refusals import BadText, NoTimer
from escrow.rules import Deal, check_text, clocks, dormant_at, slot_step, subject_of
from escrow.rules_deal import LONGEST_TEXT, acted, event, moved, slot_facts

MOST_ARTEFACTS: Final = 100

FLAGGED: Final = timedelta(hours=24)
"""How long a review stands still while it is looked at whether anything was delivered."""


def submit(deal: Deal, command: Submit, at: datetime) -> Plan:
    """The payee shows work; the review starts, or starts anew (row 4, edge case 17)."""
    row, _ = slot_step(SLOTS, deal, Trigger.SUBMIT, command, at)
    for text in (command.message_ref, *command.artefact_refs):
        check_text(text, field="reference", longest=LONGEST_TEXT)
    if len(command.artefact_refs) > MOST_ARTEFACTS:
        raise BadText(field="artefact_refs", longest=MOST_ARTEFACTS)
    number = deal.slot.submission_count + 1
    after = acted(
        deal.slot,
        at,
        state=SlotState(row.to),
        submission_no=number,
        submission_count=number,
        confirmed_by=None,
    )
    shown = Submission(after.id, number, command.message_ref, command.artefact_refs, at)
    return _plan(deal, row, after, "slot.submitted", command, at, submissions=(shown,))


def withdraw_submission(deal: Deal, command: SlotCommand, at: datetime) -> Plan:
    """The payee takes back what he showed; the review stops (edge case 16)."""
    row, _ = slot_step(SLOTS, deal, Trigger.WITHDRAW_SUBMISSION, command, at)
    after = acted(deal.slot, at, state=SlotState(row.to), submission_no=0, confirmed_by=None)
    return _plan(deal, row, after, "slot.submission_withdrawn", command, at)


def request_changes(deal: Deal, command: SlotCommand, at: datetime) -> Plan:
    """The client sends the work back with a reason; the review stops (row 5)."""
    row, _ = slot_step(SLOTS, deal, Trigger.REQUEST_CHANGES, command, at)
    after = acted(
        deal.slot,
        at,
        state=SlotState(row.to),
        submission_no=0,
        confirmed_by=None,
        change_rounds=deal.slot.change_rounds + 1,
    )
    return _plan(deal, row, after, "slot.changes_requested", command, at)


def flag_empty(deal: Deal, command: SlotCommand, at: datetime) -> Plan:
    """The client says that nothing was delivered: the review gets a day more (edge case 18)."""
    slot_step(SLOTS, deal, Trigger.FLAG_EMPTY, command, at)
    if deal.review_ends_at is None:
        raise NoTimer(slot_id=str(deal.slot.id))
    check_text(command.reason, field="reason", longest=LONGEST_TEXT)
    after = acted(deal.slot, at)
    subject, number = subject_of(after), after.submission_no
    alarm = Alarm(subject, Timer.AUTO_RELEASE, deal.review_ends_at + FLAGGED, number)
    ends = alarm.due_at.isoformat()
    detail = {"submission_no": number, "auto_release_at": ends}
    return Plan(
        drafts=(event(command, at, kind="slot.flagged_empty", subject=subject, detail=detail),),
        facts=slot_facts(after, auto_release_at=ends),
        moved_slots=((deal.slot, after),),
        alarms=(alarm,),
    )


def ask_refund(deal: Deal, command: SlotCommand, at: datetime) -> Plan:
    """The client asks for what is not released; silence will grant it (row 9)."""
    row, _ = slot_step(SLOTS, deal, Trigger.ASK_REFUND, command, at)
    after = acted(deal.slot, at, state=SlotState(row.to))
    return _plan(deal, row, after, "slot.refund_requested", command, at)


def fall_silent(deal: Deal, command: SlotCommand, at: datetime) -> Plan:
    """The dormancy clock rang: look again later, send a notice, or fall dormant (row 18).

    A week or a period is over by its own clocks: what was set for it before rings in vain.
    """
    slot, terms = deal.slot, deal.contract.terms
    if not slot.is_milestone:
        return Plan(drafts=(), facts=slot_facts(slot))
    due = dormant_at(slot, terms)
    if due > at:
        alarm = Alarm(subject_of(slot), "dormant", due, 0)
        return Plan(drafts=(), facts=slot_facts(slot), alarms=(alarm,))
    if slot.notices < 3:
        row, _ = slot_step(SLOTS, deal, Trigger.REMIND, command, at)
        after = moved(slot, notices=slot.notices + 1)
        return _plan(deal, row, after, "slot.dormancy_notice", command, at)
    row, _ = slot_step(SLOTS, deal, Trigger.FALL_DORMANT, command, at)
    after = moved(slot, state=SlotState(row.to))
    return _plan(deal, row, after, "slot.dormant", command, at)


def _plan(
    deal: Deal,
    row: Transition,
    after: Slot,
    kind: str,
    command: SlotCommand,
    at: datetime,
    *,
    submissions: tuple[Submission, ...] = (),
) -> Plan:
    set_to, cancelled, paused = clocks(row, after, deal.contract, at)
    detail = {"submission_no": deal.slot.submission_no or after.submission_no}
    facts = slot_facts(after)
    for alarm in set_to:
        facts[f"{alarm.kind}_at"] = alarm.due_at.isoformat()
    return Plan(
        drafts=(event(command, at, kind=kind, subject=subject_of(after), detail=detail),),
        facts=facts,
        moved_slots=((deal.slot, after),),
        submissions=submissions,
        alarms=set_to,
        cancelled=cancelled,
        paused=paused,
    )
