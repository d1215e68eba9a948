"""All SQL of the simulated rail's own schema, keyed by platform; array statements only."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from kernel.errors import Broken
from rails.model import (
    NOT_FOUND,
    LogLine,
    Notice,
    RailAccount,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.simulated.model import Announcement, Story

_LOCK_PLATFORM: Final = """
SELECT notices_sent FROM simulated_rail.platform WHERE platform = %(platform)s FOR NO KEY UPDATE
"""

_ADD_PLATFORM: Final = """
INSERT INTO simulated_rail.platform (platform) VALUES (%(platform)s) ON CONFLICT DO NOTHING
"""

_LIST_KNOWN: Final = """
SELECT operation_id, amount_minor, currency FROM simulated_rail.operation
WHERE platform = %(platform)s AND operation_id = ANY (%(ids)s::uuid[])
"""

_LIST_LATEST: Final = """
SELECT DISTINCT ON (fact.operation_id) fact.operation_id, operation.amount_minor,
    operation.currency, operation.rail_ref, fact.outcome, fact.fee_minor, fact.code,
    fact.cleared, fact.effective_at
FROM simulated_rail.fact
JOIN simulated_rail.operation USING (platform, operation_id)
WHERE platform = %(platform)s AND fact.operation_id = ANY (%(ids)s::uuid[])
  AND fact.effective_at <= %(at)s
ORDER BY fact.operation_id, fact.fact_no DESC
"""

_ADD_OPERATIONS: Final = """
INSERT INTO simulated_rail.operation
    (platform, operation_id, kind, amount_minor, currency, method, rail_ref, executed_at)
SELECT %(platform)s, told.*, %(at)s
FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(amounts)s::bigint[], %(currencies)s::text[],
            %(methods)s::text[], %(refs)s::text[]) AS told
"""

_ADD_FACTS: Final = """
INSERT INTO simulated_rail.fact
    (platform, operation_id, fact_no, effective_at, outcome, fee_minor, code, cleared)
SELECT %(platform)s, told.*
FROM unnest(%(ids)s::uuid[], %(numbers)s::integer[], %(times)s::timestamptz[],
            %(outcomes)s::text[], %(fees)s::bigint[], %(codes)s::text[], %(cleared)s::boolean[])
    AS told
"""

_ADD_MOVEMENTS: Final = """
INSERT INTO simulated_rail.movement
    (platform, account, currency, amount_minor, kind, operation_id, effective_at)
SELECT %(platform)s, account, currency, amount_minor, kind, operation_id, effective_at
FROM unnest(%(accounts)s::text[], %(currencies)s::text[], %(amounts)s::bigint[],
            %(kinds)s::text[], %(ids)s::uuid[], %(times)s::timestamptz[]) WITH ORDINALITY
    AS told (account, currency, amount_minor, kind, operation_id, effective_at, ordinal)
ORDER BY ordinal
"""

_ADD_NOTICES: Final = """
INSERT INTO simulated_rail.notice
    (platform, notice_id, copy_no, kind, operation_id, outcome, amount_minor, currency, fee_minor,
     code, cleared, rail_ref, occurred_at, due_at, ordinal)
SELECT %(platform)s, told.*
FROM unnest(%(notice_ids)s::text[], %(copies)s::integer[], %(kinds)s::text[], %(ids)s::uuid[],
            %(outcomes)s::text[], %(amounts)s::bigint[], %(currencies)s::text[],
            %(fees)s::bigint[], %(codes)s::text[], %(cleared)s::boolean[], %(refs)s::text[],
            %(times)s::timestamptz[], %(due)s::timestamptz[], %(ordinals)s::integer[]) AS told
"""

_SEND_NOTICES: Final = """
WITH due AS (
    SELECT notice_id, copy_no,
        row_number() OVER (ORDER BY due_at, ordinal, notice_id, copy_no) AS place
    FROM simulated_rail.notice
    WHERE platform = %(platform)s AND sent_no IS NULL AND due_at <= %(at)s
)
UPDATE simulated_rail.notice AS stored SET sent_no = %(sent)s + due.place
FROM due
WHERE stored.platform = %(platform)s AND stored.notice_id = due.notice_id
  AND stored.copy_no = due.copy_no
"""

_SAVE_SENT: Final = """
UPDATE simulated_rail.platform SET notices_sent = notices_sent + %(more)s
WHERE platform = %(platform)s
"""

_LIST_NOTICES: Final = """
SELECT * FROM simulated_rail.notice
WHERE platform = %(platform)s AND sent_no > %(after)s ORDER BY sent_no LIMIT %(limit)s
"""

_LIST_BALANCES: Final = """
SELECT account, currency,
    coalesce(sum(amount_minor) FILTER (WHERE effective_at <= %(at)s), 0)::bigint AS amount_minor
FROM simulated_rail.movement WHERE platform = %(platform)s
GROUP BY account, currency ORDER BY account, currency
"""

# What is promised to leave later is not there to be spent now; what will come is not there yet.
_LIST_SPENDABLE: Final = """
SELECT account, currency, sum(amount_minor)::bigint AS amount_minor
FROM simulated_rail.movement
WHERE platform = %(platform)s AND account = ANY (%(accounts)s::text[])
  AND (effective_at <= %(at)s OR amount_minor < 0)
GROUP BY account, currency
"""

_LIST_LOG: Final = """
SELECT line_no, account, currency, amount_minor, kind, operation_id, effective_at
FROM simulated_rail.movement
WHERE platform = %(platform)s AND line_no > %(after)s AND effective_at <= %(at)s
ORDER BY line_no LIMIT %(limit)s
"""


def lock_platform(connection: Connection, platform: str) -> int:
    """Let one call at a time change a platform's world; the number of notices sent so far."""
    connection.exec_driver_sql(_ADD_PLATFORM, {"platform": platform})
    sent = connection.exec_driver_sql(_LOCK_PLATFORM, {"platform": platform}).scalar_one()
    return int(sent)


def list_known(
    connection: Connection, platform: str, operations: Sequence[RailOperation]
) -> set[UUID]:
    """Which operations took effect before; Broken where the id now stands for other money."""
    asked = {operation.id: operation for operation in operations}
    rows = connection.exec_driver_sql(_LIST_KNOWN, {"platform": platform, "ids": list(asked)}).all()
    for row in rows:
        operation = asked[row.operation_id]
        if (row.amount_minor, row.currency) != (operation.amount_minor, operation.currency):
            raise Broken("an operation's id was used for other money", id=str(operation.id))
    return {row.operation_id for row in rows}


def list_latest(
    connection: Connection, platform: str, operations: Sequence[RailOperation], at: datetime
) -> list[RailResult]:
    """What is true of operations by now, in their order; NOT_FOUND where one never came here."""
    rows = connection.exec_driver_sql(
        _LIST_LATEST,
        {"platform": platform, "ids": [operation.id for operation in operations], "at": at},
    ).mappings()
    latest = {row["operation_id"]: row for row in rows}
    return [_result(operation, latest.get(operation.id), at) for operation in operations]


def add_stories(
    connection: Connection, platform: str, stories: Sequence[Story], at: datetime
) -> None:
    """Write operations, their facts and their movements."""
    operations = [story.operation for story in stories]
    connection.exec_driver_sql(
        _ADD_OPERATIONS,
        {
            "platform": platform,
            "ids": [operation.id for operation in operations],
            "kinds": [operation.kind.value for operation in operations],
            "amounts": [operation.amount_minor for operation in operations],
            "currencies": [operation.currency for operation in operations],
            "methods": [operation.method for operation in operations],
            "refs": [story.rail_ref for story in stories],
            "at": at,
        },
    )
    _add_facts(connection, platform, stories)
    _add_movements(connection, platform, stories)


def add_announcements(
    connection: Connection, platform: str, announcements: Sequence[Announcement]
) -> None:
    """Write the notices that will be sent when their time comes."""
    connection.exec_driver_sql(
        _ADD_NOTICES,
        {
            "platform": platform,
            "notice_ids": [each.notice_id for each in announcements],
            "copies": [each.copy_no for each in announcements],
            "kinds": [each.kind for each in announcements],
            "ids": [each.operation_id for each in announcements],
            "outcomes": [each.fact.outcome.value for each in announcements],
            "amounts": [each.amount_minor for each in announcements],
            "currencies": [each.currency for each in announcements],
            "fees": [each.fact.fee_minor for each in announcements],
            "codes": [each.fact.code for each in announcements],
            "cleared": [each.fact.cleared for each in announcements],
            "refs": [each.rail_ref for each in announcements],
            "times": [each.fact.effective_at for each in announcements],
            "due": [each.due_at for each in announcements],
            "ordinals": [each.ordinal for each in announcements],
        },
    )


def send_notices(connection: Connection, platform: str, *, sent: int, at: datetime) -> None:
    """Give the notices that are due their numbers after the `sent` ones; under the lock."""
    more = connection.exec_driver_sql(
        _SEND_NOTICES, {"platform": platform, "sent": sent, "at": at}
    ).rowcount
    if more:
        connection.exec_driver_sql(_SAVE_SENT, {"platform": platform, "more": more})


def list_notices(
    connection: Connection, platform: str, *, rail: str, after: int, limit: int
) -> list[tuple[int, Notice]]:
    """Notices that were sent, with their numbers, in that order."""
    rows = connection.exec_driver_sql(
        _LIST_NOTICES, {"platform": platform, "after": after, "limit": limit}
    ).mappings()
    return [(row["sent_no"], read_notice(rail, row)) for row in rows]


def list_balances(connection: Connection, platform: str, at: datetime) -> list[RailBalance]:
    """Every account's balance at a time, by account and currency."""
    rows = connection.exec_driver_sql(_LIST_BALANCES, {"platform": platform, "at": at})
    return [RailBalance(RailAccount(r.account), r.currency, r.amount_minor) for r in rows]


def list_spendable(
    connection: Connection, platform: str, accounts: Sequence[RailAccount], at: datetime
) -> dict[tuple[RailAccount, str], int]:
    """What may leave accounts now: their balances less what is promised to leave later."""
    if not accounts:
        return {}
    rows = connection.exec_driver_sql(
        _LIST_SPENDABLE,
        {"platform": platform, "accounts": [account.value for account in accounts], "at": at},
    )
    spendable: dict[tuple[RailAccount, str], int] = defaultdict(int)
    for row in rows:
        spendable[RailAccount(row.account), row.currency] = row.amount_minor
    return spendable


def list_log(
    connection: Connection, platform: str, *, after: int, limit: int, at: datetime
) -> list[LogLine]:
    """Movements with a number above `after` that are effective by `at`."""
    rows = connection.exec_driver_sql(
        _LIST_LOG, {"platform": platform, "after": after, "limit": limit, "at": at}
    )
    return [
        LogLine(
            row.line_no,
            RailAccount(row.account),
            row.currency,
            row.amount_minor,
            row.kind,
            row.operation_id,
            row.effective_at,
        )
        for row in rows
    ]


def _add_facts(connection: Connection, platform: str, stories: Sequence[Story]) -> None:
    rows = [
        (story.operation.id, number, fact)
        for story in stories
        for number, fact in enumerate(story.facts)
    ]
    connection.exec_driver_sql(
        _ADD_FACTS,
        {
            "platform": platform,
            "ids": [operation_id for operation_id, _, _ in rows],
            "numbers": [number for _, number, _ in rows],
            "times": [fact.effective_at for _, _, fact in rows],
            "outcomes": [fact.outcome.value for _, _, fact in rows],
            "fees": [fact.fee_minor for _, _, fact in rows],
            "codes": [fact.code for _, _, fact in rows],
            "cleared": [fact.cleared for _, _, fact in rows],
        },
    )


def _add_movements(connection: Connection, platform: str, stories: Sequence[Story]) -> None:
    rows = [(story.operation, movement) for story in stories for movement in story.movements]
    connection.exec_driver_sql(
        _ADD_MOVEMENTS,
        {
            "platform": platform,
            "accounts": [movement.account.value for _, movement in rows],
            "currencies": [operation.currency for operation, _ in rows],
            "amounts": [movement.amount_minor for _, movement in rows],
            "kinds": [movement.kind for _, movement in rows],
            "ids": [operation.id for operation, _ in rows],
            "times": [movement.effective_at for _, movement in rows],
        },
    )


def _result(operation: RailOperation, row: RowMapping | None, at: datetime) -> RailResult:
    if row is None:
        return RailResult(
            operation_id=operation.id,
            kind=operation.kind,
            subject=operation.subject,
            outcome=RailOutcome.UNKNOWN,
            amount_minor=operation.amount_minor,
            currency=operation.currency,
            code=NOT_FOUND,
            occurred_at=at,
        )
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=RailOutcome(row["outcome"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        fee_minor=row["fee_minor"],
        rail_ref=row["rail_ref"],
        code=row["code"],
        occurred_at=row["effective_at"],
        cleared=row["cleared"],
    )


def read_notice(rail: str, row: RowMapping) -> Notice:
    """A notice as the port gives it; one on no operation, or on a chargeback, has no outcome."""
    has_outcome = row["operation_id"] is not None and row["outcome"] is not None
    return Notice(
        rail=rail,
        notice_id=row["notice_id"],
        kind=row["kind"],
        rail_ref=row["rail_ref"],
        operation_id=row["operation_id"],
        outcome=RailOutcome(row["outcome"]) if has_outcome else None,
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        fee_minor=row["fee_minor"],
        code=row["code"],
        cleared=row["cleared"],
        occurred_at=row["occurred_at"],
        facts=row["facts"],
    )
