"""What exceeds a period, pauses, and charges without the client at hand: to the cent."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection

from escrow import service, service_retainer
from escrow.commands import SlotCommand
from escrow.model import Terms
from escrow.model_retainer import Draw, Every, OnPause, Overage, RetainerKind, RetainerTerms, Unused
from escrow.refusals_retainer import BadRetainer
from escrow.rules_retainer_terms import check_retainer_terms
from kernel.ids import new_id
from kernel.money import MAX_MINOR
from rails.model import RailOutcome
from tests.escrow.stage import check_balances, prove_books
from tests.escrow.stage_retainer import Lease

APRIL = date(2026, 4, 1)
FEE = RetainerTerms(
    kind=RetainerKind.ACCESS_FEE, amount_minor=300_000, every=Every.MONTH, anchor_on=APRIL
)
HOURS = RetainerTerms(
    kind=RetainerKind.HOURS_DRAWDOWN,
    amount_minor=300_000,
    every=Every.MONTH,
    anchor_on=APRIL,
    hourly_minor=10_000,
)
QUOTA = RetainerTerms(
    kind=RetainerKind.DELIVERABLE_QUOTA,
    amount_minor=300_000,
    every=Every.MONTH,
    anchor_on=APRIL,
    quota=7,
    overage=Overage.APPROVE,
)


def books(lease: Lease, line: str) -> None:
    check_balances(lease.connection, "EUR", line)
    prove_books(lease.connection)


def exceeding(
    connection: Connection, overage: Overage, *, price: int = 0, fee_bps: int = 0
) -> Lease:
    """30 hours are paid for; 28 were drawn and approved, 4 more are drawn: 2 of them exceed."""
    terms = replace(HOURS, overage=overage, overage_minor=price)
    lease = Lease(connection, terms, Terms(client_fee_bps=fee_bps)).agreed()
    lease.until(date(2026, 4, 10))
    assert lease.draw(1, 28 * 60).is_done
    assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done
    drawn = lease.draw(1, 4 * 60)
    assert drawn.is_done, drawn
    assert (drawn.facts["units"], drawn.facts["exceeding"]["units"]) == (120, 120)
    return lease


def over_state(lease: Lease) -> str:
    row = lease.connection.exec_driver_sql(
        "SELECT state FROM drawdown WHERE id = %s", (lease.over_id,)
    )
    return str(row.scalar_one())


def on_over(lease: Lease, verb: str, *, reason: str = "") -> str:
    actor = lease.stage.payee if verb.startswith("withdraw") else lease.stage.client
    return lease.on_drawdown(verb, actor, reason=reason, drawdown_id=lease.over_id).code


def test_overage_is_charged_and_released_by_itself(connection: Connection) -> None:
    """P01 then P07: 240.00 and 3 % for the client, 216.00 for the payee, all apart."""
    lease = exceeding(connection, Overage.APPROVE, price=12_000, fee_bps=300)
    books(lease, "escrow 200.00 · earned pending 2520.00")

    assert on_over(lease, "approve_drawdown") == "done"
    assert over_state(lease) == "charging"
    lease.until(date(2026, 4, 11))

    assert over_state(lease) == "approved"
    books(lease, "escrow 200.00 · earned pending 2736.00 · deferred fees 0.00 · client fee 97.20")
    row = connection.exec_driver_sql(
        "SELECT funded_minor, released_minor FROM slot WHERE id = %s", (lease.over_slot(),)
    ).one()
    assert tuple(row) == (24_000, 24_000)


def test_silence_pays_the_period_and_owes_nothing_above(connection: Connection) -> None:
    """Approve: what the client never agreed to has lapsed, and its hours are free again."""
    lease = exceeding(connection, Overage.APPROVE)

    lease.until(date(2026, 4, 20))

    assert over_state(lease) == "lapsed"
    books(lease, "escrow 0.00")
    void = connection.exec_driver_sql(
        "SELECT is_void FROM drawdown_time WHERE drawdown_id = %s", (lease.over_id,)
    )
    assert void.scalars().all() == [True]
    assert on_over(lease, "approve_drawdown") == "escrow.wrong_state"


def test_bill_charges_unless_the_client_objects(connection: Connection) -> None:
    """Bill at rate: seven days of silence agree; an objection in time costs nothing."""
    for objects, released in ((False, 320_000), (True, 300_000)):
        with connection.begin_nested() as point:
            lease = exceeding(connection, Overage.BILL)
            if objects:
                assert on_over(lease, "reject_drawdown") == "escrow.reason_required"
                assert on_over(lease, "reject_drawdown", reason="not agreed") == "done"
            lease.until(date(2026, 4, 14))
            assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done
            assert over_state(lease) == ("rejected" if objects else "submitted")
            lease.until(date(2026, 4, 18))
            assert over_state(lease) == ("rejected" if objects else "approved")
            total = connection.exec_driver_sql("SELECT sum(gross_minor) FROM release").scalar_one()
            assert total == released
            prove_books(connection)
            point.rollback()


def test_overage_that_nobody_pays_is_given_up(connection: Connection) -> None:
    """Charged after 0, 1, 3 and 5 days, given up after 7: no posting, and the payee is told."""
    lease = exceeding(connection, Overage.APPROVE)
    assert on_over(lease, "approve_drawdown") == "done"

    lease.until(date(2026, 4, 16), pays=False)
    assert over_state(lease) == "charging"
    lease.until(date(2026, 4, 18), pays=False)

    assert over_state(lease) == "unpaid"
    tries = connection.exec_driver_sql(
        "SELECT count(*) FROM funding WHERE slot_id = %s", (lease.over_slot(),)
    )
    assert tries.scalar_one() == 4
    told = connection.exec_driver_sql(
        "SELECT count(*) FROM event WHERE kind = 'period.overage_unpaid'"
    )
    assert told.scalar_one() == 1
    prove_books(connection)


def test_overage_given_back_or_withdrawn_moves_nothing_else(connection: Connection) -> None:
    """The payee may take it back before, and give it back after the charge."""
    lease = exceeding(connection, Overage.APPROVE)
    assert on_over(lease, "withdraw_drawdown") == "done"
    assert over_state(lease) == "withdrawn"

    assert lease.draw(1, 120).is_done
    lease.over_id = lease.drawdown_id
    lease.stage.hold(f"contract:{lease.stage.contract_id}")
    assert on_over(lease, "approve_drawdown") == "done"
    lease.until(date(2026, 4, 11))
    assert over_state(lease) == "charging"
    books(lease, "escrow 400.00")
    lease.stage.lift(f"contract:{lease.stage.contract_id}")
    give = SlotCommand(actor=lease.stage.payee, slot_id=lease.over_slot())
    assert service.give_back(connection, [give], at=lease.stage.now)[0].is_done
    assert over_state(lease) == "settled"
    books(lease, "refund in transit 200.00")


def test_pieces_above_the_quota_have_their_price(connection: Connection) -> None:
    """7 pieces cost the amount to the cent; an eighth costs a seventh, rounded down."""
    lease = Lease(connection, QUOTA).agreed()
    lease.until(date(2026, 4, 2))
    assert lease.draw(1, 5).is_done
    assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done

    drawn = lease.draw(1, 4)

    assert drawn.facts["units"] == 2
    assert drawn.facts["amount"]["amount"] == "857.15"
    assert drawn.facts["exceeding"]["amount"]["amount"] == "857.14"


def test_a_charge_without_the_client_has_no_fifteen_minutes(connection: Connection) -> None:
    """Unanswered for a day it is given up and tried anew; late money is the client's (P06)."""
    lease = Lease(connection, FEE).agreed()
    due = lease.next_due(datetime(2026, 3, 30, tzinfo=UTC))
    assert due is not None
    lease.stage.now = due.due_at
    lease.stage.wait(hours=1)
    kinds = connection.exec_driver_sql("SELECT kind FROM timer WHERE subject LIKE 'funding:%%'")
    assert kinds.scalars().all() == []
    first = connection.exec_driver_sql("SELECT id, state FROM funding").one()
    assert first.state == "created"

    lease.stage.wait(days=2)

    states = connection.exec_driver_sql("SELECT state FROM funding ORDER BY created_at")
    assert states.scalars().all() == ["expired", "created"]
    lease.stage.funding_id = first.id
    assert lease.stage.hear(lease.stage.result()).facts["funding_state"] == "credited"
    assert lease.pay(RailOutcome.DONE) == 1
    books(lease, "wallet 3000.00 · escrow 3000.00")


def paused(connection: Connection, terms: RetainerTerms) -> Lease:
    """Paused from 11 to 21 April by both."""
    lease = Lease(connection, terms).agreed()
    lease.until(date(2026, 4, 11))
    assert lease.pause(lease.stage.stranger).code == "escrow.not_yours"
    assert lease.pause(lease.stage.operator).code == "escrow.not_yours"
    assert lease.resume(lease.stage.client).code == "retainer.no_running_period"
    assert lease.pause(lease.stage.client).is_done
    assert lease.pause(lease.stage.payee).is_done
    assert lease.pause(lease.stage.payee).code == "retainer.no_running_period"
    lease.until(date(2026, 4, 21))
    assert lease.states() == "paused scheduled"
    return lease


def test_a_pause_moves_the_end_of_all_that_follows(connection: Connection) -> None:
    """Ten days: April ends on 11 May, May begins then, and the amount is earned in full."""
    lease = paused(connection, FEE)
    assert lease.resume(lease.stage.payee).is_done

    assert [each.first_on for each in lease.periods] == [APRIL, date(2026, 5, 11)]
    lease.until(date(2026, 5, 7))
    assert lease.states() == "active scheduled"
    lease.until(date(2026, 5, 11))
    assert lease.states() == "settled active scheduled"
    assert lease.period(3).first_on == date(2026, 6, 11)
    books(lease, "earned pending 2700.00 · escrow 3000.00")


def test_a_pro_rated_pause_is_the_clients(connection: Connection) -> None:
    """Ten of 30 days paused: 2,000.00 earned, 1,000.00 back to the wallet; no day moves."""
    lease = paused(connection, replace(FEE, on_pause=OnPause.PRORATE))
    assert lease.resume(lease.stage.client).is_done

    lease.until(date(2026, 5, 1))

    assert lease.states() == "settled active scheduled"
    books(lease, "earned pending 1800.00 · wallet 1000.00 · escrow 3000.00")


def test_a_long_pro_rated_pause_passes_periods_over(connection: Connection) -> None:
    """April paused from the 11th to 10 July: May and June never were; July is charged, 22 of 31."""
    lease = paused(connection, replace(FEE, on_pause=OnPause.PRORATE))
    lease.until(date(2026, 7, 10))
    assert lease.states() == "paused scheduled"

    assert lease.resume(lease.stage.client).is_done
    lease.until(date(2026, 7, 11))

    states = {each.number: each.state.value for each in lease.periods}
    assert states == {1: "settled", 2: "cancelled", 5: "scheduled"}
    books(lease, "earned pending 900.00 · wallet 2000.00 · escrow 0.00")
    lease.until(date(2026, 8, 2))
    assert lease.period(5).state == "active"


@pytest.mark.parametrize("on_pause", OnPause)
def test_p31_of_a_paused_period_counts_no_day_of_the_pause(
    connection: Connection, on_pause: OnPause
) -> None:
    """Ten days worked, ten paused, cancelled by an operator: a third is earned, either way."""
    lease = paused(connection, replace(FEE, on_pause=on_pause))

    assert lease.cancel(lease.stage.operator).is_done

    assert lease.states() == "cancelled cancelled"
    books(lease, "escrow 0.00 · earned pending 900.00 · refund in transit 2000.00")


def test_work_shown_before_a_pause_is_looked_at_in_its_time(connection: Connection) -> None:
    """A drawdown of the day before is paid by silence although the period rests."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 11))
    assert lease.draw(1, 600).is_done
    lease.pause(lease.stage.client)
    assert lease.pause(lease.stage.payee).is_done
    assert lease.draw(1, 60).code == "retainer.not_funded"

    lease.until(date(2026, 4, 19))

    assert lease.states() == "paused scheduled"
    books(lease, "earned pending 900.00 · escrow 2000.00")


@pytest.mark.parametrize(
    "wrong",
    [
        replace(FEE, overage=Overage.BILL),
        replace(FEE, overage_minor=1),
        replace(HOURS, overage_minor=1),
        replace(HOURS, overage=Overage.BILL, overage_minor=-1),
        replace(HOURS, unused=Unused.ROLL),
    ],
)
def test_terms_that_do_not_fit_are_refused(wrong: RetainerTerms) -> None:
    """An access fee exceeds nothing, and a price needs something that it is for."""
    with pytest.raises(BadRetainer):
        check_retainer_terms(wrong)


def test_hours_are_whole_past_and_within_their_period(connection: Connection) -> None:
    """Neither before the period, nor to come, nor half a minute, nor backwards."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 2))
    period, now = lease.period(1), lease.stage.now
    hour = timedelta(hours=1)

    for start, end in (
        (period.starts_at - hour, period.starts_at + hour),
        (now - hour, now + hour),
        (period.starts_at + timedelta(seconds=30), period.starts_at + hour),
        (period.starts_at + hour, period.starts_at),
    ):
        command = Draw(
            actor=lease.stage.payee,
            period_id=period.id,
            drawdown_id=new_id(),
            message_ref="message:1",
            hours=((start, end),),
        )
        (refused,) = service_retainer.draw_down(connection, [command], at=now)
        assert refused.code == "retainer.bad_drawdown"


def test_a_period_has_room_for_what_rolls_into_it() -> None:
    """Its amount and the cap together are an amount that a slot can hold."""
    largest = MAX_MINOR - 100_000
    rolling = replace(HOURS, unused=Unused.ROLL, roll_cap_minor=100_000)
    check_retainer_terms(replace(rolling, amount_minor=largest))

    with pytest.raises(BadRetainer, match="roll_cap"):
        check_retainer_terms(replace(rolling, amount_minor=largest + 1))
