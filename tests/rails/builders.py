"""Operations, results and rails for tests, each with sensible values for what does not matter."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from kernel.errors import RailTrouble
from kernel.ids import new_id
from rails.model import (
    Capabilities,
    LogLine,
    Notice,
    NoticePage,
    OperationKind,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.port import Rail

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def operation(
    kind: OperationKind = OperationKind.FUND,
    amount_minor: int = 10_300,
    *,
    method: str = "card",
    currency: str = "EUR",
    handler: str = "test.heard",
    operation_id: UUID | None = None,
    **facts: str,
) -> RailOperation:
    """An operation of a fresh id; `facts` are its facts."""
    return RailOperation(
        id=operation_id or new_id(),
        kind=kind,
        handler=handler,
        subject=f"{kind.value}:{new_id()}",
        amount_minor=amount_minor,
        currency=currency,
        method=method,
        facts=facts,
    )


def payout(amount_minor: int = 49_800, *, method: str = "payout") -> RailOperation:
    """A payout from the custody bank."""
    return operation(OperationKind.PAYOUT, amount_minor, method=method)


def capital(amount_minor: int, *, target: str = "custody_bank") -> RailOperation:
    """Money from outside, so that a bank has something to pay from."""
    return operation(
        OperationKind.TOP_UP, amount_minor, method="transfer", source="owner", target=target
    )


def result(
    about: RailOperation,
    outcome: RailOutcome = RailOutcome.DONE,
    *,
    code: str = "",
    cleared: bool = True,
    at: datetime = NOON,
) -> RailResult:
    """What a rail might say of an operation."""
    return RailResult(
        operation_id=about.id,
        kind=about.kind,
        subject=about.subject,
        outcome=outcome,
        amount_minor=about.amount_minor,
        currency=about.currency,
        code=code,
        cleared=cleared,
        occurred_at=at,
    )


def notice(
    about: RailOperation | None = None,
    *,
    notice_id: str = "n1",
    kind: str = "operation_changed",
    outcome: RailOutcome | None = RailOutcome.DONE,
) -> Notice:
    """What a rail might say by itself, about an operation or about none."""
    return Notice(
        rail="simulated",
        notice_id=notice_id,
        kind=kind,
        operation_id=about.id if about else None,
        outcome=outcome if about else None,
        amount_minor=about.amount_minor if about else 100,
        currency=about.currency if about else "EUR",
        occurred_at=NOON,
    )


@dataclass
class BadLine:
    """The line to a real rail, cut before or after each call to `execute`, as told."""

    rail: Rail
    cuts: list[str] = field(default_factory=list)
    executed: list[UUID] = field(default_factory=list)
    remembers_hours: int = 1_000

    @property
    def name(self) -> str:
        return self.rail.name

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.rail.capabilities, idempotency_ttl_hours=self.remembers_hours)

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        cut = self.cuts.pop(0) if self.cuts else ""
        if cut == "before":
            raise RailTrouble("the line was cut before the call arrived")
        results = self.rail.execute(operations, at=at)
        self.executed += [each.id for each in operations]
        if cut == "after":
            raise RailTrouble("the line was cut before the reply came back")
        return results

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        return self.rail.resolve(operations, at=at)

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        return self.rail.notices(after=after, limit=limit, at=at)

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        return self.rail.chargebacks(operation_ids, at=at)

    def balances(self, *, at: datetime) -> list[RailBalance]:
        return self.rail.balances(at=at)

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:
        return self.rail.log(after=after, limit=limit, at=at)
