"""Edges of disputes by number (domain/escrow.md 2.11), the loser's fee, holds, evidence, notice."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine

from engine.api.doors import DOORS
from engine.group_commit import GroupCommit
from engine.scanner import Scanner
from escrow import service_dispute, store, timers
from escrow.model import Role, Terms
from escrow.model_dispute import FileEvidence, OpenDispute, SetDisputeRules
from kernel import clock
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.timers import GRACE
from tests.escrow.stage import START, Stage, check_balances, prove_books
from tests.escrow.stage_dispute import Court
from tests.escrow.test_dispute_races import on

DUE = START + timedelta(days=14)
"""When the review of a slot that was submitted at once is over."""


def in_a_sandbox(engine: Engine, tenant: Tenant, at: datetime) -> Court:
    """A submitted slot whose past is committed, in a sandbox at a time."""
    with transaction(engine, tenant) as connection:
        clock.make_sandbox(connection, at=START)
        court = Court(Stage(connection).submitted())
        clock.advance(connection, to=at)
    return court


def opening(court: Court) -> OpenDispute:
    """The client's dispute over all of the slot."""
    return OpenDispute(
        actor=court.stage.client,
        dispute_id=court.dispute_id,
        slot_id=court.stage.slot_id,
        reason="not what was agreed",
    )


def scanner(engine: Engine, tenant: Tenant) -> Scanner:
    return Scanner(engine=engine, tenants=lambda: [tenant], handlers=timers.HANDLERS)


def seen(engine: Engine, tenant: Tenant, court: Court) -> tuple[str, str, int]:
    """(slot, dispute, contested minor units) after all; the books are proved."""
    with transaction(engine, tenant) as connection:
        prove_books(connection)
        after = replace(court, stage=on(court.stage, connection))
        slot = after.stage.slot()
        return slot.state.value, after.dispute.state.value, slot.contested_minor


@pytest.mark.parametrize("seconds", [-1, 0, 59])
def test_e1_a_dispute_that_came_before_the_timer_wins(
    own_engine: Engine, tenant: Tenant, seconds: int
) -> None:
    """E1: what came in before the review's end, or waits its minute, goes ahead of the timer."""
    court = in_a_sandbox(own_engine, tenant, DUE + timedelta(seconds=seconds))
    doors = GroupCommit(own_engine, tenant, DOORS)

    fired = scanner(own_engine, tenant).fire_due(tenant)
    outcome = doors.submit("escrow.open_dispute", opening(court)).result(timeout=120)

    assert (fired["escrow.auto_release"], outcome.code) == (0, "done")
    with transaction(own_engine, tenant) as connection:
        clock.advance(connection, to=DUE + timedelta(days=30))
    assert not scanner(own_engine, tenant).fire_due(tenant)["escrow.auto_release"]
    doors.close()
    assert seen(own_engine, tenant, court) == ("disputed", "opened", 0)


def test_e1_a_dispute_that_came_after_the_timer_is_a_claim(
    own_engine: Engine, tenant: Tenant
) -> None:
    """E1: released first, the client's dispute sets the payee's pending money aside."""
    court = in_a_sandbox(own_engine, tenant, DUE + GRACE)
    assert scanner(own_engine, tenant).fire_due(tenant)["escrow.auto_release"] == 1
    doors = GroupCommit(own_engine, tenant, DOORS)

    outcome = doors.submit("escrow.open_dispute", opening(court)).result(timeout=120)

    doors.close()
    assert outcome.facts["reserved"] == {"amount": "90.00", "currency": "EUR"}
    assert seen(own_engine, tenant, court) == ("released", "opened", 10_000)


@pytest.mark.parametrize("turn", range(4))
def test_e1_the_row_lock_decides(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """E1: timer and dispute at the same moment on two connections; no cent is lost either way."""
    court = in_a_sandbox(own_engine, tenant, DUE + GRACE)
    doors = GroupCommit(own_engine, tenant, DOORS)
    start = Barrier(2)

    def ring() -> int:
        start.wait(timeout=120)
        return scanner(own_engine, tenant).fire_due(tenant)["escrow.auto_release"]

    def dispute() -> Outcome:
        start.wait(timeout=120)
        return doors.submit("escrow.open_dispute", opening(court)).result(timeout=120)

    racers: list[Callable[[], object]] = [ring, dispute]
    with ThreadPoolExecutor(2) as pool:
        order = racers if turn % 2 else racers[::-1]
        results = [each.result(timeout=120) for each in [pool.submit(act) for act in order]]
    fired, outcome = results if turn % 2 else results[::-1]

    doors.close()
    assert isinstance(outcome, Outcome)
    assert outcome.code == "done"
    ends = {0: ("disputed", "opened", 0), 1: ("released", "opened", 10_000)}
    assert seen(own_engine, tenant, court) == ends[int(str(fired))]


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
def test_e37_a_split_is_in_the_contracts_currency(connection: Connection, currency: str) -> None:
    """E37: 70/30 of 1,001 units is 701/300, whatever the payee is paid out in later."""
    court = Court(Stage(connection, currency, Terms(client_fee_bps=0), (1_001,)).submitted())
    court.in_negotiation(701)

    answer = court.accept(court.stage.client, 1)

    assert answer.facts["payee"]["currency"] == currency
    assert (court.dispute.payee_minor, court.dispute.client_minor) == (701, 300)
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT currency FROM account WHERE balance_minor <> 0"
    )
    assert list(rows.scalars()) == [currency]
    prove_books(connection)


def small_claim(connection: Connection, *, small_fee_bps: int) -> Court:
    """A heard small claim of 100.00, under a rule by which its loser pays."""
    stage = Stage(connection, terms=Terms(client_fee_bps=0), amounts=(20_000,))
    rules = SetDisputeRules(
        actor=stage.operator,
        currency="EUR",
        small_claim_minor=20_000,
        fee_bps=500,
        small_fee_bps=small_fee_bps,
    )
    assert service_dispute.set_dispute_rules(connection, [rules], at=stage.now)[0].is_done
    stage.submitted()
    assert stage.release_part(10_000).is_done
    stage.wait(days=6)
    court = Court(stage)
    court.in_negotiation()
    assert court.act("mediate_dispute", stage.client).is_done
    assert court.file(stage.client).is_done
    assert court.file(stage.payee).is_done
    return court


LOSERS = {
    "the payee loses": (2_000, 5_000, "earned available 85.00 · wallet 50.00", 500),
    "the client loses": (8_000, 5_000, "earned available 90.00 · wallet 45.00", 500),
    "half and half": (5_000, 5_000, "earned available 90.00 · wallet 50.00", 0),
    "a loser with less pays less": (8_000, 300, "earned available 90.00 · wallet 0.00", 300),
    "a loser without money pays nothing": (8_000, 0, "earned available 90.00 · wallet 0.00", 0),
}


@pytest.mark.parametrize(
    ("to_payee", "wallet", "balances", "paid"), LOSERS.values(), ids=LOSERS.keys()
)
def test_the_loser_of_a_small_claim_pays(
    connection: Connection, to_payee: int, wallet: int, balances: str, paid: int
) -> None:
    """A fixed share of the claim, 5 % of 100.00 here, from who loses and never more than he has."""
    court = small_claim(connection, small_fee_bps=500)
    if wallet:
        court.stage.fill_wallet(wallet)
    assert court.dispute.fee_minor == 500

    assert court.propose(to_payee).is_done
    approved = court.approve()

    check_balances(connection, "EUR", f"{balances} · arbitration fees held {paid / 100:.2f}")
    assert approved.facts.get("loser_paid", {"amount": "0.00"})["amount"] == f"{paid / 100:.2f}"
    prove_books(connection)


def test_nobody_pays_for_a_small_claim_that_was_settled(connection: Connection) -> None:
    """The fee is the decision's: who agrees before pays none."""
    court = small_claim(connection, small_fee_bps=500)
    court.stage.fill_wallet(5_000)
    other = Court(Stage(connection, amounts=(10_000,)).submitted())
    other.in_negotiation(2_000)
    assert other.dispute.fee_minor == 500

    assert other.accept(other.stage.client, 1).is_done

    check_balances(connection, "EUR", "arbitration fees held 0.00 · wallet 50.00")
    prove_books(connection)


@pytest.mark.parametrize("winner", ["who paid", "who kept silent"])
def test_one_pays_and_the_other_defaults(connection: Connection, winner: str) -> None:
    """Arbitration begins without the silent side; if he loses, he pays its fee after all."""
    stage = Stage(connection, terms=Terms(client_fee_bps=0), amounts=(110_000,)).ready()
    assert stage.release_part(10_000).is_done
    stage.wait(days=6)
    stage.fill_wallet(5_000)
    court = Court(stage).in_negotiation()
    assert court.act("mediate_dispute", stage.client).is_done
    stage.wait(days=30)
    assert court.act("elect_arbitration", stage.client).is_done
    check_balances(connection, "EUR", "wallet 0.00 · arbitration fees held 50.00")
    stage.wait(days=7)
    assert court.dispute.state == "arbitration"

    assert court.propose(20_000 if winner == "who paid" else 80_000).is_done
    assert court.approve().is_done

    wallet, earned = ("50.00", "40.00") if winner == "who paid" else ("0.00", "90.00")
    check_balances(
        connection,
        "EUR",
        f"wallet {wallet} · earned available {earned} · arbitration fees held 50.00",
    )
    prove_books(connection)


def test_a_default_under_another_hold_stands_and_waits(connection: Connection) -> None:
    """A tax hold stops money, not silence's consequence: the default stands, paid when it lifts."""
    court = Court(Stage(connection).submitted())
    assert court.open().is_done
    assert court.serve().is_done
    subject = f"party:{court.stage.payee.party_id}"
    court.stage.hold(subject, "tax")

    court.stage.wait(days=10)
    assert (court.dispute.state, court.dispute.resolution) == ("defaulted", "defaulted")
    check_balances(connection, "EUR", "escrow disputed 100.00")
    court.stage.lift(subject)
    court.stage.wait(days=1)

    assert court.dispute.state == "executed"
    check_balances(connection, "EUR", "escrow disputed 0.00 · refund in transit 103.00")
    prove_books(connection)


def test_a_compliance_hold_pauses_the_answer_to_a_refund(connection: Connection) -> None:
    """2.2: refund_reply stands still under a compliance hold, and runs on for what remained."""
    stage = Stage(connection).ready()
    assert stage.on_slot("ask_refund", stage.client).is_done
    stage.wait(days=6)
    stage.hold(f"contract:{stage.contract_id}")
    stage.wait(days=30)
    assert stage.slot().state == "refund_requested"

    stage.lift(f"contract:{stage.contract_id}")
    stage.wait(hours=23)
    assert stage.slot().state == "refund_requested"
    stage.wait(hours=1)

    assert stage.slot().state == "refunded"
    prove_books(connection)


def test_a_compliance_hold_does_not_stop_the_clocks_of_a_dispute(connection: Connection) -> None:
    """2.2: mediation ends after 30 days, hold or no hold; only money and defaults wait."""
    court = Court(Stage(connection, amounts=(100_000,)).submitted()).in_negotiation()
    court.stage.hold(f"contract:{court.stage.contract_id}")

    court.stage.wait(days=7)
    assert court.dispute.state == "mediation"
    court.stage.wait(days=30)

    assert court.dispute.state == "arbitration_elect"


def test_both_are_told_of_an_extension(connection: Connection) -> None:
    """2.2: an operator extends a stage, and both are told until when, and why."""
    court = Court(Stage(connection, amounts=(100_000,)).submitted()).in_negotiation()
    stage = court.stage
    assert court.act("mediate_dispute", stage.client).is_done
    due = court.dispute.due_at
    assert due is not None

    assert court.act("extend_dispute", stage.client).code == "escrow.not_yours"
    assert court.act("extend_dispute", stage.operator).is_done

    reason, detail = connection.exec_driver_sql(
        "SELECT reason, detail FROM event WHERE kind = 'dispute.extended'"
    ).one()
    assert reason == "a reason"
    detail = json.loads(detail)
    assert detail["told"] == [str(stage.client.party_id), str(stage.payee.party_id)]
    assert detail["was_due_at"] == due.isoformat()
    assert detail["due_at"] == (due + timedelta(days=30)).isoformat()
    assert court.dispute.extended_in == "mediation"


BAD_EVIDENCE = {
    "a digit too few": ("ab" * 31 + "a", "log", "dispute.bad_evidence"),
    "a digit too many": ("ab" * 32 + "a", "log", "dispute.bad_evidence"),
    "another digest": ("ab" * 20, "log", "dispute.bad_evidence"),
    "great letters": ("AB" * 32, "log", "dispute.bad_evidence"),
    "no hexadecimal digits": ("xy" * 32, "log", "dispute.bad_evidence"),
    "digits of another script": ("\u0661" * 64, "log", "dispute.bad_evidence"),
    "a line's end": ("ab" * 32 + "\n", "log", "dispute.bad_evidence"),
    "no reference": ("ab" * 32, "  ", "dispute.bad_evidence"),
    "the document itself": ("ab" * 32, "x" * 501, "dispute.bad_evidence"),
    "NUL in the reference": ("ab" * 32, "a\0b", "escrow.bad_text"),
}


@pytest.mark.parametrize(
    ("sha256", "reference", "code"), BAD_EVIDENCE.values(), ids=BAD_EVIDENCE.keys()
)
def test_evidence_is_a_hash_and_a_reference(
    connection: Connection, sha256: str, reference: str, code: str
) -> None:
    """What is no SHA-256 in 64 small hex digits, or no name of 1 to 500 characters, is refused."""
    court = Court(Stage(connection).submitted())
    assert court.open().is_done
    before = court.dispute
    command = FileEvidence(
        actor=court.stage.client,
        dispute_id=court.dispute_id,
        sha256=sha256,
        reference=reference,
    )

    (answer,) = service_dispute.file_evidence(connection, [command], at=court.stage.now)

    assert answer.code == code
    assert court.dispute == before
    rows = connection.exec_driver_sql("SELECT count(*) FROM dispute_evidence")
    assert rows.scalar_one() == 0


def test_two_people_decide_on_the_same_version(connection: Connection) -> None:
    """Both name the version that they looked at; what moved meanwhile is looked at again."""
    court = Court(Stage(connection).submitted()).in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    assert court.propose(7_000).code == "dispute.not_heard"
    court.stage.wait(days=8)
    assert court.propose(7_000).is_done
    looked_at = court.dispute.version
    assert court.file(court.stage.payee).is_done

    late = court.approve(version=looked_at)
    blind = court.act("approve_decision", court.second)

    assert late.code == "dispute.decision_stands"
    assert late.facts["version"] == looked_at + 1
    assert blind.code == "escrow.stale_version"
    assert court.approve().is_done
    prove_books(connection)


def test_an_ended_contract_is_closed_when_its_disputes_are_over(connection: Connection) -> None:
    """`closed_disputed` holds as long as one dispute runs; then all is asked back and closed."""
    stage = Stage(connection, amounts=(10_000, 5_000), terms=Terms(client_fee_bps=0)).ready()
    first = Court(stage)
    assert first.open(amount_minor=6_000).is_done
    second_stage = on(stage, connection)
    second_stage.slot_id = stage.slot_ids[1]
    assert second_stage.fund().is_done
    second = Court(second_stage)
    assert second.open(stage.payee, claimant=Role.PAYEE).is_done

    ended = stage.on_contract("end", stage.client)

    assert ended.facts["state"] == "closed_disputed"
    assert stage.on_contract("close", stage.client).code == "escrow.not_settled"
    assert second.act("concede_dispute", stage.client).is_done
    assert state_of(stage) == "closed_disputed"
    assert first.act("concede_dispute", stage.payee).is_done
    assert state_of(stage) == "ending"
    assert stage.slot().state == "refund_requested"
    assert stage.on_slot("accept_refund", stage.payee).is_done
    assert stage.on_contract("close", stage.client).code == "escrow.not_settled"
    prove_books(connection)


def state_of(stage: Stage) -> str:
    """The state of the contract."""
    return store.find_contracts(stage.connection, [stage.contract_id])[0].state.value


def test_no_dispute_is_opened_under_a_taken_id(connection: Connection) -> None:
    """An appeal, like a dispute, brings an id of its own."""
    court = Court(Stage(connection).submitted())
    assert court.open().is_done
    assert court.act("withdraw_dispute", court.stage.client).is_done

    assert court.open().code == "escrow.id_taken"
    court.dispute_id = new_id()
    assert court.appeal().code == "dispute.unknown"
