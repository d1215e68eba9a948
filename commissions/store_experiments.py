"""All SQL of experiments on fees."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.rows import TupleRow
from sqlalchemy import Connection

from commissions.experiments import CONTROL, HOLDOUT, Arm, Experiment, Figures, Part, Tally
from commissions.model_experiments import State, Study, UnitKind
from kernel.database import driver
from kernel.errors import Broken

_SQL: Final = Path(__file__).parent / "sql"
_UNITS: Final = (_SQL / "experiment_units.sql").read_bytes()
_REVENUE: Final = (_SQL / "experiment_revenue.sql").read_bytes()

_FIELDS: Final = (
    *("id", "unit", "quiet_days", "reason", "prepared_by", "prepared_at", "state"),
    *("withdrawn_by", "withdrawn_at", "started_by", "started_at", "stopped_by", "stopped_at"),
    *("stop_why", "decided_by", "decided_at", "decided_arm", "decision"),
)
_COLUMNS: Final = ", ".join(
    [
        *(f"e.{name}" for name in _FIELDS),
        "e.name, e.stop_after_units, e.harm_bps",
        *(
            f"ARRAY(SELECT a.{name} FROM experiment_arm a WHERE a.experiment_id = e.id"
            " ORDER BY a.place)"
            for name in ("name", "share_bps")
        ),
    ]
)

_ADD: Final = """
INSERT INTO experiment (id, name, unit, stop_after_units, harm_bps, quiet_days, arm_count, reason,
                        prepared_by, prepared_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

_ADD_ARMS: Final = """
INSERT INTO experiment_arm (experiment_id, place, name, start_bps, share_bps)
SELECT %s, place, name, start_bps, share_bps
FROM unnest(%s::integer[], %s::text[], %s::integer[], %s::integer[])
    AS arm (place, name, start_bps, share_bps)
"""

_SAVE: Final = """
UPDATE experiment SET state = %s, withdrawn_by = %s, withdrawn_at = %s, started_by = %s,
    started_at = %s, stopped_by = %s, stopped_at = %s, stop_why = %s, decided_by = %s,
    decided_at = %s, decided_arm = %s, decision = %s
WHERE id = %s AND state = %s
"""

_UNPRICED: Final = """
SELECT a.name FROM experiment_arm a JOIN experiment e ON e.id = a.experiment_id
WHERE e.id = %s AND a.name <> ALL (%s) AND NOT EXISTS (
    SELECT FROM fee_schedule s
    WHERE s.arm = e.name || '/' || a.name AND s.state = 'approved' AND s.during @> %s::timestamptz
)
ORDER BY a.place LIMIT 1
"""

_KNOWN: Final = """
SELECT u.experiment_id, u.unit_key, u.arm
FROM unnest(%s::uuid[], %s::text[]) AS asked (experiment_id, unit_key)
JOIN experiment_unit u USING (experiment_id, unit_key)
"""

_ADD_UNITS: Final = """
INSERT INTO experiment_unit (experiment_id, unit_key, client_id, payee_id, arm, first_seen_at)
SELECT experiment_id, unit_key, client_id, payee_id, arm, %s
FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::text[])
    AS joined (experiment_id, unit_key, client_id, payee_id, arm)
ORDER BY experiment_id, unit_key
ON CONFLICT DO NOTHING
"""

_ADD_CONTRACTS: Final = """
INSERT INTO experiment_contract (experiment_id, contract_id, unit_key, arm, pinned_at)
SELECT experiment_id, contract_id, unit_key, arm, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[])
    AS pinned (experiment_id, contract_id, unit_key, arm)
ORDER BY experiment_id, contract_id
ON CONFLICT (experiment_id, contract_id) DO NOTHING
"""


class Pin(NamedTuple):
    """A contract in an arm. `payee_id` None: the unit is the client with all of his payees."""

    experiment_id: UUID
    unit_key: str
    client_id: UUID
    payee_id: UUID | None
    arm: str
    contract_id: UUID


def add_study(connection: Connection, study: Study) -> bool:
    """Write an experiment down with its arms; False where its name or id is taken."""
    arms = study.arms
    given = (
        *(study.id, study.experiment.name, study.unit, study.experiment.stop_after_units),
        *(study.experiment.harm_bps, study.quiet_days, len(arms), study.reason),
        *(study.prepared_by, study.prepared_at),
    )
    if not driver(connection).execute(_ADD, given).rowcount:
        return False
    shares = [share_bps for _, share_bps in arms]
    starts = list(accumulate(shares, initial=0))[:-1]
    places = list(range(1, len(arms) + 1))
    names = [name for name, _ in arms]
    driver(connection).execute(_ADD_ARMS, (study.id, places, names, starts, shares))
    return True


def lock_studies(
    connection: Connection, ids: Collection[UUID], *, skips_locked: bool = False
) -> dict[UUID, Study]:
    """Experiments FOR UPDATE in the order of their ids; a timer skips what others hold."""
    skip = " SKIP LOCKED" if skips_locked else ""
    query = f"SELECT {_COLUMNS} FROM experiment e WHERE id = ANY (%s) ORDER BY id FOR UPDATE{skip}"
    rows = driver(connection).execute(query.encode(), (sorted(set(ids)),))
    return {study.id: study for study in map(_study, rows)}


def find_study(connection: Connection, study_id: UUID) -> Study | None:
    """One experiment as it stands."""
    query = f"SELECT {_COLUMNS} FROM experiment e WHERE id = %s"
    row = driver(connection).execute(query.encode(), (study_id,)).fetchone()
    return None if row is None else _study(row)


def list_studies(
    connection: Connection, *, after: UUID | None, limit: int, state: State | None = None
) -> list[Study]:
    """Experiments in the order of their ids."""
    query = (
        f"SELECT {_COLUMNS} FROM experiment e WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
        " AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY id LIMIT %(limit)s"
    )
    given = {"after": after, "state": state, "limit": limit}
    return [_study(row) for row in driver(connection).execute(query.encode(), given)]


def list_alive(connection: Connection) -> list[Study]:
    """The experiments whose arms count: they run, or were stopped and not decided yet."""
    query = f"SELECT {_COLUMNS} FROM experiment e WHERE state IN ('running', 'stopped') ORDER BY id"
    return [_study(row) for row in driver(connection).execute(query.encode())]


def save_moved(connection: Connection, study: Study, *, before: State) -> None:
    """Write down what became of an experiment; Broken if it was elsewhere under its lock."""
    given = (
        *(study.state, study.withdrawn_by, study.withdrawn_at, study.started_by, study.started_at),
        *(study.stopped_by, study.stopped_at, study.stop_why, study.decided_by, study.decided_at),
        *(study.decided_arm, study.decision, study.id, before),
    )
    if driver(connection).execute(_SAVE, given).rowcount != 1:
        raise Broken("an experiment moved under its lock", experiment_id=str(study.id))


def find_unpriced(connection: Connection, study_id: UUID, *, at: datetime) -> str | None:
    """The first arm that has no approved schedule in force; control and held out need none."""
    given = (study_id, [CONTROL, HOLDOUT], at)
    row = driver(connection).execute(_UNPRICED, given).fetchone()
    return None if row is None else str(row[0])


def find_arms(
    connection: Connection, asked: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], str]:
    """The arms of those (experiment, unit) that joined."""
    if not asked:
        return {}
    ids, keys = zip(*asked, strict=True)
    rows = driver(connection).execute(_KNOWN, (list(ids), list(keys)))
    return {(row[0], row[1]): row[2] for row in rows}


def add_pins(connection: Connection, pins: Sequence[Pin], at: datetime) -> None:
    """Write down units that are new, and contracts in their arms.

    The database refuses a unit that is new to an experiment which no longer runs.
    """
    ids, keys, clients, payees, arms, contracts = map(list, zip(*pins, strict=True))
    driver(connection).execute(_ADD_UNITS, (at, ids, keys, clients, payees, arms))
    driver(connection).execute(_ADD_CONTRACTS, (at, ids, contracts, keys, arms))


def list_tallies(connection: Connection, study: Study, *, at: datetime) -> list[Tally]:
    """What the books say of each arm, in the order of the arms; added up by the database."""
    given: dict[str, Any] = {
        "experiment_id": study.id,
        "quiet_before": at - timedelta(days=study.quiet_days),
    }
    revenue: dict[str, dict[str, Figures]] = {}
    for arm, currency, units, total, squares in driver(connection).execute(_REVENUE, given):
        revenue.setdefault(arm, {})[currency] = Figures(units, int(total), int(squares))
    counted = {row[0]: row[1:] for row in driver(connection).execute(_UNITS, given)}
    tallies = []
    for name, _ in study.arms:
        units, repeated, disputed, had_time, quiet = counted.get(name, (0,) * 5)
        tallies.append(
            Tally(
                arm=name,
                revenue=revenue.get(name, {}),
                repeated=Part(repeated, units),
                disputed=Part(disputed, units),
                quiet=Part(quiet, had_time),
            )
        )
    return tallies


def _study(row: TupleRow) -> Study:
    *fields, name, stop_after_units, harm_bps, arms, shares = row
    named = dict(zip(_FIELDS, fields, strict=True))
    named |= {"unit": UnitKind(named["unit"]), "state": State(named["state"])}
    pairs = zip(arms, shares, strict=True)
    of_experiment = tuple(Arm(*pair) for pair in pairs if pair[0] != HOLDOUT)
    experiment = Experiment(name, of_experiment, stop_after_units, harm_bps)
    return Study(experiment=experiment, **named)
