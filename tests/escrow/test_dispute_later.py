"""Disputes over released money: set aside, split, put back, appealed; no cent is lost."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from escrow import movements_more as m
from escrow import service_claims, service_dispute, service_reserve, store
from escrow.model import Release, Role, Terms
from escrow.model_chargeback import RefundLater
from escrow.model_clocks import SetReserveRule
from escrow.model_dispute import DisputeCommand, DisputeState, OpenDispute
from escrow.refusals_dispute import Converted
from escrow.rules import Deal
from escrow.rules_dispute_later import set_aside_minor
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import share_bps
from kernel.principals import Actor
from ledger import holds
from tests.escrow.stage import Stage, check_balances, person, prove_books, shown_minor
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_hourly import HourlyStage
from tests.escrow.test_dispute_movements import CLIENT, PAYEE, REFUND, as_table
from tests.escrow.test_dispute_stories import check_story

OVER = {DisputeState.EXECUTED, DisputeState.WITHDRAWN}

STORIES = {
    "edge case 1: released first, the dispute is a claim on what is pending": """
        freelancer submits           ->
        days pass: 14                -> slot released · earned pending 90.00
        dispute by client            -> earned pending 0.00 · earned reserved 90.00
        days pass: 0                 -> slot released · dispute opened · escrow disputed 0.00
        days pass: 30                -> earned reserved 90.00 · earned available 0.00
        served                       -> dispute awaiting_reply
        conceded by freelancer       -> earned reserved 0.00 · refund in transit 100.00
        days pass: 0                 -> revenue.commission 0.00 · due from platform 10.00
        days pass: 30                -> dispute executed · slot released · earned available 0.00
    """,
    "70 : 30 of what is pending, the rest of its hold runs on": """
        freelancer submits           ->
        client approves              -> earned pending 90.00
        dispute by client            -> earned reserved 90.00
        reply by freelancer 70.00    -> dispute negotiation
        accepted by client, offer 1  -> earned reserved 0.00 · earned pending 63.00
        days pass: 0                 -> refund in transit 30.00 · revenue.commission 7.00
        days pass: 4                 -> earned pending 63.00 · earned available 0.00
        days pass: 1                 -> earned pending 0.00 · earned available 63.00
    """,
    "a part is set aside, the rest becomes available in time": """
        freelancer submits           ->
        client approves              -> earned pending 90.00
        dispute by client 40.00      -> earned pending 54.00 · earned reserved 36.00
        reply by freelancer 10.00    ->
        days pass: 5                 -> earned available 54.00 · earned reserved 36.00
        accepted by client, offer 1  -> earned reserved 0.00 · refund in transit 30.00
        days pass: 0                 -> earned available 63.00 · revenue.commission 7.00
    """,
    "withdrawn in time, all is as it was": """
        freelancer submits           ->
        client approves              ->
        dispute by client 40.00      -> earned pending 54.00 · earned reserved 36.00
        withdrawn by client          -> earned pending 90.00 · earned reserved 0.00
        another dispute is to come   ->
        dispute by client 100.00     -> earned pending 0.00 · earned reserved 90.00
        withdrawn by client          -> earned pending 90.00 · dispute withdrawn
        days pass: 5                 -> earned available 90.00 · earned pending 0.00
        another dispute is to come   ->
        dispute by client            -> refused escrow.wrong_state
    """,
    "both agree to go on after the hold was over": """
        freelancer submits           ->
        client approves              ->
        dispute by client            -> earned reserved 90.00
        reply by freelancer          ->
        days pass: 6                 -> earned available 0.00
        accepted by client, offer 1  -> earned available 90.00 · earned reserved 0.00
    """,
    "silence after release goes to the client, who has nothing to appeal": """
        freelancer submits           ->
        client approves              ->
        dispute by client            ->
        served                       ->
        days pass: 8                 -> dispute executed · refund in transit 100.00
        freelancer appeals           -> refused dispute.not_in_security_hold
        client appeals               -> refused dispute.only_respondent
    """,
    "an appeal: what was lost by silence is set aside and decided by two": """
        freelancer submits           ->
        dispute by freelancer        -> escrow disputed 100.00
        served                       ->
        days pass: 7                 -> dispute executed · earned pending 90.00
        freelancer appeals           -> refused dispute.only_respondent
        days pass: 4                 -> earned pending 90.00
        client appeals               -> dispute negotiation · earned reserved 90.00
        mediation asked by client    -> dispute arbitration
        evidence by client           ->
        evidence by freelancer       ->
        decision proposed 20.00      ->
        decision approved by its proposer -> refused dispute.same_person
        decision approved            -> earned reserved 0.00 · refund in transit 80.00
        days pass: 0                 -> dispute executed · earned pending 18.00
        days pass: 1                 -> earned available 18.00 · revenue.commission 2.00
    """,
    "an appeal comes once": """
        freelancer submits           ->
        dispute by freelancer        ->
        served                       ->
        days pass: 7                 -> earned pending 90.00
        client appeals               -> earned reserved 90.00
        withdrawn by client          -> earned reserved 0.00 · earned pending 90.00
        client appeals               -> refused escrow.wrong_state
    """,
    "an appeal comes while the money is in its hold": """
        freelancer submits           ->
        dispute by freelancer        ->
        served                       ->
        days pass: 7                 -> earned pending 90.00
        days pass: 5                 -> earned available 90.00
        client appeals               -> refused dispute.not_in_security_hold
    """,
    "a contract that is ended while a dispute runs is closed_disputed": """
        freelancer submits           ->
        dispute by client 60.00      -> escrow disputed 60.00 · contract active
        contract is ended by freelancer -> contract closed_disputed · slot disputed
        conceded by freelancer       -> contract ending · slot refund_requested · escrow 40.00
        days pass: 8                 -> slot refunded · escrow 0.00 · contract ending
    """,
    "a dispute in an ending contract": """
        freelancer submits           ->
        contract is ended by client  -> contract ending · slot refund_requested
        freelancer rejects the refund -> contract closed_disputed · escrow disputed 100.00
        conceded by client           -> slot released · earned pending 90.00 · contract ended
    """,
    "a dispute after the end": """
        freelancer submits           ->
        client approves              ->
        contract is ended by client  -> contract ended
        dispute by client            -> contract closed_disputed · earned reserved 90.00
        withdrawn by client          -> contract ended · earned pending 90.00
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_story(connection: Connection, story: str) -> None:
    """After each line the books say what the line says, and are proved."""
    check_story(Court(Stage(connection, terms=Terms()).ready()), story)


def released(connection: Connection, amount_minor: int = 10_000) -> Court:
    """A slot whose money is the payee's, in its security hold."""
    court = Court(Stage(connection, amounts=(amount_minor,)).submitted())
    assert court.stage.approve().is_done
    return court


def release_of(court: Court) -> Release:
    """The newest release of the slot, whatever became of it."""
    rows = court.stage.connection.exec_driver_sql(
        "SELECT id FROM release WHERE slot_id = %s ORDER BY available_at, id",
        (court.stage.slot_id,),
    )
    ids = list(rows.scalars())
    return {each.id: each for each in store.find_releases(court.stage.connection, ids)}[ids[-1]]


def test_p12_of_released_money_and_back() -> None:
    """P12: the payee's own part is set aside from what is pending, and put back."""
    aside = m.p12_set_aside(payee_id=PAYEE, currency="EUR", net_minor=9_000)

    assert as_table(aside) == {"custody": {"earned_pending": 9_000, "earned_reserved": -9_000}}
    for is_available, name in ((False, "earned_pending"), (True, "earned_available")):
        back = m.p12_put_back(
            payee_id=PAYEE, currency="EUR", net_minor=9_000, is_available=is_available
        )
        assert as_table(back) == {"custody": {"earned_reserved": 9_000, name: -9_000}}


def test_p13_of_released_money() -> None:
    """P13 from the payee's reserve: 70 : 30 of 100 at 10 %; commission goes back as in P17."""
    entries = m.p13_split_set_aside(
        client_id=CLIENT,
        payee_id=PAYEE,
        currency="EUR",
        reserved_minor=9_000,
        payee_net_minor=6_300,
        commission_minor=300,
        refunds=((REFUND, 3_000),),
        to_wallet_minor=0,
        is_available=False,
    )

    assert as_table(entries) == {
        "custody": {
            "earned_reserved": 9_000,
            "due_from_platform": 300,
            "earned_pending": -6_300,
            "refund_in_transit": -3_000,
        },
        "platform": {"commission": 300, "due_to_custody": -300},
    }


def test_one_dispute_at_a_time(connection: Connection) -> None:
    """While released money is disputed, the rest of the slot stands still and no second comes."""
    stage = Stage(connection).submitted()
    assert stage.release_part(4_000).is_done
    court = Court(stage)
    first = release_of(court)
    assert court.open(release_id=first.id).is_done
    other = Court(stage)

    assert stage.approve().code == "escrow.held"
    assert other.open().code == "dispute.open_already"
    assert other.open(release_id=first.id).code == "dispute.open_already"
    stage.wait(days=30)
    assert stage.slot().state == "submitted", "the review stands still"
    assert court.act("withdraw_dispute", stage.client).is_done
    assert other.open().is_done
    check_balances(connection, "EUR", "escrow disputed 60.00 · earned available 36.00")
    assert Court(stage).open(release_id=first.id).code == "dispute.not_in_security_hold"
    prove_books(connection)


def test_what_is_disputed_is_not_sent_back_besides(connection: Connection) -> None:
    """Nobody refunds later what a dispute has set aside, not even with its hold lifted by hand."""
    court = released(connection)
    stage = court.stage
    assert court.open(amount_minor=6_000).is_done
    assert stage.slot().contested_minor == 6_000
    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match="slot_contested_is_kept"):
        connection.exec_driver_sql(
            "UPDATE slot SET returned_minor = 4001, version = version + 1 WHERE id = %s",
            (stage.slot_id,),
        )
    nested.rollback()
    with pytest.raises(DBAPIError, match="release_taken_within_net"), connection.begin_nested():
        connection.exec_driver_sql("UPDATE release SET taken_net_minor = 9001")


def test_a_hold_lifted_by_hand_gives_nothing_back_twice(connection: Connection) -> None:
    """With the hold lifted the payee sends back what is not disputed, and the dispute goes on."""
    court = released(connection)
    stage = court.stage
    assert court.open(amount_minor=6_000).is_done
    hold_id = court.dispute.hold_id
    assert hold_id is not None
    lift = holds.LiftHold(actor=stage.operator, hold_id=hold_id)
    assert holds.lift(connection, [lift], at=stage.now)[0].is_done
    stage.wait(days=6)
    check_balances(connection, "EUR", "earned available 36.00 · earned reserved 54.00")

    codes = []
    for amount in (4_001, 3_999):
        command = RefundLater(actor=stage.payee, slot_id=stage.slot_id, amount_minor=amount)
        (outcome,) = service_claims.refund_later(connection, [command], at=stage.now)
        codes.append(outcome.code)

    assert codes == ["escrow.amount_out_of_range", "done"]
    assert court.act("concede_dispute", stage.payee).code == "done"
    check_balances(connection, "EUR", "refund in transit 99.99 · earned reserved 0.00")
    assert stage.slot().kept_minor == 1
    prove_books(connection)


def test_a_lost_chargeback_ends_the_dispute_and_its_contract(connection: Connection) -> None:
    """The bank has taken it all back: nothing is set aside any more, and the contract is over."""
    court = released(connection)
    stage = court.stage
    assert court.open().is_done
    assert stage.on_contract("end", stage.client).facts["state"] == "closed_disputed"
    bank = Bank(stage)
    assert bank.says("needs_response").is_done
    assert bank.takes().is_done
    check_balances(connection, "EUR", "earned reserved 90.00")

    assert bank.says("lost").is_done

    assert court.dispute.state in OVER
    check_balances(connection, "EUR", "earned reserved 0.00 · earned pending 0.00")
    (contract,) = store.find_contracts(connection, [stage.contract_id])
    assert contract.state == "ended"
    assert stage.slot().contested_minor == 0
    prove_books(connection)


OPENINGS = {
    "the payee of his own": ("escrow.not_yours", {"who": "payee"}),
    "an operator for nobody": ("dispute.no_claimant", {"who": "operator"}),
    "an operator for the payee": (
        "dispute.no_claimant",
        {"who": "operator", "claimant": Role.PAYEE},
    ),
    "more than was released": ("escrow.amount_out_of_range", {"amount_minor": 10_001}),
    "nothing": ("escrow.amount_out_of_range", {"amount_minor": 0}),
    "a stranger": ("escrow.not_yours", {"who": "stranger"}),
    "another release": ("dispute.not_in_security_hold", {"release_id": new_id()}),
}


@pytest.mark.parametrize(("code", "given"), OPENINGS.values(), ids=OPENINGS.keys())
def test_an_opening_that_is_refused_writes_nothing(
    connection: Connection, code: str, given: dict[str, object]
) -> None:
    """No dispute, no hold, no entry; slot and release are what they were."""
    court = released(connection)
    before = (court.stage.slot(), release_of(court))
    rest = {name: value for name, value in given.items() if name != "who"}
    actor = getattr(court.stage, str(given.get("who", "client")))

    assert court.open(actor, **rest).code == code  # type: ignore[arg-type]

    assert (court.stage.slot(), release_of(court)) == before
    rows = "SELECT (SELECT count(*) FROM dispute) + (SELECT count(*) FROM hold)"
    assert connection.exec_driver_sql(rows).scalar_one() == 0
    prove_books(connection)


def test_worked_hours_are_disputed_later_by_an_operator_alone(connection: Connection) -> None:
    """A week has its own review; after it an operator opens for the client, and all is split."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    stage.wait(days=5)
    slot_id = stage.slot().id
    check_balances(connection, "USD", "earned pending 360.00")

    def open_by(actor: Actor) -> Outcome:
        command = OpenDispute(
            actor=actor,
            dispute_id=new_id(),
            slot_id=slot_id,
            amount_minor=10_000,
            claimant=Role.CLIENT,
            reason="paid twice",
        )
        return service_dispute.open_dispute(connection, [command], at=stage.now)[0]

    assert open_by(stage.client).code == "escrow.not_a_milestone"
    opened = open_by(person(None, is_operator=True))
    check_balances(connection, "USD", "earned pending 270.00 · earned reserved 90.00")
    concede = DisputeCommand(actor=stage.payee, dispute_id=UUID(opened.facts["dispute_id"]))
    assert service_dispute.concede_dispute(connection, [concede], at=stage.now)[0].is_done

    check_balances(connection, "USD", "earned reserved 0.00 · refund in transit 100.00")
    check_balances(connection, "USD", "revenue.commission 30.00 · earned pending 270.00")
    prove_books(connection)


def test_e37_converted_money_is_not_set_aside(connection: Connection) -> None:
    """E37: what was released in another currency is refused in words, and never split in two."""
    court = released(connection)
    stage = court.stage
    (contract,) = store.find_contracts(connection, [stage.contract_id])
    dollars = replace(release_of(court), paid_currency="USD", paid_minor=9_000)

    with pytest.raises(Converted):
        set_aside_minor(Deal(stage.slot(), contract, in_hold=dollars), 1_000)


def test_what_is_kept_back_is_of_what_is_free(connection: Connection) -> None:
    """A reserve of 10 % takes of the part that nobody disputes, and of nothing where all is."""
    court = released(connection)
    stage = court.stage
    assert stage.payee.party_id is not None
    rule = SetReserveRule(
        actor=stage.operator,
        payee_id=stage.payee.party_id,
        reserve_bps=1_000,
        reserve_days=30,
        reason="a new payee",
    )
    assert service_reserve.set_reserve_rule(connection, [rule], at=stage.now)[0].is_done
    assert court.open(amount_minor=4_000).is_done

    stage.wait(days=6)

    check_balances(connection, "EUR", "earned available 48.60 · earned reserved 41.40")
    assert court.act("withdraw_dispute", stage.client).is_done
    check_balances(connection, "EUR", "earned available 84.60 · earned reserved 5.40")
    prove_books(connection)


def test_an_operator_opens_for_the_client(connection: Connection) -> None:
    """Who may not reach the platform himself has an operator open for him."""
    court = released(connection)

    assert court.open(court.stage.operator, claimant=Role.CLIENT).is_done

    assert (court.dispute.claimant, court.dispute.opened_by) == ("client", "operator")


def test_an_appeal_comes_within_seven_days(connection: Connection) -> None:
    """Seven days after the default it stands, however long the money is in its security hold."""
    stage = Stage(connection, terms=Terms(security_hold_days=30)).submitted()
    court = Court(stage)
    assert court.open(stage.payee).is_done
    assert court.serve().is_done
    stage.wait(days=7)
    assert court.dispute.resolution == "defaulted"
    ended_at = court.dispute.ended_at
    assert ended_at is not None

    stage.wait(seconds=int((ended_at - stage.now).total_seconds()) + 7 * 86_400)
    assert court.appeal().code == "dispute.appeal_too_late"
    prove_books(connection)


def test_the_database_takes_one_appeal_of_a_default(connection: Connection) -> None:
    """An appeal without a default, or a second one, is refused by the database itself."""
    stage = Stage(connection).submitted()
    court = Court(stage)
    assert court.open(stage.payee).is_done
    assert court.serve().is_done
    stage.wait(days=7)
    first = court.dispute_id
    assert court.appeal().is_done
    assert court.act("withdraw_dispute", stage.client).is_done
    columns = connection.exec_driver_sql(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = 'dispute'"
        " AND column_name NOT IN ('id', 'appeal_of')"
    ).scalar_one()
    copy = f"INSERT INTO dispute (id, appeal_of, {columns}) SELECT %s, %s, {columns} FROM dispute"

    for appealed, match in ((first, "dispute_appealed_once"), (court.dispute_id, "silence")):
        nested = connection.begin_nested()
        with pytest.raises(DBAPIError, match=match):
            connection.exec_driver_sql(
                f"{copy} WHERE id = %s", (new_id(), appealed, court.dispute_id)
            )
        nested.rollback()
    court.dispute_id = first
    assert court.appeal().code == "dispute.appealed_already"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    price=st.integers(2, 20_000),
    first=st.integers(0, 20_000),
    claim=st.integers(0, 20_000),
    share=st.integers(0, 20_000),
    bps=st.integers(0, 10_000),
    is_late=st.booleans(),
)
def test_any_split_of_any_released_part_keeps_every_cent(
    connection: Connection,
    price: int,
    first: int,
    claim: int,
    share: int,
    bps: int,
    is_late: bool,  # noqa: FBT001  hypothesis draws it
) -> None:
    """Shares sum to what was set aside; commission is that of what the payee keeps, to the cent."""
    nested = connection.begin_nested()
    stage = Stage(connection, "JPY", Terms(commission_bps=bps, client_fee_bps=300), (price,))
    stage.submitted()
    if first % price:
        assert stage.release_part(first % price).is_done
        stage.wait(days=6)
    assert stage.approve().is_done
    court = Court(stage)
    most = price - first % price
    claimed = claim % most + 1
    assert court.open(amount_minor=claimed).is_done
    to_payee = share % (claimed + 1)
    assert court.offer(stage.payee, to_payee, is_reply=True).is_done
    if is_late:
        stage.wait(days=6)

    assert court.accept(stage.client, 1).is_done

    kept = price - (claimed - to_payee)
    slot = stage.slot()
    assert (slot.kept_minor, slot.contested_minor) == (kept, 0)
    assert shown_minor(connection, "earned_reserved", "JPY") == 0
    assert shown_minor(connection, "refund_in_transit", "JPY") == claimed - to_payee
    ours = shown_minor(connection, "revenue.commission", "JPY")
    assert ours == share_bps(kept, bps)
    stage.wait(days=6)
    assert shown_minor(connection, "earned_pending", "JPY") == 0
    assert shown_minor(connection, "earned_available", "JPY") == kept - ours
    prove_books(connection)
    nested.rollback()
