"""Fees, currencies and tax: the edge cases of domain/escrow.md 2.11 by number, on real books."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from commissions.model import Band, Scope
from commissions.model_schedule import Promotion
from escrow import service
from escrow.commands import SlotCommand
from kernel.database import Tenant, transaction
from tests.commissions.books import hold, tariff
from tests.commissions.rates import stand_rates
from tests.escrow.stage import START, check_balances
from tests.escrow.stage_claims import send_back
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_price import (
    NO_CLIENT_FEE,
    agreed,
    billed,
    commission_of,
    prove_prices,
    released,
    stand_tiers,
    submitted,
)
from tests.escrow.test_races import Act, race
from tests.tax.stage import add_buyer, add_check, set_supplier


def test_e19_yen_have_no_decimals(connection: Connection) -> None:
    """E19: 70/30 of 1,001 yen is 701/300; the fee of 701 in bands of yen is 120."""
    stand_tiers(connection, Band(500, 2_000), Band(None, 1_000), currency="JPY")
    court = Court(submitted(connection, 1_001, currency="JPY"))
    court.in_negotiation(701)

    assert court.accept(court.stage.client, 1).is_done

    assert commission_of(connection, court.stage.slot_id) == 120
    check_balances(connection, "JPY", "earned pending 581 · refund in transit 300")
    prove_prices(connection)


def test_e20_dinars_have_three(connection: Connection) -> None:
    """E20: 450.000 billed, then 100.001: 50.000 at 20 % and 50.001 at 10 % are 15.000."""
    stand_tiers(connection, Band(500_000, 2_000), Band(None, 1_000), currency="KWD")
    stage = agreed(connection, 450_000, 100_001, currency="KWD")
    first, second = stage.slot_ids

    assert released(stage, first) == 90_000
    assert released(stage, second) == 15_000

    check_balances(connection, "KWD", "earned pending 445.001 · revenue.commission 105.000")
    prove_prices(connection)


def test_e21_what_comes_to_nothing_is_refused_before_it_is_sent(connection: Connection) -> None:
    """E21: a fils is half a yen at most: refused, nothing moved; the clock pays it in fils."""
    stand_rates(connection, START.date())
    terms = replace(NO_CLIENT_FEE, payee_currency="JPY")
    stage = submitted(connection, 1, currency="KWD", terms=terms)

    refused = stage.approve()

    assert refused.code == "fx.too_small"
    assert (stage.slot().state, stage.slot().held_minor) == ("submitted", 1)
    check_balances(connection, "KWD", "escrow 0.001 · earned pending 0.000")
    stage.wait(days=14)
    assert stage.slot().state == "released"
    check_balances(connection, "KWD", "escrow 0.000 · earned pending 0.001")
    prove_prices(connection)


def test_e22_a_boundary_inside_one_payment(connection: Connection) -> None:
    """E22: 450 billed, +100: 50 at 20 % and 50 at 10 % are 15.00."""
    stand_tiers(connection)
    stage = agreed(connection, 45_000)
    assert released(stage) == 9_000
    other = agreed(connection, 10_000, like=stage)

    assert released(other) == 1_500

    assert billed(stage) == 55_000
    prove_prices(connection)


@pytest.mark.parametrize("first", [0, 1])
def test_e23_two_payments_of_a_pair_over_a_boundary_at_once(
    own_engine: Engine, tenant: Tenant, first: int
) -> None:
    """E23: 300 and 450 of one pair at once: the second waits for the first; together F(750)."""
    with transaction(own_engine, tenant) as connection:
        stand_tiers(connection)
        stage = submitted(connection, 30_000, 45_000)
    order = [stage.slot_ids[first], stage.slot_ids[1 - first]]
    commands = [SlotCommand(actor=stage.client, slot_id=slot_id) for slot_id in order]
    has_begun = Event()

    def approve_second() -> str:
        with transaction(own_engine, tenant) as late:
            has_begun.set()
            return service.approve(late, commands[1:], at=stage.now)[0].code

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as early:
            assert service.approve(early, commands[:1], at=stage.now)[0].is_done
            second = pool.submit(approve_second)
            assert has_begun.wait(timeout=120)
        assert second.result(timeout=120) == "done"

    with transaction(own_engine, tenant) as connection:
        kept = [commission_of(connection, slot_id) for slot_id in order]
        assert sum(kept) == 12_500
        assert kept == ([6_000, 6_500] if first == 0 else [9_000, 3_500])
        prove_prices(connection)


def test_e23_whoever_comes_first_the_total_is_that_of_the_bands(
    own_engine: Engine, tenant: Tenant
) -> None:
    """E23: two approvals at one instant: the order is open, the sum is not."""
    with transaction(own_engine, tenant) as connection:
        stand_tiers(connection)
        stage = submitted(connection, 30_000, 45_000)

    def approve(slot_id: UUID) -> Act:
        command = SlotCommand(actor=stage.client, slot_id=slot_id)
        return lambda late: service.approve(late, [command], at=stage.now)[0].code

    assert race(own_engine, tenant, *map(approve, stage.slot_ids)) == ["done", "done"]

    with transaction(own_engine, tenant) as connection:
        assert sum(commission_of(connection, slot_id) for slot_id in stage.slot_ids) == 12_500
        prove_prices(connection)


def test_e23_a_batch_carries_the_pair_along(connection: Connection) -> None:
    """E23: both in one batch: the second begins where the first left off."""
    stand_tiers(connection)
    stage = submitted(connection, 30_000, 45_000)
    commands = [SlotCommand(actor=stage.client, slot_id=slot_id) for slot_id in stage.slot_ids]

    answers = service.approve(connection, commands, at=stage.now)

    assert [each.facts["commission"]["amount"] for each in answers] == ["60.00", "65.00"]
    prove_prices(connection)


def test_e24_a_refund_below_a_tier_leaves_past_fees(connection: Connection) -> None:
    """E24: 600 and 100 billed; 300 of the first go back: the second keeps 10.00, a third pays 20 %.

    What comes back is of the first payment's own bands: 100 at 10 % and 200 at 20 %.
    """
    stand_tiers(connection)
    stage = agreed(connection, 60_000)
    assert released(stage) == 11_000
    second = agreed(connection, 10_000, like=stage)
    assert released(second) == 1_000
    stage.wait(days=6)

    def kept() -> tuple[int, int]:
        return commission_of(connection, stage.slot_id), commission_of(connection, second.slot_id)

    assert send_back(stage, 30_000).is_done

    assert kept() == (6_000, 1_000)
    assert billed(stage) == 40_000
    third = agreed(connection, 10_000, like=stage)
    assert released(third) == 2_000
    assert send_back(stage, 30_000).is_done
    assert kept() == (0, 1_000)
    assert billed(stage) == 20_000
    prove_prices(connection)


def test_e25_a_schedule_that_changes_after_funding_changes_nothing(connection: Connection) -> None:
    """E25: the version of the acceptance holds; a deal accepted later has the new one."""
    old = stand_tiers(connection, Band(None, 1_000))
    stage = agreed(connection, 10_000)
    assert stage.fund().is_done
    stage.wait(days=1)
    hold(
        connection,
        at=stage.now,
        tariffs=(tariff("EUR", Band(None, 2_000)),),
        replaces=old,
    )
    later = agreed(connection, 10_000, like=stage)

    assert stage.submit().is_done
    assert stage.submit().is_done
    assert stage.approve().is_done
    assert released(later) == 2_000

    assert commission_of(connection, stage.slot_id) == 1_000
    prove_prices(connection)


@pytest.mark.parametrize(("until", "second"), [(START + timedelta(days=10), 1_000), (None, 400)])
def test_e26_a_promotion_ends_mid_contract(
    connection: Connection, until: datetime | None, second: int
) -> None:
    """E26: until a date, or for the contract's life: decided when it was accepted."""
    stand_tiers(connection, Band(None, 1_000))
    stand_tiers(
        connection,
        Band(None, 400),
        name="spring",
        scope=Scope(promotion="spring"),
        valid_to=START + timedelta(days=5),
        promotion=Promotion(is_open=True, applies_until=until),
    )
    stage = agreed(connection, 10_000, 10_000)
    assert released(stage, stage.slot_ids[0]) == 400
    stage.wait(days=10)

    assert released(stage, stage.slot_ids[1]) == second

    later = agreed(connection, 10_000, like=stage)
    assert released(later) == 1_000
    prove_prices(connection)


def test_e35_dollars_for_a_contract_in_euros(connection: Connection) -> None:
    """E35, P33: commission in euros, his part at the day's rate, and the answer says which."""
    stand_rates(connection, START.date())
    stage = submitted(connection, 10_000, terms=replace(NO_CLIENT_FEE, payee_currency="USD"))

    answer = stage.approve()

    assert answer.facts["payee_gets"] == {"amount": "99.00", "currency": "USD"}
    assert answer.facts["rate"] == "1.1000000000"
    check_balances(connection, "EUR", "escrow 0.00 · revenue.commission 10.00 · fx -90.00")
    check_balances(connection, "USD", "earned pending 99.00 · fx 99.00")
    prove_prices(connection)


def test_e35_the_clock_takes_the_rate_of_its_day_and_says_so(connection: Connection) -> None:
    """E35: nobody approves: the rate is that of the release, and its event keeps it."""
    stand_rates(connection, START.date())
    stand_rates(connection, (START + timedelta(days=14)).date(), {"USD": "1.2000"})
    stage = submitted(connection, 10_000, terms=replace(NO_CLIENT_FEE, payee_currency="USD"))

    stage.wait(days=14)

    check_balances(connection, "USD", "earned pending 108.00 · fx 108.00")
    detail = connection.exec_driver_sql(
        "SELECT detail FROM event WHERE kind = 'slot.released'"
    ).scalar_one()
    assert '"rate":"1.2000000000"' in detail.replace(": ", ":")
    prove_prices(connection)


def test_e35_without_a_rate_nobody_is_paid_a_guess(connection: Connection) -> None:
    """E35: a stale rate refuses an approval; the clock pays in euros and says why."""
    stand_rates(connection, START.date() - timedelta(days=30))
    stage = submitted(connection, 10_000, terms=replace(NO_CLIENT_FEE, payee_currency="USD"))

    assert stage.approve().code == "fx.stale_rate"

    assert stage.slot().held_minor == 10_000
    stage.wait(days=14)
    check_balances(connection, "EUR", "earned pending 90.00 · fx 0.00")
    detail = connection.exec_driver_sql(
        "SELECT detail FROM event WHERE kind = 'slot.released'"
    ).scalar_one()
    assert "fx.stale_rate" in detail
    prove_prices(connection)


def test_e37_a_split_is_converted_when_it_is_carried_out(connection: Connection) -> None:
    """E37: the shares are euros; the payee's 63.00 become dollars at the rate of that day."""
    stand_rates(connection, START.date())
    terms = replace(NO_CLIENT_FEE, payee_currency="USD")
    court = Court(submitted(connection, 10_000, terms=terms))
    court.in_negotiation(7_000)
    stand_rates(connection, (START + timedelta(days=3)).date(), {"USD": "1.2000"})
    court.stage.wait(days=3)

    answer = court.accept(court.stage.client, 1)

    assert answer.is_done, answer
    assert (court.dispute.payee_minor, court.dispute.client_minor) == (7_000, 3_000)
    check_balances(connection, "EUR", "refund in transit 30.00 · revenue.commission 7.00")
    check_balances(connection, "USD", "earned pending 75.60")
    prove_prices(connection)


def test_e44_a_number_that_becomes_valid_mid_month(connection: Connection) -> None:
    """E44: tax until the check, reverse charge from it on; what was charged stays charged."""
    set_supplier(connection, country="IE")
    stage = agreed(connection, 10_000, 10_000)
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE", number="DE136695976")
    assert released(stage, stage.slot_ids[0]) == 1_000
    check_balances(connection, "EUR", "earned pending 88.10 · vat payable 1.90")
    stage.wait(days=10)
    add_check(connection, stage.payee.party_id, at=stage.now)

    assert released(stage, stage.slot_ids[1]) == 1_000

    rows = connection.exec_driver_sql(
        "SELECT tax_minor, tax_rate_bps, treatment FROM fee_line ORDER BY id"
    ).all()
    assert list(map(tuple, rows)) == [(190, 1_900, "destination"), (0, 0, "reverse_charge")]
    check_balances(connection, "EUR", "vat payable 1.90 · revenue.commission 20.00")
    prove_prices(connection)
