"""A week's slot is the week's: what parties may do with it, and what milestone verbs may not."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from escrow import service, service_claims, store_chargeback
from escrow.commands import (
    AddMilestones,
    FundingCommand,
    Milestone,
    ProposeAmendment,
    ReleasePart,
    SlotCommand,
    Submit,
)
from escrow.model import SlotState
from escrow.model_chargeback import RefundLater
from escrow.model_hourly import WeekState
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from tests.escrow.stage import Stage, check_balances, person, prove_books
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours

Act = Callable[[HourlyStage, Actor], Outcome]


def plain(verb: str) -> Act:
    def act(stage: HourlyStage, actor: Actor) -> Outcome:
        command = SlotCommand(actor=actor, slot_id=stage.slot().id, reason="because")
        return getattr(service, verb)(stage.connection, [command], at=stage.now)[0]  # type: ignore[no-any-return]

    return act


def submit(stage: HourlyStage, actor: Actor) -> Outcome:
    command = Submit(actor=actor, slot_id=stage.slot().id, message_ref="message:1")
    return service.submit(stage.connection, [command], at=stage.now)[0]


def release_part(stage: HourlyStage, actor: Actor) -> Outcome:
    command = ReleasePart(actor=actor, slot_id=stage.slot().id, amount_minor=100)
    return service.release_part(stage.connection, [command], at=stage.now)[0]


def amend(stage: HourlyStage, actor: Actor) -> Outcome:
    command = ProposeAmendment(
        actor=actor, amendment_id=new_id(), slot_id=stage.slot().id, new_amount_minor=100
    )
    return service.propose_amendment(stage.connection, [command], at=stage.now)[0]


MILESTONE_VERBS: dict[str, tuple[str, Act]] = {
    "approve": ("client", plain("approve")),
    "ask_refund": ("client", plain("ask_refund")),
    "cancel": ("client", plain("cancel")),
    "cancel by the payee": ("payee", plain("cancel")),
    "request_changes": ("client", plain("request_changes")),
    "confirm": ("payee", plain("confirm")),
    "withdraw_submission": ("payee", plain("withdraw_submission")),
    "accept_refund": ("payee", plain("accept_refund")),
    "submit": ("payee", submit),
    "release_part": ("client", release_part),
    "amend": ("client", amend),
    "amend by the payee": ("payee", amend),
}


@pytest.mark.parametrize("paid", [False, True], ids=["unpaid", "in review"])
@pytest.mark.parametrize("verb", MILESTONE_VERBS)
def test_no_milestone_verb_moves_a_week(connection: Connection, verb: str, *, paid: bool) -> None:
    """Whatever a party tries, week and slot stay as they are, and the week goes its way."""
    stage = HourlyStage(connection).ready().invoiced()
    if paid:
        assert stage.hear().is_done
    else:
        command = FundingCommand(actor=stage.client, funding_id=stage.funding().id)
        assert service.cancel_funding(connection, [command], at=stage.now)[0].is_done
    before = stage.slot(), stage.week()
    who, act = MILESTONE_VERBS[verb]

    refused = act(stage, stage.client if who == "client" else stage.payee)

    assert refused.code in {"escrow.not_a_milestone", "escrow.wrong_state"}
    assert (stage.slot(), stage.week()) == before
    stage.pass_to(stage.week().review_ends_at + timedelta(minutes=1))
    assert stage.week().state is (WeekState.RELEASED if paid else WeekState.ADVANCED)
    prove_books(connection)


def test_a_milestones_rest_does_not_roll_into_a_week(connection: Connection) -> None:
    """Money crosses terms by an amendment of the terms, never into a week's slot."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    command = ProposeAmendment(
        actor=stage.client,
        amendment_id=new_id(),
        slot_id=stage.slot().id,
        to_slot_id=stage.slot().id,
    )

    refused = service.propose_amendment(connection, [command], at=stage.now)[0]

    assert refused.code == "escrow.not_a_milestone"


def test_a_dispute_of_the_whole_week_is_followed(connection: Connection) -> None:
    """70 : 30 in mediation's stead, conceded: the week knows what became of its slot."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    other = Stage(connection)
    other.slot_id, other.now = stage.slot().id, stage.now
    other.client, other.payee = stage.client, stage.payee
    court = Court(other)
    assert court.open(stage.client).is_done
    stage.pass_to(stage.week().review_ends_at + timedelta(minutes=1))
    assert (stage.week().state, stage.slot().state) == (WeekState.IN_REVIEW, SlotState.DISPUTED)

    other.now = stage.now
    assert court.act("concede_dispute", stage.payee).is_done
    stage.wait(days=1)

    assert (stage.week().state, stage.slot().state) == (WeekState.REFUNDED, SlotState.REFUNDED)
    check_balances(connection, "USD", "escrow 0.00 · refund in transit 412.00")
    prove_books(connection)


def refund_later(stage: HourlyStage, actor: Actor, amount: int, agreement: str = "") -> Outcome:
    command = RefundLater(
        actor=actor,
        slot_id=stage.slot().id,
        amount_minor=amount,
        agreement_ref=agreement,
    )
    return service_claims.refund_later(stage.connection, [command], at=stage.now)[0]


def test_p17_a_week_is_given_back_within_half_a_year(connection: Connection) -> None:
    """100.00 of the week: 90.00 from the payee, our 10.00 of commission back."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    stage.wait(days=10)
    assert stage.week().state is WeekState.RELEASED

    given = refund_later(stage, stage.payee, 10_000)

    assert given.is_done, given
    check_balances(
        connection,
        "USD",
        "earned available 270.00 · refund in transit 100.00 · revenue.commission 30.00",
    )
    prove_books(connection)


def test_after_half_a_year_it_takes_an_operator(connection: Connection) -> None:
    """180 days from the end of the review; later with the payee's agreement."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    stage.pass_to(stage.week().review_ends_at + timedelta(days=180))
    assert refund_later(stage, stage.payee, 1_000).is_done

    stage.wait(minutes=1)

    assert refund_later(stage, stage.payee, 1_000).code == "escrow.refund_too_late"
    assert refund_later(stage, person(None, is_operator=True), 1_000, "message-1").is_done
    assert store_chargeback.find_available_minor(connection, stage.payee.party_id, "USD") == 34_200  # type: ignore[arg-type]
    prove_books(connection)


def test_more_than_a_hundred_weeks_leave_room_for_milestones(connection: Connection) -> None:
    """The limit of milestones counts milestones: 101 weeks of slots are no obstacle."""
    stage = HourlyStage(connection).ready().invoiced()
    columns = (
        "term_id, contract_id, currency, proposed_by, version, amount_minor, created_at, active_at,"
        " funded_minor, rolled_in_minor, held_minor, released_minor, refunded_minor,"
        " rolled_out_minor, uncleared_minor, fee_deferred_minor, lot_count, submission_no,"
        " submission_count, change_rounds, notices"
    )
    connection.exec_driver_sql(  # a hundred weeks that nobody paid
        f"INSERT INTO slot (id, seq, state, {columns})"
        f" SELECT gen_random_uuid(), seq + number, 'cancelled', {columns}"
        " FROM slot, generate_series(1, 100) AS number"
    )
    assert stage.log(hours(7, 1, 2)).code == "done"
    stage.pass_to(MONDAY + timedelta(days=14, hours=12))
    assert stage.slot(1).seq == 102
    command = AddMilestones(
        actor=stage.payee,
        contract_id=stage.contract_id,
        milestones=tuple(Milestone(slot_id=new_id(), amount_minor=100) for _ in range(100)),
    )

    assert service.add_milestones(connection, [command], at=stage.now)[0].is_done

    more = AddMilestones(
        actor=stage.payee,
        contract_id=stage.contract_id,
        milestones=(Milestone(slot_id=new_id(), amount_minor=100),),
    )
    refused = service.add_milestones(connection, [more], at=stage.now)[0]
    assert refused.code == "escrow.bad_milestones"
    numbers = connection.exec_driver_sql(
        "SELECT count(*), max(seq) FROM slot WHERE contract_id = %s", (stage.contract_id,)
    ).one()
    assert tuple(numbers) == (202, 202)


def test_a_week_whose_payment_has_not_cleared_does_not_fall_dormant(connection: Connection) -> None:
    """The week waits for the bank as long as it takes; only milestones count silence."""
    stage = HourlyStage(connection).ready()
    stage.log(hours(0, 8, 10))
    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    assert stage.hear(cleared=False).is_done
    assert stage.slot().state is SlotState.FUNDED

    stage.wait(days=120)

    assert (stage.slot().state, stage.slot().notices) == (SlotState.FUNDED, 0)
    prove_books(connection)
