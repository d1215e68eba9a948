"""What processors bring to our banks, which no bank's rail knows of."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine

from engine.proofs import check_books
from kernel.database import Tenant, transaction
from rails import service
from rails.model import OperationKind, RailAccount, RailBalance, RailOperation, RailOutcome
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON, operation, result

BANKS = ("simulated", "bank")


def landing(amount_minor: int, *, rail: str = "stripe", currency: str = "EUR") -> RailOperation:
    wish = operation(
        OperationKind.BANK_TRANSFER,
        amount_minor,
        currency=currency,
        source="processor_available",
        target="custody_bank",
        rail_account=rail,
    )
    return replace(wish, rail=rail)


def topping_up(amount_minor: int) -> RailOperation:
    wish = operation(
        OperationKind.TOP_UP, amount_minor, source="platform_bank", target="processor_available"
    )
    return replace(wish, rail="stripe")


def heard(connection: Connection, wish: RailOperation, outcome: RailOutcome) -> None:
    service.intend(connection, [wish], at=NOON)
    service.take(connection, 1, NOON, rail=wish.rail)
    service.store_results(connection, [result(wish, outcome)], NOON)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_the_bank_has_what_a_processor_says_it_paid(connection: Connection, currency: str) -> None:
    """Done is in the bank, pending has left the processor, what is only asked for is neither."""
    heard(connection, landing(971, currency=currency), RailOutcome.DONE)
    heard(connection, landing(29, currency=currency), RailOutcome.DONE)
    heard(connection, landing(400, currency=currency), RailOutcome.PENDING)
    heard(connection, landing(50, currency=currency), RailOutcome.REFUSED)
    service.intend(connection, [landing(7, currency=currency)], at=NOON)

    assert service.list_between(connection, BANKS) == [
        (RailBalance(RailAccount.CUSTODY_BANK, currency, 1_000), False),
        (RailBalance(RailAccount.PROCESSOR_AVAILABLE, currency, 400), True),
    ]


def test_a_top_up_is_taken_from_the_bank_once_it_is_done(connection: Connection) -> None:
    """Until then the books have it in the bank, and so has the bank."""
    heard(connection, topping_up(300), RailOutcome.DONE)
    heard(connection, topping_up(200), RailOutcome.PENDING)

    assert service.list_between(connection, BANKS) == [
        (RailBalance(RailAccount.PLATFORM_BANK, "EUR", -300), False)
    ]


def test_rails_that_count_our_banks_are_not_counted_twice(connection: Connection) -> None:
    """The simulated bank says itself what came in."""
    heard(connection, landing(971, rail="simulated"), RailOutcome.DONE)

    assert service.list_between(connection, BANKS) == []


def test_the_proof_counts_it_and_tells_what_is_on_its_way(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Both stand as money elsewhere; that the books have none of it is what is found here."""
    with transaction(own_engine, tenant) as connection:
        heard(connection, landing(971), RailOutcome.DONE)
        heard(connection, landing(400), RailOutcome.PENDING)

    checked = check_books(own_engine, tenant, [SimulatedRail(own_engine, tenant.name)])

    assert checked.findings == (
        "custody.processor_available is 0.00 EUR in the books and 4.00 elsewhere",
        "custody.bank is 0.00 EUR in the books and 9.71 elsewhere",
    )
    assert checked.notes == ("4.00 EUR are on their way from a processor to our bank",)
