"""What a replay left behind: money by account, disputes by outcome, claims, what is to come."""

from typing import Final, NamedTuple

from sqlalchemy import Connection

_SUM_ACCOUNTS: Final = """
SELECT kind, currency, sum(balance_minor)::bigint FROM account
GROUP BY kind, currency HAVING sum(balance_minor) <> 0 ORDER BY kind, currency
"""

_COUNT_DISPUTES: Final = """
SELECT outcome, count(*) FROM (
    SELECT CASE
        WHEN ended_at IS NULL THEN 'open'
        WHEN state = 'withdrawn' THEN 'withdrawn'
        WHEN resolution = 'decided' AND is_small THEN 'decided on documents'
        WHEN resolution = 'decided' THEN 'arbitrated'
        WHEN resolution = 'settled' AND recommended_minor IS NOT NULL THEN 'mediated'
        WHEN resolution = 'settled' AND payee_minor IS NULL THEN 'settled to go on'
        ELSE resolution
    END AS outcome FROM dispute
) d
GROUP BY outcome ORDER BY outcome
"""

_COUNT_LINES: Final = "SELECT state, count(*) FROM line_dispute GROUP BY state ORDER BY state"

_COUNT_WEEKS: Final = "SELECT state, count(*) FROM work_week GROUP BY state ORDER BY state"

_COUNT_PERIODS: Final = """
SELECT state, count(*) FROM retainer_period GROUP BY state ORDER BY state
"""

_SUM_CLIENT_CLAIMS: Final = """
SELECT state, currency, count(*), sum(gross_minor + fee_minor)::bigint FROM client_claim
GROUP BY state, currency ORDER BY state, currency
"""

_SUM_CLAIMS: Final = """
SELECT state, currency, count(*), sum(amount_minor)::bigint FROM claim
GROUP BY state, currency ORDER BY state, currency
"""

_SUM_OPEN_SLOTS: Final = """
SELECT t.kind || ' ' || s.state, s.currency, count(*), sum(s.held_minor)::bigint
FROM slot s JOIN term t ON t.id = s.term_id
WHERE s.held_minor > 0 GROUP BY 1, 2 ORDER BY 1, 2
"""

_SUM_FUNDINGS: Final = """
SELECT state, currency, count(*), sum(amount_minor)::bigint FROM funding
WHERE state IN ('created', 'requires_action', 'processing', 'unknown', 'mismatch')
GROUP BY state, currency ORDER BY 1, 2
"""

_SUM_REFUNDS: Final = """
SELECT state, currency, count(*), sum(amount_minor + fee_minor)::bigint FROM refund
WHERE state IN ('approved', 'submitted', 'unknown') GROUP BY state, currency ORDER BY 1, 2
"""

_SUM_PAYOUTS: Final = """
SELECT state, currency, count(*), sum(amount_minor)::bigint FROM payout
WHERE state NOT IN ('paid', 'failed', 'returned', 'cancelled')
GROUP BY state, currency ORDER BY 1, 2
"""


class Sum(NamedTuple):
    """Rows of one name and currency: how many, and their amount in minor units."""

    name: str
    currency: str
    number: int
    amount_minor: int


def sum_accounts(connection: Connection) -> list[tuple[str, str, int]]:
    """(kind, currency, balance) of all accounts that do not stand at zero; debit is positive."""
    return [(row[0], row[1], row[2]) for row in connection.exec_driver_sql(_SUM_ACCOUNTS)]


def count_disputes(connection: Connection) -> dict[str, int]:
    """Disputes by how they ended."""
    return _pairs(connection, _COUNT_DISPUTES)


def count_lines(connection: Connection) -> dict[str, int]:
    """Disputed lines of weekly invoices by state."""
    return _pairs(connection, _COUNT_LINES)


def count_weeks(connection: Connection) -> dict[str, int]:
    """Worked weeks by state."""
    return _pairs(connection, _COUNT_WEEKS)


def count_periods(connection: Connection) -> dict[str, int]:
    """Periods of retainers by state."""
    return _pairs(connection, _COUNT_PERIODS)


def sum_claims(connection: Connection) -> list[Sum]:
    """What clients and payees owe or owed the platform, by who and state."""
    clients = _sums(connection, _SUM_CLIENT_CLAIMS, "on clients")
    return clients + _sums(connection, _SUM_CLAIMS, "on payees")


def sum_open(connection: Connection) -> list[Sum]:
    """What is still to come: money in slots, refunds and payouts under way."""
    slots = _sums(connection, _SUM_OPEN_SLOTS, "held:")
    slots += _sums(connection, _SUM_FUNDINGS, "payment")
    refunds = _sums(connection, _SUM_REFUNDS, "refund")
    return slots + refunds + _sums(connection, _SUM_PAYOUTS, "payout")


def _sums(connection: Connection, statement: str, what: str) -> list[Sum]:
    rows = connection.exec_driver_sql(statement)
    return [Sum(f"{what} {row[0]}", row[1], row[2], row[3]) for row in rows]


def _pairs(connection: Connection, statement: str) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.exec_driver_sql(statement)}
