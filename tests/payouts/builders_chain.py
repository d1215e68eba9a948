"""A payee with an account at a rail, money on the platform's own there, and the rail's words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from ledger.chart import account
from ledger.model import Book, Entry, Line
from payouts import operations, service, service_chain, service_payees
from payouts.commands import AddMethod, OpenPayeeAccount
from payouts.methods import add_methods
from payouts.model import Payout
from rails import service as rails
from rails.model import (
    PAYEE_CHANGED,
    Notice,
    OperationKind,
    RailOperation,
    RailOutcome,
    RailResult,
)
from tests.payouts.builders import (
    DAY,
    NOON,
    OPERATOR,
    asked,
    get_payout,
    new_payee,
    post_entries,
    submitting,
)

STRIPE: Final = "stripe"


def word(ref: str, *, may: bool, as_of: datetime, why: str = "") -> Notice:
    """What the rail says of an account at a time."""
    return Notice(
        rail=STRIPE,
        notice_id=f"{ref}:{may}:{as_of.isoformat()}",
        kind=PAYEE_CHANGED,
        currency="EUR",
        occurred_at=as_of,
        facts={
            "account": ref,
            "may_receive": may,
            "may_be_paid_out": may,
            "requirements": [] if may else ["individual.verification.document"],
            "deadline": None,
            "disabled_reason": why,
            "as_of": as_of.isoformat(),
        },
    )


def result_of(
    operation: RailOperation,
    outcome: RailOutcome,
    *,
    code: str = "",
    fee_minor: int = 0,
    has_left: bool = False,
    rail_ref: str = "",
) -> RailResult:
    """The rail's word on an operation."""
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=outcome,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        fee_minor=fee_minor,
        rail_ref=rail_ref or f"{operation.kind}_1",
        code=code,
        occurred_at=NOON,
        has_left=has_left,
    )


def open_account(
    connection: Connection, payee_id: UUID, ref: str, *, may: bool = True, replaces: bool = False
) -> UUID:
    """An account that the rail has opened and said its first word on."""
    account_id = new_id()
    wish = OpenPayeeAccount(
        actor=OPERATOR, account_id=account_id, party_id=payee_id, rail=STRIPE, replaces=replaces
    )
    (outcome,) = service_payees.open_accounts(connection, [wish], at=NOON)
    assert outcome.is_done, outcome
    (operation,) = rails.list_operations(connection, [account_id])
    done = result_of(operation, RailOutcome.DONE, rail_ref=ref)
    service_payees.hear_opened(connection, [done], NOON)
    service_payees.hear_payees(connection, [word(ref, may=may, as_of=NOON)], NOON)
    return account_id


def give_at(
    connection: Connection, payee_id: UUID, amount_minor: int, currency: str, place: str
) -> None:
    """Available money of a payee that lies on the platform's account at a rail."""
    lines = (
        Line(account("custody.processor_available", currency, place), amount_minor),
        Line(account("custody.earned_available", currency, payee_id), -amount_minor),
    )
    post_entries(connection, Entry(Book.CUSTODY, currency, lines))


def method_at(connection: Connection, payee_id: UUID, rail: str) -> UUID:
    """A method at a rail, named a day ago."""
    method_id = new_id()
    wish = AddMethod(
        actor=OPERATOR, method_id=method_id, party_id=payee_id, token="default", rail=rail
    )
    (outcome,) = add_methods(connection, [wish], at=NOON - DAY)
    assert outcome.is_done, outcome
    return method_id


@dataclass
class Chain:
    """One payout over a payee's account; each verb is a word of the rail."""

    connection: Connection
    payee_id: UUID
    method_id: UUID
    payout_id: UUID
    currency: str
    ref: str = "acct_1"
    at: datetime = NOON

    @property
    def payout(self) -> Payout:
        return get_payout(self.connection, self.payout_id)

    @property
    def sent(self) -> dict[OperationKind, RailOperation]:
        """What the rail was asked for this payout, the newest of each kind."""
        ids = [
            operations.transfer_id(self.payout_id),
            self.payout_id,
            operations.back_id(self.payout),
        ]
        found = rails.list_operations(self.connection, ids)
        return {operation.kind: operation for operation in found}

    def transfer(self, outcome: RailOutcome, code: str = "") -> None:
        """The rail answers the transfer to the payee's account."""
        result = result_of(self.sent[OperationKind.TRANSFER], outcome, code=code)
        service_chain.hear_transfers(self.connection, [result], self.at)

    def back(self, outcome: RailOutcome, code: str = "") -> None:
        """The rail answers the call for what is left there."""
        result = result_of(self.sent[OperationKind.TRANSFER_BACK], outcome, code=code)
        service_chain.hear_transfers(self.connection, [result], self.at)

    def pay(
        self,
        outcome: RailOutcome,
        code: str = "",
        *,
        has_left: bool = False,
        fee_minor: int = 0,
    ) -> None:
        """The rail answers the payout."""
        operation = self.sent[OperationKind.PAYOUT]
        result = result_of(operation, outcome, code=code, has_left=has_left, fee_minor=fee_minor)
        service.hear(self.connection, [result], self.at)

    def wait(self, days: int) -> None:
        """Let days pass."""
        self.at += timedelta(days=days)

    def books(self) -> dict[str, int]:
        """What stands in the custody book of the currency, by account, signed; zeros left out."""
        rows = self.connection.exec_driver_sql(
            "SELECT kind, subject, sum(balance_minor)::bigint AS minor FROM account"
            " WHERE currency = %s AND kind LIKE 'custody.%%' GROUP BY kind, subject",
            (self.currency,),
        )
        names = {str(self.payee_id): "payee", str(self.payout_id): "payout"}
        return {
            f"{row.kind.removeprefix('custody.')}[{names.get(row.subject, row.subject)}]": row.minor
            for row in rows
            if row.minor
        }


def chain_of(
    connection: Connection, currency: str, *, amount_minor: int = 50_000, ref: str = "acct_1"
) -> Chain:
    """A payee with just this money on the platform's account, who has asked for all of it."""
    payee_id = new_payee(connection)
    give_at(connection, payee_id, amount_minor, currency, STRIPE)
    open_account(connection, payee_id, ref)
    method_id = method_at(connection, payee_id, STRIPE)
    wish = asked(payee_id, method_id, amount_minor, currency=currency)
    (outcome,) = service.request(connection, [wish], at=NOON)
    assert outcome.is_done, outcome
    return Chain(connection, payee_id, method_id, wish.payout_id, currency, ref)


def submit(chain: Chain) -> str:
    """The engine sends it; the outcome's code."""
    (outcome,) = service.submit(chain.connection, [submitting(chain.payout_id)], at=chain.at)
    return outcome.code
