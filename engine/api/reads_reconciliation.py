"""What can be looked at of reconciliation: accounts, statements, runs, matches, proposals."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Connection

from engine.api import answers_reconciliation as answers
from engine.api.access import Scope
from engine.api.calls import Fetch, Look, Page, PageQuery, Read, after_id, declare, page_of
from engine.api.refusals import PlatformOnly
from kernel.money import to_json
from reconciliation import store_matches, store_statements
from reconciliation.service import account_facts

_START: Final = UUID(int=0)
_ROOT: Final = "/v1/reconciliation"

Row = Mapping[str, Any]


def _accounts(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    limit = look.query.limit
    rows = store_statements.list_accounts(
        connection, after=after_id(look) or _START, limit=limit + 1
    )
    return page_of(rows, limit, show=account_facts, key=lambda row: (str(row.id),))


def _listing(
    fetch: Callable[..., Sequence[Row]], show: Callable[[Row], Mapping[str, Any]]
) -> Fetch:
    def look_at(connection: Connection, look: Look) -> Page:
        if look.sees_only is not None:
            raise PlatformOnly
        limit = look.query.limit
        rows = fetch(connection, after=after_id(look) or _START, limit=limit + 1)
        return page_of(rows, limit, show=show, key=lambda row: (str(row["id"]),))

    return look_at


def _statement(row: Row) -> dict[str, Any]:
    opening, closing, currency = row["opening_minor"], row["closing_minor"], row["currency"]
    return {
        "id": str(row["id"]),
        "account_id": str(row["account_id"]),
        **{name: row[name] for name in ("label", "place", "rail_account", "source", "reference")},
        "from_on": _told(row["from_on"]),
        "to_on": _told(row["to_on"]),
        "opening": None if opening is None else to_json(opening, currency),
        "closing": None if closing is None else to_json(closing, currency),
        "new_lines": row["line_count"],
        "known_lines": row["overlap_count"],
        "left_out": row["left_out_count"],
        "taken_at": _told(row["taken_at"]),
    }


def _run(row: Row) -> dict[str, Any]:
    names = ("place", "rail_account", "currency", "rules_version", "counts", "digest")
    return {
        "id": str(row["id"]),
        **{name: row[name] for name in names},
        "from_on": _told(row["from_on"]),
        "to_on": _told(row["to_on"]),
        "lines": row["line_count"],
        "items": row["item_count"],
        "ran_at": _told(row["ran_at"]),
    }


def _match(row: Row) -> dict[str, Any]:
    return {
        "run_id": str(row["run_id"]) if row["run_id"] else None,
        **_members(row),
        "amount": to_json(row["amount_minor"], row["currency"]),
        "made_at": _told(row["made_at"]),
        "undone_at": _told(row["undone_at"]),
    }


def _proposal(row: Row) -> dict[str, Any]:
    return {**_members(row), "proposed_at": _told(row["proposed_at"])}


def _members(row: Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        **{name: row[name] for name in ("rule", "score", "place", "rail_account")},
        "difference": to_json(row["difference_minor"], row["currency"]),
        "line_ids": row["line_ids"] or [],
        "event_ids": row["event_ids"] or [],
    }


def _told(at: datetime | date | None) -> str | None:
    return None if at is None else at.isoformat()


def _read(name: str, fetch: Fetch, answer: type[BaseModel], summary: str) -> Read:
    return declare(
        f"{_ROOT}/{name}",
        Scope.LEDGER_READ,
        fetch,
        answer,
        summary=summary,
        query=PageQuery,
        pages=True,
    )


RECONCILIATION_READS: Final[tuple[Read, ...]] = (
    _read(
        "accounts",
        _accounts,
        answers.StatementAccountAnswer,
        "Accounts on statements and what they stand for",
    ),
    _read(
        "statements",
        _listing(store_statements.list_statements, _statement),
        answers.StatementAnswer,
        "Statements that came in",
    ),
    _read(
        "runs",
        _listing(store_matches.list_runs, _run),
        answers.RunOfMatchingAnswer,
        "Runs of matching",
    ),
    _read(
        "matches",
        _listing(store_matches.list_matches, _match),
        answers.MatchAnswer,
        "Matches, those taken back among them",
    ),
    _read(
        "proposals",
        _listing(store_matches.list_proposals, _proposal),
        answers.ProposalAnswer,
        "Proposals that nobody has decided",
    ),
)
"""Every list of reconciliation."""
