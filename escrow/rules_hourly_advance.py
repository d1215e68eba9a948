"""Decisions on hours that the client did not pay: advanced, settled at last, written off."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.commands_hourly import WeekCommand
from escrow.machine import Timer, Trigger
from escrow.machine_hourly import WEEKS
from escrow.machine_slot import SLOTS
from escrow.model import Plan, Role, SlotState
from escrow.model_hourly import ClientClaim, Step, Week, WeekState, Worked
from escrow.movements_hourly import p28_advance, p29_settle_advance, p30_write_off
from escrow.refusals import AboveLimit, Held, OtherPartyMustSign, WrongState
from escrow.rules import Deal, roles, slot_step, step, subject_of
from escrow.rules_deal import event, moved
from escrow.rules_hourly_step import moved_week, told_week, week_facts, week_step, week_subject
from escrow.rules_payout import pay_out, rows_of, security_alarm, with_tax_of
from escrow.rules_price import client_fee_minor, give_back, move_client_fee
from kernel.principals import PrincipalKind


def advance(week: Week, deal: Deal, command: WeekCommand, at: datetime, release_id: UUID) -> Step:
    """P28: the platform pays the protected hours and has a claim on the client."""
    row, _ = week_step(week, deal.contract, Trigger.ADVANCE, command)
    if deal.held_by:
        raise Held(week_id=str(week.id), holds=list(deal.held_by))
    contract, gross = deal.contract, week.protected_minor
    fee = client_fee_minor(deal.pricing.client_tariff, gross)
    payout = pay_out(deal, gross, release_id=release_id, at=at, strict=False, fee_earned_minor=fee)
    claim = ClientClaim(
        week.id,
        contract.client_id,
        contract.currency,
        gross,
        payout.charge.ours_minor,
        fee,
        "open",
        1,
        at,
    )
    entries = p28_advance(
        client_id=claim.client_id,
        payee_id=contract.payee_id,
        currency=claim.currency,
        gross_minor=gross,
        commission_minor=claim.commission_minor,
        fee_minor=claim.fee_minor,
    )
    after = moved_week(week, state=WeekState(row.to), advanced_minor=gross)
    detail = {"release_id": str(release_id), "gross_minor": gross, **payout.detail}
    return Step(
        Plan(
            drafts=(
                event(
                    command,
                    at,
                    kind="week.advanced",
                    subject=week_subject(week),
                    entries=payout.entries(entries),
                    detail=detail,
                ),
            ),
            facts=week_facts(after, claim.currency, release=payout.facts),
            **rows_of(payout),
            alarms=(security_alarm(payout.release),),
        ),
        Worked(moved_weeks=((week, after),), claims=(claim,)),
    )


def settle_advance(
    week: Week, deal: Deal, claim: ClientClaim, command: WeekCommand, at: datetime
) -> Step:
    """The client paid after all (P29); what was not advanced stays in the slot, to be released."""
    slot = deal.slot
    is_part = slot.held_minor > claim.gross_minor
    slot_trigger = Trigger.SETTLE_ADVANCE_PART if is_part else Trigger.SETTLE_ADVANCE
    slot_row, _ = slot_step(
        SLOTS, deal, slot_trigger, SlotCommand(actor=command.actor, slot_id=slot.id), at
    )
    row, _ = week_step(week, deal.contract, Trigger.SETTLE_ADVANCE, command)
    after = moved_week(week, state=WeekState(row.to), code="")
    rest = moved(
        slot,
        state=SlotState(slot_row.to),
        held_minor=slot.held_minor - claim.gross_minor,
        released_minor=slot.released_minor + claim.gross_minor,
        fee_deferred_minor=slot.fee_deferred_minor - claim.fee_minor,
    )
    entries = p29_settle_advance(
        slot_id=slot.id,
        client_id=claim.client_id,
        currency=claim.currency,
        gross_minor=claim.gross_minor,
        fee_minor=claim.fee_minor,
    )
    paid = replace(claim, state="paid", version=claim.version + 1)
    return Step(
        Plan(
            drafts=(
                event(
                    command,
                    at,
                    kind="slot.advance_settled",
                    subject=subject_of(slot),
                    entries=entries,
                    detail={"week_id": str(week.id)},
                ),
                told_week(after, "week.advance_settled", command, at),
            ),
            facts=week_facts(after, slot.currency),
            moved_slots=((slot, rest),),
            cancelled=(
                (week_subject(week), Timer.WEEK_CHARGE),
                *((subject_of(slot), timer) for timer in slot_row.cancels),
            ),
        ),
        Worked(moved_weeks=((week, after),), moved_claims=((claim, paid),)),
    )


def write_off(
    week: Week, deal: Deal, claim: ClientClaim, command: WeekCommand, at: datetime
) -> Step:
    """The client never pays (P30): one person proposes, another approves.

    Refuses: `escrow.above_limit` to programs, `escrow.other_party_must_sign` to the proposer.
    """
    row, _ = step(WEEKS, week.state, Trigger.WRITE_OFF, roles(command.actor, deal.contract))
    if command.actor.kind is not PrincipalKind.PERSON:
        raise AboveLimit(week_id=str(week.id))
    subject, person = week_subject(week), command.actor.principal_id
    if claim.proposed_by is None:
        proposed = replace(claim, proposed_by=person, version=claim.version + 1)
        draft = event(command, at, kind="claim.write_off_proposed", subject=subject)
        facts = week_facts(week, claim.currency, write_off="proposed")
        return Step(Plan(drafts=(draft,), facts=facts), Worked(moved_claims=((claim, proposed),)))
    if claim.proposed_by == person:
        raise OtherPartyMustSign(week_id=str(week.id))
    if deal.slot.state is not SlotState.AWAITING_FUNDING:
        raise WrongState(slot_id=str(deal.slot.id), state=deal.slot.state, trigger="write_off")
    slot_row, _ = step(SLOTS, deal.slot.state, Trigger.CANCEL, (Role.SYSTEM,))
    after = moved_week(week, state=WeekState(row.to))
    gone = replace(claim, state="written_off", approved_by=person, version=claim.version + 1)
    # What stands of it, not what was charged: its tax may have been credited to the payee since.
    returned = give_back(deal.pricing.price, claim.gross_minor)
    entries = p30_write_off(
        client_id=claim.client_id,
        currency=claim.currency,
        gross_minor=claim.gross_minor,
        commission_minor=returned.ours_minor,
        fee_minor=claim.fee_minor,
    )
    lines = (*returned.lines, *move_client_fee(deal.pricing.price, claim.fee_minor))
    entries = with_tax_of(entries, claim.currency, lines)
    return Step(
        Plan(
            drafts=(
                event(command, at, kind="week.written_off", subject=subject, entries=entries),
                event(command, at, kind="slot.cancelled", subject=subject_of(deal.slot)),
            ),
            facts=week_facts(after, claim.currency, write_off="approved"),
            moved_slots=((deal.slot, moved(deal.slot, state=SlotState(slot_row.to))),),
            billed=tuple((deal.pricing.price.pair, line) for line in lines),
            cancelled=((subject, Timer.WEEK_CHARGE),),
        ),
        Worked(moved_weeks=((week, after),), moved_claims=((claim, gone),)),
    )
