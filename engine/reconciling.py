"""What rails list is taken in, and all places are matched: by hand and by the daily run."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine

from kernel import clock
from kernel.database import Tenant, transaction
from kernel.principals import Actor
from rails.model import LogLine
from rails.port import Rail
from rails.simulated.service import SimulatedRail
from reconciliation import service_matching, store_matches
from reconciliation.commands import RunMatching
from reconciliation.rail_lines import take_log, take_transactions
from reconciliation.store_items import Place

_LOG_PAGE: Final = 5_000

Logs = Mapping[str, Sequence[LogLine]]
Counted = Callable[[int], None]


def list_logs(engine: Engine, tenant: Tenant, rails: Sequence[Rail]) -> dict[str, list[LogLine]]:
    """The logs of rails that live here; read before the transaction that takes them in."""
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
    found: dict[str, list[LogLine]] = {}
    for rail in rails:
        if isinstance(rail, SimulatedRail):
            found[rail.name] = []
            while page := rail.log(
                after=found[rail.name][-1].line_no if found[rail.name] else 0,
                limit=_LOG_PAGE,
                at=at,
            ):
                found[rail.name] += page
    return found


def take_rails(connection: Connection, rails: Sequence[Rail], logs: Logs, at: datetime) -> int:
    """Take in what rails list: these logs, and their own statements; how many lines came."""
    taken = sum(
        take_log(connection, lines, rail=name, at=at) for name, lines in sorted(logs.items())
    )
    for rail in rails:
        while page := take_transactions(connection, rail.name, at=at):
            taken += page
    return taken


def match_places(
    connection: Connection,
    actor: Actor,
    at: datetime,
    *,
    progress: Callable[[Place], Counted] = lambda _: lambda _: None,
) -> list[dict[str, Any]]:
    """Match what is open of every place that an account on statements stands for."""
    found = []
    for place in store_matches.list_places(connection):
        wish = RunMatching(
            actor=actor,
            place=place.place,
            rail_account=place.rail_account,
            currency=place.currency,
        )
        (outcome,) = service_matching.run_matching(
            connection, [wish], at=at, progress=progress(place)
        )
        found.append({"code": outcome.code, **outcome.facts})
    return found
