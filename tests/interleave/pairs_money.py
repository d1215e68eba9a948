"""Pairs on money that was released: payouts, refunds after release, claims, holds, settlement."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.ids import new_id
from payouts import service as payouts
from payouts import settlement
from payouts.commands import PayoutCommand, RequestPayout
from rails.model import RailOutcome
from tests.escrow import stage_claims
from tests.escrow.stage import Stage, person
from tests.interleave import pairs_deal as deal
from tests.interleave.scenes import Act, Pair, rings
from tests.payouts.builders import OPERATOR, give, new_method, new_payee, payee_actor


@dataclass
class Till:
    """A payee with 500.00, half of it in a payout that was asked for."""

    stage: Stage
    payee_id: UUID
    method_id: UUID
    payout_id: UUID


def till(connection: Connection) -> Till:
    payee_id = new_payee(connection)
    method_id = new_method(connection, payee_id)
    give(connection, payee_id, 50_000)
    found = Till(Stage(connection), payee_id, method_id, new_id())
    found.stage.payee = payee_actor(payee_id)
    assert ask(found, 25_000, found.payout_id).is_done
    return found


def ask(found: Till, amount: int, payout_id: UUID) -> Outcome:
    command = RequestPayout(
        actor=payee_actor(found.payee_id),
        payout_id=payout_id,
        payee_id=found.payee_id,
        method_id=found.method_id,
        amount_minor=amount,
        currency="EUR",
    )
    return payouts.request(found.stage.connection, [command], at=found.stage.now)[0]


def ask_most(found: Till) -> Outcome:
    return ask(found, 20_000, new_id())


def on_payout(verb: str) -> Act:
    def act(found: Till) -> Outcome:
        command = PayoutCommand(actor=OPERATOR, payout_id=found.payout_id)
        return getattr(payouts, verb)(found.stage.connection, [command], at=found.stage.now)[0]  # type: ignore[no-any-return]

    return act


def settle(found: Till) -> object:
    return settlement.settle(found.stage.connection, at=found.stage.now)


def hold_payee(found: Till) -> Outcome:
    return deal.hold_payee(found.stage)


def kept(connection: Connection) -> Stage:
    """Released and available: 90.00 are the payee's."""
    return stage_claims.released(connection)


def in_hold(connection: Connection) -> Stage:
    return deal.released(connection)


def part_released(connection: Connection) -> Stage:
    """40.00 of 100.00 released and available."""
    stage = deal.submitted(connection)
    assert stage.release_part(4_000).is_done
    stage.wait(days=5)
    return stage


def owing(connection: Connection) -> Stage:
    """The payee owes 40.00 and earns 90.00 more, whose security hold is over."""
    stage = kept(connection)
    stage_claims.take_out(stage, 4_000)
    assert stage_claims.set_rules(stage, fronts=True, bps=10_000).is_done
    assert stage_claims.send_back(stage, 10_000).is_done
    other = Stage(connection, now=stage.now)
    other.payee = stage.payee
    assert other.submitted().approve().is_done
    return deal.later(other, days=5)


def given_up(connection: Connection) -> Stage:
    """One operator has proposed to write the claim off."""
    stage = owing(connection)
    (claim,) = stage_claims.claims(stage)
    assert stage_claims.propose(stage, claim.id, stage.operator).is_done
    return stage


def short(connection: Connection) -> Stage:
    """Two released slots of one payee, whose balance is enough for one of them."""
    stage = kept(connection)
    stage_claims.take_out(stage, 5_000)
    assert stage_claims.set_rules(stage, fronts=False).is_done
    return stage


def send_back(stage: Stage) -> Outcome:
    return stage_claims.send_back(stage, 4_000)


def send_all_back(stage: Stage) -> Outcome:
    return stage_claims.send_back(stage, 10_000)


def front_it(stage: Stage) -> Outcome:
    return stage_claims.set_rules(stage, fronts=True)


def propose_write_off(stage: Stage) -> Outcome:
    (claim,) = stage_claims.claims(stage)
    return stage_claims.propose(stage, claim.id, stage.operator)


def approve_write_off(stage: Stage) -> Outcome:
    (claim,) = stage_claims.claims(stage)
    return stage_claims.approve(stage, claim.id, person(None, is_operator=True))


def refunded(connection: Connection) -> Stage:
    """A refund is on its way by the rail."""
    stage = deal.submitted(connection)
    outcome = deal.give_back(stage)
    stage.refund_id = outcome.facts["refund_ids"][0]  # type: ignore[attr-defined]
    return stage


def refund_done(stage: Stage) -> Outcome:
    return stage.refund_result(stage.refund_id, RailOutcome.DONE)  # type: ignore[attr-defined]


def refund_bounces(stage: Stage) -> Outcome:
    return stage.refund_result(stage.refund_id, RailOutcome.REFUSED)  # type: ignore[attr-defined]


_RING_HOLD: Final = rings("escrow.security_hold")

PAIRS: Final = (
    Pair("payout / payout", till, ask_most, ask_most),
    Pair("cancel payout / submit", till, on_payout("cancel"), on_payout("submit")),
    Pair("submit payout / submit", till, on_payout("submit"), on_payout("submit")),
    Pair("hold placed / payout", till, hold_payee, ask_most),
    Pair("hold placed / submit payout", till, hold_payee, on_payout("submit")),
    Pair("settle / submit payout", till, settle, on_payout("submit")),
    Pair("settle / settle", till, settle, settle),
    Pair("refund later / refund later", short, send_back, send_back),
    Pair("refund later / rules", short, send_all_back, front_it),
    Pair("refund later / release part", part_released, send_back, deal.part),
    Pair("refund later / security hold", in_hold, send_back, _RING_HOLD),
    Pair("claim recovered / write-off", given_up, _RING_HOLD, approve_write_off),
    Pair("claim recovered / proposed", owing, _RING_HOLD, propose_write_off),
    Pair("write-off / write-off", given_up, approve_write_off, approve_write_off),
    Pair("proposal / proposal", owing, propose_write_off, propose_write_off),
    Pair("refund done / refund bounces", refunded, refund_done, refund_bounces),
)
