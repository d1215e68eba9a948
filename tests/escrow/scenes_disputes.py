"""Disputes and claims in every state; the list of scenes is in `tests.escrow.scenes`."""

from sqlalchemy import Connection

from escrow.model import Role
from tests.escrow import stage_claims as owed
from tests.escrow.scenes import Scene, of, scene
from tests.escrow.stage import Stage, person
from tests.escrow.stage_dispute import Court


def in_court(court: Court) -> Scene:
    return of(court.stage, mediator=court.mediator, judge=court.judge)


@scene
def dispute_opened(connection: Connection) -> Scene:
    court = _court(connection)
    assert court.open().is_done
    return in_court(court)


@scene
def dispute_opened_by_an_operator(connection: Connection) -> Scene:
    court = _court(connection)
    assert court.open(court.stage.operator, 30_000, claimant=Role.PAYEE).is_done
    return in_court(court)


@scene
def dispute_served(connection: Connection) -> Scene:
    court = _court(connection)
    court.open()
    assert court.serve().is_done
    return in_court(court)


@scene
def dispute_in_negotiation(connection: Connection) -> Scene:
    return in_court(_court(connection).in_negotiation(40_000))


@scene
def dispute_in_negotiation_and_held(connection: Connection) -> Scene:
    court = _court(connection).in_negotiation(40_000)
    court.stage.hold(f"contract:{court.stage.contract_id}")
    return in_court(court)


@scene
def small_dispute_in_negotiation(connection: Connection) -> Scene:
    return in_court(_court(connection, 10_000).in_negotiation(4_000))


@scene
def small_dispute_to_decide(connection: Connection) -> Scene:
    court = _court(connection, 10_000).in_negotiation(4_000)
    assert court.act("mediate_dispute", court.stage.client).is_done
    return in_court(court)


@scene
def dispute_in_mediation(connection: Connection) -> Scene:
    court = _court(connection).in_negotiation(40_000)
    assert court.act("mediate_dispute", court.stage.client).is_done
    assert court.file(court.mediator).code
    return in_court(court)


@scene
def dispute_heard(connection: Connection) -> Scene:
    return in_court(_heard(connection))


@scene
def dispute_extended(connection: Connection) -> Scene:
    court = _heard(connection)
    assert court.act("extend_dispute", court.stage.operator).is_done
    return in_court(court)


@scene
def dispute_recommended(connection: Connection) -> Scene:
    court = _heard(connection)
    assert court.recommend(50_000).is_done
    return in_court(court)


@scene
def dispute_with_money_for_arbitration(connection: Connection) -> Scene:
    court = _heard(connection)
    court.stage.fill_wallet(20_000)
    assert court.recommend(50_000).is_done
    return in_court(court)


@scene
def arbitration_elected_by_one(connection: Connection) -> Scene:
    court = _heard(connection)
    court.stage.fill_wallet(20_000)
    court.recommend(50_000)
    assert court.act("elect_arbitration", court.stage.client).is_done
    return in_court(court)


@scene
def arbitration_with_a_proposal(connection: Connection) -> Scene:
    court = _court(connection, 10_000).in_negotiation(4_000)
    court.act("mediate_dispute", court.stage.client)
    court.file(court.stage.client)
    court.file(court.stage.payee)
    assert court.propose(6_000).is_done
    return in_court(court)


@scene
def silent_under_a_hold(connection: Connection) -> Scene:
    court = _court(connection)
    court.open()
    court.serve()
    court.stage.hold(f"contract:{court.stage.contract_id}", "tax")
    court.stage.wait(days=8)
    return in_court(court)


@scene
def lost_by_silence(connection: Connection) -> Scene:
    court = _court(connection)
    court.open(court.stage.payee)
    court.serve()
    court.stage.wait(days=8)
    return in_court(court)


@scene
def ended_in_dispute(connection: Connection) -> Scene:
    court = _court(connection)
    court.open(amount_minor=30_000)
    assert court.stage.on_contract("end", court.stage.client).is_done
    return in_court(court)


@scene
def released_and_disputed(connection: Connection) -> Scene:
    court = _court(connection)
    assert court.stage.approve().is_done
    assert court.open(amount_minor=30_000).is_done
    return in_court(court)


@scene
def conceded_under_a_hold(connection: Connection) -> Scene:
    court = _court(connection)
    court.open()
    court.stage.hold(f"contract:{court.stage.contract_id}")
    assert court.act("concede_dispute", court.stage.payee).is_done
    return in_court(court)


@scene
def settled_under_a_hold(connection: Connection) -> Scene:
    court = _court(connection).in_negotiation(40_000)
    court.stage.hold(f"contract:{court.stage.contract_id}")
    assert court.accept(court.stage.client, 1).is_done
    return in_court(court)


@scene
def decided_under_a_hold(connection: Connection) -> Scene:
    court = _court(connection, 10_000).in_negotiation(4_000)
    court.act("mediate_dispute", court.stage.client)
    court.file(court.stage.client)
    court.file(court.stage.payee)
    court.propose(6_000)
    court.stage.hold(f"contract:{court.stage.contract_id}")
    assert court.approve().is_done
    return in_court(court)


@scene
def dispute_carried_out(connection: Connection) -> Scene:
    court = _court(connection)
    court.open(amount_minor=30_000)
    assert court.act("concede_dispute", court.stage.payee).is_done
    return in_court(court)


@scene
def dispute_withdrawn(connection: Connection) -> Scene:
    court = _court(connection)
    court.open()
    assert court.act("withdraw_dispute", court.stage.client).is_done
    return in_court(court)


@scene
def a_payee_owes(connection: Connection) -> Scene:
    return of(_owing(connection))


@scene
def a_write_off_is_proposed(connection: Connection) -> Scene:
    stage = _owing(connection)
    second = person(None, is_operator=True)
    assert owed.propose(stage, owed.claims(stage)[0].id, stage.operator).is_done
    return of(stage, second=second)


@scene
def a_claim_is_written_off(connection: Connection) -> Scene:
    stage = _owing(connection)
    claim_id = owed.claims(stage)[0].id
    owed.propose(stage, claim_id, stage.operator)
    assert owed.approve(stage, claim_id, person(None, is_operator=True)).is_done
    return of(stage)


@scene
def a_claim_is_recovered(connection: Connection) -> Scene:
    stage = _owing(connection)
    assert owed.set_rules(stage, fronts=True, bps=10_000).is_done
    owed.another_release(stage, 50_000)
    return of(stage)


def _court(connection: Connection, amount_minor: int = 100_000) -> Court:
    return Court(Stage(connection, amounts=(amount_minor,)).submitted())


def _heard(connection: Connection) -> Court:
    court = _court(connection).in_negotiation(40_000)
    assert court.act("mediate_dispute", court.stage.client).is_done
    assert court.file(court.stage.client).is_done
    assert court.file(court.stage.payee).is_done
    return court


def _owing(connection: Connection) -> Stage:
    """All was released and spent; the platform fronted a refund of the whole."""
    stage = owed.released(connection)
    assert owed.set_rules(stage, fronts=True).is_done
    owed.take_out(stage, 5_000)
    assert owed.send_back(stage, 10_000).is_done
    return stage
