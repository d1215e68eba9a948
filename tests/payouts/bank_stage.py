"""A tenant with a bank: accounts of ours and of payees, and the orders of payouts in files."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from payouts import service_bank
from payouts.commands_bank import AddAccount, FileCommand, MakeFile
from rails import service as rails
from rails.bank.model import AccountDetails, FileFormat
from rails.bank.rules import token_of
from rails.bank.service import BankRail
from rails.model import OperationKind, RailOperation, RailResult
from tests.payouts.builders import NOON, OPERATOR

OURS: Final = "DE89370400440532013000"
PLATFORMS: Final = "FR1420041010050500013M02606"
PAYEES: Final = "NL91ABNA0417164300"
SECOND: Final = Actor(UUID(int=10), PrincipalKind.PERSON, is_operator=True)


def add(
    connection: Connection,
    party_id: UUID,
    iban: str = PAYEES,
    *,
    name: str = "Zoë Payee",
    serves: str = "",
    currency: str | None = None,
    actor: Actor = OPERATOR,
) -> tuple[UUID, Outcome]:
    """An account, and what came of adding it."""
    command = AddAccount(
        actor=actor,
        account_id=new_id(),
        party_id=party_id,
        details=AccountDetails(name, iban),
        serves=serves,
        currency=currency,
    )
    (outcome,) = service_bank.add_accounts(connection, [command], at=NOON)
    return command.account_id, outcome


def set_up(connection: Connection, currency: str = "EUR") -> UUID:
    """Our own party, with its two banks."""
    ours = new_id()
    create = parties.CreateParty(actor=OPERATOR, kind=parties.PartyKind.OPERATOR, party_id=ours)
    assert all(o.is_done for o in parties.create(connection, [create], at=NOON))
    for iban, serves in ((OURS, "custody_bank"), (PLATFORMS, "platform_bank")):
        _, outcome = add(
            connection, ours, iban, name="Market Ltd", serves=serves, currency=currency
        )
        assert outcome.is_done, outcome
    return ours


def order_of(
    account_id: UUID,
    amount_minor: int = 12_345,
    *,
    currency: str = "EUR",
    handler: str = "test.nobody",
    operation_id: UUID | None = None,
) -> RailOperation:
    """A payment to an account, as a payout asks for it."""
    return RailOperation(
        id=operation_id or new_id(),
        kind=OperationKind.PAYOUT,
        handler=handler,
        subject=f"payout:{new_id()}",
        amount_minor=amount_minor,
        currency=currency,
        method=token_of(account_id),
        rail="bank",
    )


def send(
    engine: Engine, tenant: Tenant, operations: list[RailOperation], *, at: datetime = NOON
) -> list[RailResult]:
    """Intend operations, take them as the worker does, and give them to the bank rail."""
    with transaction(engine, tenant) as connection:
        rails.intend(connection, operations, at=at)
    with transaction(engine, tenant) as connection:
        taken = rails.take(connection, 1_000, at, rail="bank")
    return BankRail(engine, tenant).execute(taken, at=at)


def make(
    connection: Connection,
    *,
    currency: str = "EUR",
    form: FileFormat | None = None,
    actor: Actor = OPERATOR,
    at: datetime = NOON,
) -> tuple[UUID, Outcome]:
    """A file of what waits, and what came of making it."""
    command = MakeFile(
        actor=actor, file_id=new_id(), currency=currency, execute_on=at.date(), format=form
    )
    (outcome,) = service_bank.make_files(connection, [command], at=at)
    return command.file_id, outcome


def release(
    connection: Connection, file_id: UUID, *, actor: Actor = SECOND, at: datetime = NOON
) -> Outcome:
    """Another person gives a file to the bank."""
    command = FileCommand(actor=actor, file_id=file_id)
    (outcome,) = service_bank.release_files(connection, [command], at=at)
    return outcome
