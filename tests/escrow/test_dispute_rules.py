"""Who may do what in a dispute, and when: notice, clocks, evidence, four eyes, holds."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from escrow.machine_dispute import DISPUTES
from escrow.model import Role
from escrow.rules_dispute import GUARDS, business_days_after
from kernel.principals import Actor, PrincipalKind
from ledger import holds
from tests.escrow.stage import Stage, check_balances, prove_books
from tests.escrow.stage_dispute import Court


def court_of(connection: Connection, amount_minor: int = 100_000) -> Court:
    """A dispute to come over a submitted slot, above the small-claim limit."""
    return Court(Stage(connection, amounts=(amount_minor,)).submitted())


def heard(court: Court) -> Court:
    """In mediation, with evidence of both sides."""
    court.in_negotiation(court.stage.slot().held_minor // 2)
    assert court.act("mediate_dispute", court.stage.payee).is_done
    assert court.file(court.stage.client).is_done
    assert court.file(court.stage.payee).is_done
    return court


def test_every_guard_of_a_dispute_has_its_check() -> None:
    """A row of the dispute's table cannot name a guard that nobody checks."""
    assert {guard for row in DISPUTES.values() for guard in row.guards} <= set(GUARDS)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-02T09:00", "2026-03-09T09:00"),
        ("2026-03-06T09:00", "2026-03-13T09:00"),
        ("2026-03-07T09:00", "2026-03-13T09:00"),
        ("2026-03-08T23:00", "2026-03-13T23:00"),
    ],
)
def test_five_business_days(start: str, end: str) -> None:
    """Monday to Friday in UTC; what begins on a weekend counts from Monday."""
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)

    assert business_days_after(at, 5) == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_nobody_loses_by_silence_without_notice(connection: Connection) -> None:
    """A dispute that was not served waits for ever; served, silence loses after five days."""
    court = court_of(connection)
    assert court.open().is_done
    court.stage.wait(days=90)
    assert court.dispute.state == "opened"

    assert court.serve().is_done
    due = court.dispute.due_at
    assert due is not None
    court.stage.wait(seconds=int((due - court.stage.now).total_seconds()) - 1)
    assert court.dispute.state == "awaiting_reply"
    court.stage.wait(seconds=1)

    assert court.dispute.state == "executed"
    assert court.dispute.resolution == "defaulted"
    assert court.stage.slot().state == "refunded"
    prove_books(connection)


def test_an_operator_extends_each_stage_once(connection: Connection) -> None:
    """The time to answer is given once more, and no third time."""
    court = court_of(connection)
    assert court.open().is_done
    assert court.serve().is_done
    first = court.dispute.due_at

    assert court.act("extend_dispute", court.stage.operator).is_done

    assert first is not None
    assert court.dispute.due_at == business_days_after(first, 5)
    assert court.dispute.heard_by == court.dispute.due_at
    again = court.act("extend_dispute", court.stage.operator)
    assert again.code == "dispute.extended_already"
    court.stage.wait(days=8)
    assert court.dispute.state == "awaiting_reply"
    court.stage.wait(days=7)
    assert court.dispute.resolution == "defaulted"


def test_stages_follow_each_other_by_the_clock(connection: Connection) -> None:
    """7 days of negotiation, 30 of mediation, 7 to elect; then people decide."""
    court = court_of(connection).in_negotiation()
    stages = []
    for days in (7, 30, 7):
        court.stage.wait(days=days)
        stages.append(court.dispute.state.value)

    assert stages == ["mediation", "arbitration_elect", "arbitration"]
    assert court.propose(50_000).is_done, "their time for evidence is over"
    assert court.approve().is_done
    assert court.stage.slot().state == "released"
    prove_books(connection)


def test_a_recommendation_stands_if_nobody_elects(connection: Connection) -> None:
    """Seven days after the recommendation it is carried out as if both had agreed."""
    court = heard(court_of(connection))
    assert court.recommend(60_000).is_done

    court.stage.wait(days=7)

    assert (court.dispute.state, court.dispute.resolution) == ("executed", "settled")
    check_balances(connection, "EUR", "earned pending 540.00 · refund in transit 400.00")
    prove_books(connection)


def test_one_pays_and_the_other_keeps_silent(connection: Connection) -> None:
    """Arbitration begins when the time to elect is over and one side has paid."""
    court = heard(court_of(connection))
    court.stage.fill_wallet(5_000)
    assert court.recommend(60_000).is_done
    assert court.act("elect_arbitration", court.stage.client).is_done
    twice = court.act("elect_arbitration", court.stage.client)
    assert twice.code == "dispute.paid_already"

    court.stage.wait(days=7)

    assert court.dispute.state == "arbitration"
    assert court.propose(20_000).is_done
    assert court.approve().is_done
    check_balances(connection, "EUR", "wallet 50.00 · arbitration fees held 0.00")
    prove_books(connection)


def test_who_settles_before_arbitration_gets_his_fee_back(connection: Connection) -> None:
    """One has paid, then both agree: he has his fee again, and no arbitrator is owed."""
    court = heard(court_of(connection))
    court.stage.fill_wallet(5_000)
    assert court.recommend(60_000).is_done
    assert court.act("elect_arbitration", court.stage.client).is_done

    assert court.accept(court.stage.client, 1).is_done

    check_balances(connection, "EUR", "wallet 50.00 · arbitration fees held 0.00")
    assert court.dispute.resolution == "settled"
    prove_books(connection)


def test_a_mediator_is_new_to_the_case_and_hears_both(connection: Connection) -> None:
    """Who opened it, or filed in it, does not recommend; nobody does before both were heard."""
    court = court_of(connection)
    assert court.open(court.stage.operator, claimant=Role.CLIENT).is_done
    assert court.serve().is_done
    assert court.offer(court.stage.payee, None, is_reply=True).is_done
    assert court.act("mediate_dispute", court.stage.client).is_done

    assert court.recommend(1).code == "dispute.not_heard"
    for side in (court.stage.client, court.stage.payee):
        assert court.file(side).is_done
    assert court.recommend(1, court.stage.operator).code == "dispute.already_involved"
    assert court.recommend(1, court.stage.operator_key).code == "dispute.in_person_only"
    assert court.recommend(100_001).code == "dispute.bad_shares"
    assert court.recommend(1).is_done


def test_e14_nobody_approves_his_own_decision(connection: Connection) -> None:
    """E14: the proposer does not approve, not under a party's hat and not past the program."""
    court = court_of(connection, 10_000).in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    court.stage.wait(days=8)
    assert court.propose(7_000).is_done
    same = Actor(court.judge.principal_id, PrincipalKind.PERSON, None, is_operator=True)
    before = court.dispute

    assert court.approve(same).code == "dispute.same_person"

    assert court.dispute == before
    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match="dispute_decision_takes_two"):
        connection.exec_driver_sql(
            "UPDATE dispute_decision SET approver_id = proposer_id, approved_at = proposed_at"
        )
    nested.rollback()
    assert court.approve().is_done
    prove_books(connection)


def test_e13_the_second_is_shown_the_firsts_decision(connection: Connection) -> None:
    """E13: whoever comes late learns what was decided, and by whom."""
    court = court_of(connection, 10_000).in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    court.stage.wait(days=8)
    seen = court.dispute.version
    assert court.propose(7_000).is_done

    late = court.propose(0, court.second, version=seen)
    assert late.code == "dispute.decision_stands"
    assert late.facts["payee"] == {"amount": "70.00", "currency": "EUR"}
    assert late.facts["proposed_by"] == str(court.judge.principal_id)
    now = court.dispute.version
    assert court.approve(version=now).is_done
    again = court.approve(court.mediator, version=now)

    assert again.code == "dispute.decision_stands"
    assert again.facts["approved_by"] == str(court.second.principal_id)
    assert court.act("propose_decision", court.stage.client).code == "escrow.not_yours"
    prove_books(connection)


def test_an_award_waits_for_other_holds(connection: Connection) -> None:
    """What is agreed stands at once; the money follows when no other hold is in the way."""
    court = court_of(connection, 10_000).in_negotiation(6_000)
    subject = f"contract:{court.stage.contract_id}"
    court.stage.hold(subject)

    agreed = court.accept(court.stage.client, 1)

    assert (agreed.facts["state"], agreed.facts["waits_for"]) == ("settled", "escrow.held")
    check_balances(connection, "EUR", "escrow disputed 100.00")
    court.stage.wait(days=3)
    assert court.dispute.state == "settled"
    assert court.act("withdraw_dispute", court.stage.client).code == "escrow.wrong_state"
    court.stage.lift(subject)
    court.stage.wait(days=1)
    assert court.dispute.state == "executed"
    check_balances(connection, "EUR", "escrow disputed 0.00 · earned pending 54.00")
    prove_books(connection)


def test_silence_does_not_lose_under_a_compliance_hold(connection: Connection) -> None:
    """Who may be stopped from answering does not lose by default."""
    court = court_of(connection, 10_000)
    assert court.open().is_done
    assert court.serve().is_done
    subject = f"party:{court.stage.payee.party_id}"
    court.stage.hold(subject)

    court.stage.wait(days=20)
    assert court.dispute.state == "awaiting_reply"
    court.stage.lift(subject)
    court.stage.wait(days=1)

    assert court.dispute.resolution == "defaulted"


def test_a_hold_lifted_by_hand_lets_no_frozen_money_go(connection: Connection) -> None:
    """The state of the slot stands in the way even without the hold beside it."""
    court = court_of(connection, 10_000)
    assert court.open().is_done
    hold_id = court.dispute.hold_id
    assert hold_id is not None
    lift = holds.LiftHold(actor=court.stage.operator, hold_id=hold_id)
    assert holds.lift(connection, [lift], at=court.stage.now)[0].is_done

    assert court.stage.approve().code == "escrow.wrong_state"
    assert court.act("withdraw_dispute", court.stage.client).is_done

    assert court.stage.slot().state == "submitted"
    prove_books(connection)


REFUSED = {
    "claims more than is held": ("escrow.amount_out_of_range", {"amount_minor": 10_001}),
    "claims nothing": ("escrow.amount_out_of_range", {"amount_minor": 0}),
    "a stranger": ("escrow.not_yours", {"who": "stranger"}),
    "an operator for nobody": ("dispute.no_claimant", {"who": "operator"}),
    "for the other side": ("dispute.no_claimant", {"claimant": Role.PAYEE}),
    "rejects what nobody asked": ("escrow.wrong_state", {"rejects_refund": True}),
}


@pytest.mark.parametrize(("code", "given"), REFUSED.values(), ids=REFUSED.keys())
def test_an_opening_that_is_refused_writes_nothing(
    connection: Connection, code: str, given: dict[str, object]
) -> None:
    """No dispute, no hold, no entry; the slot is what it was."""
    court = court_of(connection, 10_000)
    before = court.stage.slot()
    actor = getattr(court.stage, str(given.pop("who", "client")))

    assert court.open(actor, **given).code == code  # type: ignore[arg-type]

    assert court.stage.slot() == before
    rows = "SELECT (SELECT count(*) FROM dispute) + (SELECT count(*) FROM hold)"
    assert connection.exec_driver_sql(rows).scalar_one() == 0
    prove_books(connection)


def test_money_that_clears_late_is_split_late(connection: Connection) -> None:
    """The award stands; the bank may still take the money back, so it waits a day at a time."""
    stage = Stage(connection, amounts=(10_000,))
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    court = Court(stage).in_negotiation(5_000)

    agreed = court.accept(stage.client, 1)

    assert agreed.facts["waits_for"] == "escrow.not_cleared"
    assert stage.hear(stage.result()).is_done
    stage.wait(days=1, seconds=1)
    assert court.dispute.state == "executed"
    assert court.dispute.ended_at == stage.now - timedelta(seconds=1)
    prove_books(connection)
