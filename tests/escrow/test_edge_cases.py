"""The edge cases of domain/escrow.md 2.11 that concern escrow, by number."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from escrow import service, timers
from escrow.commands import FundingCommand, SlotCommand, Submit
from escrow.model import ReleaseRule, Terms
from kernel import timers as clock_rows
from kernel.money import allocate
from kernel.principals import SYSTEM
from rails import service as rails
from rails.model import RailOutcome
from tests.escrow.stage import Stage, check_balances, prove_books
from tests.ledger.period_rows import act_by_hand


def test_e1_a_hold_placed_before_the_timer_wins(connection: Connection) -> None:
    """E1: the review's clock stands while a hold is open, and runs on for at least 72 hours."""
    stage = Stage(connection).submitted()
    stage.wait(days=13, hours=23)
    stage.hold(f"slot:{stage.slot_id}", "dispute")
    stage.wait(days=3)
    assert stage.slot().state == "submitted"

    stage.lift(f"slot:{stage.slot_id}")

    stage.wait(hours=71)
    assert stage.slot().state == "submitted"
    stage.wait(hours=1)
    assert stage.slot().state == "released"


def test_e5_after_a_partial_release_only_the_rest_is_refundable(connection: Connection) -> None:
    """E5: of 100 with 40 released, 60 goes back, and the client fee stays earned."""
    stage = Stage(connection).ready(329)
    assert stage.release_part(4_000).is_done

    answer = stage.on_slot("give_back", stage.payee)

    assert answer.facts["refunded"] == {"amount": "60.00", "currency": "EUR"}
    assert answer.facts["fee_returned"] == {"amount": "0.00", "currency": "EUR"}
    check_balances(connection, "EUR", "refund in transit 60.00 · revenue.client fee 3.00")
    assert stage.on_slot("give_back", stage.payee).code == "escrow.wrong_state"
    prove_books(connection)


def test_e11_a_refund_that_fails_is_the_clients_within_one_event(connection: Connection) -> None:
    """E11, refunds: money that could not be sent is in the wallet at once, also when sent first."""
    stage = Stage(connection).ready(329)
    refund_id = stage.on_slot("give_back", stage.payee).facts["refund_ids"][0]
    assert stage.refund_result(refund_id, RailOutcome.DONE).is_done
    check_balances(connection, "EUR", "refund in transit 0.00 · processor available -103.00")

    bounced = stage.refund_result(refund_id, RailOutcome.REFUSED)

    assert bounced.facts["state"] == "wallet_credited"
    check_balances(connection, "EUR", "wallet 103.00 · processor available 0.00")
    assert stage.refund_result(refund_id, RailOutcome.REFUSED).facts["is_news"] is False
    prove_books(connection)


def test_e15_the_second_approval_finds_nothing_to_release(connection: Connection) -> None:
    """E15: a double click moves the money once."""
    stage = Stage(connection).submitted()
    assert stage.approve(submission_no=1).is_done

    second = stage.approve(submission_no=1)

    assert second.code == "escrow.wrong_state"
    assert second.facts["state"] == "released"
    check_balances(connection, "EUR", "earned pending 90.00")


def test_e16_an_approval_of_a_withdrawn_submission_is_stale(connection: Connection) -> None:
    """E16: the approval names submission 1, which the freelancer has taken back."""
    stage = Stage(connection).submitted()
    assert stage.on_slot("withdraw_submission", stage.payee, submission_no=1).is_done

    stale = stage.approve(submission_no=1)

    assert stale.code == "escrow.stale_version"
    assert stage.slot().held_minor == 10_000
    assert stage.approve(version=1).code == "escrow.stale_version"


def test_e17_a_resubmission_restarts_the_whole_review(connection: Connection) -> None:
    """E17: shown again a second before its release, work has a whole new review."""
    stage = Stage(connection).submitted()
    old = [
        each
        for each in clock_rows.list_due(
            connection, at=stage.now + timedelta(days=14), limit=9, grace=timedelta()
        )
        if each.kind == "escrow.auto_release"
    ]
    stage.wait(days=13, hours=23, minutes=59, seconds=59)
    assert stage.submit("message:2").is_done

    fired = timers.auto_release(connection, old, stage.now + timedelta(seconds=1))

    assert fired == 0
    stage.wait(days=13)
    assert stage.slot().state == "submitted"
    stage.wait(days=1)
    assert stage.slot().state == "released"


def test_e17_an_auto_release_of_an_older_submission_is_stale(connection: Connection) -> None:
    """E17: even a release by the engine names its submission."""
    stage = Stage(connection).submitted()
    assert stage.submit("message:2").is_done
    command = SlotCommand(actor=SYSTEM, slot_id=stage.slot_id, submission_no=1)

    outcome = service.auto_release(connection, [command], at=stage.now)[0]

    assert outcome.code == "escrow.stale_version"


def test_e18_nothing_shown_starts_no_clock(connection: Connection) -> None:
    """E18: a submission needs a message or an artefact."""
    stage = Stage(connection).ready()
    empty = Submit(actor=stage.payee, slot_id=stage.slot_id)

    outcome = service.submit(connection, [empty], at=stage.now)[0]

    assert outcome.code == "escrow.empty_submission"
    assert stage.slot().state == "funded"


def test_e19_no_decimals(connection: Connection) -> None:
    """E19: 1,001 yen at 30 % is 300 ours and 701 theirs, and 70:30 splits into 701 and 300."""
    terms = Terms(commission_bps=3_000, client_fee_bps=0)
    stage = Stage(connection, "JPY", terms, (1_001,)).ready()

    answer = stage.approve()

    assert answer.facts["payee_gets"] == {"amount": "701", "currency": "JPY"}
    assert allocate(1_001, (70, 30)) == [701, 300]
    check_balances(connection, "JPY", "earned pending 701 · revenue.commission 300")
    prove_books(connection)


def test_e20_three_decimals(connection: Connection) -> None:
    """E20: 10.005 dinar at 10 % is 1.001 ours (half up), the fee of 3 % is 0.300."""
    stage = Stage(connection, "KWD", amounts=(10_005,)).ready()

    answer = stage.approve()

    assert answer.facts["commission"] == {"amount": "1.001", "currency": "KWD"}
    check_balances(connection, "KWD", "earned pending 9.004 · revenue.client fee 0.300")
    prove_books(connection)


def test_e49_the_clock_is_given_not_read(connection: Connection) -> None:
    """E49: what a command says of time is the `at` it was given, whatever the machine's clock."""
    stage = Stage(connection).submitted()
    stage.now += timedelta(days=400)

    answer = stage.approve()

    assert answer.facts["available_at"] == (stage.now + timedelta(days=5)).isoformat()
    at = connection.exec_driver_sql(
        "SELECT effective_at FROM event WHERE kind = 'slot.released'"
    ).scalar_one()
    assert at == stage.now


def test_e50_a_closed_period_takes_no_release(connection: Connection) -> None:
    """E50: the ledger refuses the draft, and the slot stays as it was."""
    stage = Stage(connection).submitted()
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
    for period_id in list(connection.scalars(text("SELECT id FROM period"))):
        act_by_hand(connection, period_id, "soft_close")

    refused = stage.approve()

    assert refused.code == "ledger.period_not_open"
    assert stage.slot().state == "submitted"
    prove_books(connection)


@pytest.mark.parametrize("whose", ["slot", "contract", "client", "payee"])
def test_no_hold_lets_money_out(connection: Connection, whose: str) -> None:
    """Design 2: an open hold on slot, contract or either party blocks every outflow."""
    stage = Stage(connection).submitted()
    subject = {
        "slot": f"slot:{stage.slot_id}",
        "contract": f"contract:{stage.contract_id}",
        "client": f"party:{stage.client.party_id}",
        "payee": f"party:{stage.payee.party_id}",
    }[whose]
    stage.hold(subject)

    outcomes = [
        stage.approve(),
        stage.release_part(1),
        stage.on_slot("give_back", stage.payee),
        stage.amend(new_amount_minor=5_000),
    ]

    assert {each.code for each in outcomes} == {"escrow.held"}
    stage.wait(days=30)
    assert stage.slot().state == "submitted"
    stage.lift(subject)
    stage.wait(days=14)
    assert stage.slot().state == "released"


def test_a_hold_stops_the_security_hold(connection: Connection) -> None:
    """A hold that comes after the release keeps the money pending until it is lifted."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done
    stage.hold(f"slot:{stage.slot_id}", "chargeback")
    stage.wait(days=30)
    check_balances(connection, "EUR", "earned pending 90.00")

    stage.lift(f"slot:{stage.slot_id}")
    stage.wait(days=5)

    check_balances(connection, "EUR", "earned available 90.00")


def test_a_payment_given_up_before_the_rail_heard_of_it_is_never_asked_for(
    connection: Connection,
) -> None:
    """Cancelled before it was sent, a payment's intent is withdrawn: the client is not charged."""
    stage = Stage(connection).ready()
    assert stage.amend(new_amount_minor=20_000).is_done
    started = stage.start_funding()
    funding_id = UUID(str(started.facts["funding_id"]))
    command = FundingCommand(actor=stage.client, funding_id=funding_id)

    (outcome,) = service.cancel_funding(connection, [command], at=stage.now)

    assert outcome.is_done
    assert funding_id not in {each.id for each in rails.take(connection, 9, stage.now)}


def test_e18_an_empty_delivery_is_looked_at_for_a_day(connection: Connection) -> None:
    """E18: the client says that nothing came; the review gets 24 hours more, once for each."""
    stage = Stage(connection).submitted()
    ends_at = stage.now + timedelta(days=14)
    stage.wait(days=13)

    flagged = stage.on_slot("flag_empty", stage.client, reason="the folder is empty")
    again = stage.on_slot("flag_empty", stage.client, reason="the folder is empty")

    assert flagged.facts["auto_release_at"] == (ends_at + timedelta(hours=24)).isoformat()
    assert again.code == "escrow.already_flagged"
    stage.wait(days=1, hours=23)
    assert stage.slot().state == "submitted"
    assert stage.submit("message:2").is_done
    assert stage.on_slot("flag_empty", stage.client, reason="empty again").is_done
    stage.wait(days=15)
    assert stage.slot().state == "released"
    prove_books(connection)


@pytest.mark.parametrize(
    ("who", "reason", "terms", "code"),
    [
        ("payee", "empty", Terms(), "escrow.not_yours"),
        ("stranger", "empty", Terms(), "escrow.not_yours"),
        ("client", "  ", Terms(), "escrow.reason_required"),
        ("client", "empty", Terms(release_rule=ReleaseRule.CLIENT_ONLY), "escrow.no_timer"),
    ],
)
def test_e18_a_flag_that_is_refused_writes_nothing(
    connection: Connection, who: str, reason: str, terms: Terms, code: str
) -> None:
    """E18: by the client alone, with a reason, and only where silence would release."""
    stage = Stage(connection, terms=terms).submitted()
    before = stage.slot()

    outcome = stage.on_slot("flag_empty", getattr(stage, who), reason=reason)

    assert outcome.code == code
    assert stage.slot() == before
    assert connection.exec_driver_sql("SELECT count(*) FROM submission_flag").scalar_one() == 0


def test_e18_the_database_takes_one_flag_for_each_submission(connection: Connection) -> None:
    """E18: past the program, too, a submission is called empty once, and the flag stays."""
    stage = Stage(connection).submitted()
    assert stage.on_slot("flag_empty", stage.client, reason="empty").is_done

    for statement, word in (
        ("INSERT INTO submission_flag SELECT * FROM submission_flag", "submission_flag_once"),
        ("DELETE FROM submission_flag", "permission denied"),
    ):
        point = connection.begin_nested()
        with pytest.raises(DatabaseError, match=word):
            connection.exec_driver_sql(statement)
        point.rollback()


def test_e48_the_payee_of_a_deal_is_pinned_at_acceptance(connection: Connection) -> None:
    """E48: whoever joins or leaves the payee's side, a running deal keeps its payee."""
    stage = Stage(connection).submitted()
    other = stage.stranger.party_id

    for table in ("contract", "release"):
        point = connection.begin_nested()
        with pytest.raises(DatabaseError, match="permission denied"):
            connection.exec_driver_sql(f"UPDATE {table} SET payee_id = %s", (other,))
        point.rollback()
    released = stage.approve()

    paid = connection.exec_driver_sql(
        "SELECT payee_id FROM release WHERE id = %s", (UUID(released.facts["release_id"]),)
    ).scalar_one()
    assert paid == stage.payee.party_id
    check_balances(connection, "EUR", "earned pending 90.00")
