"""The decision on a word of a rail: what it changes, what is held meanwhile, and what is told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from escrow.machine import FUNDINGS, Timer, Trigger
from escrow.machine_slot import SLOTS
from escrow.model import FundingState, Plan, Role, Slot, SlotState
from escrow.model_chargeback import (
    Chargeback,
    Direction,
    Movement,
    Piece,
    Reserve,
    Source,
    Word,
)
from escrow.model_claim import Claim
from escrow.model_dispute import Dispute
from escrow.rules import clocks, step, subject_of
from escrow.rules_chargeback import Standing, hear_state, move_slot
from escrow.rules_chargeback_give import reinstate
from escrow.rules_chargeback_settle import NewId, settle
from escrow.rules_chargeback_take import shares_of, withdraw
from escrow.rules_claims import claim_draft
from escrow.rules_deal import event
from kernel.commands import Command
from kernel.money import to_json
from ledger.model import Draft

_MOVE: Final = MappingProxyType({Direction.WITHDRAWN: withdraw, Direction.REINSTATED: reinstate})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What a word changes besides the plan's own rows. `before` is None for the first word.

    `held_slots` are to be held, `freed_slots` no longer.
    """

    plan: Plan
    before: Chargeback | None
    after: Chargeback
    movement: Movement | None = None
    pieces: tuple[Piece, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    mooted: tuple[tuple[Dispute, Dispute], ...] = ()
    held_slots: tuple[UUID, ...] = ()
    freed_slots: tuple[UUID, ...] = ()


def hear(
    first: Standing,
    word: Word,
    *,
    is_new: bool,
    held: frozenset[UUID],
    at: datetime,
    new_id: NewId,
) -> Moves:
    """Follow one word: a state, or one balance transaction that nobody booked before.

    Args:
        first: the payment as locked; its chargeback as it was, or as the first word makes it.
        word: what the rail says.
        is_new: whether this is the first that is heard of the chargeback.
        held: the slots that this chargeback holds by now.
        at: the tenant's clock.
        new_id: makes the ids of claims.
    """
    standing, is_news = first, is_new
    if word.movement is not None:
        standing = _MOVE[word.movement.direction](standing, word.movement, at)
        is_news = True
    elif not is_new:
        standing, is_news = hear_state(standing, word)
    if not is_news:
        facts = chargeback_facts(first.chargeback, is_news=False)
        return Moves(plan=Plan(drafts=(), facts=facts), before=None, after=first.chargeback)
    standing = settle(standing, at, new_id)
    if word.is_return:
        row, _ = step(FUNDINGS, first.funding.state, Trigger.REVERSE, (Role.RAIL,))
        reversed_ = replace(standing.funding, state=FundingState(row.to))
        standing = replace(standing, funding=reversed_)
    wanted = _slots_to_hold(standing, held)
    if standing.chargeback.is_settled:
        standing = _restart(standing, _stopped(first, standing, held), at)
    return _moves(first, standing, word, is_new=is_new, held=held, wanted=wanted, at=at)


def _slots_to_hold(standing: Standing, held: frozenset[UUID]) -> frozenset[UUID]:
    """Slots that stand still while the bank looks: the payment's own, and where it is all there is.

    Of a slot into which a part of it was rolled, beside other money, only that part freezes: it
    leaves with the withdrawal, and the rest may go on (edge case 34).
    """
    if standing.chargeback.is_settled:
        return frozenset()
    found = set(held)
    shares = shares_of(standing)
    away = [each for each in standing.contested if each.slot_id is not None]
    for slot_id, slot in standing.slots.items():
        mine = [each for each in shares if each.slot_id == slot_id]
        gone = [each for each in away if each.slot_id == slot_id]
        there = sum(each.money_minor for each in mine if each.source is Source.HELD)
        is_all = there == slot.held_minor and bool(mine or gone)
        sources = {each.source for each in mine} | {each.source for each in gone}
        is_paid = Source.RELEASED in sources
        is_own = slot_id == standing.funding.slot_id and bool(mine or gone)
        if is_own or is_all or is_paid:
            found.add(slot_id)
    return frozenset(found)


def _stopped(first: Standing, last: Standing, held: frozenset[UUID]) -> set[UUID]:
    """Slots whose review this chargeback stopped, if it has just come to an end, or took again."""
    pieces = last.pieces[len(first.pieces) :] if first.chargeback.is_settled else last.pieces
    return set(held) | {each.slot_id for each in pieces if each.slot_id is not None}


def _restart(standing: Standing, slot_ids: Iterable[UUID], at: datetime) -> Standing:
    """Reviews that the chargeback ended begin anew, in full length (row 17)."""
    for slot_id in sorted(slot_ids):
        slot = standing.slots.get(slot_id)
        if slot is not None and slot.state is SlotState.SUBMITTED and not slot.recalled_minor:
            standing = move_slot(standing, slot_id, Trigger.RESTART_REVIEW, at)
        elif slot is not None and _was_in_review(standing, slot):
            row, _ = step(SLOTS, SlotState.SUBMITTED, Trigger.RESTART_REVIEW, (Role.RAIL,))
            reviewed = replace(slot, state=SlotState.SUBMITTED)
            alarms, _, _ = clocks(row, reviewed, standing.contract, at)
            standing = replace(standing, alarms=(*standing.alarms, *alarms))
    return standing


def _was_in_review(standing: Standing, slot: Slot) -> bool:
    """Whether its review goes on once the dispute is over: the clock stands meanwhile."""
    dispute = standing.disputes.get(slot.id)
    return (
        slot.state is SlotState.DISPUTED
        and not slot.recalled_minor
        and dispute is not None
        and dispute.state_before is SlotState.SUBMITTED
    )


def _moves(
    first: Standing,
    last: Standing,
    word: Word,
    *,
    is_new: bool,
    held: frozenset[UUID],
    wanted: frozenset[UUID],
    at: datetime,
) -> Moves:
    before = first.chargeback
    after = last.chargeback if is_new else replace(last.chargeback, version=before.version + 1)
    slots = tuple(
        (old, replace(last.slots[slot_id], version=old.version + 1))
        for slot_id, old in first.slots.items()
        if last.slots[slot_id] != old
    )
    placed = tuple(sorted(wanted - held))
    plan = _plan(first, last, slots, after, word, at)
    stopped = tuple((f"slot:{slot_id}", Timer.AUTO_RELEASE) for slot_id in placed)
    plan = replace(plan, cancelled=(*plan.cancelled, *stopped))
    return Moves(
        plan=plan,
        before=None if is_new else before,
        after=after,
        movement=word.movement,
        pieces=last.pieces,
        reserves=last.reserves,
        mooted=last.mooted,
        held_slots=placed,
        freed_slots=tuple(sorted(held - wanted)),
    )


def _plan(
    first: Standing,
    last: Standing,
    slots: tuple[tuple[Slot, Slot], ...],
    after: Chargeback,
    word: Word,
    at: datetime,
) -> Plan:
    """The difference between two standings as rows, told in one event for each thing it changes."""
    return Plan(
        drafts=(
            _draft(last, after, word, at),
            *_slot_drafts(slots, after, word, at),
            *_claim_drafts(first, last, word, at),
        ),
        facts=chargeback_facts(after, is_news=True),
        moved_slots=slots,
        lots=tuple(
            lot
            for slot_id, lots in last.lots.items()
            for lot in lots[len(first.lots.get(slot_id, ())) :]
        ),
        moved_lots=tuple(
            (old, new)
            for slot_id, lots in first.lots.items()
            for old, new in zip(lots, last.lots[slot_id], strict=False)
            if old != new
        ),
        moved_fundings=_changed_funding(first, last),
        moved_releases=tuple(
            (old, last.releases[key])
            for key, old in first.releases.items()
            if last.releases[key] != old
        ),
        claims=tuple(claim for key, claim in last.claims.items() if key not in first.claims),
        moved_claims=tuple(
            (old, last.claims[key]) for key, old in first.claims.items() if last.claims[key] != old
        ),
        billed=tuple((last.price.pair, line) for line in last.billed),
        alarms=last.alarms,
        cancelled=last.cancelled,
    )


def _changed_funding(first: Standing, last: Standing) -> tuple[Any, ...]:
    if last.funding == first.funding:
        return ()
    version = first.funding.version + 1
    return ((first.funding, replace(last.funding, version=version)),)


def _draft(last: Standing, after: Chargeback, word: Word, at: datetime) -> Draft:
    """The event of a word; the entries of all that follows from it are its own."""
    movement = word.movement
    detail: dict[str, Any] = {
        "rail": after.rail,
        "rail_ref": after.rail_ref,
        "funding_id": str(after.funding_id),
        "state": after.state.value,
        "decision": after.decision and after.decision.value,
        "occurred_at": word.occurred_at.isoformat(),
    }
    kind = after.state.value
    if movement is not None:
        kind = movement.direction.value
        detail |= {
            "movement": movement.rail_ref,
            "moved": to_json(movement.amount_minor, after.currency),
            "disputed": to_json(movement.disputed_minor, after.currency),
            "network_fee": to_json(movement.fee_minor, after.currency),
        }
    return event(
        word,
        at,
        kind=f"chargeback.{kind}",
        subject=after.subject,
        entries=last.entries,
        detail=detail,
    )


def _slot_drafts(
    slots: tuple[tuple[Slot, Slot], ...], after: Chargeback, command: Command, at: datetime
) -> tuple[Draft, ...]:
    return tuple(
        event(
            command,
            at,
            kind=_slot_kind(old, new),
            subject=subject_of(new),
            detail={"chargeback_id": str(after.id), "state": new.state.value},
        )
        for old, new in slots
    )


def _slot_kind(old: Slot, new: Slot) -> str:
    """What a chargeback did to a slot; `slot.contested` tells the payee to stop working."""
    if new.charged_back_minor > old.charged_back_minor:
        return "slot.charged_back"
    if new.recalled_minor > old.recalled_minor:
        return "slot.contested"
    if new.held_minor > old.held_minor:
        return "slot.reinstated"
    if new.returned_minor != old.returned_minor or new.refunded_minor != old.refunded_minor:
        return "slot.loss_booked"
    return "slot.review_restarted"


def _claim_drafts(first: Standing, last: Standing, word: Word, at: datetime) -> list[Draft]:
    drafts = []
    for key, claim in last.claims.items():
        old = first.claims.get(key)
        if old is None:
            drafts.append(claim_draft(claim, word, at))
        elif old != claim:
            drafts.append(_relieved(old, claim, word, at))
    return drafts


def _relieved(old: Claim, new: Claim, word: Word, at: datetime) -> Draft:
    amount = new.relieved_minor - old.relieved_minor
    detail = {
        "amount": to_json(amount, new.currency),
        "remaining": to_json(new.remaining_minor, new.currency),
    }
    return event(word, at, kind="claim.relieved", subject=f"claim:{new.id}", detail=detail)


def chargeback_facts(chargeback: Chargeback, **more: object) -> dict[str, Any]:
    """What an answer says of a chargeback."""
    return {
        "chargeback_id": str(chargeback.id),
        "funding_id": str(chargeback.funding_id),
        "contract_id": str(chargeback.contract_id),
        "rail": chargeback.rail,
        "rail_ref": chargeback.rail_ref,
        "reason": chargeback.reason,
        "disputed": to_json(chargeback.amount_minor, chargeback.currency),
        "state": chargeback.state.value,
        "decision": chargeback.decision and chargeback.decision.value,
        "is_settled": chargeback.is_settled,
        "version": chargeback.version,
        "opened_at": chargeback.opened_at.isoformat(),
        "due_by": _time(chargeback.due_by),
        "told_at": _time(chargeback.told_at),
        "heard_by": _time(chargeback.heard_by),
        "answered_at": _time(chargeback.answered_at),
        "submitted_at": _time(chargeback.submitted_at),
        **more,
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
