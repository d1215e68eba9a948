"""The SQL of the treasury: rows of accounts, what lies where, what rails promised, and stops."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from payouts.model_settlement import Mode
from payouts.model_treasury import PayoutStop, TreasuryRule

# Payees' accounts have a colon in their name; they are never settled.
_LIST_THERE: Final = """
SELECT kind, subject, currency::text, sum(balance_minor)::bigint
FROM account
WHERE kind = ANY (%s) AND subject NOT LIKE '%%:%%'
GROUP BY kind, subject, currency
ORDER BY subject, currency, kind
"""

_SUM_PROMISED: Final = """
SELECT rail, currency::text, sum(amount_minor)::bigint
FROM rail_operation
WHERE kind = ANY (%s) AND state IN ('created', 'sent', 'unknown', 'pending') AND NOT has_left
GROUP BY rail, currency
"""

_LIST_RULES: Final = """
SELECT DISTINCT ON (rail_account, currency)
    rail_account, currency::text, mode, floor_minor, valid_from, set_by
FROM treasury_rule WHERE valid_from <= %s
ORDER BY rail_account, currency, valid_from DESC
"""

_ADD_RULE: Final = """
INSERT INTO treasury_rule (rail_account, currency, mode, floor_minor, valid_from, set_by)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT treasury_rule_is_dated DO NOTHING
"""

_LIST_STOPS: Final = """
SELECT id, rail_account, currency::text, shortfall_minor, stopped_at, lifted_at
FROM payout_stop WHERE lifted_at IS NULL ORDER BY rail_account, currency
"""

_ADD_STOP: Final = """
INSERT INTO payout_stop (id, rail_account, currency, shortfall_minor, stopped_at, lifted_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""

_LIFT_STOPS: Final = """
UPDATE payout_stop SET lifted_at = %s WHERE id = ANY (%s) AND lifted_at IS NULL
"""


def list_there(
    connection: Connection, kinds: Sequence[str]
) -> dict[str, dict[str, dict[str, int]]]:
    """Signed balances of the platform's own accounts at rails: kind, currency, rail account."""
    found: dict[str, dict[str, dict[str, int]]] = {kind: defaultdict(dict) for kind in kinds}
    for kind, subject, currency, minor in driver(connection).execute(_LIST_THERE, (list(kinds),)):
        found[kind][currency][subject] = minor
    return found


def sum_promised(connection: Connection, kinds: Sequence[str]) -> dict[tuple[str, str], int]:
    """What operations of these kinds that rails have not ended ask for, by (currency, rail)."""
    rows = driver(connection).execute(_SUM_PROMISED, (list(kinds),))
    return {(currency, rail): minor for rail, currency, minor in rows}


def list_rules(connection: Connection, at: datetime) -> list[TreasuryRule]:
    """The row that counts at a time, by account and currency."""
    rows = driver(connection).execute(_LIST_RULES, (at,))
    return [TreasuryRule(row[0], row[1], Mode(row[2]), *row[3:]) for row in rows]


def add_rule(connection: Connection, rule: TreasuryRule) -> bool:
    """Write a row; False if one counts from that time already."""
    return driver(connection).execute(_ADD_RULE, astuple(rule)).rowcount == 1


def list_stops(connection: Connection) -> list[PayoutStop]:
    """The stops that stand, by account and currency."""
    return [PayoutStop(*row) for row in driver(connection).execute(_LIST_STOPS)]


def add_stops(connection: Connection, stops: Sequence[PayoutStop]) -> None:
    """Write new stops."""
    if stops:
        driver(connection).cursor().executemany(_ADD_STOP, [astuple(each) for each in stops])


def lift_stops(connection: Connection, ids: Sequence[UUID], at: datetime) -> None:
    """Lift stops."""
    if ids:
        driver(connection).execute(_LIFT_STOPS, (at, list(ids)))
