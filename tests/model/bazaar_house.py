"""The house of the market: reservations, manual journals, periods, rules and notices of clocks."""

import json
from collections import Counter
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from escrow import service_notice
from escrow.model_clocks import ClockRules, RecordNotice, SetClockRules
from kernel.ids import new_id
from ledger import journals, periods, reservations
from ledger.chart import account, reserved_twin
from ledger.journals import DecideJournal, PrepareJournal, SetLimit
from ledger.model import AccountKey, Book, Entry, Line
from ledger.model_journals import Role
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from ledger.periods import ClosePeriod, PeriodCommand
from tests.model.acts import act, collect, one_of, within
from tests.model.bazaar_prices import Prices
from tests.model.books import Books
from tests.model.parts import Effect
from tests.model.sight import Row

_PERIOD_STEPS: Final = {
    "soft_close": ("open", "reopened"),
    "close": ("open", "soft_closed", "reopened"),
    "ask_reopening": ("closed",),
    "reopen": ("closed",),
}
"""From which states each step of an accounting period starts."""


class House(Prices):
    """What the platform's own people do."""

    def __init__(self, opened: AbstractContextManager[Books], tally: Counter[str]) -> None:
        super().__init__(opened, tally)
        self.reserved_from: dict[str, AccountKey] = {}

    # -- money set aside

    def _account(self, reservation: Row) -> AccountKey:
        return self.reserved_from[reservation["id"]]

    @act(
        weight=2.5,
        when=lambda self: any(
            self.now.balance("custody.earned_available", each.id) for each in self.payees
        ),
        share=within(1, 120),
    )
    def reserve(self, n: int, share: int) -> None:
        earned = [
            each for each in self.payees if self.now.balance("custody.earned_available", each.id)
        ]
        payee = earned[n // 16 % len(earned)]
        there = self.now.balance("custody.earned_available", payee.id)
        amount = max(1, there * share // 100)
        actor = self.anyone(self.operators[0], n)
        key = account("custody.earned_available", self.currency, UUID(payee.id))
        command = Reserve(
            actor=actor,
            reservation_id=new_id(),
            account=key,
            amount_minor=amount,
            reason="a doubt",
            expires_at=self.at + timedelta(days=9) if n % 3 else None,
        )
        self.reserved_from[str(command.reservation_id)] = key
        may = amount <= there if actor.is_operator else None
        effect = _moved((key, amount), (reserved_twin(key), -amount))
        self.run("reserve", reservations.reserve, command, may=may, effect=effect)

    @act(weight=2, when=lambda self: self.rows("reservation", _is_open), share=within(1, 130))
    def post_reserved(self, n: int, share: int) -> None:
        row = self.pick("reservation", _is_open, n)
        assert row is not None
        client = self.clients[n % 2]
        target = account("custody.wallet", self.currency, UUID(client.id))
        amount = max(1, row["remaining_minor"] * share // 100)
        is_last = n % 3 == 0
        actor = self.anyone(self.operators[1], n)
        may = actor.is_operator and _is_open(row) and amount <= row["remaining_minor"]
        effect = Effect()
        if may:
            key = self._account(row)
            back = row["remaining_minor"] - amount if is_last else 0
            legs = [(reserved_twin(key), amount + back), (target, -amount), (key, -back)]
            effect = _moved(*legs)
        command = PostReserved(
            actor=actor,
            reservation_id=UUID(row["id"]),
            targets=(Target(target, amount),),
            is_last=is_last,
        )
        self.run("post_reserved", reservations.post_reserved, command, may=may, effect=effect)

    @act(weight=2, when=lambda self: self.rows("reservation", _is_open))
    def void(self, n: int) -> None:
        row = self.pick("reservation", _is_open, n)
        assert row is not None
        actor = self.anyone(self.operators[1], n)
        may = actor.is_operator and _is_open(row)
        effect = self._given_back(row) if may else Effect()
        command = VoidReservation(actor=actor, reservation_id=UUID(row["id"]))
        self.run("void", reservations.void, command, may=may, effect=effect)

    def _given_back(self, row: Row) -> Effect:
        key, rest = self._account(row), row["remaining_minor"]
        return _moved((reserved_twin(key), rest), (key, -rest))

    def rings_reservation_expiry(self, reservation_id: str) -> Effect:
        row = self.now.one("reservation", id=reservation_id)
        return self._given_back(row) if _is_open(row) else Effect()

    # -- manual journals

    @act(weight=1, amount=one_of((1, 500, 99_999)))
    def prepare_journal(self, n: int, amount: int) -> None:
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        lines = (
            Line(account("platform.bank", self.currency), amount),
            Line(account("platform.revenue.commission", self.currency), -amount),
        )
        command = PrepareJournal(
            actor=actor,
            entries=(Entry(Book.PLATFORM, self.currency, lines),),
            reason="" if n % 16 == 5 else "a bank's interest",
            attachment_sha256=bytes(range(32)),
        )
        may = actor.is_operator and actor != self.program and n % 16 != 5
        known = None if may else False
        self.run("prepare_journal", journals.prepare, command, may=known)

    @act(weight=3, when=lambda self: self.rows("journal", _waits))
    def decide_journal(self, n: int) -> None:
        row = self.pick("journal", _waits, n)
        assert row is not None
        verb = ("approve", "approve", "reject")[n % 3]
        actor = self.anyone(self.operators[n % 3], n)
        is_second = str(actor.principal_id) != row["prepared_by"]
        may = actor.is_operator and _waits(row) and (is_second or verb == "reject")
        effect = Effect()
        if verb == "approve":
            (entry,) = json.loads(row["entries"])
            amount = max(int(line["amount_minor"]) for line in entry["lines"])
            effect.put("platform.bank", amount)
            effect.put("platform.revenue.commission", -amount)
        command = DecideJournal(actor=actor, journal_id=UUID(row["id"]), reason="seen")
        known = None if may and verb == "approve" else may
        self.run(f"{verb}_journal", getattr(journals, verb), command, may=known, effect=effect)

    @act(weight=0.3)
    def set_limits(self, n: int) -> None:
        actor = self.anyone(self.operators[n % 3], n)
        command = SetLimit(
            actor=actor,
            role=(Role.PREPARER, Role.APPROVER)[n % 2],
            currency=self.currency,
            highest_minor=(1_000, 10**9)[n // 2 % 2],
        )
        may = None if actor.is_operator else False
        self.run("set_limits", journals.set_limits, command, may=may)

    # -- periods

    @act(weight=2.5)
    def step_of_a_period(self, n: int) -> None:
        """A month of last year, in which nothing counts: closed, asked for, opened again."""
        if not self.rows("period", _is_past):
            self.connection.execute(
                text("INSERT INTO period (during) VALUES ('[2025-01-01,2025-02-01)')")
            )
            self.compare(Effect())
        (row,) = self.rows("period", _is_past)
        likely = [verb for verb, states in _PERIOD_STEPS.items() if row["state"] in states]
        some = likely if likely and n // 16 % 5 else list(_PERIOD_STEPS)
        verb = some[n // 128 % len(some)]
        right = self.operators[n // 256 % 3]
        actor = self.program if n % 16 == 3 else self.anyone(right, n // 32)
        fields: dict[str, Any] = {"actor": actor, "period_id": row["id"], "reason": "an invoice"}
        command = ClosePeriod(**fields, findings=()) if verb == "close" else PeriodCommand(**fields)
        is_right = actor.is_operator and actor != self.program
        may = None if is_right and row["state"] in _PERIOD_STEPS[verb] else False
        self.run(f"{verb} period", getattr(periods, verb), command, may=may, told=row["state"])

    # -- clocks

    @act(weight=0.3)
    def set_clock_rules(self, n: int) -> None:
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        rules = ClockRules(courtesy=timedelta(hours=12 + n % 24))
        may = actor.is_operator and actor != self.program
        command = SetClockRules(actor=actor, rules=rules)
        self.run("set_clock_rules", service_notice.set_clock_rules, command, may=may)

    @act(weight=0.7)
    def record_notice(self, n: int) -> None:
        slot = self.pick("slot", lambda row: row["state"] == "submitted", n)
        if not slot:
            return
        deal = self.deal_of(slot)
        command = RecordNotice(
            actor=self.anyone(self.operators[n % 3], n),
            notice_id=new_id(),
            subject=f"slot:{slot['id']}",
            kind="auto_release",
            party_id=UUID(deal["client_id"]),
            channel="email",
            proof="delivery:1",
        )
        self.run("record_notice", service_notice.record_notice, command, may=None)


def _moved(*legs: tuple[AccountKey, int]) -> Effect:
    effect = Effect()
    for key, amount in legs:
        effect.put(key.kind, amount, key.subject)
    return effect


def _is_open(row: Row) -> bool:
    return bool(row["state"] == "open")


def _waits(row: Row) -> bool:
    return bool(row["state"] == "prepared")


def _is_past(row: Row) -> bool:
    return str(row["during"]).startswith('["2025-01-01')


House.acts = collect(House)


def focused() -> tuple[type[House], ...]:
    """The market once for each matter that it looks at more closely."""
    matters = sorted({each.do.__module__ for each in House.acts})
    return tuple(type("House", (House,), {"focus": matter}) for matter in matters)
