"""What a replay reads beside the services: states that it waits for, balances, and its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

REPORTED: Final = "replay.reported"
"""Kind of the event that keeps a replay's report in the tenant's own log."""

_LIST_STATES: Final = "SELECT id, state FROM slot WHERE id = ANY (%s) ORDER BY id"

_LIST_AVAILABLE: Final = """
SELECT a.subject::uuid, a.currency, -a.balance_minor
FROM account a
JOIN unnest(%s::text[], %s::bigint[]) AS least (currency, amount_minor)
    ON least.currency = a.currency
WHERE a.kind = 'custody.earned_available' AND -a.balance_minor >= least.amount_minor
    AND a.subject NOT LIKE '%%:reserved'
ORDER BY a.subject, a.currency
"""

_SUM_SLOTS: Final = """
SELECT currency, sum(funded_minor)::bigint, sum(released_minor)::bigint,
    sum(refunded_minor)::bigint, sum(held_minor)::bigint
FROM slot GROUP BY currency ORDER BY currency
"""

_SUM_TIPS: Final = """
SELECT currency, sum(amount_minor)::bigint FROM funding
WHERE purpose = 'tip' AND state IN ('succeeded', 'succeeded_uncleared')
GROUP BY currency ORDER BY currency
"""

_SUM_PAID_OUT: Final = """
SELECT currency, sum(amount_minor - fee_minor)::bigint FROM payout
WHERE state = 'paid' GROUP BY currency ORDER BY currency
"""

_SUM_WALLETS: Final = """
SELECT currency, -sum(balance_minor)::bigint FROM account
WHERE kind = 'custody.wallet' GROUP BY currency ORDER BY currency
"""

_SUM_REVENUE: Final = """
SELECT currency, -sum(balance_minor)::bigint FROM account
WHERE kind LIKE 'platform.revenue.%%' GROUP BY currency ORDER BY currency
"""

_COUNT_CONTRACTS: Final = """
SELECT kinds, count(*) FROM (
    SELECT string_agg(DISTINCT kind, '+' ORDER BY kind) AS kinds FROM term GROUP BY contract_id
) c
GROUP BY kinds ORDER BY kinds
"""

_COUNT_CONTRACT_STATES: Final = "SELECT state, count(*) FROM contract GROUP BY state ORDER BY state"

_SUM_LATER: Final = """
SELECT currency, sum(returned_minor)::bigint FROM slot
WHERE returned_minor > 0 GROUP BY currency ORDER BY currency
"""

_COUNT_STATES: Final = "SELECT state, count(*) FROM slot GROUP BY state ORDER BY state"

_COUNT_ROWS: Final = """
SELECT sum(event_count)::bigint, sum(entry_count)::bigint, sum(line_count)::bigint FROM batch
"""

_HAS_EVENTS: Final = "SELECT EXISTS (SELECT FROM event)"

_FIND_REPORT: Final = f"""
SELECT detail FROM event WHERE subject = %s AND kind = '{REPORTED}' ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the books and tables of a tenant come to; amounts by currency, in minor units."""

    funded: dict[str, int]
    released: dict[str, int]
    refunded: dict[str, int]
    held: dict[str, int]
    returned: dict[str, int]
    tips: dict[str, int]
    wallets: dict[str, int]
    paid_out: dict[str, int]
    revenue: dict[str, int]
    contracts: dict[str, int]
    contract_states: dict[str, int]
    slots: dict[str, int]
    events: int
    entries: int
    lines: int


def list_states(connection: Connection, slot_ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
    """The states of these slots, by id."""
    rows = connection.exec_driver_sql(_LIST_STATES, (list(slot_ids),))
    return [(row[0], row[1]) for row in rows]


def list_available(connection: Connection, least: Mapping[str, int]) -> list[tuple[UUID, str, int]]:
    """Payees with at least so much of a currency to withdraw, and how much of it."""
    rows = connection.exec_driver_sql(_LIST_AVAILABLE, (list(least), list(least.values())))
    return [(row[0], row[1], row[2]) for row in rows]


def get_sums(connection: Connection) -> Sums:
    """All figures of a tenant; read them in one snapshot."""
    slots = connection.exec_driver_sql(_SUM_SLOTS).all()
    rows = connection.exec_driver_sql(_COUNT_ROWS).one()
    return Sums(
        funded={row[0]: row[1] for row in slots},
        released={row[0]: row[2] for row in slots},
        refunded={row[0]: row[3] for row in slots},
        held={row[0]: row[4] for row in slots},
        returned=_pairs(connection, _SUM_LATER),
        tips=_pairs(connection, _SUM_TIPS),
        wallets=_pairs(connection, _SUM_WALLETS),
        paid_out=_pairs(connection, _SUM_PAID_OUT),
        revenue=_pairs(connection, _SUM_REVENUE),
        contracts=_pairs(connection, _COUNT_CONTRACTS),
        contract_states=_pairs(connection, _COUNT_CONTRACT_STATES),
        slots=_pairs(connection, _COUNT_STATES),
        events=rows[0] or 0,
        entries=rows[1] or 0,
        lines=rows[2] or 0,
    )


def has_events(connection: Connection) -> bool:
    """Whether anything ever happened in this tenant."""
    return bool(connection.exec_driver_sql(_HAS_EVENTS).scalar_one())


def find_report(connection: Connection, subject: str) -> str | None:
    """The newest report of a replay in this tenant, as JSON; None if none came to its end."""
    found: str | None = connection.exec_driver_sql(_FIND_REPORT, (subject,)).scalar_one_or_none()
    return found


def _pairs(connection: Connection, statement: str) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.exec_driver_sql(statement)}
