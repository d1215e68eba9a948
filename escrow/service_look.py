"""Reading without a lock: what one can do with a slot now, and what happens if nobody acts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from escrow import store
from escrow.machine import Timer
from escrow.rules_options import Clock, if_nothing, options
from escrow.service_batch import TIMER_ROOM, list_holds, list_unclear, look_at_slot
from kernel import timers
from kernel.principals import Actor

_SLOT_TIMERS = (Timer.AUTO_RELEASE, Timer.REFUND_REPLY, Timer.DORMANT)


def look(
    connection: Connection, slot_ids: Sequence[UUID], *, actor: Actor, at: datetime
) -> dict[UUID, dict[str, Any]]:
    """For each known slot its `options` for this actor, `if_nothing`, and the open `holds`."""
    slots = store.find_slots(connection, slot_ids)
    contracts = {
        each.id: each
        for each in store.find_contracts(connection, [slot.contract_id for slot in slots])
    }
    subjects = [f"slot:{slot.id}" for slot in slots]
    open_holds = list_holds(connection, contracts.values(), subjects)
    unclear = list_unclear(connection, contracts.values())
    paying = store.list_open_fundings(connection, [slot.id for slot in slots])
    clocks = _clocks(connection, subjects)
    seen = {}
    for slot in slots:
        mine = clocks.get(f"slot:{slot.id}", [])
        review = next((c.due_at for c in mine if c.kind == Timer.AUTO_RELEASE), None)
        deal = replace(
            look_at_slot(slot, contracts[slot.contract_id], open_holds, unclear),
            has_open_funding=slot.id in paying,
            review_ends_at=review,
        )
        seen[slot.id] = {
            "options": options(deal, actor, at),
            "if_nothing": if_nothing(deal, mine, at),
            "holds": list(deal.held_by),
        }
    return seen


def _clocks(connection: Connection, subjects: Sequence[str]) -> dict[str, list[Clock]]:
    found: dict[str, list[Clock]] = {}
    for timer in timers.list_of(connection, subjects):
        kind = timer.kind.removeprefix(TIMER_ROOM)
        if kind in _SLOT_TIMERS:
            due_at = timer.due_at if timer.paused_remaining is None else None
            found.setdefault(timer.subject, []).append(Clock(kind, due_at))
    return found
