"""The daily safeguarding run: the day before is reconciled and certified in every currency.

What came is matched, what is left over is a break, and what client money lacks is funded the same
day.

Each step is a transaction of its own and finds what an earlier try did, so that a run that was
broken off goes on when it is begun again; its row is written when it is through.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
import structlog
from sqlalchemy import Engine

from engine.proofs import check_books
from engine.rails import bank_of
from engine.reconciling import list_logs, match_places, take_rails
from engine.rounds import go_round
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.errors import RailTrouble
from kernel.principals import SYSTEM
from payouts.service_safeguarding import fund_shortfalls
from rails.port import Rail
from reconciliation import service_breaks, service_certificates, store_breaks, store_matches
from reconciliation.commands_breaks import MakeCertificate
from reconciliation.store_certificates import list_currencies

MOST_DAYS: Final = 31
"""So many days are caught up with after a standstill; those before need a person's command."""

_log = structlog.get_logger(__name__)


def run_due(engine: Engine, tenant: Tenant, rails: Sequence[Rail]) -> list[dict[str, Any]]:
    """The runs of all days that are due and not through, the oldest first."""
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        newest = store_breaks.newest_daily_run(connection)
        hour = store_breaks.hour_at(connection, at)
        is_used = bool(list_currencies(connection))
    last = at.date() - timedelta(days=1 if at.hour >= hour else 2)
    is_begun = newest is not None or at.hour >= hour
    first = last if newest is None else max(newest + timedelta(days=1), last - _BACK)
    if not is_used or not is_begun or first > last:
        return []
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [run_day(engine, tenant, rails, on) for on in days]


_BACK: Final = timedelta(days=MOST_DAYS - 1)


def run_day(engine: Engine, tenant: Tenant, rails: Sequence[Rail], on: date) -> dict[str, Any]:
    """Reconcile, certify a day, test client money, and fund what it lacks; the report."""
    logs = list_logs(engine, tenant, rails)
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        take_rails(connection, rails, logs, at)
        match_places(connection, SYSTEM, at)
        places = store_matches.list_places(connection)
        breaks = service_breaks.take_breaks(connection, places, actor=SYSTEM, at=at)
    with transaction(engine, tenant) as connection:
        outcomes = service_certificates.make(
            connection,
            [
                MakeCertificate(actor=SYSTEM, currency=currency, on=on)
                for currency in list_currencies(connection)
            ],
            at=at,
        )
    certificates = [outcome.facts for outcome in outcomes if outcome.is_done]
    findings = _test(engine, tenant, rails)
    report = _report(certificates, breaks, findings)
    _finish(engine, tenant, rails, on, report, at)
    return report


def _test(engine: Engine, tenant: Tenant, rails: Sequence[Rail]) -> list[str]:
    """What the safeguarding test finds; a rail that does not answer is a finding."""
    try:
        return list(check_books(engine, tenant, rails).findings)
    except RailTrouble as trouble:
        return [f"a rail did not say what it holds: {type(trouble).__name__}"]


def _report(
    certificates: Sequence[Any], breaks: dict[str, int], findings: Sequence[str]
) -> dict[str, Any]:
    told = [each["certificate"] for each in certificates]
    return {
        "is_safe": not findings and all(each["state"] == "clean" for each in told),
        "certificates": [
            {
                "certificate_id": each["certificate_id"],
                "currency": each["certificate"]["currency"],
                "state": each["certificate"]["state"],
                "shortfall": each["certificate"]["figures"]["shortfall"],
                "digest": each["digest"],
            }
            for each in certificates
        ],
        "breaks": breaks,
        "findings": list(findings),
    }


def _finish(
    engine: Engine,
    tenant: Tenant,
    rails: Sequence[Rail],
    on: date,
    report: dict[str, Any],
    at: datetime,
) -> None:
    """Fund what is short and write the run down, both or neither; once a day."""
    shortfalls = {
        each["currency"]: int(each["shortfall"]["amount"].replace(".", ""))
        for each in report["certificates"]
    }
    with transaction(engine, tenant) as connection:
        told = orjson.dumps(report).decode()
        is_new = store_breaks.add_daily_run(
            connection, on, is_safe=report["is_safe"], report=told, at=at
        )
        if is_new:
            fund_shortfalls(connection, shortfalls, at=at, bank_rail=bank_of(rails))
    _log.info("safeguarding.ran", tenant=tenant.name, on=on.isoformat(), safe=report["is_safe"])


@dataclass(frozen=True, slots=True)
class SafeguardingLoop:
    """Walks the tenants; each is walked by one process at a time, at its hour by its own clock."""

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    rails_of: Callable[[Tenant], Sequence[Rail]]
    interval_s: float = 20.0

    def run_forever(self, stop: threading.Event) -> None:
        """Go round until `stop` is set."""
        while not stop.is_set():
            self.run_once(stop)
            stop.wait(self.interval_s)

    def run_once(self, stop: threading.Event) -> int:
        """Look at each tenant once; how many days were certified."""
        return go_round(self.tenants, self._look_at, stop, what="safeguarding", engine=self.engine)

    def _look_at(self, tenant: Tenant) -> int:
        return len(run_due(self.engine, tenant, self.rails_of(tenant)))
