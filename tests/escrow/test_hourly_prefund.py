"""Weeks that are paid ahead: deposits asked for, billed from, rolled on, returned to the cent."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from escrow import service, store
from escrow.commands import ContractCommand, Fund, SlotCommand
from escrow.model import Method, Slot, SlotState
from escrow.model_hourly import Collect, Unprotected, Unused, WeekState
from kernel.ids import new_id
from rails.model import RailOutcome
from tests.escrow.stage import Stage, check_balances, prove_books
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours

WEEK = timedelta(days=7)
NOON = timedelta(hours=12)
MINUTE = timedelta(minutes=1)


def ahead(connection: Connection, unused: Unused = Unused.ROLL, **given: object) -> HourlyStage:
    """10 hours a week at 40.00, paid ahead: a deposit of 400.00, asked for and made."""
    stage = HourlyStage(
        connection,
        limit_minutes=600,
        collect=Collect.PREFUND,
        unused=unused,
        **given,  # type: ignore[arg-type]
    ).ready()
    stage.wait(minutes=1)
    return stage


def deposited(connection: Connection, unused: Unused = Unused.ROLL) -> HourlyStage:
    stage = ahead(connection, unused)
    assert stage.hear().is_done
    return stage


def slots(stage: HourlyStage) -> list[Slot]:
    return [stage.slot(number) for number, week in enumerate(stage.weeks()) if week.slot_id]


def test_a_deposit_is_asked_for_before_the_week_and_the_week_is_paid_from_it(
    connection: Connection,
) -> None:
    """Limit x rate, 412.00 with the fee; ten hours are billed without another charge."""
    stage = ahead(connection)
    assert stage.funding().asked_minor == 41_200
    assert stage.hear(fee_minor=1_225).is_done
    (entry,) = stage.log(hours(0, 8, 18)).facts["entries"]
    assert (entry["protected"], entry["funded"]) == (True, True)

    stage.pass_to(MONDAY + timedelta(days=4, minutes=1))
    assert len(stage.weeks()) == 2
    assert stage.week(1).starts_at == MONDAY + WEEK
    assert stage.funding(1).asked_minor == 41_200
    stage.pass_to(MONDAY + WEEK + NOON)

    assert (stage.week().state, stage.slot().state) == (WeekState.IN_REVIEW, SlotState.FUNDED)
    assert [line.minutes for line in stage.lines()] == [600]
    stage.pass_to(stage.week().review_ends_at + MINUTE)
    assert stage.week().state is WeekState.RELEASED
    check_balances(
        connection,
        "USD",
        "escrow 0.00 · earned pending 360.00 · deferred fees 0.00"
        " · revenue.commission 40.00 · revenue.client_fee 12.00",
    )
    prove_books(connection)


def test_p11_what_was_not_worked_rolls_into_the_next_week_with_its_fee(
    connection: Connection,
) -> None:
    """Of 400.00 a quarter was worked: 300.00 rolls, and 9.00 of the fee with it."""
    stage = deposited(connection)
    assert stage.log(hours(0, 8, 10.5)).is_done
    stage.pass_to(MONDAY + timedelta(days=4, minutes=1))
    assert stage.hear(number=1).is_done
    check_balances(connection, "USD", "escrow 800.00 · deferred fees 24.00")

    stage.pass_to(MONDAY + WEEK + NOON)

    first, second = slots(stage)
    assert (first.held_minor, first.rolled_out_minor, first.fee_deferred_minor) == (
        10_000,
        30_000,
        300,
    )
    assert (second.held_minor, second.rolled_in_minor, second.fee_deferred_minor) == (
        70_000,
        30_000,
        2_100,
    )
    stage.pass_to(stage.week().review_ends_at + MINUTE)
    check_balances(
        connection,
        "USD",
        "escrow 700.00 · earned pending 90.00 · revenue.client_fee 3.00 · deferred fees 21.00",
    )
    prove_books(connection)


def test_deposits_do_not_pile_up(connection: Connection) -> None:
    """What will surely be left over lowers the next deposit: never more than two weeks' worth."""
    stage = deposited(connection)

    for number in range(1, 6):
        stage.pass_to(MONDAY + number * WEEK - timedelta(days=3) + MINUTE)
        if stage.slot(number).state is SlotState.FUNDING:
            assert stage.hear(number=number).is_done
        stage.pass_to(MONDAY + number * WEEK + NOON + MINUTE)
        assert stage.week(number - 1).state is WeekState.CLOSED

    held = [slot.held_minor for slot in slots(stage)]
    assert max(held) == 80_000
    check_balances(connection, "USD", "escrow 800.00 · deferred fees 24.00")
    prove_books(connection)


def test_p14_what_was_not_worked_goes_back_where_that_was_agreed(connection: Connection) -> None:
    """A quarter was worked: 300.00 and 9.00 of the fee go back to the card on Monday noon."""
    stage = deposited(connection, Unused.RETURN)
    assert stage.log(hours(0, 8, 10.5)).is_done

    stage.pass_to(MONDAY + WEEK + NOON)

    assert (stage.slot().held_minor, stage.slot().refunded_minor) == (10_000, 30_000)
    check_balances(
        connection, "USD", "escrow 100.00 · refund in transit 309.00 · deferred fees 3.00"
    )
    stage.pass_to(stage.week().review_ends_at + MINUTE)
    check_balances(
        connection, "USD", "escrow 0.00 · earned pending 90.00 · revenue.client_fee 3.00"
    )
    prove_books(connection)


def test_an_idle_week_gives_all_of_it_back(connection: Connection) -> None:
    """No hours: 412.00 goes back, and the week is closed."""
    stage = deposited(connection, Unused.RETURN)

    stage.pass_to(MONDAY + WEEK + NOON)

    assert (stage.week().state, stage.slot().state) == (WeekState.CLOSED, SlotState.REFUNDED)
    check_balances(connection, "USD", "escrow 0.00 · refund in transit 412.00 · deferred fees 0.00")
    prove_books(connection)


def test_hours_without_a_deposit_are_not_protected_and_every_answer_says_so(
    connection: Connection,
) -> None:
    """Nobody paid: logged, unprotected; charged in arrears on Monday, and then unpaid."""
    stage = ahead(connection)
    assert stage.hear(RailOutcome.REFUSED).is_done

    (entry,) = stage.log(hours(0, 8, 10)).facts["entries"]

    assert (entry["protected"], entry["unprotected_because"], entry["funded"]) == (
        False,
        Unprotected.NOT_DEPOSITED,
        False,
    )
    stage.pass_to(MONDAY + WEEK + NOON)
    assert (stage.week().state, stage.week().protected_minor) == (WeekState.INVOICED, 0)
    assert stage.slot().amount_minor == 8_000
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.pass_to(stage.week().review_ends_at + MINUTE)
    assert stage.week().state is WeekState.UNPAID
    check_balances(connection, "USD", "escrow 0.00 · claim on client 0.00 · earned pending 0.00")
    prove_books(connection)


def test_a_deposit_that_failed_is_asked_for_each_day_and_covers_what_was_logged(
    connection: Connection,
) -> None:
    """Paid on Tuesday: Monday's hours are billed from it, and protected as they look now."""
    stage = ahead(connection)
    assert stage.hear(RailOutcome.REFUSED).is_done
    assert stage.log(hours(0, 8, 10)).is_done

    stage.pass_to(MONDAY + timedelta(days=1, minutes=2))
    assert stage.hear().is_done

    (entry,) = stage.log(hours(1, 8, 10)).facts["entries"]
    assert entry["funded"] is True
    stage.pass_to(MONDAY + WEEK + NOON)
    assert stage.week().state is WeekState.IN_REVIEW
    assert [(line.minutes, line.protected_minutes) for line in stage.lines()] == [(240, 240)]
    prove_books(connection)


def test_a_higher_limit_asks_for_more_and_hours_beyond_the_deposit_are_cut(
    connection: Connection,
) -> None:
    """15 hours at 40.00 need 600.00: the other 200.00 is asked for at once; unpaid, 5 h are cut."""
    stage = deposited(connection)
    assert stage.change(limit_minutes=900).is_done
    stage.wait(minutes=1)
    assert stage.funding().amount_minor == 20_000
    assert stage.hear(RailOutcome.REFUSED).is_done

    assert stage.log(hours(1, 8, 18)).facts["entries"][0]["funded"] is True
    (entry,) = stage.log(hours(2, 8, 13)).facts["entries"]

    assert (entry["billable_minutes"], entry["funded"], entry["over_limit"]) == (0, False, False)
    stage.pass_to(MONDAY + WEEK + NOON)
    assert [line.amount_minor for line in stage.lines()] == [40_000]
    assert [(e.billed_minutes, e.reason) for e in stage.entries()] == [
        (600, Unprotected.NONE),
        (0, Unprotected.NOT_DEPOSITED),
    ]
    prove_books(connection)


def test_a_raised_deposit_that_is_paid_covers_all(connection: Connection) -> None:
    """The top-up comes in: 600.00 are held, and fifteen hours are billed."""
    stage = deposited(connection)
    assert stage.change(limit_minutes=900).is_done
    stage.wait(minutes=1)
    assert stage.hear().is_done
    assert stage.slot().held_minor == 60_000

    assert stage.log(hours(1, 8, 18)).is_done
    assert stage.log(hours(2, 8, 13)).facts["entries"][0]["funded"] is True
    stage.pass_to(MONDAY + WEEK + NOON)

    assert [line.amount_minor for line in stage.lines()] == [60_000]
    prove_books(connection)


def test_a_week_begins_with_what_the_last_one_will_roll_into_it(connection: Connection) -> None:
    """On Monday morning the surplus has not rolled yet, but covers the first hours all the same."""
    stage = deposited(connection)
    stage.pass_to(MONDAY + WEEK - timedelta(days=3) + MINUTE)
    assert stage.hear(number=1).is_done
    stage.pass_to(MONDAY + 2 * WEEK - timedelta(days=3) + MINUTE)
    assert stage.slot(2).amount_minor == 0
    stage.pass_to(MONDAY + 2 * WEEK)

    (entry,) = stage.log(hours(14, 1, 3)).facts["entries"]

    assert (entry["funded"], entry["protected"]) == (True, True)
    stage.pass_to(MONDAY + 2 * WEEK + NOON)
    assert stage.slot(2).held_minor == 80_000
    prove_books(connection)


def test_the_end_of_a_contract_returns_what_was_not_worked(connection: Connection) -> None:
    """The short week is billed, and what would have rolled goes back; so does next week's."""
    stage = deposited(connection)
    assert stage.log(hours(0, 8, 10.5)).is_done
    stage.pass_to(MONDAY + timedelta(days=4, minutes=1))
    assert stage.hear(number=1).is_done
    stage.wait(hours=1)
    command = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    assert service.end(connection, [command], at=stage.now)[0].facts["state"] == "ending"

    stage.wait(hours=13)

    assert (stage.week(0).state, stage.week(1).state) == (WeekState.IN_REVIEW, WeekState.CLOSED)
    check_balances(connection, "USD", "escrow 100.00 · refund in transit 721.00")
    stage.wait(days=5)
    assert stage.week(0).state is WeekState.RELEASED
    check_balances(connection, "USD", "escrow 0.00 · deferred fees 0.00")
    prove_books(connection)


def test_an_invoice_waits_for_a_payment_on_its_way(connection: Connection) -> None:
    """The next week's deposit is under way at noon: an hour later the rest rolls into it."""
    stage = deposited(connection)
    assert stage.log(hours(0, 8, 10.5)).is_done
    stage.pass_to(MONDAY + WEEK + NOON - timedelta(minutes=5))
    slot = stage.slot(1)
    assert slot.state is SlotState.AWAITING_FUNDING
    command = Fund(actor=stage.client, slot_id=slot.id, funding_id=new_id())
    assert service.fund(connection, [command], at=stage.now)[0].is_done

    stage.pass_to(MONDAY + WEEK + NOON)
    assert stage.week().state is WeekState.PAYEE_REVIEW
    assert stage.hear(number=1).is_done
    stage.wait(hours=1)

    assert stage.week().state is WeekState.IN_REVIEW
    assert stage.slot(1).held_minor == 70_000
    prove_books(connection)


def test_uncleared_money_does_not_go_out(connection: Connection) -> None:
    """A bank debit that may still be taken back stays where it is until it is cleared."""
    stage = ahead(connection, Unused.RETURN, method=Method.BANK_DEBIT)
    assert stage.hear(cleared=False).is_done
    assert stage.log(hours(0, 8, 10.5)).is_done

    stage.pass_to(MONDAY + WEEK + NOON + MINUTE)
    assert stage.week().state is WeekState.PAYEE_REVIEW

    assert stage.hear().is_done
    stage.wait(days=1)
    assert stage.week().state is WeekState.IN_REVIEW
    prove_books(connection)


def test_a_deposit_given_back_leaves_nothing_to_bill(connection: Connection) -> None:
    """The payee returns it before the invoice: the week is closed, its hours are not billed."""
    stage = deposited(connection)
    assert stage.log(hours(0, 8, 10)).is_done
    command = SlotCommand(actor=stage.payee, slot_id=stage.slot().id)
    assert service.give_back(connection, [command], at=stage.now)[0].is_done

    stage.pass_to(MONDAY + WEEK + NOON)

    assert stage.week().state is WeekState.CLOSED
    assert [each.billed_minutes for each in stage.entries()] == [0]
    check_balances(connection, "USD", "escrow 0.00 · refund in transit 412.00")
    prove_books(connection)


def test_a_deposit_comes_from_the_wallet(connection: Connection) -> None:
    """P05: the wallet has 412.00; what is not worked goes back there."""
    stage = HourlyStage(
        connection,
        limit_minutes=600,
        collect=Collect.PREFUND,
        unused=Unused.RETURN,
        method=Method.WALLET,
    )
    other = Stage(connection, "USD")
    other.client, other.now = stage.client, stage.now
    other.fill_wallet(41_200)
    stage.ready()
    stage.wait(minutes=1)
    check_balances(connection, "USD", "wallet 0.00 · escrow 400.00")
    assert stage.log(hours(0, 8, 13)).is_done

    stage.pass_to(MONDAY + WEEK + NOON)

    check_balances(connection, "USD", "wallet 206.00 · escrow 200.00 · deferred fees 6.00")
    prove_books(connection)


@pytest.mark.parametrize("unused", list(Unused))
def test_a_paused_contract_asks_for_no_deposit(connection: Connection, unused: Unused) -> None:
    """No week opens while it rests; resumed, the next hours open one and its deposit is asked."""
    stage = deposited(connection, unused)
    command = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    assert service.pause(connection, [command], at=stage.now)[0].is_done
    stage.pass_to(MONDAY + WEEK + NOON + MINUTE)
    assert len(stage.weeks()) == 1
    check_balances(connection, "USD", "escrow 0.00 · refund in transit 412.00")

    assert service.resume(connection, [command], at=stage.now)[0].is_done
    assert stage.log(hours(7, 13, 14)).facts["entries"][0]["funded"] is False
    stage.wait(minutes=1)

    assert stage.funding(1).asked_minor == 41_200
    assert store.find_slots(connection, [stage.slot(1).id])[0].state is SlotState.FUNDING
    prove_books(connection)
