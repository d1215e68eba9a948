"""What can be asked as of a date: balances and reports, as known at a time or a journal number.

A report is one document with a header and a hash. Where it is long it comes in pages, and each
page is a document of its own: `after` begins the next.
"""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection

from engine.api import answers_reports as answers
from engine.api.access import Scope
from engine.api.calls import Fetch, Look, Read
from engine.api.models import Request, Time
from engine.api.reads_books import visible_account
from engine.api.refusals import PlatformOnly
from escrow.store import list_held
from kernel import clock
from kernel.money import to_json
from ledger import asof, chart
from ledger.known import Known, resolve
from ledger.reports import Span, time_text
from ledger.reports_held import ageing, just_after, tie_out
from ledger.reports_lines import Position, general_ledger, statement
from ledger.reports_trial import roll_forward, trial_accounts, trial_balance

_LARGEST: Final = 2**63 - 1
_TIME: Final[TypeAdapter[datetime]] = TypeAdapter(Time)


def _number(value: object) -> int:
    """A parameter as a number of the books: up to 19 ASCII digits."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit()
    if not is_number or len(str(value)) > 19 or int(str(value)) > _LARGEST:
        raise PydanticCustomError("number", "a whole number, in digits")
    return int(str(value))


def _time_or_number(value: object) -> datetime | int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return _number(value)
    return _TIME.validate_python(value)


def _position(value: object) -> Position:
    account_id, point, seq = str(value).partition(".")
    if not point:
        raise PydanticCustomError("position", "an account's number, a point, a line's number")
    return Position(_number(account_id), _number(seq))


Number = Annotated[
    int, BeforeValidator(_number), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,18}$"})
]
"""A number of the books as a parameter."""

AsOf = Annotated[
    datetime | int,
    BeforeValidator(_time_or_number),
    WithJsonSchema({"type": "string", "examples": ["184467", "2026-04-05T00:00:00Z"]}),
]
"""A `journal_no` in digits, or a time: the last block sealed at or before it."""

Kind = Annotated[str, Field(max_length=100)]
Currency = Annotated[str, Field(max_length=10)]
Limit = Annotated[
    int,
    Field(ge=1, le=500),
    BeforeValidator(_number),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 500}),
]


class PointQuery(Request):
    """Both axes: what counts before `effective_at`, as it was known at `as_of`."""

    effective_at: Time | None = None
    as_of: AsOf | None = None


class SpanQuery(PointQuery):
    """What counts from `effective_from` up to before `effective_at`."""

    effective_from: Time | None = None


class AccountsPageQuery(SpanQuery):
    """Which accounts, and where the page begins."""

    kind: Kind | None = None
    currency: Currency | None = None
    after: Number = 0
    limit: Limit = 100


class LinesPageQuery(SpanQuery):
    """Which accounts' lines, and where the page begins: account and line, as `goes_on_at` says."""

    kind: Kind | None = None
    currency: Currency | None = None
    after: Annotated[
        Position,
        BeforeValidator(_position),
        WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,18}[.][0-9]{1,18}$"}),
    ] = Position(0, 0)
    limit: Limit = 100


class StatementQuery(SpanQuery):
    """Behind which line of the account the page begins."""

    after: Number = 0
    limit: Limit = 100


def _known(connection: Connection, look: Look) -> Known:
    """What the question's `as_of` stands for; reports are the platform's alone."""
    if look.sees_only is not None:
        raise PlatformOnly
    return resolve(connection, look.query.as_of)


def _span(look: Look) -> Span:
    return Span(look.query.effective_from, look.query.effective_at)


def _balance(connection: Connection, look: Look) -> dict[str, Any] | None:
    row = visible_account(connection, look)
    if row is None:
        return None
    known = resolve(connection, look.query.as_of)
    key = chart.account(row.kind, row.currency, row.subject)
    effective_at = look.query.effective_at
    minor = asof.balance(connection, key, effective_at=effective_at, known=known)
    return {
        "account_id": str(row.id),
        "account": key.code,
        "balance": to_json(minor, row.currency),
        "effective_at": time_text(effective_at),
        "journal_no": str(known.journal_no),
        "provisional": known.provisional,
    }


def _statement(connection: Connection, look: Look) -> dict[str, Any] | None:
    row = visible_account(connection, look)
    if row is None:
        return None
    known = resolve(connection, look.query.as_of)
    return statement(
        connection,
        row.id,
        known=known,
        span=_span(look),
        after_seq=look.query.after,
        limit=look.query.limit,
    ).as_json()


def _trial_balance(connection: Connection, look: Look) -> dict[str, Any]:
    known = _known(connection, look)
    return trial_balance(connection, known=known, span=_span(look)).as_json()


def _roll_forward(connection: Connection, look: Look) -> dict[str, Any]:
    known = _known(connection, look)
    return roll_forward(connection, known=known, span=_span(look)).as_json()


def _trial_accounts(connection: Connection, look: Look) -> dict[str, Any]:
    query = look.query
    return trial_accounts(
        connection,
        known=_known(connection, look),
        span=_span(look),
        kind=query.kind,
        currency=query.currency,
        after=query.after,
        limit=query.limit,
    ).as_json()


def _general_ledger(connection: Connection, look: Look) -> dict[str, Any]:
    query = look.query
    return general_ledger(
        connection,
        known=_known(connection, look),
        span=_span(look),
        kind=query.kind,
        currency=query.currency,
        after=query.after,
        limit=query.limit,
    ).as_json()


def _ageing(connection: Connection, look: Look) -> dict[str, Any]:
    known = _known(connection, look)
    effective_at = look.query.effective_at or just_after(clock.now(connection))
    return ageing(connection, known=known, effective_at=effective_at).as_json()


def _tie_out(connection: Connection, look: Look) -> dict[str, Any]:
    known = _known(connection, look)
    effective_at = look.query.effective_at
    # The deals have figures of now and no history.
    is_now = known.provisional and effective_at is None
    said = list_held(connection) if is_now else None
    return tie_out(connection, known=known, effective_at=effective_at, said=said).as_json()


def _report(
    path: str, summary: str, fetch: Fetch, query: type[Request], answer: type[BaseModel]
) -> Read:
    return Read(
        path=path,
        scope=Scope.LEDGER_READ,
        fetch=fetch,
        answer=answer,
        summary=summary,
        query=query,
    )


REPORT_READS: Final[tuple[Read, ...]] = (
    _report(
        "/v1/accounts/{account_id}/balance",
        "The balance of an account as of a date, as it was known",
        _balance,
        PointQuery,
        answers.BalanceAnswer,
    ),
    _report(
        "/v1/accounts/{account_id}/statement",
        "The lines of an account within a span, as they were known",
        _statement,
        StatementQuery,
        answers.LedgerReport,
    ),
    _report(
        "/v1/reports/trial-balance",
        "The trial balance by kind and currency, on both axes",
        _trial_balance,
        SpanQuery,
        answers.TrialReport,
    ),
    _report(
        "/v1/reports/trial-balance/accounts",
        "The trial balance by account, page by page",
        _trial_accounts,
        AccountsPageQuery,
        answers.TrialAccountsReport,
    ),
    _report(
        "/v1/reports/general-ledger",
        "Lines with running balances, account by account, page by page",
        _general_ledger,
        LinesPageQuery,
        answers.LedgerReport,
    ),
    _report(
        "/v1/reports/roll-forward",
        "Opening, activity by kind of event, closing",
        _roll_forward,
        SpanQuery,
        answers.RollReport,
    ),
    _report(
        "/v1/reports/ageing",
        "Held money by age and by what it waits for",
        _ageing,
        PointQuery,
        answers.AgeingReport,
    ),
    _report(
        "/v1/reports/tie-out",
        "Sub-ledgers against their control accounts",
        _tie_out,
        PointQuery,
        answers.TieReport,
    ),
)
"""Every question as of a date."""
