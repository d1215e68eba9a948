"""What can be looked at of breaks and certificates."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection

from engine.api import answers_breaks as answers
from engine.api.access import Scope
from engine.api.calls import Look, Page, PageQuery, Read, after_id, declare, page_of
from engine.api.refusals import PlatformOnly
from kernel import clock
from kernel.money import to_json
from reconciliation import store_breaks, store_certificates
from reconciliation.model_breaks import KINDS, Kind, bucket
from reconciliation.model_matching import business_days

_START: Final = UUID(int=0)

Row = Mapping[str, Any]


def break_json(row: Row, today: date) -> dict[str, Any]:
    """A break as the API and the command line show it."""
    closed: datetime | None = row["closed_at"]
    age = business_days(row["arose_on"], closed.date() if closed else today)
    return {
        "id": str(row["id"]),
        **{name: row[name] for name in ("place", "rail_account", "kind", "state")},
        "meaning": KINDS[Kind(row["kind"])],
        "amount": to_json(row["amount_minor"], row["currency"]),
        "arose_on": row["arose_on"].isoformat(),
        "age_days": age,
        "bucket": bucket(age),
        "due_on": row["due_on"].isoformat(),
        "is_late": closed is None and row["due_on"] < today,
        "what": row["told"],
        **{name: _id(row[name]) for name in ("owner_id", "line_id", "event_id", "write_off_id")},
        "opened_at": row["opened_at"].isoformat(),
        "closed_at": closed.isoformat() if closed else None,
    }


def certificate_json(row: Row) -> dict[str, Any]:
    """A certificate without its figures."""
    return {
        "id": str(row["id"]),
        "currency": row["currency"],
        "on": row["on_day"].isoformat(),
        "version": row["version"],
        "state": row["state"],
        "digest": row["digest"],
        "unexplained": to_json(row["unexplained_minor"], row["currency"]),
        "made_by": str(row["made_by"]),
        "made_at": row["made_at"].isoformat(),
        "signatures": row["signatures"] or [],
    }


def _id(value: object) -> str | None:
    return None if value is None else str(value)


def _breaks(connection: Connection, look: Look) -> Page:
    _check(look)
    today, limit = clock.now(connection).date(), look.query.limit
    rows = store_breaks.list_breaks(connection, after=after_id(look) or _START, limit=limit + 1)
    return page_of(
        rows,
        limit,
        show=lambda row: break_json(row, today),
        key=lambda row: (str(row["id"]),),
    )


def _trail(connection: Connection, look: Look) -> Row | None:
    _check(look)
    notes = store_breaks.list_notes(connection, look.ids["break_id"])
    return {"break_id": str(look.ids["break_id"]), "notes": notes} if notes else None


def _certificates(connection: Connection, look: Look) -> Page:
    _check(look)
    limit = look.query.limit
    rows = store_certificates.list_certificates(
        connection, after=after_id(look) or _START, limit=limit + 1
    )
    return page_of(rows, limit, show=certificate_json, key=lambda row: (str(row["id"]),))


def _certificate(connection: Connection, look: Look) -> Row | None:
    _check(look)
    row = store_certificates.find_certificate(connection, look.ids["certificate_id"])
    if row is None:
        return None
    return {**certificate_json(row), "certificate": orjson.loads(row["body"])}


def _check(look: Look) -> None:
    if look.sees_only is not None:
        raise PlatformOnly


BREAK_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/breaks",
        Scope.LEDGER_READ,
        _breaks,
        answers.BreakAnswer,
        summary="Breaks that are open: what matching leaves over",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/breaks/{break_id}/notes",
        Scope.LEDGER_READ,
        _trail,
        answers.BreakTrailAnswer,
        summary="All that happened to a break and was said of it",
    ),
    declare(
        "/v1/certificates",
        Scope.LEDGER_READ,
        _certificates,
        answers.CertificateAnswer,
        summary="Three-way certificates, with their signatures",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/certificates/{certificate_id}",
        Scope.LEDGER_READ,
        _certificate,
        answers.WholeCertificateAnswer,
        summary="One certificate with its figures and every item",
    ),
)
"""Every look at breaks and certificates."""
