"""Fees, taxes and currencies of one deal pulled at from several sides at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine

from escrow import service_claims
from escrow.model import Terms
from escrow.model_chargeback import RefundLater
from escrow.rules_tax_credit import CreditTax
from escrow.service_tax_credit import credit_tax
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from rails.model import RailOutcome
from tests.attack.waiting import wait_until_blocked
from tests.escrow.stage import Stage, check_balances, person
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_price import agreed, prove_prices, released, stand_tiers
from tests.tax.stage import OPERATOR, add_buyer, add_check, set_supplier

NUMBER = "DE136695976"


def taxed(connection: Connection) -> Stage:
    """A payee in Germany whose number nobody has checked, and 1,000.00 released to him."""
    set_supplier(connection, country="IE")
    stand_tiers(connection)
    stage = agreed(connection, 100_000)
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE", number=NUMBER)
    assert released(stage) == 15_000
    return stage


def credit(connection: Connection, stage: Stage | HourlyStage) -> Outcome:
    """His number is proved to have been valid all along."""
    assert stage.payee.party_id is not None
    at = stage.now
    add_check(connection, stage.payee.party_id, at=at, valid_since=at - timedelta(days=90))
    command = CreditTax(actor=OPERATOR, party_id=stage.payee.party_id)
    return credit_tax(connection, [command], at=at)[0]


def taxes(connection: Connection) -> int:
    """What we owe of tax by all fee lines."""
    found: int = connection.exec_driver_sql(
        "SELECT coalesce(sum(tax_minor), 0)::bigint FROM fee_line"
    ).scalar_one()
    return found


Act = Callable[[Connection], Outcome]


def refund(connection: Connection) -> tuple[Stage, Act]:
    """The payee gives a part back."""
    stage = taxed(connection)
    stage.wait(days=6)
    command = RefundLater(actor=stage.payee, slot_id=stage.slot_id, amount_minor=40_000)
    return stage, lambda late: service_claims.refund_later(late, [command], at=stage.now)[0]


def bank(connection: Connection) -> tuple[Stage, Act]:
    """A bank takes a part back."""
    stage = taxed(connection)
    stage.wait(days=6)
    made = Bank(stage, amount_minor=40_000).opened()

    def says(late: Connection) -> Outcome:
        made.stage.connection = late
        return made.says("lost")

    return stage, says


def advanced(connection: Connection) -> HourlyStage:
    """A week that its client did not pay, and the platform did (P28); our fee bears tax."""
    set_supplier(connection, country="IE", at=MONDAY)
    stage = HourlyStage(connection, "EUR", terms=Terms(commission_bps=1_000))
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE", number=NUMBER, at=MONDAY)
    stage.ready().invoiced(hours(0, 8, 18))
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.wait(days=20)
    prove_prices(connection)
    return stage


def write_off(connection: Connection) -> tuple[HourlyStage, Act]:
    """The second of two people gives the client's debt up."""
    stage = advanced(connection)
    assert stage.write_off(person(None, is_operator=True)).is_done

    def approve(late: Connection) -> Outcome:
        stage.connection = late
        return stage.write_off(person(None, is_operator=True))

    return stage, approve


def split(stage: Stage) -> Act:
    """All of what is still in its security hold goes back by agreement."""
    stage.wait(days=1)
    court = Court(stage)
    release_id = stage.connection.exec_driver_sql("SELECT id FROM release").scalar_one()
    assert court.open(amount_minor=100_000, release_id=release_id).is_done
    assert court.serve().is_done
    assert court.offer(stage.payee, 0, is_reply=True).is_done

    def accept(late: Connection) -> Outcome:
        stage.connection = late
        return court.accept(stage.client, 1)

    return accept


@pytest.mark.parametrize("way", [refund, bank, write_off])
def test_tax_goes_back_once_whoever_comes_first(
    own_engine: Engine, tenant: Tenant, way: Callable[[Connection], tuple[Stage | HourlyStage, Act]]
) -> None:
    """Money comes back while its tax is credited: what waits for the pair sees the credit."""
    with transaction(own_engine, tenant) as connection:
        stage, act = way(connection)

    def come_back() -> Outcome:
        with transaction(own_engine, tenant) as late:
            return act(late)

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as first:
            assert credit(first, stage).is_done
            second = pool.submit(come_back)
            wait_until_blocked(own_engine)
        assert second.result(timeout=120).is_done

    with transaction(own_engine, tenant) as connection:
        assert taxes(connection) == 0
        prove_prices(connection)


def test_an_advance_whose_tax_was_credited_is_written_off(connection: Connection) -> None:
    """P28, the tax on our fee credited, P30: commission and tax are what the fee lines say."""
    stage = advanced(connection)

    assert credit(connection, stage).is_done

    prove_prices(connection)
    for _ in range(2):
        assert stage.write_off(person(None, is_operator=True)).is_done
    prove_prices(connection)


def test_an_auditor_reads_what_tax_left_to_the_payee(connection: Connection) -> None:
    """Of 1,000.00 our 150.00 and their tax of 28.50 are gone; the fee line says the same."""
    stage = taxed(connection)

    release = connection.exec_driver_sql(
        "SELECT net_minor, tax_minor, slot_id FROM audit_release"
    ).one()
    fee = connection.exec_driver_sql(
        "SELECT fee_minor, tax_minor, tax_country, slot_id FROM audit_fee"
    ).one()

    assert tuple(release) == (82_150, 2_850, stage.slot_id)
    assert tuple(fee) == (15_000, 2_850, "DE", stage.slot_id)


def test_tax_on_disputed_money_is_not_credited_twice(connection: Connection) -> None:
    """What a dispute set aside counts on its tax: the credit waits until the dispute is over."""
    stage = taxed(connection)
    accept = split(stage)
    assert credit(connection, stage).code == "tax.nothing_to_credit"

    assert accept(connection).is_done

    check_balances(connection, "EUR", "earned available 0.00 · vat payable 0.00 · bad debt 0.00")
    prove_prices(connection)
