"""Bank files by two people, and what statements say of their payments: done, returned, rejected."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from psycopg import errors as pg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from kernel.commands import Outcome
from kernel.database import Tenant, connect, transaction
from kernel.errors import Broken
from kernel.principals import Actor, PrincipalKind
from ledger import personal
from payouts import service_bank
from payouts.commands_bank import EndAccount, FileCommand
from rails.bank import store
from rails.bank.model import BankMatch, FileFormat, Heard, OrderState
from rails.bank.service import BankRail
from rails.model import (
    NOT_FOUND,
    OperationKind,
    RailOperation,
    RailOutcome,
)
from rails.statements import camt
from tests.doubles.bank_double.bank import Bank, FileRefused
from tests.fixtures.databases import TestDatabase
from tests.payouts import bank_stage as stage
from tests.payouts.builders import NOON, OPERATOR, new_payee, payee_actor

PROGRAM = Actor(UUID(int=11), PrincipalKind.KEY, is_operator=True)
TODAY = NOON.date()


@pytest.fixture
def payee_account(own_engine: Engine, tenant: Tenant) -> UUID:
    """A payee's account, and our own, committed."""
    with transaction(own_engine, tenant) as connection:
        stage.set_up(connection)
        account_id, outcome = stage.add(connection, new_payee(connection))
    assert outcome.is_done, outcome
    return account_id


def filed(
    engine: Engine, tenant: Tenant, operations: list[RailOperation], form: FileFormat | None = None
) -> tuple[UUID, bytes]:
    """Ordered, in a file, released; the file's id and bytes."""
    stage.send(engine, tenant, operations)
    with transaction(engine, tenant) as connection:
        file_id, made = stage.make(connection, form=form)
        assert made.is_done, made
    with transaction(engine, tenant) as connection:
        assert stage.release(connection, file_id).is_done
    return file_id, exported(engine, tenant, file_id)


def exported(engine: Engine, tenant: Tenant, file_id: UUID) -> bytes:
    with transaction(engine, tenant) as connection:
        file = store.find_file(connection, file_id)
        assert file is not None
        return service_bank.export_file(connection, file)


def match(operation: RailOperation, heard: Heard = Heard.BOOKED, kept: int = 0) -> BankMatch:
    return BankMatch(
        operation_id=operation.id,
        heard=heard,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        statement_ref=f"S1/{heard.value}",
        occurred_at=NOON,
        kept_minor=kept,
    )


@pytest.mark.parametrize("form", [FileFormat.PAIN_03, FileFormat.PAIN_09])
def test_a_bank_takes_our_file_and_its_statement_names_our_payments(
    own_engine: Engine, tenant: Tenant, payee_account: UUID, form: FileFormat
) -> None:
    """Orders go out in a file that a bank reads, and come back by their id from end to end."""
    operations = [stage.order_of(payee_account, minor) for minor in (12_345, 5, 100_000)]
    _, data = filed(own_engine, tenant, operations, form)
    bank = Bank({stage.OURS: Decimal("5000.00")})

    taken = bank.take_in(data)
    booked = bank.book(TODAY)
    (statement,) = camt.read(bank.camt053(stage.OURS, TODAY))

    assert (taken, booked) == (3, 3)
    by_id = {line.end_to_end_id: line.amount_minor for line in statement.lines}
    assert by_id == {each.id.hex: -each.amount_minor for each in operations}
    assert {each.payee for each in bank.made.values()} == {stage.PAYEES}
    assert {each.name for each in bank.made.values()} == {"Zoe Payee"}
    with pytest.raises(FileRefused, match="duplicate"):
        bank.take_in(data)


def test_a_file_is_exported_again_to_the_byte(
    own_engine: Engine, tenant: Tenant, payee_account: UUID
) -> None:
    """Made once, written twice: the same bytes, whose hash is kept; nothing else is."""
    file_id, first = filed(own_engine, tenant, [stage.order_of(payee_account)])

    again = exported(own_engine, tenant, file_id)

    assert again == first
    with transaction(own_engine, tenant) as connection:
        columns = connection.exec_driver_sql("SELECT to_jsonb(f)::text FROM bank_file f").scalars()
        kept = " ".join(columns)
        accounts = connection.exec_driver_sql("SELECT to_jsonb(a)::text FROM bank_account a")
        kept += " ".join(accounts.scalars())
    assert stage.PAYEES not in kept
    assert "Zo" not in kept
    assert "4300" in kept


def test_who_made_a_file_does_not_release_it(
    own_engine: Engine, tenant: Tenant, payee_account: UUID
) -> None:
    """Two people, and no program: by the service and by the database."""
    stage.send(own_engine, tenant, [stage.order_of(payee_account)])
    with transaction(own_engine, tenant) as connection:
        _, program = stage.make(connection, actor=PROGRAM)
        _, payee = stage.make(connection, actor=payee_actor(UUID(int=5)))
        file_id, made = stage.make(connection)
        own = stage.release(connection, file_id, actor=OPERATOR)
        by_program = stage.release(connection, file_id, actor=PROGRAM)
        with pytest.raises(IntegrityError) as refusal, connection.begin_nested():
            connection.exec_driver_sql(
                "UPDATE bank_file SET state = 'released', decided_by = made_by,"
                " decided_at = now() WHERE id = %s",
                (file_id,),
            )

    assert program.code == by_program.code == "bank.file_in_person"
    assert payee.code == "payouts.operator_only"
    assert made.is_done
    assert own.code == "bank.file_takes_two"
    assert isinstance(refusal.value.orig, pg.CheckViolation)
    assert refusal.value.orig.diag.constraint_name == "bank_file_takes_two"


def test_a_withdrawn_file_gives_its_orders_back(
    own_engine: Engine, tenant: Tenant, payee_account: UUID
) -> None:
    """An order is in one file at a time; what was withdrawn goes into the next."""
    operation = stage.order_of(payee_account)
    stage.send(own_engine, tenant, [operation])
    with transaction(own_engine, tenant) as connection:
        first, _ = stage.make(connection)
        _, empty = stage.make(connection)
        (gone,) = service_bank.withdraw_files(
            connection, [FileCommand(actor=OPERATOR, file_id=first)], at=NOON
        )
        late = stage.release(connection, first)
        second, again = stage.make(connection)

        assert empty.code == "bank.nothing_to_file"
        assert gone.is_done
        assert late.code == "bank.file_wrong_state"
        assert again.is_done
        order = store.find_orders(connection, [operation.id])[operation.id]
        assert (order.state, order.file_id) == (OrderState.FILED, second)


def test_an_order_is_given_once(own_engine: Engine, tenant: Tenant, payee_account: UUID) -> None:
    """Executed twice, resolved, or never given: the rail answers what is true."""
    operation = stage.order_of(payee_account)
    (first,) = stage.send(own_engine, tenant, [operation])
    rail = BankRail(own_engine, tenant)

    (again,) = rail.execute([operation], at=NOON)
    (read,) = rail.resolve([operation], at=NOON)
    (absent,) = rail.resolve([stage.order_of(payee_account)], at=NOON)

    assert first == again == read
    assert first.outcome is RailOutcome.PENDING
    assert (absent.outcome, absent.code) == (RailOutcome.UNKNOWN, NOT_FOUND)


def test_what_no_bank_does_is_refused(
    own_engine: Engine, tenant: Tenant, payee_account: UUID
) -> None:
    """A strange token, an account that ended, a refund: REFUSED with its code, nothing ordered."""
    with transaction(own_engine, tenant) as connection:
        ended, _ = stage.add(connection, new_payee(connection))
        command = EndAccount(actor=OPERATOR, account_id=ended)
        assert all(o.is_done for o in service_bank.end_accounts(connection, [command], at=NOON))
    operations = [
        replace(stage.order_of(payee_account), method="card:4242"),
        stage.order_of(ended),
        replace(stage.order_of(payee_account), kind=OperationKind.REFUND),
    ]

    results = stage.send(own_engine, tenant, operations)

    assert [result.outcome for result in results] == [RailOutcome.REFUSED] * 3
    assert [result.code for result in results] == [
        *("bank.unknown_account", "bank.unknown_account", "rail.not_offered"),
    ]


def test_money_between_our_banks_goes_in_a_file_too(own_engine: Engine, tenant: Tenant) -> None:
    """A transfer from the custody bank to the platform's names the platform's account."""
    with transaction(own_engine, tenant) as connection:
        stage.set_up(connection)
    way = {"source": "custody_bank", "target": "platform_bank"}
    operation = replace(
        stage.order_of(UUID(int=0)), kind=OperationKind.BANK_TRANSFER, method="transfer", facts=way
    )
    _, data = filed(own_engine, tenant, [operation])
    bank = Bank({stage.OURS: Decimal(1_000), stage.PLATFORMS: Decimal(0)})

    bank.take_in(data)
    bank.book(TODAY)

    assert bank.balance(stage.PLATFORMS) == Decimal("123.45")


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "12345"), ("KWD", "12.345")])
def test_other_currencies_are_a_payment_list(
    own_engine: Engine, tenant: Tenant, currency: str, shown: str
) -> None:
    """Yen and dinars go by no SEPA: the file is a list with the currency's own decimals."""
    with transaction(own_engine, tenant) as connection:
        stage.set_up(connection, currency)
        account_id, _ = stage.add(connection, new_payee(connection), name="=HYPER(1)")
    stage.send(own_engine, tenant, [stage.order_of(account_id, currency=currency)])
    with transaction(own_engine, tenant) as connection:
        _, sepa = stage.make(connection, currency=currency, form=FileFormat.PAIN_03)
        file_id, made = stage.make(connection, currency=currency)

    text = exported(own_engine, tenant, file_id).decode()

    assert sepa.code == "bank.bad_account"
    assert made.facts["format"] == "csv"
    assert f",{shown},{currency}" in text
    assert ",'=HYPER(1)," in text


def test_erased_details_are_paid_to_nobody(
    own_engine: Engine, tenant: Tenant, payee_account: UUID
) -> None:
    """Who had his data erased is left out and his payout refused; a made file is not released."""
    with transaction(own_engine, tenant) as connection:
        gone = new_payee(connection)
        lost, _ = stage.add(connection, gone)
    operations = [stage.order_of(payee_account), stage.order_of(lost)]
    stage.send(own_engine, tenant, operations)
    with transaction(own_engine, tenant) as connection:
        personal.erase(connection, [gone])
        file_id, made = stage.make(connection)
        owner = store.find_accounts(connection, [payee_account])[payee_account].party_id

    assert made.facts["order_count"] == 1
    (_, refused) = BankRail(own_engine, tenant).resolve(operations, at=NOON)
    assert (refused.outcome, refused.code) == (RailOutcome.REFUSED, "bank.details_erased")
    with transaction(own_engine, tenant) as connection:
        personal.erase(connection, [owner])
        assert stage.release(connection, file_id).code == "bank.details_erased"


@pytest.mark.parametrize(
    ("iban", "name", "field"),
    [
        ("DE89370400440532013001", "A", "iban"),
        ("12345678", "A", "iban"),
        (stage.PAYEES, "  ", "name"),
        (stage.PAYEES, "x" * 71, "name"),
        (stage.PAYEES, "a\x00b", "name"),
    ],
)
def test_a_wrong_account_is_refused_unrepeated(
    connection: Connection, iban: str, name: str, field: str
) -> None:
    """A number that does not add up is refused, and not shown again."""
    _, outcome = stage.add(connection, new_payee(connection), iban, name=name)

    assert outcome == Outcome("bank.bad_account", {"field": field})


def test_nobody_names_an_account_of_another(connection: Connection) -> None:
    """A payee adds his own only; a bank of ours is an operator's, and there is one of each."""
    ours = stage.set_up(connection)
    payee = new_payee(connection)

    _, strange = stage.add(connection, payee, actor=payee_actor(new_payee(connection)))
    _, serving = stage.add(connection, payee, serves="custody_bank", currency="EUR")
    _, twice = stage.add(connection, ours, serves="custody_bank", currency="EUR")
    _, own = stage.add(connection, payee, actor=payee_actor(payee))

    assert strange.code == "payouts.not_yours"
    assert serving.code == "bank.bad_account"
    assert twice.code == "bank.account_serves"
    assert own.facts["last4"] == "4300"
    assert stage.PAYEES not in str(own.facts)


def test_a_file_that_comes_out_otherwise_is_not_given_out(
    own_engine: Engine, tenant: Tenant, payee_account: UUID, own_database: TestDatabase
) -> None:
    """A changed order shows: the bytes no longer have the hash of their making."""
    file_id, _ = filed(own_engine, tenant, [stage.order_of(payee_account)])
    owner = connect(own_database.owner_url)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL search_path TO tenant_{tenant.name}")
        connection.exec_driver_sql(
            "ALTER TABLE bank_order DISABLE TRIGGER bank_order_moves_forward"
        )
        connection.exec_driver_sql("UPDATE bank_order SET amount_minor = amount_minor + 1")
        connection.exec_driver_sql("ALTER TABLE bank_order ENABLE TRIGGER bank_order_moves_forward")
    owner.dispose()

    with pytest.raises(Broken, match="otherwise"):
        exported(own_engine, tenant, file_id)
