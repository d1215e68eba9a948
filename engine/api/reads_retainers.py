"""What can be looked at of retainers and of the amendments of a contract's terms."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from engine.api import store
from engine.api.access import Scope
from engine.api.answers_retainers import (
    DrawdownAnswer,
    PeriodAnswer,
    RetainerAnswer,
    TermAmendmentAnswer,
)
from engine.api.calls import (
    Look,
    Page,
    PageQuery,
    Read,
    after_id,
    after_numbers,
    declare,
    page_of,
)
from escrow import store as deals
from escrow import store_hybrid, store_retainer
from escrow.model import Slot
from escrow.model_retainer import Drawdown, DrawdownState, Period, Retainer, Worked
from escrow.rules_hybrid import amendment_facts
from escrow.rules_retainer_draw import is_funded
from kernel.money import to_json


def show_retainer(row: Retainer, currency: str) -> dict[str, Any]:
    """A retainer with what was agreed at first; later prices are its amendments."""
    terms = row.terms

    def money(minor: int) -> dict[str, str] | None:
        return to_json(minor, currency) if minor else None

    roll = {"cap": to_json(terms.roll_cap_minor, currency), "periods": terms.roll_periods}
    return {
        "id": str(row.id),
        "contract_id": str(row.contract_id),
        "proposed_by": row.proposed_by.value,
        "state": row.state.value,
        "version": row.version,
        "kind": terms.kind.value,
        "amount": to_json(terms.amount_minor, currency),
        "every": terms.every.value,
        "anchor_on": terms.anchor_on.isoformat(),
        "zone": terms.zone,
        "unused": terms.unused.value,
        "rest": terms.rest.value,
        "roll": roll if terms.roll_cap_minor else None,
        "hourly_rate": money(terms.hourly_minor),
        "quota": terms.quota or None,
        "overage": terms.overage.value,
        "overage_price": money(terms.overage_minor),
        "on_pause": terms.on_pause.value,
        "notice_days": terms.notice_days,
        "method": terms.method.value,
        "created_at": row.created_at.isoformat(),
        "accepted_at": row.accepted_at and row.accepted_at.isoformat(),
        "cancel_asked_by": row.cancel_asked_by and row.cancel_asked_by.value,
        "pause_asked_by": row.pause_asked_by and row.pause_asked_by.value,
        "ends_at": row.ends_at and row.ends_at.isoformat(),
    }


def show_period(row: Period, slot: Slot, drawdowns: list[Drawdown]) -> dict[str, Any]:
    """A period with the money of its slot."""
    waiting = sum(
        each.amount_minor
        for each in drawdowns
        if each.state is DrawdownState.SUBMITTED and not each.exceeds
    )

    def money(minor: int) -> dict[str, str]:
        return to_json(minor, slot.currency)

    return {
        "id": str(row.id),
        "retainer_id": str(row.retainer_id),
        "contract_id": str(row.contract_id),
        "number": row.number,
        "first_on": row.first_on.isoformat(),
        "next_on": row.next_on.isoformat(),
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "state": row.state.value,
        "version": row.version,
        "charges": row.attempts,
        "funded": is_funded(row),
        "paused_at": row.paused_at and row.paused_at.isoformat(),
        "paused_days": row.paused_days,
        "amount": money(slot.amount_minor - slot.rolled_in_minor),
        "held": money(slot.held_minor),
        "available": money(slot.held_minor - waiting),
        "carried_in": money(slot.rolled_in_minor),
        "released": money(slot.released_minor),
        "refunded": money(slot.refunded_minor),
        "carried_out": money(slot.rolled_out_minor),
    }


def show_drawdown(row: Drawdown, currency: str, hours: list[Worked]) -> dict[str, Any]:
    """A drawdown with its hours, where it names them."""
    return {
        "id": str(row.id),
        "period_id": str(row.period_id),
        "seq": row.seq,
        "units": row.units,
        "amount": to_json(row.amount_minor, currency),
        "message_ref": row.message_ref,
        "state": row.state.value,
        "version": row.version,
        "exceeds": row.exceeds,
        "slot_id": str(row.slot_id) if row.slot_id else None,
        "release_id": str(row.release_id) if row.release_id else None,
        "charges": row.attempts,
        "submitted_at": row.submitted_at.isoformat(),
        "due_at": row.due_at.isoformat(),
        "hours": [
            {"started_at": each.started_at.isoformat(), "ended_at": each.ended_at.isoformat()}
            for each in hours
        ],
    }


def _currency(connection: Connection, look: Look, kind: str, subject_id: UUID) -> str | None:
    """The currency of what the path names; None where there is nothing that the caller sees."""
    return store.find_currency(connection, kind, subject_id, sees_only=look.sees_only)


def _retainer(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["retainer_id"]
    currency = _currency(connection, look, "retainer", named)
    if currency is None:
        return None
    return show_retainer(store_retainer.find_retainers(connection, [named])[0], currency)


def _retainers(connection: Connection, look: Look) -> Page | None:
    contract_id = look.ids["contract_id"]
    currency = _currency(connection, look, "contract", contract_id)
    if currency is None:
        return None
    rows = store_retainer.list_retainers(connection, [contract_id])
    return Page([show_retainer(row, currency) for row in rows], None)


def _periods(connection: Connection, look: Look) -> Page | None:
    retainer_id, limit = look.ids["retainer_id"], look.query.limit
    if _currency(connection, look, "retainer", retainer_id) is None:
        return None
    after = after_numbers(look)[0]
    rows = [
        each for each in store_retainer.list_periods(connection, retainer_id) if each.number > after
    ][: limit + 1]
    ids = [row.id for row in rows]
    slots = {slot.id: slot for slot in deals.find_slots(connection, ids)}
    drawn = store_retainer.list_all_drawdowns(connection, ids)
    return page_of(
        rows,
        limit,
        show=lambda row: show_period(row, slots[row.id], drawn.get(row.id, [])),
        key=lambda row: (row.number,),
    )


def _period(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["period_id"]
    if _currency(connection, look, "period", named) is None:
        return None
    (row,) = store_retainer.find_periods(connection, [named])
    (slot,) = deals.find_slots(connection, [named])
    return show_period(row, slot, list(store_retainer.list_drawdowns(connection, named)))


def _drawdowns(connection: Connection, look: Look) -> Page | None:
    period_id, limit = look.ids["period_id"], look.query.limit
    currency = _currency(connection, look, "period", period_id)
    if currency is None:
        return None
    after = after_numbers(look)[0]
    known = store_retainer.list_drawdowns(connection, period_id)
    rows = [each for each in known if each.seq > after][: limit + 1]
    hours = _hours(connection, rows)
    return page_of(
        rows,
        limit,
        show=lambda row: show_drawdown(row, currency, hours.get(row.id, [])),
        key=lambda row: (row.seq,),
    )


def _drawdown(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["drawdown_id"]
    currency = _currency(connection, look, "drawdown", named)
    if currency is None:
        return None
    rows = store_retainer.find_drawdowns(connection, [named])
    return show_drawdown(rows[0], currency, _hours(connection, rows).get(named, []))


def _hours(connection: Connection, rows: list[Drawdown]) -> dict[UUID, list[Worked]]:
    found: dict[UUID, list[Worked]] = {}
    for each in store_retainer.list_worked(connection, [row.id for row in rows]):
        found.setdefault(each.drawdown_id, []).append(each)
    return found


def _amendment(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["amendment_id"]
    currency = _currency(connection, look, "term_amendment", named)
    if currency is None:
        return None
    return amendment_facts(store_hybrid.find_amendments(connection, [named])[0], currency)


def _amendments(connection: Connection, look: Look) -> Page | None:
    contract_id, limit = look.ids["contract_id"], look.query.limit
    currency = _currency(connection, look, "contract", contract_id)
    if currency is None:
        return None
    rows = store_hybrid.list_amendments(
        connection, contract_id, after=after_id(look), limit=limit + 1
    )
    return page_of(
        rows,
        limit,
        show=lambda row: amendment_facts(row, currency),
        key=lambda row: (str(row.id),),
    )


_C = Scope.CONTRACTS_READ
_LIST: Final[dict[str, Any]] = {"query": PageQuery, "pages": True}

RETAINER_READS: Final[tuple[Read, ...]] = (
    declare("/v1/retainers/{retainer_id}", _C, _retainer, RetainerAnswer, summary="A retainer"),
    declare(
        "/v1/contracts/{contract_id}/retainers",
        _C,
        _retainers,
        RetainerAnswer,
        summary="Retainers of a contract",
        pages=True,
    ),
    declare(
        "/v1/retainers/{retainer_id}/periods",
        _C,
        _periods,
        PeriodAnswer,
        summary="Periods of a retainer, first to last",
        **_LIST,
    ),
    declare(
        "/v1/retainer_periods/{period_id}", _C, _period, PeriodAnswer, summary="A retainer's period"
    ),
    declare(
        "/v1/retainer_periods/{period_id}/drawdowns",
        _C,
        _drawdowns,
        DrawdownAnswer,
        summary="What was drawn from a period",
        **_LIST,
    ),
    declare("/v1/drawdowns/{drawdown_id}", _C, _drawdown, DrawdownAnswer, summary="A drawdown"),
    declare(
        "/v1/contracts/{contract_id}/term_amendments",
        _C,
        _amendments,
        TermAmendmentAnswer,
        summary="Amendments of a contract's terms",
        **_LIST,
    ),
    declare(
        "/v1/term_amendments/{amendment_id}",
        _C,
        _amendment,
        TermAmendmentAnswer,
        summary="An amendment of a term",
    ),
)
"""Every look at retainers and term amendments."""
