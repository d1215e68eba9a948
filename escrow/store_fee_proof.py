"""The fees proven: every fee line against the entries of its event, every pair against its lines.

Each finding is one sentence with numbers; where all agrees there is none. Amounts are minor units.
"""

from typing import Final

from sqlalchemy import Connection

from kernel.database import driver

_SHOWN: Final = 10

PROMISES: Final = (
    "what a pair was billed is the sum of its fee lines",
    "the first fee line of a release is its commission and tax",
    "the fee lines of an event are what it posted to revenue and to tax",
    "no release gives back more than it took",
)

_PAIRS: Final = """
SELECT 'pair ' || client_id || ' ' || payee_id || ' ' || currency || ' was billed '
    || coalesce(p.billed_minor, 0) || ', its lines say ' || coalesce(l.gross, 0)
FROM pair_billing p FULL JOIN (
    SELECT client_id, payee_id, currency, sum(gross_minor) AS gross
    FROM fee_line WHERE kind = 'commission' GROUP BY client_id, payee_id, currency
) l USING (client_id, payee_id, currency)
WHERE coalesce(p.billed_minor, 0) <> coalesce(l.gross, 0) LIMIT 1000
"""
_RELEASES: Final = """
SELECT 'release ' || r.id || ' has commission ' || r.commission_minor || ' and tax ' || r.tax_minor
    || ', its line ' || coalesce(l.fee_minor, 0) || ' and ' || coalesce(l.tax_minor, 0)
FROM release r LEFT JOIN (
    SELECT DISTINCT ON (release_id) release_id, gross_minor, fee_minor, tax_minor
    FROM fee_line WHERE kind = 'commission' ORDER BY release_id, id
) l ON l.release_id = r.id
WHERE (r.gross_minor, r.commission_minor, r.tax_minor)
    IS DISTINCT FROM (l.gross_minor, l.fee_minor, l.tax_minor) LIMIT 1000
"""
# Deals alone owe a fee line for what they post: journals, adoptions and what is sold beside them do
# not. Releases of before there were fee lines were given theirs without an event: what was posted
# before the first that has one is not asked for.
_EVENTS: Final = """
WITH told AS (
    SELECT event_id, currency,
        coalesce(sum(fee_minor) FILTER (WHERE kind = 'commission'), 0) AS commission,
        coalesce(sum(fee_minor) FILTER (WHERE kind = 'client_fee'), 0) AS client_fee,
        sum(tax_minor) AS tax
    FROM fee_line WHERE event_id IS NOT NULL AND kind IN ('commission', 'client_fee')
    GROUP BY event_id, currency
), posted AS (
    SELECT line.event_id, account.currency,
        -coalesce(sum(amount_minor) FILTER (WHERE kind = 'platform.revenue.commission'), 0) AS comm,
        -coalesce(sum(amount_minor) FILTER (WHERE kind = 'platform.revenue.client_fee'), 0) AS fee,
        -coalesce(sum(amount_minor) FILTER (WHERE kind = 'platform.vat_payable'), 0) AS tax
    FROM line JOIN account ON account.id = line.account_id
    WHERE kind IN ('platform.revenue.commission', 'platform.revenue.client_fee',
        'platform.vat_payable')
    GROUP BY line.event_id, account.currency
)
SELECT 'event ' || event_id || ' posted ' || coalesce(comm, 0) || ' + ' || coalesce(fee, 0)
    || ' + ' || coalesce(posted.tax, 0) || ' ' || currency || ', its fee lines say '
    || coalesce(commission, 0) || ' + ' || coalesce(client_fee, 0) || ' + ' || coalesce(told.tax, 0)
FROM told FULL JOIN posted USING (event_id, currency) JOIN event ON event.id = event_id
WHERE (coalesce(comm, 0), coalesce(fee, 0), coalesce(posted.tax, 0))
    <> (coalesce(commission, 0), coalesce(client_fee, 0), coalesce(told.tax, 0))
    AND (told.event_id IS NOT NULL OR (
        (split_part(event.kind, '.', 1) IN ('slot', 'period', 'week', 'line', 'chargeback',
            'dispute', 'claim') OR event.kind = 'funding.tipped')
        AND event_id >= (SELECT CASE
            WHEN bool_or(event_id IS NULL AND kind IN ('commission', 'client_fee'))
            THEN min(event_id) ELSE 0 END FROM fee_line)
    ))
LIMIT 1000
"""
_OVERDRAWN: Final = """
SELECT 'release ' || release_id || ' ' || kind || ' keeps ' || sum(gross_minor) || ', fee '
    || sum(fee_minor) || ', tax ' || sum(tax_minor)
FROM fee_line WHERE release_id IS NOT NULL GROUP BY release_id, kind
HAVING sum(gross_minor) < 0 OR sum(fee_minor) < 0 OR sum(tax_minor) < 0 LIMIT 1000
"""


def prove_fees(connection: Connection) -> list[str]:
    """What does not agree, a sentence for each promise that is broken; in the caller's snapshot."""
    found = []
    for promise, query in zip(PROMISES, (_PAIRS, _RELEASES, _EVENTS, _OVERDRAWN), strict=True):
        rows = [row[0] for row in driver(connection).execute(query.encode())]
        if rows:
            found.append(f"{promise} is broken by {len(rows)} rows: {'; '.join(rows[:_SHOWN])}")
    return found
