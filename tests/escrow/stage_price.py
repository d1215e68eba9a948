"""Prices on the real database: schedules in force, deals of one pair, the proof that all ties."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from commissions.model import Band
from escrow.model import Terms
from ledger.proof import prove
from tests.commissions.books import TIERS, hold, tariff
from tests.escrow.stage import START, Stage, prove_books

NO_CLIENT_FEE = Terms(client_fee_bps=0)


def stand_tiers(
    connection: Connection,
    *bands: Band,
    currency: str = "EUR",
    at: datetime = START,
    **more: Any,
) -> UUID:
    """A schedule for every payee in a currency, approved by two people; its id."""
    return hold(connection, at=at, tariffs=(tariff(currency, *(bands or TIERS)),), **more)


def agreed(
    connection: Connection,
    *amounts: int,
    currency: str = "EUR",
    like: Stage | None = None,
    terms: Terms = NO_CLIENT_FEE,
    now: datetime = START,
) -> Stage:
    """A contract on milestones, proposed and accepted; of the same pair as another."""
    stage = Stage(connection, currency, terms, amounts, now=like.now if like else now)
    if like is not None:
        stage.client, stage.payee = like.client, like.payee
    for outcome in (stage.propose(), stage.accept()):
        assert outcome.is_done, outcome
    return stage


def submitted(
    connection: Connection, *amounts: int, currency: str = "EUR", terms: Terms = NO_CLIENT_FEE
) -> Stage:
    """The same with every milestone funded and shown; the first is at hand."""
    stage = agreed(connection, *amounts, currency=currency, terms=terms)
    for slot_id in reversed(stage.slot_ids):
        stage.slot_id = slot_id
        for outcome in (stage.fund(), stage.submit()):
            assert outcome.is_done, outcome
    return stage


def released(stage: Stage, slot_id: UUID | None = None) -> int:
    """A slot funded, shown and approved; our commission on it, in minor units."""
    stage.slot_id = slot_id or stage.slot_id
    for outcome in (stage.fund(), stage.submit(), stage.approve()):
        assert outcome.is_done, outcome
    return commission_of(stage.connection, stage.slot_id)


def commission_of(connection: Connection, slot_id: UUID) -> int:
    """What we keep of all that a slot released, by its fee lines."""
    found: int = connection.exec_driver_sql(
        "SELECT coalesce(sum(fee_minor), 0)::bigint FROM fee_line"
        " WHERE kind = 'commission' AND slot_id = %s",
        (slot_id,),
    ).scalar_one()
    return found


def billed(stage: Stage) -> int:
    """What the pair was billed in the stage's currency."""
    found: int = stage.connection.exec_driver_sql(
        "SELECT billed_minor FROM pair_billing"
        " WHERE (client_id, payee_id, currency) = (%s, %s, %s)",
        (stage.client.party_id, stage.payee.party_id, stage.currency),
    ).scalar_one()
    return found


# By currency, and by country where a tax is owed: what the fee lines say, and what the books do.
TIED = {
    "platform.revenue.commission": "SELECT currency, '', sum(fee_minor)::bigint FROM fee_line"
    " WHERE kind = 'commission' GROUP BY currency",
    "platform.revenue.client_fee": "SELECT currency, '', sum(fee_minor)::bigint FROM fee_line"
    " WHERE kind = 'client_fee' GROUP BY currency",
    "platform.vat_payable": "SELECT currency, tax_country, sum(tax_minor)::bigint FROM fee_line"
    " WHERE tax_country IS NOT NULL GROUP BY currency, tax_country",
    "custody.fx": "SELECT side.currency, '', sum(-side.minor)::bigint FROM fx_conversion,"
    " LATERAL (VALUES (sold, -sold_minor), (bought, bought_minor)) AS side (currency, minor)"
    " WHERE state = 'open' GROUP BY side.currency",
}
BOOKED = (
    "SELECT currency, subject, -sum(balance_minor)::bigint FROM account WHERE kind = %s"
    " GROUP BY currency, subject"
)

# Every event by itself: the fees in its journal entries, and in its fee lines.
BY_EVENT = """
WITH booked AS (
    SELECT line.event_id, account.kind, account.currency, -sum(line.amount_minor) AS minor
    FROM line JOIN account ON account.id = line.account_id
    WHERE account.kind IN ('platform.revenue.commission', 'platform.revenue.client_fee')
    GROUP BY line.event_id, account.kind, account.currency
), told AS (
    SELECT event_id, 'platform.revenue.' || kind AS kind, currency, sum(fee_minor) AS minor
    FROM fee_line WHERE kind IN ('commission', 'client_fee') GROUP BY event_id, kind, currency
)
SELECT event_id, kind, currency, booked.minor, told.minor
FROM booked FULL JOIN told USING (event_id, kind, currency)
WHERE coalesce(booked.minor, 0) <> coalesce(told.minor, 0)
"""

# The counters of pairs, made again from fee lines.
PAIRS = """
WITH newest AS (
    SELECT client_id, payee_id, currency, max(month) AS month
    FROM fee_line WHERE kind = 'commission' GROUP BY client_id, payee_id, currency
), told AS (
    SELECT client_id, payee_id, currency, sum(gross_minor) AS billed,
        sum(fee_minor) FILTER (WHERE fee_line.month = newest.month) AS charged
    FROM fee_line JOIN newest USING (client_id, payee_id, currency)
    WHERE kind = 'commission' GROUP BY client_id, payee_id, currency
)
SELECT client_id, payee_id, currency, billed_minor, billed, charged_month_minor, charged
FROM pair_billing FULL JOIN told USING (client_id, payee_id, currency)
WHERE coalesce(billed_minor, -1) <> coalesce(billed, 0)
    OR coalesce(charged_month_minor, -1) <> coalesce(charged, 0)
"""

# What slots say that the payee kept, and what was billed of them: an advance is billed before the
# client pays it.
SLOTS = """
SELECT slot.id, kept.minor, kept.advanced, sum(gross_minor) AS billed
FROM slot
CROSS JOIN LATERAL (
    SELECT released_minor - returned_minor AS minor, coalesce((
        SELECT sum(claim.gross_minor) FROM client_claim AS claim
        JOIN work_week AS week ON week.id = claim.week_id
        WHERE week.slot_id = slot.id AND claim.state = 'open'
    ), 0) AS advanced
) AS kept
LEFT JOIN fee_line ON fee_line.slot_id = slot.id AND fee_line.kind = 'commission'
GROUP BY slot.id, kept.minor, kept.advanced
HAVING kept.minor + kept.advanced <> coalesce(sum(gross_minor), 0)
"""

# What releases say that they took, and their first lines of commission.
RELEASES = """
SELECT release.id, commission_minor, first.fee_minor, release.tax_minor, first.tax_minor
FROM release LEFT JOIN LATERAL (
    SELECT gross_minor, fee_minor, tax_minor FROM fee_line
    WHERE release_id = release.id AND kind = 'commission' ORDER BY id LIMIT 1
) AS first ON true
WHERE (release.gross_minor, commission_minor, release.tax_minor)
    IS DISTINCT FROM (first.gross_minor, first.fee_minor, first.tax_minor)
"""


def prove_prices(connection: Connection) -> None:
    """The books are proved, and fees, taxes, exchange and counters say in rows what they do."""
    open_conversions = connection.exec_driver_sql(
        "SELECT count(*) FROM fx_conversion WHERE state = 'open'"
    ).scalar_one()
    if open_conversions:
        # What is on the bridge is compared with the open conversions below.
        found = {each.promise for each in prove(connection).findings}
        assert found <= {"conversion accounts are at zero"}
    else:
        prove_books(connection)
    for kind, question in TIED.items():
        booked = {tuple(row) for row in connection.exec_driver_sql(BOOKED, (kind,)) if row[2]}
        told = {tuple(row) for row in connection.exec_driver_sql(question) if row[2]}
        assert booked == told, kind
    for question in (BY_EVENT, PAIRS, RELEASES, SLOTS):
        assert connection.exec_driver_sql(question).all() == []
