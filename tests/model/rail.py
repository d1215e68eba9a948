"""The rail's own world in plain numbers: what comes of an operation, when, and what is told.

Written from the table at the head of the simulated rail's rules. Times are whole seconds.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_DAY: Final = 86_400
_UNIT: Final = {"JPY": 1, "EUR": 100, "KWD": 1_000}
_RATE: Final = {"card": 290, "bank_debit": 80, "bank_transfer": 0}
SOURCES: Final = frozenset({"processor_available", "custody_bank", "platform_bank"})


@dataclass(frozen=True)
class Fact:
    """One thing that becomes true: `done`, `pending` or `refused`, and when it is told."""

    outcome: str
    at: int
    fee: int = 0
    cleared: bool = True
    code: str = ""


@dataclass(frozen=True)
class Move:
    """What a rail's account gains or loses, and when."""

    account: str
    amount: int
    at: int


@dataclass(eq=False)
class Operation:
    """What was asked of the rail; `about` is the funding, refund, payout or transfer."""

    kind: str
    about: object
    currency: str
    amount: int
    method: str = ""
    source: str = ""
    target: str = ""
    facts: list[Fact] = field(default_factory=list)
    told_at: list[int] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    heard: int = -1
    lot_at: int | None = None

    @property
    def is_sent(self) -> bool:
        return bool(self.facts)

    def has_news(self, now: int) -> bool:
        """Whether a call of the rail at this time would change anything."""
        if not self.is_sent or (self.lot_at is not None and self.lot_at <= now):
            return True
        return any(at <= now for at in self.told_at[self.heard + 1 :])


@dataclass
class RailWorld:
    """All operations in the order in which they were asked for."""

    operations: list[Operation] = field(default_factory=list)

    def ask(self, operation: Operation) -> None:
        self.operations.append(operation)

    def has_news(self, now: int) -> bool:
        return any(operation.has_news(now) for operation in self.operations)

    def withdraw(self, about: object) -> None:
        """Take back what was asked for and not sent yet."""
        self.operations = [o for o in self.operations if o.is_sent or o.about is not about]

    def send(self, mood: frozenset[str], now: int) -> None:
        """Execute what was not sent yet, in order; the money must be there."""
        for operation in self.operations:
            if operation.is_sent:
                continue
            payer = _payer(operation)
            there = self.spendable(payer, operation.currency, now)
            _tell(operation, mood, now)
            leaving = -sum(min(0, m.amount) for m in operation.moves if m.account == payer)
            if payer and leaving > there:
                operation.facts = [Fact("refused", now, code="rail.insufficient_funds")]
                operation.told_at, operation.moves = [now], []

    def spendable(self, account: str, currency: str, now: int) -> int:
        """What is there and not promised to leave later."""
        return sum(
            move.amount
            for operation in self.operations
            if operation.currency == currency
            for move in operation.moves
            if move.account == account and (move.at <= now or move.amount < 0)
        )

    def balances(self, now: int) -> Counter[tuple[str, str]]:
        """What the rail and the banks hold, by account and currency."""
        found: Counter[tuple[str, str]] = Counter()
        for operation in self.operations:
            for move in operation.moves:
                if move.at <= now:
                    found[move.account, operation.currency] += move.amount
        return found

    def news(self, now: int) -> list[tuple[Operation, Fact]]:
        """What has been told by now and was not heard: of each operation the latest word."""
        found = []
        for operation in self.operations:
            known = [i for i, at in enumerate(operation.told_at) if at <= now]
            if known and known[-1] > operation.heard:
                operation.heard = known[-1]
                found.append((operation, operation.facts[known[-1]]))
        return found

    def lots(self, now: int) -> list[Operation]:
        """Fundings whose money has become available since we listened last."""
        due = [o for o in self.operations if o.lot_at is not None and o.lot_at <= now]
        for operation in due:
            operation.lot_at = None
        return due


def _payer(operation: Operation) -> str:
    if operation.kind == "payout":
        return "custody_bank"
    return operation.source if operation.source in SOURCES else ""


def _half_up(amount: int, bps: int) -> int:
    return (2 * amount * bps + 10_000) // 20_000


def _tell(operation: Operation, mood: frozenset[str], now: int) -> None:
    {"fund": _fund, "refund": _refund, "payout": _payout}.get(operation.kind, _transfer)(
        operation, mood, now
    )
    times = [fact.at for fact in operation.facts]
    if "reordered" in mood:
        times = [times[-1]] * len(times)
    operation.told_at = [now, *times[1:]]


def _fund(operation: Operation, mood: frozenset[str], now: int) -> None:
    facts, done_at = _begin("slow", mood, now)
    if "declined" in mood:
        operation.facts = [*facts, Fact("refused", done_at, code="card.declined")]
        return
    family = operation.method
    fixed = _half_up(_UNIT[operation.currency], 3_000) if family == "card" else 0
    fee = min(operation.amount, _half_up(operation.amount, _RATE[family]) + fixed)
    cleared_at = done_at
    if family == "bank_debit" or "debit" in mood:
        facts.append(Fact("done", done_at, fee, cleared=False))
        cleared_at += 4 * _DAY
    facts.append(Fact("done", cleared_at, fee))
    operation.facts = facts
    net = operation.amount - fee
    if net:
        available_at = cleared_at - cleared_at % _DAY + 2 * _DAY
        operation.lot_at = available_at
        operation.moves = [
            Move("processor_pending", net, done_at),
            Move("processor_pending", -net, available_at),
            Move("processor_available", net, available_at),
        ]


def _refund(operation: Operation, mood: frozenset[str], now: int) -> None:
    facts, done_at = _begin("refund_slow", mood, now)
    if "refund_bounces" in mood:
        operation.facts = [*facts, Fact("refused", done_at, code="refund.bounced")]
        return
    operation.facts = [*facts, Fact("done", done_at)]
    operation.moves = [Move("processor_available", -operation.amount, done_at)]


def _payout(operation: Operation, mood: frozenset[str], now: int) -> None:
    facts, paid_at = _begin("slow", mood, now)
    if "fails" in mood:
        operation.facts = [*facts, Fact("refused", paid_at, code="payout.failed")]
        return
    facts.append(Fact("done", paid_at))
    moves = [Move("custody_bank", -operation.amount, paid_at)]
    if "returns" in mood:
        back_at = paid_at + 21 * _DAY
        charge = min(operation.amount, 5 * _UNIT[operation.currency])
        facts.append(Fact("refused", back_at, charge, code="payout.returned"))
        moves.append(Move("custody_bank", operation.amount - charge, back_at))
    operation.facts, operation.moves = facts, moves


def _transfer(operation: Operation, _mood: frozenset[str], now: int) -> None:
    operation.facts = [Fact("done", now)]
    operation.moves = [Move(operation.target, operation.amount, now)]
    if operation.source in SOURCES:
        operation.moves.append(Move(operation.source, -operation.amount, now))


def _begin(token: str, mood: frozenset[str], now: int) -> tuple[list[Fact], int]:
    if token in mood:
        return [Fact("pending", now, cleared=False)], now + 3 * _DAY
    return [], now
