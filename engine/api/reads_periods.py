"""What can be looked at of periods: their states, what was done to them, and their closings."""

from typing import Any, Final

from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_periods import ClosingAnswer, PeriodAnswer, PeriodShown
from engine.api.calls import Look, Page, PageQuery, Read, after_numbers, declare, page_of
from engine.api.reads_books import number
from engine.api.refusals import PlatformOnly
from ledger import store_periods
from ledger.model_periods import Closing, Period, State, act_as_json, as_json, closing_as_json


class PeriodsQuery(PageQuery):
    """Which periods."""

    state: State | None = None


def _periods(connection: Connection, look: Look) -> Page:
    _check(look)
    query = look.query
    rows = store_periods.list_periods(
        connection, after=after_numbers(look)[0], limit=query.limit + 1, state=query.state
    )
    return page_of(rows, query.limit, show=as_json, key=lambda row: (row.id,))


def _period(connection: Connection, look: Look) -> dict[str, Any] | None:
    period = _found(connection, look)
    if period is None:
        return None
    acts = store_periods.list_acts(connection, [period.id]).get(period.id, [])
    return {**as_json(period), "acts": [act_as_json(each) for each in acts]}


def _closings(connection: Connection, look: Look) -> Page | None:
    period = _found(connection, look)
    if period is None:
        return None
    limit = look.query.limit
    rows = store_periods.list_closings(
        connection, period.id, after=after_numbers(look)[0], limit=limit + 1
    )
    return page_of(rows, limit, show=_shown, key=lambda row: (row.version,))


def _shown(closing: Closing) -> dict[str, Any]:
    return {**closing_as_json(closing), "trial_balance": closing.trial_balance}


def _found(connection: Connection, look: Look) -> Period | None:
    _check(look)
    period_id = number(look.texts["period"])
    return None if period_id is None else store_periods.find_period(connection, period_id)


def _check(look: Look) -> None:
    if look.sees_only is not None:
        raise PlatformOnly


PERIOD_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/periods",
        Scope.LEDGER_READ,
        _periods,
        PeriodAnswer,
        summary="Accounting periods",
        query=PeriodsQuery,
        pages=True,
    ),
    declare(
        "/v1/periods/{period}",
        Scope.LEDGER_READ,
        _period,
        PeriodShown,
        summary="A period and what was done to it",
    ),
    declare(
        "/v1/periods/{period}/closings",
        Scope.LEDGER_READ,
        _closings,
        ClosingAnswer,
        summary="The closings of a period with their trial balances",
        query=PageQuery,
        pages=True,
    ),
)
"""Every look at periods."""
