"""An auditor's login on a test's own database, and a small month of books to read."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from engine.replay.report import Report
from engine.replay.service import Options, play, take_in
from kernel import clock
from kernel.commands import Command, Outcome
from kernel.database import Tenant, connect, transaction
from kernel.idempotency import IdempotencyKey, add_answers
from kernel.principals import Actor, PrincipalKind
from ledger import auditors, holds, journals, periods
from ledger.chart import account
from ledger.commands import Reverse
from ledger.correction import reverse
from ledger.holds import HoldKind, PlaceHold
from ledger.journals import DecideJournal, PrepareJournal
from ledger.model import Book, Draft, Entry, Line, Posted
from ledger.periods import ClosePeriod, PeriodCommand
from ledger.seal import seal
from ledger.service import post
from tests.fixtures.databases import TestDatabase

STAFF: Final = Actor(UUID(int=77), PrincipalKind.PERSON, is_operator=True)
"""A person of the platform who does by hand what the month's story needs."""

SECOND: Final = Actor(UUID(int=78), PrincipalKind.PERSON, is_operator=True)
"""Another one, who approves."""

SECRET: Final = 'DE89 "3704" \\ 0044'
"""Typed where a token was asked for; no auditor may see it."""

JOURNAL: Final = UUID(int=79)

_NAMES: Final = count(1)


def replay_month(engine: Engine, tenant: Tenant) -> Report:
    """Twenty contracts in eighteen days of January 2026, proven."""
    options = Options(contracts=20, days=18, seed=5, in_dollars=True)
    return play(
        engine,
        tenant,
        take_in(options),
        options,
        on_day=lambda _day, _at: None,
        on_start=lambda _days: None,
        stop=threading.Event(),
    )


def act_by_hand(engine: Engine, tenant: Tenant) -> dict[str, Any]:
    """What an auditor should find: a correction, a late entry, a hold, a refusal; their facts."""
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        (first,) = post(connection, [_capital(at, 123_400, reason="owner pays in")])
        assert isinstance(first, Posted)
    with transaction(engine, tenant) as connection:
        command = Reverse(actor=STAFF, event_id=first.event_id, reason="typed twice")
        (outcome,) = reverse(connection, [command], at=at)
        assert outcome.is_done, outcome
    with transaction(engine, tenant) as connection:
        (late,) = post(connection, [_capital(at - timedelta(days=9), 100_000, reason="")])
        assert isinstance(late, Posted)
    with transaction(engine, tenant) as connection:
        contract = connection.exec_driver_sql(
            "SELECT contract_id FROM slot WHERE held_minor > 0 ORDER BY id LIMIT 1"
        ).scalar_one()
        held = connection.exec_driver_sql(
            "SELECT sum(held_minor) FROM slot WHERE contract_id = %s", (contract,)
        ).scalar_one()
        place = PlaceHold(
            actor=STAFF, subject=f"contract:{contract}", kind=HoldKind.COMPLIANCE, reason="look"
        )
        (outcome,) = holds.place(connection, [place], at=at)
        assert outcome.is_done, outcome
        key = IdempotencyKey(STAFF.principal_id, "k-1", bytes(32))
        refusal = Outcome("escrow.not_submitted", {"slot_id": "x"}, replayed=False)
        other = IdempotencyKey(STAFF.principal_id, "k-2", bytes(32))
        slip = Outcome("payouts.bad_method", {"token": SECRET, "n": 1}, replayed=False)
        third = IdempotencyKey(STAFF.principal_id, "k-3", bytes(32))
        fine = Outcome("done", {"token": SECRET}, replayed=False)
        add_answers(connection, [(key, refusal), (other, slip), (third, fine)], at=at)
    return {"reversed": first, "late": late, "contract": contract, "held_minor": int(held)}


def _capital(at: datetime, amount_minor: int, *, reason: str) -> Draft:
    lines = (
        Line(account("platform.bank", "USD"), amount_minor),
        Line(account("platform.capital", "USD"), -amount_minor),
    )
    entry = Entry(Book.PLATFORM, "USD", lines)
    return Draft("capital.paid_in", "", STAFF, at, (entry,), reason=reason)


def close_december(engine: Engine, tenant: Tenant) -> None:
    """A late payment counts in December; it is closed, opened again by two, and corrected by two.

    Seals what is there on the way, because a closing wants it.
    """
    december = datetime(2025, 12, 15, tzinfo=UTC)
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        (answer,) = post(connection, [_capital(december, 5_001, reason="late")])
        assert isinstance(answer, Posted)
        period_id = connection.exec_driver_sql(
            "SELECT id FROM period WHERE during @> %s::timestamptz", (december,)
        ).scalar_one()
    seal_all(engine, tenant)
    acts: tuple[tuple[Any, Command], ...] = (
        (periods.soft_close, PeriodCommand(actor=STAFF, period_id=period_id)),
        (periods.close, ClosePeriod(actor=STAFF, period_id=period_id, findings=())),
        (
            periods.ask_reopening,
            PeriodCommand(actor=STAFF, period_id=period_id, reason="one is missing"),
        ),
        (periods.reopen, PeriodCommand(actor=SECOND, period_id=period_id, reason="seen")),
        (journals.prepare, _forgotten(december)),
        (journals.approve, DecideJournal(actor=SECOND, journal_id=JOURNAL)),
    )
    for act, command in acts:
        with transaction(engine, tenant) as connection:
            (outcome,) = act(connection, [command], at=at)
            assert outcome.is_done, outcome


def _forgotten(at: datetime) -> PrepareJournal:
    lines = (
        Line(account("platform.expense.fx", "USD"), 700),
        Line(account("platform.bank", "USD"), -700),
    )
    return PrepareJournal(
        actor=STAFF,
        entries=(Entry(Book.PLATFORM, "USD", lines),),
        reason="forgotten",
        attachment_sha256=bytes(32),
        effective_at=at,
        journal_id=JOURNAL,
    )


@contextmanager
def auditor_of(database: TestDatabase, tenant: Tenant) -> Iterator[str]:
    """The conninfo of an auditor's login, which is gone at the end: roles outlive a database."""
    name = f"t{os.getpid()}_{next(_NAMES)}"
    owner = connect(database.owner_url, pool_size=1)
    try:
        with owner.begin() as connection:
            today = datetime.now(UTC).date()
            new = auditors.grant(connection, tenant, name, last_day=None, today=today)
        url = database.admin_url.replace("postgresql+psycopg", "postgresql")
        yield psycopg.conninfo.make_conninfo(url, user=new.auditor.login, password=new.password)
        with owner.begin() as connection:
            auditors.revoke(connection, tenant, name)
    finally:
        owner.dispose()


def seal_all(engine: Engine, tenant: Tenant) -> None:
    """Give every event its number."""
    with transaction(engine, tenant) as connection:
        seal(connection, at=datetime.now(UTC))
