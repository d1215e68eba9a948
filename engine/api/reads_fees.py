"""What can be looked at of fee schedules, and of what a contract pinned of them."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection

from commissions import store, store_choice
from commissions.explaining import choice_json, ids_in
from commissions.model_schedule import ScheduleState, as_json, ending_json
from engine.api import store as api_store
from engine.api.access import Scope
from engine.api.answers_fees import (
    ContractFeesAnswer,
    EndingAnswer,
    MoveAnswer,
    MovingAnswer,
    ScheduleAnswer,
)
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.models import Time
from engine.api.refusals import PlatformOnly
from escrow import service_fee_move, store_fee_move
from escrow import store as deals
from escrow.model_fee_move import as_json as move_json
from escrow.model_fee_move import verdict_json
from kernel import clock


class SchedulesQuery(PageQuery):
    """Which schedules: of a state, of a name, or those in force at an instant."""

    state: ScheduleState | None = None
    name: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,80}$")] | None = None
    in_force_at: Time | None = None


def _schedules(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    query = look.query
    rows = store.list_versions(
        connection,
        after=after_id(look),
        limit=query.limit + 1,
        state=query.state,
        name=query.name,
        in_force_at=query.in_force_at,
    )
    return page_of(rows, query.limit, show=as_json, key=by_id)


def _schedule(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    named = look.ids["schedule_id"]
    found = store.find_versions(connection, [named]).get(named)
    return None if found is None else as_json(found)


def _endings(connection: Connection, look: Look) -> Page | None:
    if look.sees_only is not None:
        raise PlatformOnly
    named = look.ids["schedule_id"]
    if not store.find_versions(connection, [named]):
        return None
    return Page([ending_json(each) for each in store.list_endings(connection, named)], None)


def contract_fees(connection: Connection, contract_id: UUID) -> dict[str, Any] | None:
    """What a contract pinned, newest choice of each part last, and why; None: no such contract."""
    found = deals.find_contracts(connection, [contract_id])
    if not found:
        return None
    contract = found[0]
    choices = store_choice.list_choices(connection, [contract_id])
    ids = [UUID(each) for each in ids_in(choices)]
    schedules = {
        str(version.id): version.schedule
        for version in store.find_versions(connection, ids).values()
    }
    pins = contract.pins
    named = store_choice.find_named(connection, [contract_id])
    return {
        "contract_id": str(contract_id),
        "currency": contract.currency,
        "payee_schedule_id": _text(pins.payee_schedule_id),
        "client_schedule_id": _text(pins.client_schedule_id),
        "promotion_schedule_id": _text(pins.promotion_schedule_id),
        "promotion_until": pins.promotion_until and pins.promotion_until.isoformat(),
        "promotion_named": named.get(contract_id),
        "fx_margin_bps": pins.fx_margin_bps,
        "commission_bps": contract.terms.commission_bps,
        "client_fee_bps": contract.terms.client_fee_bps,
        "choices": [choice_json(each, schedules, contract.currency) for each in choices],
    }


def _contract_fees(connection: Connection, look: Look) -> dict[str, Any] | None:
    named, party_id = look.ids["contract_id"], look.sees_only
    if party_id is not None and not api_store.is_seen(
        connection, "contract", named, party_id=party_id
    ):
        return None
    return contract_fees(connection, named)


def _moves(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    limit = look.query.limit
    rows = store_fee_move.list_moves(connection, after=after_id(look), limit=limit + 1)
    return page_of(rows, limit, show=move_json, key=by_id)


def _move(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    named = look.ids["move_id"]
    found = store_fee_move.find_moves(connection, [named]).get(named)
    return None if found is None else move_json(found)


def _moving(connection: Connection, look: Look) -> Page | None:
    """What would become of each contract that a move has not looked at yet."""
    if look.sees_only is not None:
        raise PlatformOnly
    named = look.ids["move_id"]
    found = store_fee_move.find_moves(connection, [named]).get(named)
    if found is None:
        return None
    verdicts, behind = service_fee_move.look(
        connection,
        found,
        clock.now(connection),
        after=after_id(look) or found.looked_to,
        limit=look.query.limit,
    )
    shown = [verdict_json(each) for each in verdicts]
    return Page(shown, None if behind is None else [str(behind)])


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


FEE_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/fee_schedules",
        Scope.LEDGER_READ,
        _schedules,
        ScheduleAnswer,
        summary="Fee schedules",
        query=SchedulesQuery,
        pages=True,
    ),
    declare(
        "/v1/fee_schedules/{schedule_id}",
        Scope.LEDGER_READ,
        _schedule,
        ScheduleAnswer,
        summary="A fee schedule with its bands",
    ),
    declare(
        "/v1/fee_schedules/{schedule_id}/endings",
        Scope.LEDGER_READ,
        _endings,
        EndingAnswer,
        summary="What was proposed about the end of a schedule",
        pages=True,
    ),
    declare(
        "/v1/fee_moves",
        Scope.LEDGER_READ,
        _moves,
        MoveAnswer,
        summary="Moves of running contracts to other fee schedules",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/fee_moves/{move_id}",
        Scope.LEDGER_READ,
        _move,
        MoveAnswer,
        summary="A move, and how far it has come",
    ),
    declare(
        "/v1/fee_moves/{move_id}/contracts",
        Scope.LEDGER_READ,
        _moving,
        MovingAnswer,
        summary="Who would move and who would not, and why: nothing is written",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/contracts/{contract_id}/fees",
        Scope.CONTRACTS_READ,
        _contract_fees,
        ContractFeesAnswer,
        summary="The fees that a contract pinned, and why",
    ),
)
"""Every look at fee schedules."""
