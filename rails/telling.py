"""How handlers are told what rails say, and what may go wrong with one word without the others."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.commands import Outcome
from kernel.errors import Broken, Refusal
from rails import service
from rails.model import Notice, RailResult

ResultHandler = Callable[[Connection, Sequence[RailResult], datetime], object]
NoticeHandler = Callable[[Connection, Sequence[Notice], datetime], object]

POISON: Final = (
    Broken,
    Refusal,
    DBAPIError,
    psycopg.Error,
    AssertionError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
)
"""What one bad result or notice may raise: it fails alone and does not stop its neighbours."""

_AWAY: Final = frozenset({"08", "40", "53", "55", "57"})
"""Classes of SQLSTATE by which the server was away, too full, or had two of us in its way."""


def tell_results(
    connection: Connection,
    results: Sequence[RailResult],
    handlers: Mapping[str, ResultHandler],
    at: datetime,
) -> int:
    """Store results and tell the handlers that operations name; how many were news.

    Broken where a handler is missing, or refuses what has happened.
    """
    by_handler = service.store_results(connection, results, at)
    for name in sorted(by_handler):
        if name not in handlers:
            raise Broken("no handler has the name that an operation carries", handler=name)
        check_answer(name, handlers[name](connection, by_handler[name], at))
    return sum(len(news) for news in by_handler.values())


def tell_news(
    connection: Connection,
    notices: Sequence[Notice],
    handlers: Mapping[str, NoticeHandler],
    at: datetime,
) -> int:
    """Tell the handlers of notices that are no results, kind by kind; how many there were."""
    for kind in sorted({notice.kind for notice in notices}):
        news = [notice for notice in notices if notice.kind == kind]
        check_answer(kind, handlers[kind](connection, news, at))
    return len(notices)


def check_answer(handler: str, answer: object) -> None:
    """Broken if a handler that answers with outcomes refused: what has happened must be booked."""
    if isinstance(answer, Sequence):
        for outcome in answer:
            if isinstance(outcome, Outcome) and not outcome.is_done:
                raise Broken(
                    "a handler refused what has happened",
                    handler=handler,
                    code=outcome.code,
                    why=dict(outcome.facts),
                )


def is_outage(error: BaseException) -> bool:
    """The database was away or busy: no notice is set aside for that, it is heard next time.

    Told by the SQLSTATE: the guards' own codes are operational errors to the driver, too.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return cause.sqlstate is None or cause.sqlstate[:2] in _AWAY
