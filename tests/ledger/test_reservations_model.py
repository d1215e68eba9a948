"""Reservations against a plain model: any acts in any order, the same answers and balances."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine

from kernel import timers
from kernel.commands import Outcome
from kernel.database import Tenant
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.chart import reserved_twin
from ledger.model import AccountKey
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from ledger.proof import prove
from ledger.reservations import expire_due, post_reserved, reserve, void
from ledger.service import balances, post
from tests.ledger.drafts import fund, move, rolled_back, wallet

PURSES: Final = (wallet("ann"), wallet("ben"))
START: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAY: Final = timedelta(days=1)

amounts = st.integers(1, 60)
purses = st.sampled_from(PURSES)


class Plain:
    """One reservation as a few numbers."""

    def __init__(self, source: AccountKey, amount: int, expires_at: datetime | None) -> None:
        self.source, self.left, self.expires_at = source, amount, expires_at
        self.posted = 0
        self.state = "open"

    def why_not(self, at: datetime) -> str:
        """The code with which an act on it is refused; empty for none."""
        if self.state != "open":
            return f"reservation.already_{self.state}"
        is_over = self.expires_at is not None and self.expires_at <= at
        return "reservation.already_expired" if is_over else ""


class Reservations(RuleBasedStateMachine):
    """Two purses, any number of reservations, and days that pass."""

    made = Bundle("made")

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.at = START
        self.free = dict.fromkeys(PURSES, 0)
        self.known: dict[UUID, Plain] = {}
        self.before = balances(connection, self._keys())

    def _keys(self) -> list[AccountKey]:
        return [*PURSES, *map(reserved_twin, PURSES)]

    @rule(purse=purses, amount=amounts)
    def earn(self, purse: AccountKey, amount: int) -> None:
        """Money comes in from outside."""
        post(self.connection, [fund(amount, purse)])
        self.free[purse] += amount

    @rule(amount=amounts)
    def spend(self, amount: int) -> None:
        """The first purse pays the second, out of what is free."""
        (answer,) = post(self.connection, [move(amount, *PURSES)])
        fits = amount <= self.free[PURSES[0]]
        assert hasattr(answer, "event_id") == fits
        if fits:
            self._pay(*PURSES, amount)

    @rule(target=made, purse=purses, amount=amounts, days=st.none() | st.integers(1, 3))
    def set_aside(self, purse: AccountKey, amount: int, days: int | None) -> UUID:
        """Refused exactly where less is free."""
        expires_at = None if days is None else self.at + days * DAY
        command = Reserve(
            actor=SYSTEM,
            reservation_id=new_id(),
            account=purse,
            amount_minor=amount,
            reason="x",
            expires_at=expires_at,
        )
        (outcome,) = reserve(self.connection, [command], at=self.at)
        fits = amount <= self.free[purse]
        assert outcome.code == ("done" if fits else "ledger.insufficient_funds")
        if fits:
            self.free[purse] -= amount
            self.known[command.reservation_id] = Plain(purse, amount, expires_at)
        return command.reservation_id

    @rule(which=made, amount=amounts, is_last=st.booleans())
    def post_some(self, which: UUID, amount: int, *, is_last: bool) -> None:
        """The other purse is paid out of what remains."""
        plain = self.known.get(which)
        to = PURSES[1] if plain is None or plain.source == PURSES[0] else PURSES[0]
        command = PostReserved(
            actor=SYSTEM, reservation_id=which, targets=(Target(to, amount),), is_last=is_last
        )
        (outcome,) = post_reserved(self.connection, [command], at=self.at)
        if not self._agrees(outcome, plain, amount) or plain is None:
            return
        plain.left -= amount
        plain.posted += amount
        self.free[to] += amount
        if is_last:
            self.free[plain.source] += plain.left
            plain.left = 0
        plain.state = "open" if plain.left else "posted"
        assert outcome.facts["state"] == plain.state

    @rule(which=made)
    def give_back(self, which: UUID) -> None:
        """All that remains is free again."""
        plain = self.known.get(which)
        command = VoidReservation(actor=SYSTEM, reservation_id=which)
        (outcome,) = void(self.connection, [command], at=self.at)
        if self._agrees(outcome, plain) and plain is not None:
            self._end(plain, "voided")

    @rule(days=st.integers(1, 2))
    @precondition(lambda self: self.known)
    def wait(self, days: int) -> None:
        """Days pass, and the timers fire that are due."""
        self.at += days * DAY
        due = timers.list_due(self.connection, at=self.at, limit=1_000, grace=timedelta(0))
        expire_due(self.connection, due, self.at)
        for plain in self.known.values():
            if plain.state == "open" and plain.why_not(self.at):
                self._end(plain, "expired")

    @invariant()
    def agree(self) -> None:
        """Both worlds hold the same, and the books prove themselves."""
        found = balances(self.connection, self._keys())
        gained = {key: self.before[key] - found[key] for key in self._keys()}
        aside = dict.fromkeys(PURSES, 0)
        for plain in self.known.values():
            aside[plain.source] += plain.left
        assert gained == {**self.free, **{reserved_twin(key): aside[key] for key in PURSES}}
        assert min(gained.values()) >= 0
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")

    def teardown(self) -> None:
        """The books are recounted at the end of a run."""
        assert prove(self.connection).findings == ()

    def _pay(self, source: AccountKey, to: AccountKey, amount: int) -> None:
        self.free[source] -= amount
        self.free[to] += amount

    def _end(self, plain: Plain, state: str) -> None:
        self.free[plain.source] += plain.left
        plain.left, plain.state = 0, state

    def _agrees(self, outcome: Outcome, plain: Plain | None, amount: int = 0) -> bool:
        """Whether the act took effect; asserts that it did just where the model says so."""
        code = "reservation.unknown" if plain is None else plain.why_not(self.at)
        if plain is not None and not code and amount > plain.left:
            code = "reservation.exceeds_remaining"
        assert outcome.code == (code or "done")
        return outcome.is_done


def test_reservations_answer_like_the_model(engine: Engine, tenant: Tenant) -> None:
    """Whatever is earned, spent, set aside, posted, voided or left to expire, they agree."""

    class OnRealBooks(Reservations):
        def __init__(self) -> None:
            self.books: Any = rolled_back(engine, tenant)
            super().__init__(self.books.__enter__())

        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                self.books.__exit__(None, None, None)

    run_state_machine_as_test(
        OnRealBooks, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )
