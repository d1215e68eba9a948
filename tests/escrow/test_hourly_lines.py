"""Disputed lines: frozen one by one, upheld or refunded to the cent, the rest paid on Friday."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from escrow import service
from escrow.commands import SlotCommand
from escrow.model import Method, SlotState
from escrow.model_hourly import WeekState
from escrow.model_lines import LineState
from kernel.ids import new_id
from tests.escrow.stage import Stage, check_balances, person, prove_books
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_hourly import MONDAY, hours
from tests.escrow.stage_lines import LineStage

ONE_PERSON = (
    "proposed_by = opened_by, approved_by = opened_by, proposed_refund_minor = 0,"
    " version = version + 1"
)
FINISHED = "escrow 0.00 · escrow disputed 0.00 · deferred fees 0.00"


def test_p12_and_p27_a_line_conceded_goes_back_with_its_fee(connection: Connection) -> None:
    """2.10: hours worth 100.00, frozen by P12, go back with 3.00 of the client's fee."""
    stage = LineStage(connection).in_review()
    assert [line.amount_minor for line in stage.lines()] == [30_000, 10_000]

    dispute = stage.dispute(2)

    check_balances(connection, "USD", "escrow 300.00 · escrow disputed 100.00")
    assert stage.slot().state is SlotState.DISPUTED
    conceded = stage.on_line("concede_line", stage.payee, dispute)
    assert conceded.is_done, conceded
    assert conceded.facts["fee_returned"] == {"amount": "3.00", "currency": "USD"}
    check_balances(
        connection,
        "USD",
        "escrow 300.00 · escrow disputed 0.00 · refund in transit 103.00 · deferred fees 9.00"
        " · due from platform 15.25 · due to custody 15.25 · due to platform 12.00",
    )
    assert (stage.slot().state, stage.line(dispute).state) == (
        SlotState.FUNDED,
        LineState.REFUNDED,
    )
    stage.to_friday()
    assert stage.week().state is WeekState.RELEASED
    check_balances(
        connection,
        "USD",
        f"{FINISHED} · earned pending 270.00 · revenue.commission 30.00 · revenue.client_fee 9.00",
    )
    prove_books(connection)


def test_undisputed_lines_are_released_on_friday_and_the_frozen_one_later(
    connection: Connection,
) -> None:
    """P10 for 300.00 with 9.00 of the fee; on Sunday the line goes back with its own 3.00."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(2)

    stage.to_friday()

    assert stage.week().state is WeekState.LINES_DISPUTED
    check_balances(
        connection,
        "USD",
        "escrow 0.00 · escrow disputed 100.00 · earned pending 270.00 · deferred fees 3.00"
        " · revenue.commission 30.00 · revenue.client_fee 9.00",
    )
    assert stage.on_line("concede_line", stage.payee, dispute).is_done
    assert (stage.week().state, stage.slot().state) == (WeekState.RELEASED, SlotState.RELEASED)
    check_balances(
        connection, "USD", f"{FINISHED} · refund in transit 103.00 · revenue.client_fee 9.00"
    )
    prove_books(connection)


@pytest.mark.parametrize("is_over", [False, True])
def test_an_upheld_line_is_paid_as_if_nobody_had_disputed_it(
    connection: Connection, *, is_over: bool
) -> None:
    """Withdrawn before or after Friday: 360.00 for the payee, 40.00 and 12.00 for us, as ever."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(1)
    if is_over:
        stage.to_friday()

    assert stage.on_line("withdraw_line", stage.client, dispute).is_done
    stage.to_friday()

    assert stage.line(dispute).state is LineState.UPHELD
    assert (stage.week().state, stage.slot().state) == (WeekState.RELEASED, SlotState.RELEASED)
    check_balances(
        connection,
        "USD",
        f"{FINISHED} · earned pending 360.00 · revenue.commission 40.00 · revenue.client_fee 12.00",
    )
    prove_books(connection)


def test_silence_upholds_protected_hours_and_refunds_the_others(connection: Connection) -> None:
    """Of 2.5 h one is protected: 40.00 stays, 60.00 goes back with 1.80 of the fee."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(2)
    stage.wait(days=1)
    assert stage.serve(dispute).is_done
    assert stage.line(dispute).due_at == stage.now + timedelta(days=3)

    stage.wait(days=2, hours=23)
    assert stage.line(dispute).state is LineState.AWAITING_REPLY
    stage.wait(hours=1)

    line = stage.line(dispute)
    assert (line.state, line.refunded_minor) == (LineState.REFUNDED, 6_000)
    stage.to_friday()
    check_balances(
        connection,
        "USD",
        f"{FINISHED} · refund in transit 61.80 · earned pending 306.00"
        " · revenue.commission 34.00 · revenue.client_fee 10.20",
    )
    prove_books(connection)


def test_nobody_loses_a_line_by_silence_before_he_was_told(connection: Connection) -> None:
    """Without proof of notice the line waits; on Friday the rest is released."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(2)

    stage.pass_to(MONDAY + timedelta(days=40))

    assert stage.line(dispute).state is LineState.OPENED
    assert stage.week().state is WeekState.LINES_DISPUTED
    check_balances(connection, "USD", "escrow disputed 100.00 · earned available 270.00")


def test_a_contested_line_is_decided_by_two_people(connection: Connection) -> None:
    """One proposes 25.00 back, another approves: after Friday the payee's part is released."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(2)
    assert stage.serve(dispute).is_done
    other = person(None, is_operator=True)
    assert stage.on_line("reply_line", stage.payee, dispute).code == "escrow.reason_required"
    assert stage.on_line("reply_line", stage.payee, dispute, "see the diary").is_done
    stage.to_friday()
    assert stage.on_line("approve_line", other, dispute).code == "escrow.line_not_proposed"
    assert stage.propose_refund(dispute, 10_001, stage.operator).code == "escrow.bad_refund"
    assert stage.propose_refund(dispute, 2_500, stage.operator).is_done
    assert stage.on_line("approve_line", stage.operator, dispute).code == (
        "escrow.line_same_person"
    )

    assert stage.on_line("approve_line", other, dispute).is_done

    line = stage.line(dispute)
    assert (line.state, line.refunded_minor) == (LineState.REFUNDED, 2_500)
    check_balances(
        connection,
        "USD",
        f"{FINISHED} · refund in transit 25.75 · earned pending 337.50"
        " · revenue.commission 37.50 · revenue.client_fee 11.25",
    )
    assert stage.week().state is WeekState.RELEASED
    prove_books(connection)


def test_all_lines_conceded_end_the_week_as_refunded(connection: Connection) -> None:
    """412.00 goes back to the client, nothing is earned by anyone."""
    stage = LineStage(connection).in_review()
    first, second = stage.dispute(1), stage.dispute(2)
    check_balances(connection, "USD", "escrow 0.00 · escrow disputed 400.00")
    stage.to_friday()
    assert stage.week().state is WeekState.LINES_DISPUTED

    assert stage.on_line("concede_line", stage.payee, first).is_done
    assert stage.week().state is WeekState.LINES_DISPUTED
    assert stage.on_line("concede_line", stage.payee, second).is_done

    assert (stage.week().state, stage.slot().state) == (WeekState.REFUNDED, SlotState.REFUNDED)
    check_balances(
        connection,
        "USD",
        f"{FINISHED} · refund in transit 412.00 · earned pending 0.00 · revenue.client_fee 0.00",
    )
    prove_books(connection)


def test_two_lines_end_in_either_order(connection: Connection) -> None:
    """One upheld and one refunded while the week is in review: the rest of the story is one."""
    stage = LineStage(connection).in_review()
    first, second = stage.dispute(1), stage.dispute(2)
    assert stage.on_line("concede_line", stage.payee, second).is_done
    assert stage.slot().state is SlotState.DISPUTED
    check_balances(connection, "USD", "escrow 0.00 · escrow disputed 300.00")

    assert stage.on_line("withdraw_line", stage.client, first).is_done

    assert stage.slot().state is SlotState.FUNDED
    stage.to_friday()
    check_balances(
        connection, "USD", f"{FINISHED} · refund in transit 103.00 · earned pending 270.00"
    )
    prove_books(connection)


def test_a_line_paid_from_the_wallet_goes_back_there(connection: Connection) -> None:
    """Money returns by the way it came."""
    stage = LineStage(connection, method=Method.WALLET)
    stage.ready()
    fill_wallet(stage, 10_300)
    assert stage.log(hours(0, 8, 10.5)).is_done
    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    assert stage.week().state is WeekState.IN_REVIEW
    check_balances(connection, "USD", "wallet 0.00 · escrow 100.00")

    dispute = stage.dispute(1)
    assert stage.on_line("concede_line", stage.payee, dispute).is_done

    check_balances(connection, "USD", f"{FINISHED} · wallet 103.00 · refund in transit 0.00")
    stage.to_friday()
    assert stage.week().state is WeekState.REFUNDED
    prove_books(connection)


def fill_wallet(stage: LineStage, amount_minor: int) -> None:
    """Money in the client's wallet, as an operator's receipt would leave it."""
    other = Stage(stage.connection, stage.currency)
    other.client, other.now = stage.client, stage.now
    other.fill_wallet(amount_minor)


def test_what_cannot_be_disputed_is_refused(connection: Connection) -> None:
    """Not by the payee, not without a reason, not twice, not a line that is not there, not late."""
    stage = LineStage(connection).in_review()

    assert stage.try_dispute(1, actor=stage.payee).code == "escrow.not_yours"
    assert stage.try_dispute(1, " ").code == "escrow.reason_required"
    assert stage.try_dispute(3).code == "escrow.unknown_line"
    dispute = stage.dispute(1)
    again = stage.try_dispute(1)
    assert (again.code, again.facts["line_dispute_id"]) == (
        "escrow.line_disputed_already",
        str(dispute),
    )
    assert stage.on_line("concede_line", stage.client, dispute).code == "escrow.not_yours"
    assert stage.on_line("withdraw_line", stage.payee, dispute).code == "escrow.not_yours"
    assert stage.on_line("concede_line", stage.payee, new_id()).code == (
        "escrow.unknown_line_dispute"
    )
    stage.to_friday()
    assert stage.try_dispute(2).code == "escrow.wrong_state"
    assert stage.on_line("withdraw_line", stage.client, dispute).is_done
    assert stage.on_line("withdraw_line", stage.client, dispute).code == "escrow.wrong_state"
    prove_books(connection)


def test_the_last_moment_is_the_end_of_the_review(connection: Connection) -> None:
    """At 23:59 on Friday it is too late, even if the clock has not rung yet."""
    stage = LineStage(connection).in_review()
    stage.now = stage.week().review_ends_at

    assert stage.try_dispute(1).code == "escrow.review_is_over"


def test_under_a_hold_nothing_of_a_line_goes_out(connection: Connection) -> None:
    """Conceding waits for the hold; silence is looked at again each day."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(2)
    assert stage.serve(dispute).is_done
    hold = f"slot:{stage.slot().id}"
    connection.exec_driver_sql(
        "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
        " VALUES (%s, %s, 'compliance', 'a reason', %s, %s)",
        (new_id(), hold, new_id(), stage.now),
    )

    assert stage.on_line("concede_line", stage.payee, dispute).code == "escrow.held"
    stage.wait(days=4)
    assert stage.line(dispute).state is LineState.AWAITING_REPLY
    connection.exec_driver_sql(
        "UPDATE hold SET lifted_by = %s, lifted_at = %s WHERE subject = %s",
        (new_id(), stage.now, hold),
    )
    stage.wait(days=1)
    assert stage.line(dispute).state is LineState.REFUNDED
    prove_books(connection)


def test_the_whole_week_and_its_lines_are_not_disputed_at_once(connection: Connection) -> None:
    """With a line frozen no other way touches the slot: not give back, not a dispute of it all."""
    stage = LineStage(connection).in_review()
    stage.dispute(1)
    give_back = SlotCommand(actor=stage.payee, slot_id=stage.slot().id)

    refused = service.give_back(connection, [give_back], at=stage.now)[0]

    assert refused.code == "escrow.wrong_state"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (
            "state = 'refunded', refunded_minor = 1, ended_at = now(), version = version + 1",
            "line_dispute_refunds_a_part_by_right",
        ),
        ("state = 'awaiting_reply', version = version + 1", "line_dispute_waits_only_served"),
        ("refunded_minor = 1, version = version + 1", "line_dispute_refunds_in_its_state"),
        ("proposed_by = opened_by, version = version + 1", "line_dispute_proposal_is_whole"),
        (
            ONE_PERSON,
            "line_dispute_takes_two",
        ),
        ("served_at = now(), version = version + 1", "line_dispute_served_with_proof"),
        ("version = version + 2", "line_dispute_version_rises|another version"),
    ],
)
def test_the_database_holds_what_a_line_promises(
    connection: Connection, change: str, name: str
) -> None:
    """Two people, proof of notice, one version at a time: whatever the program says."""
    stage = LineStage(connection).in_review()
    stage.dispute(1)
    nested = connection.begin_nested()

    with pytest.raises((IntegrityError, DBAPIError), match=name):
        connection.exec_driver_sql(f"UPDATE line_dispute SET {change}")

    nested.rollback()


def test_a_line_is_not_disputed_twice_in_the_database(connection: Connection) -> None:
    """One dispute for each line of an invoice, ever."""
    stage = LineStage(connection).in_review()
    stage.dispute(1)
    row: dict[str, Any] = dict(
        connection.exec_driver_sql("SELECT * FROM line_dispute").mappings().one()
    )
    row["id"] = new_id()
    nested = connection.begin_nested()

    with pytest.raises(IntegrityError, match="line_dispute_comes_once"):
        connection.exec_driver_sql(
            f"INSERT INTO line_dispute ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
            tuple(row.values()),
        )

    nested.rollback()


def bank_of(stage: LineStage) -> Bank:
    """The client's bank, which knows of the week's payment."""
    other = Stage(stage.connection, "USD")
    other.client, other.payee, other.now = stage.client, stage.payee, stage.now
    other.funding_id = stage.funding().id
    return Bank(other, amount_minor=41_200)


def test_a_charge_that_is_taken_back_makes_a_disputed_line_moot(connection: Connection) -> None:
    """While the bank looks at it no line ends; lost, there is nothing left to give back."""
    stage = LineStage(connection).in_review()
    dispute = stage.dispute(2)
    assert stage.serve(dispute).is_done
    bank = bank_of(stage)
    assert bank.takes(fee=0).is_done
    check_balances(connection, "USD", "escrow 0.00 · escrow disputed 0.00")
    assert stage.on_line("withdraw_line", stage.client, dispute).code == "escrow.held"

    assert bank.says("lost").is_done
    assert stage.slot().state is SlotState.AWAITING_FUNDING
    assert stage.on_line("concede_line", stage.payee, dispute).code == "escrow.wrong_state"
    stage.wait(days=3)

    assert stage.line(dispute).state is LineState.UPHELD
    stage.to_friday()
    assert stage.week().state is WeekState.ADVANCED
    check_balances(connection, "USD", "claim on client 350.20 · earned pending 306.00")
    prove_books(connection)


def test_a_week_whose_charge_was_taken_back_is_advanced_where_it_is_protected(
    connection: Connection,
) -> None:
    """What a client's bank takes back before Friday is the platform's risk, not the payee's."""
    stage = LineStage(connection).in_review()
    bank = bank_of(stage)
    assert bank.takes(fee=0).is_done
    assert bank.says("lost").is_done

    stage.to_friday()

    assert stage.week().state is WeekState.ADVANCED
    prove_books(connection)
