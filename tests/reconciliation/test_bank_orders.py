"""Lines of our banks confirm the orders whose end-to-end id they carry, and match the books."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from payouts import service_bank, settlement
from rails.bank import store as bank_store
from rails.model import OperationKind, RailOperation
from reconciliation import service
from reconciliation.commands import OpenAccount
from tests.doubles.bank_double.bank import Bank
from tests.payouts import bank_stage as stage
from tests.payouts.builders import NOON
from tests.reconciliation.desk import OPERATOR, TODAY, camt, entry, rows, run, take


def sweep(minor: int = 12_345) -> RailOperation:
    """Earned fees leave the custody bank for the platform's."""
    way = {
        "source": "custody_bank",
        "target": "platform_bank",
        "rail_account": "simulated",
    }
    return replace(
        stage.order_of(UUID(int=0), minor, handler=settlement.HANDLER),
        kind=OperationKind.BANK_TRANSFER,
        method="transfer",
        facts=way,
    )


def ordered(engine: Engine, tenant: Tenant, operation: RailOperation) -> bytes:
    """The order in a released file, and our two accounts known by their statements."""
    with transaction(engine, tenant) as connection:
        stage.set_up(connection)
        for reference, place in ((stage.OURS, "custody_bank"), (stage.PLATFORMS, "platform_bank")):
            opening = OpenAccount(actor=OPERATOR, reference=reference, currency="EUR", place=place)
            assert service.open_accounts(connection, [opening], at=NOON)[0].is_done
    stage.send(engine, tenant, [operation])
    with transaction(engine, tenant) as connection:
        file_id, made = stage.make(connection)
        assert made.is_done, made
        assert stage.release(connection, file_id).is_done
        return exported(connection, file_id)


def exported(connection: Connection, file_id: UUID) -> bytes:
    """The file's bytes."""
    file = bank_store.find_file(connection, file_id)
    assert file is not None
    return service_bank.export_file(connection, file)


def test_a_booked_line_confirms_its_order_and_both_banks_match(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Ordered, booked by the bank, confirmed by its statement, booked, matched on both sides.

    The other bank's statement carries the same id and confirms nothing a second time.
    """
    operation = sweep()
    data = ordered(own_engine, tenant, operation)
    bank = Bank({stage.OURS: Decimal(1_000), stage.PLATFORMS: Decimal(0)})
    bank.take_in(data)
    bank.book(TODAY)

    with transaction(own_engine, tenant) as connection:
        ours = take(connection, bank.camt053(stage.OURS, TODAY))
        theirs = take(connection, bank.camt053(stage.PLATFORMS, TODAY))
        places = [run(connection, place) for place in ("custody_bank", "platform_bank")]

    told = [each.facts["statements"][0] for each in (ours, theirs)]
    assert [each["orders_booked"] for each in told] == [1, 0]
    assert [each["orders_refused"] for each in told] == [[], []]
    assert [each.facts["counts"] for each in places] == [{"R0": 1}, {"R0": 1}]
    assert [each.facts["open_lines"] for each in places] == [0, 0]


def test_a_line_of_other_money_confirms_nothing(own_engine: Engine, tenant: Tenant) -> None:
    """It is told, nothing is booked, and the line stays open."""
    operation = sweep()
    ordered(own_engine, tenant, operation)
    data = camt(0, -12_344, [entry(-12_344, end=operation.id.hex, ref="B1")], iban=stage.OURS)

    with transaction(own_engine, tenant) as connection:
        events = rows(connection, "event")
        outcome = take(connection, data)
        after = rows(connection, "event")
        place = run(connection)

    (told,) = outcome.facts["statements"]
    assert (told["orders_booked"], len(told["orders_refused"])) == (0, 1)
    assert told["orders_refused"][0]["code"] == "bank.amount_differs"
    assert after == events
    assert place.facts["open_lines"] == 1
