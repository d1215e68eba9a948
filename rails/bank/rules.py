"""What tokens, accounts and orders of the bank rail mean: pure."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from stdnum import bic as bic_numbers
from stdnum import iban as iban_numbers
from stdnum.exceptions import ValidationError

from rails.bank.model import AccountDetails, BankOrder, Heard, OrderState
from rails.bank.refusals import BadAccount
from rails.model import (
    PAYOUT_RETURNED,
    LogLine,
    OperationKind,
    RailAccount,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)

PREFIX = "bank:"
"""How the token of a payout method begins that names a bank account; its id follows."""

_LONGEST_NAME = 70
_BANKS = frozenset({RailAccount.CUSTODY_BANK.value, RailAccount.PLATFORM_BANK.value})


def token_of(account_id: UUID) -> str:
    """The payout method's token for an account."""
    return f"{PREFIX}{account_id}"


def account_of(token: str) -> UUID | None:
    """The account that a token names; None if it names none."""
    if not token.startswith(PREFIX):
        return None
    try:
        return UUID(token[len(PREFIX) :])
    except ValueError:
        return None


def checked(details: AccountDetails) -> AccountDetails:
    """The details in their plain spelling; refuses without repeating them."""
    name = " ".join(details.name.split())
    if not (1 <= len(name) <= _LONGEST_NAME and name.isprintable()):
        raise BadAccount(field="name")
    try:
        iban = str(iban_numbers.validate(details.iban))
    except ValidationError:
        raise BadAccount(field="iban") from None
    try:
        bic = str(bic_numbers.validate(details.bic)) if details.bic else ""
    except ValidationError:
        raise BadAccount(field="bic") from None
    return AccountDetails(name, iban, bic)


def ways_of(operation: RailOperation) -> tuple[str, str] | None:
    """From which bank of ours, and to which (empty: to a payee); None for what no bank does."""
    if operation.kind is OperationKind.PAYOUT:
        return RailAccount.CUSTODY_BANK.value, ""
    if operation.kind is not OperationKind.BANK_TRANSFER:
        return None
    source, target = operation.facts.get("source"), operation.facts.get("target")
    if source in _BANKS and target in _BANKS and source != target:
        return str(source), str(target)
    return None


def result_of(order: BankOrder, operation: RailOperation) -> RailResult:
    """What is true of an order by now, as a rail says it."""
    outcome, code = _OUTCOMES[order.state]
    return RailResult(
        operation_id=order.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=outcome,
        amount_minor=order.amount_minor,
        currency=order.currency,
        fee_minor=order.kept_minor,
        rail_ref=order.statement_ref or order.end_to_end_id,
        code=code or order.code,
        occurred_at=order.heard_at or order.ordered_at,
    )


_OUTCOMES = {
    OrderState.ORDERED: (RailOutcome.PENDING, ""),
    OrderState.FILED: (RailOutcome.PENDING, ""),
    OrderState.RELEASED: (RailOutcome.PENDING, ""),
    OrderState.BOOKED: (RailOutcome.DONE, ""),
    OrderState.RETURNED: (RailOutcome.REFUSED, PAYOUT_RETURNED),
    OrderState.REFUSED: (RailOutcome.REFUSED, ""),
}

AFTER = {
    (OrderState.RELEASED, Heard.BOOKED): OrderState.BOOKED,
    (OrderState.RELEASED, Heard.RETURNED): OrderState.RETURNED,
    (OrderState.BOOKED, Heard.RETURNED): OrderState.RETURNED,
    (OrderState.RELEASED, Heard.REJECTED): OrderState.REFUSED,
}
"""Where a word of the bank takes an order; what is not here cannot be."""


def lines_of(orders: Iterable[BankOrder], *, until: datetime) -> list[LogLine]:
    """What confirmed orders moved, account by account; their place is their number."""
    lines: list[LogLine] = []
    for number, order in enumerate(orders, start=1):
        if order.heard_at is None or order.heard_at > until:
            continue
        moved = _moved(order)
        lines += [
            LogLine(
                line_no=2 * number + place,
                account=RailAccount(name),
                currency=order.currency,
                amount_minor=minor,
                kind=order.state.value,
                operation_id=order.id,
                effective_at=order.heard_at,
            )
            for place, (name, minor) in enumerate(moved)
        ]
    return lines


def balances_of(orders: Iterable[BankOrder], *, until: datetime) -> list[RailBalance]:
    """What confirmed orders alone come to; what else moved at the banks only a statement knows."""
    sums: dict[tuple[RailAccount, str], int] = {}
    for line in lines_of(orders, until=until):
        key = (line.account, line.currency)
        sums[key] = sums.get(key, 0) + line.amount_minor
    return [RailBalance(name, currency, minor) for (name, currency), minor in sorted(sums.items())]


def _moved(order: BankOrder) -> list[tuple[str, int]]:
    if order.state is OrderState.RETURNED:
        return [(order.source, -order.kept_minor)] if order.kept_minor else []
    if order.state is not OrderState.BOOKED:
        return []
    moved = [(order.source, -order.amount_minor)]
    return [*moved, (order.target, order.amount_minor)] if order.target else moved
