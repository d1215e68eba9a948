"""Stories of retainers: charged ahead, drawn, settled by policy, cancelled to the cent."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection

from escrow import service
from escrow.commands import Fund
from escrow.model import Terms
from escrow.model_retainer import Every, OnPause, RetainerKind, RetainerTerms, Unused
from escrow.timers import HANDLERS
from kernel import timers
from kernel.ids import new_id
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


def books(lease: Lease, line: str) -> None:
    check_balances(lease.connection, "EUR", line)
    prove_books(lease.connection)


def test_an_access_fee_is_earned_by_the_end_of_its_period(connection: Connection) -> None:
    """Charged three days ahead, active from its start, paid at its end; the next goes on (P07)."""
    lease = Lease(connection, FEE).agreed()
    assert lease.states() == "scheduled"

    lease.until(date(2026, 3, 28))
    assert lease.states() == "scheduled"
    lease.until(date(2026, 3, 29))
    assert lease.states() == "funded scheduled"
    books(lease, "escrow 3000.00")
    lease.until(date(2026, 4, 1))
    assert lease.states() == "active scheduled"
    lease.until(date(2026, 5, 1))

    assert lease.states() == "settled active scheduled"
    books(lease, "escrow 3000.00 · earned pending 2700.00 · due to platform 300.00")


def test_p31_cancelled_after_10_of_30_days(connection: Connection) -> None:
    """3,000.00 cancelled after 10 of 30 days: 900.00 net, 100.00 ours, 2,000.00 back (P31)."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 11))

    outcome = lease.cancel(lease.stage.operator)

    assert outcome.is_done, outcome
    assert lease.states() == "cancelled cancelled"
    assert lease.retainer.state == "ended"
    books(
        lease,
        "escrow 0.00 · earned pending 900.00 · due to platform 100.00"
        " · refund in transit 2000.00 · commission 100.00",
    )


def test_edge_32_what_was_drawn_counts_if_it_is_more(connection: Connection) -> None:
    """1,400.00 of 3,000.00 drawn, cancelled on day 10 of 30: 1,400.00 earned, 1,600.00 back."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 11))
    assert lease.draw(1, 14 * 60).is_done
    assert lease.cancel(lease.stage.operator).code == "retainer.drawdowns_open"
    assert lease.states() == "active scheduled"
    assert lease.retainer.state == "running"
    assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done
    books(lease, "escrow 1600.00 · earned pending 1260.00 · due to platform 140.00")

    assert lease.cancel(lease.stage.operator).is_done

    books(
        lease,
        "escrow 0.00 · earned pending 1260.00 · due to platform 140.00 · refund in transit 1600.00",
    )


def test_notice_both_and_the_engine(connection: Connection) -> None:
    """One side gives notice and waits; the other may agree at once; else it ends by the clock."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 5))
    client, payee = lease.stage.client, lease.stage.payee

    assert lease.cancel(client).facts["state"] == "ending"
    assert lease.cancel(client).code == "escrow.other_party_must_sign"
    lease.until(date(2026, 4, 18))
    assert lease.retainer.state == "ending"
    lease.until(date(2026, 4, 20))

    assert lease.retainer.state == "ended"
    assert lease.cancel(payee).code == "escrow.wrong_state"
    books(lease, "escrow 0.00 · earned pending 1620.00 · due to platform 180.00")


def test_both_end_it_at_once(connection: Connection) -> None:
    """The second side needs no notice."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 11))

    assert lease.cancel(lease.stage.client).facts["state"] == "ending"
    assert lease.cancel(lease.stage.payee).facts["state"] == "ended"

    books(lease, "escrow 0.00 · earned pending 900.00 · refund in transit 2000.00")


def test_p32_unused_goes_to_one_of_the_two(connection: Connection) -> None:
    """200.00 that nobody drew: (a) 180.00 and 20.00 ours, or (b) all in the client's wallet."""
    expected = {
        Unused.TO_PAYEE: "earned pending 180.00 · wallet 0.00 · due to platform 300.00",
        Unused.TO_CLIENT: "earned pending 0.00 · wallet 200.00 · due to platform 280.00",
    }
    for unused, line in expected.items():
        with connection.begin_nested() as point:
            terms = RetainerTerms(
                kind=RetainerKind.HOURS_DRAWDOWN,
                amount_minor=300_000,
                every=Every.MONTH,
                anchor_on=APRIL,
                hourly_minor=10_000,
                unused=unused,
            )
            lease = Lease(connection, terms).agreed()
            lease.until(date(2026, 4, 2))
            assert lease.draw(1, 28 * 60).is_done
            assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done
            lease.until(date(2026, 5, 1))

            assert lease.states().startswith("settled")
            books(lease, f"{line} · escrow 3000.00 · earned available 2520.00")
            point.rollback()


def test_unused_money_takes_its_fee_along(connection: Connection) -> None:
    """Where nothing was earned, what goes back to the wallet carries the client's whole fee."""
    lease = Lease(connection, HOURS, Terms(client_fee_bps=300)).agreed()
    lease.until(date(2026, 5, 1))

    assert lease.states() == "settled active scheduled"
    books(lease, "wallet 3090.00 · escrow 3000.00 · deferred fees 90.00 · earned pending 0.00")


ROLLS = RetainerTerms(
    kind=RetainerKind.HOURS_DRAWDOWN,
    amount_minor=300_000,
    every=Every.MONTH,
    anchor_on=APRIL,
    hourly_minor=10_000,
    unused=Unused.ROLL,
    roll_cap_minor=100_000,
    roll_periods=1,
)


def test_unused_rolls_up_to_the_cap_and_is_drawn_first(connection: Connection) -> None:
    """Of 3,000.00 unused 1,000.00 rolls and the rest goes back; carried money is used first."""
    lease = Lease(connection, ROLLS, Terms(client_fee_bps=300)).agreed()
    lease.until(date(2026, 5, 2))
    books(lease, "escrow 4000.00 · wallet 2060.00 · deferred fees 120.00")

    assert lease.draw(2, 10 * 60).is_done
    assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done
    books(lease, "escrow 3000.00 · earned pending 900.00 · deferred fees 0.00")
    lease.until(date(2026, 6, 2))

    assert lease.states().startswith("settled settled active")
    books(lease, "escrow 4000.00 · wallet 4060.00")


def test_carried_money_expires(connection: Connection) -> None:
    """With one further period, what was carried into May and not drawn in May goes back."""
    lease = Lease(connection, ROLLS).agreed()
    lease.until(date(2026, 5, 2))
    lease.until(date(2026, 6, 2))

    assert lease.states() == "settled settled active scheduled"
    books(lease, "escrow 4000.00 · wallet 5000.00")


def test_silence_of_seven_days_approves(connection: Connection) -> None:
    """P10 by the clock; the period waits in closing until the review is over."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 28))
    assert lease.draw(1, 600).is_done
    lease.until(date(2026, 5, 1))
    assert lease.states() == "closing active scheduled"

    lease.until(date(2026, 5, 6))

    assert lease.states() == "settled active scheduled"
    books(lease, "earned pending 900.00 · wallet 2000.00 · escrow 3000.00")


def test_rejected_and_withdrawn_drawdowns_leave_the_money(connection: Connection) -> None:
    """A rejection needs its reason; either way nothing moves."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 2))
    client, payee = lease.stage.client, lease.stage.payee
    assert lease.draw(1, 31 * 60).code == "retainer.overdrawn"
    assert lease.draw(1, 60, client).code == "escrow.not_yours"
    assert lease.draw(1, 60).is_done
    assert lease.on_drawdown("reject_drawdown", client).code == "escrow.reason_required"
    assert lease.on_drawdown("reject_drawdown", client, reason="not done").is_done
    assert lease.on_drawdown("approve_drawdown", client).code == "escrow.wrong_state"
    assert lease.draw(1, 60).is_done
    assert lease.on_drawdown("withdraw_drawdown", payee).is_done

    books(lease, "escrow 3000.00 · earned pending 0.00")


def test_edge_33_an_unfunded_period_says_so_and_lapses(connection: Connection) -> None:
    """Charged four times in five days, lapsed after seven; no drawdown, the contract paused."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 2), pays=False)
    assert lease.states() == "funding scheduled"
    refused = lease.draw(1, 60)
    assert refused.code == "retainer.not_funded"
    assert refused.facts["funded"] is False
    count = connection.exec_driver_sql("SELECT count(*) FROM funding").scalar_one()
    assert count == 3

    lease.until(date(2026, 4, 6), pays=False)

    assert lease.states() == "lapsed scheduled"
    count = connection.exec_driver_sql("SELECT count(*) FROM funding").scalar_one()
    assert count == 4
    state = connection.exec_driver_sql("SELECT state FROM contract").scalar_one()
    assert state == "paused"
    assert lease.draw(1, 60).code == "retainer.not_funded"
    lease.until(date(2026, 5, 5))
    assert lease.states() == "lapsed scheduled"
    assert lease.stage.on_contract("resume", lease.stage.client).is_done
    lease.until(date(2026, 5, 7))
    assert lease.states() == "lapsed active scheduled"
    books(lease, "escrow 3000.00")


def test_the_slot_of_a_period_moves_by_its_period(connection: Connection) -> None:
    """Neither side approves, submits or amends it by hand; the payee may give it back."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 2))
    stage = lease.stage
    stage.slot_id = lease.period(1).id

    assert stage.submit().code == "escrow.not_a_milestone"
    assert stage.approve().code == "escrow.not_a_milestone"
    assert stage.on_slot("ask_refund", stage.client).code == "escrow.not_a_milestone"
    assert stage.on_slot("give_back", stage.payee).is_done

    assert lease.states() == "settled scheduled"
    books(lease, "escrow 0.00 · refund in transit 3000.00")


def test_a_review_rings_no_more_once_its_period_is_over(connection: Connection) -> None:
    """The payee gave the period back while a drawdown waited: its clock rings once and is gone."""
    lease = Lease(connection, HOURS).agreed()
    lease.until(date(2026, 4, 2))
    assert lease.draw(1, 60).is_done
    lease.stage.slot_id = lease.period(1).id
    assert lease.stage.on_slot("give_back", lease.stage.payee).is_done

    lease.until(date(2026, 4, 12))

    rung = connection.exec_driver_sql("SELECT 1 FROM timer WHERE kind = 'escrow.drawdown_review'")
    assert rung.all() == []
    books(lease, "escrow 0.00 · earned pending 0.00")


def test_no_period_falls_dormant_in_a_long_pause(connection: Connection) -> None:
    """Paused for 108 days with the next period paid: nothing is reminded of or given back."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 29))
    assert lease.states() == "active funded scheduled"
    assert lease.pause(lease.stage.client).is_done
    assert lease.pause(lease.stage.payee).is_done
    lease.until(date(2026, 8, 15))
    assert lease.resume(lease.stage.payee).is_done

    lease.until(date(2026, 9, 25))

    assert lease.states().startswith("settled settled"), lease.states()
    dormant = connection.exec_driver_sql("SELECT 1 FROM slot WHERE state = 'dormant'")
    assert dormant.all() == []
    books(lease, "refund in transit 0.00")


def test_no_period_falls_dormant_by_short_terms(connection: Connection) -> None:
    """A day of silence by the terms: periods are paid by their own clocks all the same."""
    terms = Terms(client_fee_bps=0, dormant_after=timedelta(days=1))
    lease = Lease(connection, FEE, terms).agreed()

    lease.until(date(2026, 5, 10))

    rung = connection.exec_driver_sql("SELECT 1 FROM timer WHERE kind = 'escrow.dormant'")
    assert rung.all() == []
    assert lease.states() == "settled active scheduled"
    books(lease, "escrow 3000.00 · refund in transit 0.00")


def test_a_clock_of_dormancy_that_was_set_before_rings_in_vain(connection: Connection) -> None:
    """A period's slot that had such a clock is left to its period, and has none afterwards."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 2))
    now = lease.stage.now
    timers.arm(connection, [timers.Arm(f"slot:{lease.period(1).id}", "escrow.dormant", now, 0)])

    lease.until(date(2026, 4, 20))

    rows = connection.exec_driver_sql("SELECT notices, state FROM slot WHERE held_minor > 0")
    assert rows.all() == [(0, "funded")]
    rung = connection.exec_driver_sql("SELECT 1 FROM timer WHERE kind = 'escrow.dormant'")
    assert rung.all() == []


def pay_ahead(lease: Lease, number: int) -> None:
    """The client pays a period's slot by himself."""
    command = Fund(actor=lease.stage.client, slot_id=lease.period(number).id, funding_id=new_id())
    (funded,) = service.fund(lease.connection, [command], at=lease.stage.now)
    assert funded.is_done, funded
    assert lease.pay() == 1


def count_payments(lease: Lease) -> int:
    rows = lease.connection.exec_driver_sql("SELECT 1 FROM funding WHERE state = 'succeeded'")
    return len(rows.all())


def test_a_period_that_was_paid_ahead_is_followed_by_the_next(connection: Connection) -> None:
    """Paid before its charge: it is not charged again, and the retainer goes on after it."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 10))
    pay_ahead(lease, 2)
    assert lease.states() == "active funded"
    lease.until(date(2026, 4, 29))
    assert lease.states() == "active funded scheduled"
    assert count_payments(lease) == 2

    lease.until(date(2026, 7, 2))

    assert lease.states() == "settled settled settled active scheduled"
    assert count_payments(lease) == 4
    books(lease, "escrow 3000.00")


def test_a_period_that_was_paid_ahead_and_given_back_is_followed(connection: Connection) -> None:
    """The payee wants nothing for May: June is charged in its time."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 10))
    pay_ahead(lease, 2)
    lease.stage.slot_id = lease.period(2).id
    assert lease.stage.on_slot("give_back", lease.stage.payee).is_done

    lease.until(date(2026, 6, 2))

    assert lease.states() == "settled settled active scheduled"


def test_a_period_that_was_paid_ahead_is_followed_after_a_pause(connection: Connection) -> None:
    """Paused before it would have opened: its clock is set anew, later by the pause."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 10))
    pay_ahead(lease, 2)
    assert lease.pause(lease.stage.client).is_done
    assert lease.pause(lease.stage.payee).is_done
    lease.until(date(2026, 5, 20))
    assert lease.resume(lease.stage.client).is_done
    assert lease.states() == "active funded"

    lease.until(date(2026, 7, 20))

    assert lease.states() == "settled settled active scheduled"


def test_a_period_that_was_paid_while_its_contract_paused_is_followed(
    connection: Connection,
) -> None:
    """The client pays May on its last day, in a pause: the retainer goes on when it is lifted."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 20))
    assert lease.stage.on_contract("pause", lease.stage.client).is_done
    lease.until(date(2026, 5, 31))
    pay_ahead(lease, 2)
    lease.until(date(2026, 6, 5))
    assert lease.states() == "settled settled scheduled"

    assert lease.stage.on_contract("resume", lease.stage.client).is_done
    lease.until(date(2026, 6, 7))

    assert lease.states() == "settled settled active scheduled"


def test_what_went_by_in_a_pause_of_the_contract_is_not_charged(connection: Connection) -> None:
    """Paused from 29 April to 15 September: May was paid, no month that is over is billed."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 29))
    assert lease.stage.on_contract("pause", lease.stage.client).is_done
    lease.until(date(2026, 9, 15))
    assert lease.states() == "settled settled scheduled"
    assert lease.stage.on_contract("resume", lease.stage.client).is_done

    lease.until(date(2026, 10, 2))

    assert lease.states() == "settled settled cancelled active scheduled"
    assert lease.period(7).first_on == date(2026, 10, 1)
    assert count_payments(lease) == 3
    books(lease, "escrow 3000.00")


def test_a_charge_that_failed_before_a_pause_is_not_tried_for_what_went_by(
    connection: Connection,
) -> None:
    """May's charge failed, then the contract was paused until 15 September: May is let go."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 27))
    lease.until(date(2026, 4, 28), pays=False)
    assert lease.states() == "active funding scheduled"
    assert lease.stage.on_contract("pause", lease.stage.client).is_done
    lease.until(date(2026, 9, 15))
    assert lease.stage.on_contract("resume", lease.stage.client).is_done

    lease.until(date(2026, 10, 2))

    assert lease.states() == "settled cancelled cancelled active scheduled"
    assert count_payments(lease) == 2
    books(lease, "escrow 3000.00")


def test_what_the_client_has_begun_to_pay_is_waited_for_though_it_is_over(
    connection: Connection,
) -> None:
    """He pays June himself as the pause ends in September: his money is not refused."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 29))
    assert lease.stage.on_contract("pause", lease.stage.client).is_done
    lease.until(date(2026, 9, 15))
    assert lease.stage.on_contract("resume", lease.stage.client).is_done
    june = lease.period(3).id
    command = Fund(actor=lease.stage.client, slot_id=june, funding_id=new_id())
    assert service.fund(connection, [command], at=lease.stage.now)[0].is_done
    due = timers.list_due(
        connection, at=lease.stage.now + timedelta(days=1), limit=9, grace=timedelta()
    )
    opens = [each for each in due if each.kind == "escrow.period_open"]

    HANDLERS[opens[0].kind](connection, opens, opens[0].due_at)

    assert lease.period(3).state == "scheduled"
    assert lease.pay() == 1
    lease.until(date(2026, 10, 2))
    assert lease.states() == "settled settled settled cancelled active scheduled"
    books(lease, "escrow 3000.00")


@pytest.mark.parametrize("on_pause", OnPause)
@pytest.mark.parametrize("paid_on", [date(2026, 4, 29), date(2026, 5, 10)])
def test_a_period_that_is_paid_in_a_pause_begins_after_it(
    connection: Connection, on_pause: OnPause, paid_on: date
) -> None:
    """May's charge failed, April was paused, the client pays May: it waits for the pause's end."""
    lease = Lease(connection, replace(FEE, on_pause=on_pause)).agreed()
    lease.until(date(2026, 4, 27))
    lease.until(date(2026, 4, 28), pays=False)
    assert lease.pause(lease.stage.client).is_done
    assert lease.pause(lease.stage.payee).is_done
    lease.until(paid_on)
    pay_ahead(lease, 2)
    lease.until(date(2026, 5, 20))
    assert lease.states() == "paused funded scheduled"
    assert lease.resume(lease.stage.client).is_done

    lease.until(date(2026, 5, 24))

    assert lease.states() == "settled active scheduled"
    books(lease, "escrow 3000.00")
    lease.until(date(2026, 8, 28))
    books(lease, "escrow 3000.00")
