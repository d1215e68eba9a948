"""The bank as a Rail: an operation becomes an order in our own books of orders, and waits.

No network is behind it. An order goes out in a file that two people make and release, and its end
is heard when reconciliation finds it on a statement (`payouts.service_bank.confirm`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Engine

from kernel.database import Tenant, transaction
from rails.bank import store
from rails.bank.model import BankAccount, BankOrder
from rails.bank.refusals import UnknownAccount
from rails.bank.rules import account_of, balances_of, lines_of, result_of, ways_of
from rails.capabilities import BANK
from rails.model import (
    NOT_FOUND,
    Capabilities,
    LogLine,
    Notice,
    NoticePage,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.refusals import NotOffered

SWITCH: Final = "HOLDFAST_BANK"
"""The environment's variable that sets the bank rail up; its value is `files`."""


@dataclass(frozen=True, slots=True)
class BankRail:
    """One platform's banks. Each call is a transaction of its own."""

    engine: Engine
    tenant: Tenant
    name: str = "bank"
    capabilities: Capabilities = BANK

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Write orders, once per operation; PENDING, or REFUSED where no bank could do it."""
        named = {o.id: a for o in operations if (a := account_of(o.method)) is not None}
        with transaction(self.engine, self.tenant) as connection:
            accounts = store.find_accounts(connection, set(named.values()))
            able = [o for o in operations if not _refusal(o, accounts)]
            orders = [_order(operation, named, at) for operation in able]
            if orders:
                store.add_orders(connection, orders, at)
            known = store.find_orders(connection, [operation.id for operation in operations])
        return [
            result_of(known[operation.id], operation)
            if operation.id in known
            else _refused(operation, _refusal(operation, accounts), at)
            for operation in operations
        ]

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """What is true of operations by now; one that was never ordered is NOT_FOUND."""
        with transaction(self.engine, self.tenant) as connection:
            known = store.find_orders(connection, [operation.id for operation in operations])
        return [
            result_of(known[each.id], each) if each.id in known else _unknown(each, at)
            for each in operations
        ]

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        """A bank says nothing by itself; its statements are read by reconciliation."""
        del limit, at
        return NoticePage((), after)

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        """None: nothing is paid in by this rail."""
        del operation_ids, at
        return []

    def balances(self, *, at: datetime) -> list[RailBalance]:
        """What the orders that statements confirmed come to, by bank of ours and currency."""
        with transaction(self.engine, self.tenant) as connection:
            return balances_of(store.list_heard(connection), until=at)

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:
        """What confirmed orders moved."""
        with transaction(self.engine, self.tenant) as connection:
            lines = lines_of(store.list_heard(connection), until=at)
        return [line for line in lines if line.line_no > after][:limit]


def make(engine: Engine, environment: Mapping[str, str], tenant: Tenant) -> BankRail | None:
    """The rail, if the environment sets it up (HOLDFAST_BANK=files)."""
    return BankRail(engine, tenant) if environment.get(SWITCH) == "files" else None


def _refusal(operation: RailOperation, accounts: Mapping[UUID, BankAccount]) -> str:
    """Why no bank could do it; empty if one can."""
    ways = ways_of(operation)
    if ways is None:
        return NotOffered.code
    if ways[1]:
        return ""
    account_id = account_of(operation.method)
    account = accounts.get(account_id) if account_id else None
    if account is None or account.ended_at is not None or account.serves:
        return UnknownAccount.code
    return ""


def _order(operation: RailOperation, named: Mapping[UUID, UUID], at: datetime) -> BankOrder:
    ways = ways_of(operation)
    assert ways is not None
    source, target = ways
    return BankOrder(
        id=operation.id,
        source=source,
        target=target,
        account_id=None if target else named[operation.id],
        currency=operation.currency,
        amount_minor=operation.amount_minor,
        ordered_at=at,
    )


def _refused(operation: RailOperation, code: str, at: datetime) -> RailResult:
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=RailOutcome.REFUSED,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        code=code,
        occurred_at=at,
    )


def _unknown(operation: RailOperation, at: datetime) -> RailResult:
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=RailOutcome.UNKNOWN,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        code=NOT_FOUND,
        occurred_at=at,
    )
