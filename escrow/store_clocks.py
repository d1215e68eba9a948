"""All SQL of clocks beside their timers: whose they are, the rules, notices, and who was not told.

The list for one party walks from its contracts to the subjects that timers name.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model import Role
from escrow.model_clocks import ClockRules, Concerned, Notice, NoticePolicy, Untold
from kernel.database import driver

_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

_OF_CONTRACT: Final = "JOIN contract ON contract.id = {0}.contract_id"

_ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "contract": "contract",
        **{
            name: f"{table} AS {name} {_OF_CONTRACT.format(name)}"
            for name, table in {
                "slot": "slot",
                "release": "release",
                "funding": "funding",
                "dispute": "dispute",
                "line_dispute": "line_dispute",
                "week": "work_week",
                "period": "retainer_period",
                "retainer": "retainer",
                "reserve": "reserve",
            }.items()
        },
        "drawdown": "drawdown JOIN retainer_period AS period ON period.id = drawdown.period_id "
        + _OF_CONTRACT.format("period"),
    }
)
"""By the kind of a timer's subject: its rows, with the contract they belong to."""

_RESPONDENT: Final = "CASE dispute.claimant WHEN 'client' THEN 'payee' ELSE 'client' END"

_SUBJECTS_OF: Final = " UNION ALL ".join(
    f"SELECT '{name}:' || {name}.id AS subject FROM {rows}"
    " WHERE contract.client_id = %(party_id)s OR contract.payee_id = %(party_id)s"
    for name, rows in _ROWS.items()
)

_LIST_OF_PARTY: Final = f"""
SELECT timer.subject, timer.kind, timer.due_at
FROM timer JOIN ({_SUBJECTS_OF}) AS mine USING (subject)
WHERE (timer.due_at, timer.subject, timer.kind) > (%(due_at)s, %(subject)s, %(kind)s)
ORDER BY timer.due_at, timer.subject, timer.kind
LIMIT %(limit)s
"""

_LIST_ALL: Final = """
SELECT subject, kind, due_at
FROM timer
WHERE paused_remaining IS NULL AND (due_at, subject, kind) > (%(due_at)s, %(subject)s, %(kind)s)
ORDER BY due_at, subject, kind
LIMIT %(limit)s
"""

_COUNT: Final = """
SELECT kind, count(*) FILTER (WHERE paused_remaining IS NULL) AS armed,
    count(*) FILTER (WHERE paused_remaining IS NOT NULL) AS paused,
    count(*) FILTER (WHERE paused_remaining IS NULL
        AND due_at + %(grace)s::interval <= %(at)s) AS overdue,
    count(*) FILTER (WHERE failed_times > 0) AS failed,
    min(due_at) FILTER (WHERE paused_remaining IS NULL) AS next_at
FROM timer GROUP BY kind ORDER BY kind
"""

_RULES: Final = "SELECT rule_no, outage_after, courtesy, drain_per_s, notice FROM clock_rule"

_ADD_RULES: Final = """
INSERT INTO clock_rule (rule_no, outage_after, courtesy, drain_per_s, notice, set_by, set_at)
SELECT coalesce(max(rule_no), 0) + 1, %s, %s, %s, %s, %s, %s FROM clock_rule
RETURNING rule_no
"""

_NOTICE: Final = "id, subject, kind, party_id, channel, proof, told_at, recorded_by, recorded_at"

_ADD_NOTICE: Final = f"INSERT INTO clock_notice ({_NOTICE}) VALUES ({', '.join(['%s'] * 9)})"

_ASKS_PROOF: Final = """
SELECT EXISTS (SELECT FROM clock_rule WHERE notice = 'required')
"""

_ASKING: Final = """
SELECT contract.id FROM contract
WHERE contract.id = ANY (%s::uuid[]) AND 'required' = (
    SELECT rule.notice FROM clock_rule AS rule WHERE rule.set_at <= contract.accepted_at
    ORDER BY rule.rule_no DESC LIMIT 1
)
"""

# Of a due clock: who has been silent, since when, and how long his time was.
_SILENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auto_release": """
            SELECT 'slot:' || slot.id AS subject, contract.client_id AS party_id,
                submission.submitted_at AS since, contract.auto_release_after AS length,
                contract.accepted_at
            FROM slot JOIN contract ON contract.id = slot.contract_id
            JOIN submission USING (submission_no)
            WHERE submission.slot_id = slot.id AND slot.id = ANY (%(ids)s::uuid[])
        """,
        "refund_reply": """
            SELECT 'slot:' || slot.id AS subject, contract.payee_id AS party_id,
                slot.active_at AS since, contract.refund_reply_after AS length,
                contract.accepted_at
            FROM slot JOIN contract ON contract.id = slot.contract_id
            WHERE slot.state = 'refund_requested' AND slot.id = ANY (%(ids)s::uuid[])
        """,
        "week_review_end": """
            SELECT 'week:' || week.id AS subject, contract.client_id AS party_id,
                week.invoice_at AS since, week.review_ends_at - week.invoice_at AS length,
                contract.accepted_at
            FROM work_week AS week JOIN contract ON contract.id = week.contract_id
            WHERE week.state = 'in_review' AND week.id = ANY (%(ids)s::uuid[])
        """,
        "drawdown_review": """
            SELECT 'drawdown:' || drawdown.id AS subject, contract.client_id AS party_id,
                drawdown.submitted_at AS since,
                drawdown.due_at - drawdown.submitted_at AS length, contract.accepted_at
            FROM drawdown JOIN retainer_period AS period ON period.id = drawdown.period_id
            JOIN contract ON contract.id = period.contract_id
            WHERE drawdown.state = 'submitted' AND drawdown.id = ANY (%(ids)s::uuid[])
        """,
    }
)

_UNTOLD: Final = """
SELECT silent.subject, silent.party_id, silent.length
FROM ({silent}) AS silent
WHERE 'required' = (
        SELECT rule.notice FROM clock_rule AS rule WHERE rule.set_at <= silent.accepted_at
        ORDER BY rule.rule_no DESC LIMIT 1
    )
    AND NOT EXISTS (
        SELECT FROM clock_notice AS notice
        WHERE notice.subject = silent.subject AND notice.kind = %(kind)s
            AND notice.party_id = silent.party_id AND notice.told_at >= silent.since
    )
"""

Place = tuple[datetime, str, str]
"""Where a timer stands in the order of due times: due_at, subject, kind."""

KNOWN: Final = frozenset(_ROWS)
"""The kinds of subjects that clocks of deals are about."""


def find_concerned(connection: Connection, subjects: Iterable[str]) -> dict[str, Concerned]:
    """Whose the subjects of timers are, by subject; those of other rooms are missing."""
    ids: dict[str, list[str]] = defaultdict(list)
    for subject in set(subjects):
        name, _, number = subject.partition(":")
        if _ID.fullmatch(number):
            ids[name].append(number)
    found: dict[str, Concerned] = {}
    for name, some in ids.items():
        if name not in _ROWS:
            continue
        respondent = _RESPONDENT if name == "dispute" else "NULL"
        rows = connection.exec_driver_sql(
            f"SELECT {name}.id, contract.id, client_id, contract.payee_id, {respondent}"
            f" FROM {_ROWS[name]} WHERE {name}.id = ANY (%s::uuid[])",
            (some,),
        )
        for row in rows:
            role = Role(row[4]) if row[4] else None
            found[f"{name}:{row[0]}"] = Concerned(row[1], row[2], row[3], role)
    return found


def list_places(
    connection: Connection, *, party_id: UUID | None, after: Place | None, limit: int
) -> list[Place]:
    """Timers in due order: those of a party's deals, or all that run if no party is named."""
    due_at, subject, kind = after or ("-infinity", "", "")
    given = {"due_at": due_at, "subject": subject, "kind": kind, "limit": limit}
    statement = _LIST_ALL if party_id is None else _LIST_OF_PARTY
    rows = driver(connection).execute(statement.encode(), {**given, "party_id": party_id})
    return [(row[2], row[0], row[1]) for row in rows]


def count_clocks(
    connection: Connection, *, grace: timedelta, at: datetime
) -> list[dict[str, object]]:
    """By kind: how many run, stand, are overdue beyond the grace, failed; and the next one."""
    given = {"grace": grace, "at": at}
    rows = connection.exec_driver_sql(_COUNT, given).mappings()
    return [dict(row) for row in rows]


def find_rules(connection: Connection) -> ClockRules:
    """How clocks run now."""
    row = connection.exec_driver_sql(f"{_RULES} ORDER BY rule_no DESC LIMIT 1").one_or_none()
    return (
        ClockRules()
        if row is None
        else ClockRules(row[0], row[1], row[2], row[3], NoticePolicy(row[4]))
    )


def add_rules(connection: Connection, rules: ClockRules, *, by: UUID, at: datetime) -> int:
    """Write the next rules; their number."""
    number: int = connection.exec_driver_sql(
        _ADD_RULES,
        (rules.outage_after, rules.courtesy, rules.drain_per_s, rules.notice.value, by, at),
    ).scalar_one()
    return number


def add_notices(connection: Connection, notices: Sequence[Notice]) -> None:
    """Write that parties were told."""
    if notices:
        driver(connection).cursor().executemany(
            _ADD_NOTICE.encode(), [astuple(each) for each in notices]
        )


def list_notices(connection: Connection, subjects: Sequence[str]) -> list[Notice]:
    """Who was told of the subjects' clocks, oldest first."""
    rows = connection.exec_driver_sql(
        f"SELECT {_NOTICE} FROM clock_notice WHERE subject = ANY (%s) ORDER BY told_at, id",
        (list(subjects),),
    )
    return [Notice(*row) for row in rows]


def asks_proof(connection: Connection) -> bool:
    """Whether the tenant ever required proof of notice."""
    return bool(connection.exec_driver_sql(_ASKS_PROOF).scalar_one())


def list_asking(connection: Connection, contract_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contracts whose clocks ring only after proof of notice."""
    return set(connection.exec_driver_sql(_ASKING, (list(contract_ids),)).scalars())


def list_untold(connection: Connection, kind: str, ids: Sequence[UUID]) -> list[Untold]:
    """Those of the subjects whose contract requires proof of notice of this clock and lacks it.

    The contract goes by the rules that stood when it was accepted; a notice counts from the start
    of the very silence that the clock is about.
    """
    statement = _UNTOLD.format(silent=_SILENT[kind])
    given = {"ids": list(ids), "kind": kind}
    return [Untold(*row) for row in connection.exec_driver_sql(statement, given)]
