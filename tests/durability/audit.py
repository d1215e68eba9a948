"""The callers' logs against books and rail: nothing acknowledged is lost, nothing is doubled."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine

from engine.proofs import check_books
from kernel.database import Tenant, snapshot
from kernel.money import parse_minor
from tests.durability.caller import Heard, Sent

# What each command writes when it is done: the kind of the event, and whose id its subject has.
WRITES: Final = (
    (r"/v1/contracts", "contract.proposed", "contract", "contract_id"),
    (r"/v1/contracts/(.+)/accept", "contract.accepted", "contract", None),
    (r"/v1/slots/.+/fundings", "funding.created", "funding", "funding_id"),
    (r"/v1/slots/(.+)/submit", "slot.submitted", "slot", None),
    (r"/v1/slots/(.+)/approve", "slot.released", "slot", None),
    (r"/v1/payouts", "payout.requested", "payout", "id"),
)
TIMERS_TOO: Final = frozenset({"slot.released"})
"""What a timer writes as well, so that the books have more of it than the callers asked for."""

_EVENTS: Final = "SELECT kind, subject, count(*) FROM event GROUP BY kind, subject"

# One statement for each promise; every row that it finds is a breach, told by its columns.
PROMISES: Final = {
    "an event came twice": """
        SELECT kind, subject, count(*) FROM event
        WHERE kind ~ '^(contract|slot|funding|release|payout)[.]' GROUP BY kind, subject
        HAVING count(*) > 1
    """,
    "a slot was not credited with its price once": """
        SELECT slot.id, slot.state, slot.amount_minor, slot.funded_minor, credited.minor
        FROM slot LEFT JOIN LATERAL (
            SELECT coalesce(sum(-line.amount_minor), 0) AS minor
            FROM account JOIN line ON line.account_id = account.id AND line.amount_minor < 0
            WHERE account.kind = 'custody.escrow' AND account.subject = slot.id::text
        ) AS credited ON true
        WHERE credited.minor <> slot.funded_minor
           OR credited.minor NOT IN (0, slot.amount_minor)
    """,
    "a slot was released twice, or not for its price": """
        SELECT slot.id, slot.state, slot.released_minor, sum(release.gross_minor)
        FROM slot LEFT JOIN release ON release.slot_id = slot.id GROUP BY slot.id
        HAVING coalesce(sum(release.gross_minor), 0)
            <> CASE slot.state WHEN 'released' THEN slot.amount_minor ELSE 0 END
    """,
    "a payee's money is not his releases less his payouts": """
        WITH earned AS (
            SELECT subject, sum(-line.amount_minor) AS minor
            FROM account JOIN line ON line.account_id = account.id
            WHERE starts_with(kind, 'custody.earned') GROUP BY subject
        ), released AS (
            SELECT payee_id, sum(gross_minor - commission_minor) AS minor
            FROM release GROUP BY payee_id
        ), paid AS (
            SELECT payee_id, sum(amount_minor) AS minor
            FROM payout WHERE state IN ('requested', 'submitted', 'paid') GROUP BY payee_id
        )
        SELECT party.id, earned.minor, released.minor, paid.minor
        FROM party LEFT JOIN earned ON earned.subject = party.id::text
        LEFT JOIN released ON released.payee_id = party.id
        LEFT JOIN paid ON paid.payee_id = party.id
        WHERE coalesce(earned.minor, 0)
            <> coalesce(released.minor, 0) - coalesce(paid.minor, 0)
    """,
    "a payout is in transit without reason": """
        SELECT payout.id, payout.state, payout.amount_minor, transit.minor
        FROM payout LEFT JOIN LATERAL (
            SELECT coalesce(sum(-line.amount_minor), 0) AS minor
            FROM account JOIN line ON line.account_id = account.id
            WHERE kind = 'custody.payout_in_transit' AND subject = payout.id::text
        ) AS transit ON true
        WHERE transit.minor <> CASE WHEN payout.state IN ('requested', 'submitted')
            THEN payout.amount_minor - payout.fee_minor ELSE 0 END
    """,
    "the rail was asked twice for one thing": """
        SELECT kind, subject, count(*) FROM rail_operation
        WHERE kind IN ('fund', 'payout') GROUP BY kind, subject HAVING count(*) > 1
    """,
    "the rail was asked and nobody knows the end": """
        SELECT id, kind, state FROM rail_operation WHERE state IN ('created', 'sent', 'unknown')
    """,
    "a timer is due and does not fire": """
        SELECT subject, kind, due_at, failed_times FROM timer, clock
        WHERE due_at <= clock.sandbox_at AND paused_remaining IS NULL
    """,
    "a job is left or dead": """
        SELECT 'left', count(*) FROM job HAVING count(*) > 0
        UNION ALL SELECT 'dead', count(*) FROM job_dead HAVING count(*) > 0
    """,
    "a notice is not heard": "SELECT notice_id, kind, state FROM notice WHERE state <> 'applied'",
}

# The same of the rail itself, which keeps a log of its own.
RAIL_PROMISES: Final = {
    "the rail moved money twice for one operation": """
        SELECT operation_id, account, kind, count(*) FROM simulated_rail.movement
        WHERE platform = %(platform)s GROUP BY operation_id, account, kind, amount_minor > 0
        HAVING count(*) > 1
    """,
}
_RAIL_KNOWS: Final = """
SELECT operation_id::text, amount_minor FROM simulated_rail.operation WHERE platform = %(platform)s
"""
_WE_KNOW: Final = """
SELECT id::text, amount_minor FROM rail_operation WHERE sent_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the books have, and what is wrong with them."""

    events: int
    done: Counter[str]
    complaints: tuple[str, ...]


def audit(engine: Engine, tenant: Tenant, logs: Sequence[tuple[Sent, Heard | None]]) -> Audit:
    """Compare the logs with the books, the books with themselves, and both with the rail."""
    complaints = [f"{sent.key} was never answered" for sent, heard in logs if heard is None]
    done = [(sent, heard) for sent, heard in logs if heard is not None and heard.is_done]
    with snapshot(engine, tenant) as connection:
        events = {(kind, about): n for kind, about, n in _rows(connection, _EVENTS)}
        for promise, statement in PROMISES.items():
            complaints += _breaches(promise, _rows(connection, statement))
        ours = set(_rows(connection, _WE_KNOW))
        prices = dict(_rows(connection, "SELECT contract_id::text, amount_minor FROM slot"))
        keys = dict(_rows(connection, "SELECT key, code FROM idempotency"))
        complaints += _breaches("an odd key", _odd_keys(logs, keys))
    with engine.begin() as connection:
        for promise, statement in RAIL_PROMISES.items():
            complaints += _breaches(promise, _rows(connection, statement, platform=tenant.name))
        theirs = set(_rows(connection, _RAIL_KNOWS, platform=tenant.name))
    complaints += _breaches("books and rail know different operations", ours ^ theirs)
    complaints += _breaches("a price is another one", _other_prices(done, prices))
    complaints += _compare_events(done, events)
    complaints += check_books(engine, tenant).findings
    kinds: Counter[str] = Counter()
    for (kind, _), number in events.items():
        kinds[kind] += number
    return Audit(sum(events.values()), kinds, tuple(complaints))


def _compare_events(
    done: Sequence[tuple[Sent, Heard]], events: dict[tuple[str, str], int]
) -> Iterator[str]:
    """Every acknowledged command has its one event, and there is none that nobody asked for."""
    wanted = Counter(written for sent, heard in done for written in _written(sent, heard))
    for written, number in wanted.items():
        if events.get(written, 0) != number:
            yield f"{written} was acknowledged {number} times and is there {events.get(written, 0)}"
    kinds = {kind for _, kind, _, _ in WRITES} - TIMERS_TOO
    for written in events:
        if written[0] in kinds and written not in wanted:
            yield f"{written} is there and nobody was told"


def _written(sent: Sent, heard: Heard) -> Iterator[tuple[str, str]]:
    for pattern, kind, about, field in WRITES:
        match = re.fullmatch(pattern, sent.path)
        if match is not None:
            yield kind, f"{about}:{heard.body[field] if field else match[1]}"


def _other_prices(
    done: Sequence[tuple[Sent, Heard]], prices: dict[str, int]
) -> Iterator[tuple[str, ...]]:
    for sent, heard in done:
        if sent.path == "/v1/contracts":
            (milestone,) = sent.body["milestones"]
            amount = parse_minor(milestone["amount"]["amount"], sent.body["currency"])
            there = prices.get(heard.body["contract_id"])
            if there != amount:
                yield sent.key, str(amount), str(there)


def _odd_keys(
    logs: Sequence[tuple[Sent, Heard | None]], keys: dict[str, str]
) -> Iterator[tuple[str, ...]]:
    """Keys in the books that nobody sent, and keys whose stored answer is of another kind."""
    sent_keys = {sent.key for sent, _ in logs}
    for key in keys.keys() - sent_keys:
        yield key, "nobody sent it"
    for sent, heard in logs:
        if heard is not None and (keys.get(sent.key) == "done") != heard.is_done:
            yield sent.key, str(heard.status), str(keys.get(sent.key))


def _breaches(promise: str, rows: Iterable[Sequence[Any]]) -> list[str]:
    return [f"{promise}: {' '.join(map(str, row))}" for row in rows]


def _rows(connection: Connection, statement: str, **given: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(statement, given or None)]
