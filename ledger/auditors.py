"""Auditors' logins: one per engagement and tenant, good for the tenant's audit views alone.

The tenant's group `holdfast_auditor_<tenant>` holds the rights; a login is a member of it and owns
nothing. Runs as the owner of the tables, who made the group and may make members of it; each
grant and each end is an event of the tenant's own log.
"""

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from kernel import clock
from kernel.database import Tenant
from kernel.errors import Refusal
from kernel.principals import SYSTEM
from ledger import store_auditors as store
from ledger.model import Draft
from ledger.service import post

GRANTED: Final = "auditor.granted"
REVOKED: Final = "auditor.revoked"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,23}", re.ASCII)


class BadAuditorName(Refusal):
    """An engagement's name is a small letter, then up to 23 small letters, digits, underscores."""

    code = "auditor.bad_name"


class AuditorExists(Refusal):
    """The tenant has an auditor of this name already."""

    code = "auditor.exists"


class UnknownAuditor(Refusal):
    """The tenant has no auditor of this name."""

    code = "auditor.unknown"


class DateIsPast(Refusal):
    """The last day of a login lies before today."""

    code = "auditor.date_is_past"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """One engagement: its login, and how long and how it is good.

    `until` is the last instant, None for no end; a session that is open then goes on.
    `is_logged`: the server writes every statement of it to its log. `connected` counts sessions.
    """

    name: str
    login: str
    until: datetime | None
    connected: int
    is_logged: bool

    def is_over(self, at: datetime) -> bool:
        """Whether it can log in no more; `at` is real time."""
        return self.until is not None and self.until <= at

    def as_json(self) -> dict[str, Any]:
        """The auditor with stable keys."""
        return {
            "name": self.name,
            "login": self.login,
            "until": self.until.isoformat() if self.until else None,
            "connected": self.connected,
            "is_logged": self.is_logged,
        }


@dataclass(frozen=True, slots=True)
class NewAuditor:
    """An auditor who was just let in. The password is shown once and kept nowhere.

    `missing` are the statements that only a superuser of the server may run.
    """

    auditor: Auditor
    missing: tuple[str, ...]
    password: str = field(repr=False)


def grant(
    connection: Connection, tenant: Tenant, name: str, *, last_day: date | None, today: date
) -> NewAuditor:
    """Make the login of an engagement; refuses `bad_name`, `exists`, `date_is_past`.

    Args:
        connection: a transaction of the owner of the tables.
        tenant: whose books.
        name: the engagement, in a word.
        last_day: the last day (UTC) on which it can log in; None: until it is revoked.
        today: the day (UTC) on which this happens, in real time.
    """
    login = login_of(tenant, name)
    if last_day is not None and last_day < today:
        raise DateIsPast(last_day=last_day.isoformat())
    store.enter_as_owner(connection, tenant)
    if name in {each.name for each in list_auditors(connection, tenant)}:
        raise AuditorExists(name=name)
    until = None if last_day is None else _end_of(last_day)
    password = secrets.token_urlsafe(24)
    missing = store.add_login(connection, tenant, login, password=password, until=until)
    told = {"login": login, "until": None if until is None else until.isoformat()}
    _tell(connection, GRANTED, name, told)
    (made,) = [each for each in list_auditors(connection, tenant) if each.name == name]
    return NewAuditor(made, tuple(missing), password)


def revoke(connection: Connection, tenant: Tenant, name: str) -> int:
    """End an engagement's login and its sessions; how many were open. Refuses `unknown`."""
    login = login_of(tenant, name)
    store.enter_as_owner(connection, tenant)
    if name not in {each.name for each in list_auditors(connection, tenant)}:
        raise UnknownAuditor(name=name)
    ended = store.remove_login(connection, tenant, login)
    _tell(connection, REVOKED, name, {"login": login})
    return ended


def list_auditors(connection: Connection, tenant: Tenant) -> list[Auditor]:
    """The tenant's auditors by name, also those whose time is over."""
    prefix = login_of(tenant, "")
    return [
        Auditor(
            name=row.login.removeprefix(prefix),
            login=row.login,
            until=row.until,
            connected=row.connected,
            is_logged="log_statement=all" in row.settings,
        )
        for row in store.list_logins(connection, tenant)
        if row.login.startswith(prefix)
    ]


def login_of(tenant: Tenant, name: str) -> str:
    """The login of an engagement; a hyphen stands in neither of the two names."""
    if name and _NAME.fullmatch(name) is None:
        raise BadAuditorName(name=name[:40])
    return f"audit-{tenant.name}-{name}"


def _end_of(last_day: date) -> datetime:
    return datetime.combine(last_day, time(), tzinfo=UTC) + timedelta(days=1)


def _tell(connection: Connection, kind: str, name: str, facts: dict[str, str | None]) -> None:
    """Write into the tenant's log who may read it from now on."""
    at = clock.now(connection)
    draft = Draft(kind, f"auditor:{name}", SYSTEM, at, detail=facts)
    for answer in post(connection, [draft]):
        if isinstance(answer, Refusal):
            raise answer
