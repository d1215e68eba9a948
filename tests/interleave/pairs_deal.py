"""Pairs on a milestone: work, release, refund, amendments, money in, holds, ends."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from engine.api.doors import lift_holds, place_holds
from escrow import service
from escrow.commands import (
    AddMilestones,
    FundingCommand,
    Milestone,
    ProposeAmendment,
    SignAmendment,
)
from escrow.model import Method, ReleaseRule, Terms
from kernel.commands import Outcome
from kernel.ids import new_id
from ledger import holds
from rails.model import RailOutcome
from tests.escrow.stage import Stage
from tests.interleave.scenes import Pair, rings


def proposed(connection: Connection) -> Stage:
    stage = Stage(connection)
    assert stage.propose().is_done
    return stage


def accepted(connection: Connection) -> Stage:
    stage = proposed(connection)
    assert stage.accept().is_done
    return stage


def paying(connection: Connection) -> Stage:
    stage = accepted(connection)
    assert stage.start_funding().is_done
    return stage


def ready(connection: Connection) -> Stage:
    return Stage(connection, amounts=(10_000, 6_000)).ready()


def submitted(connection: Connection) -> Stage:
    return Stage(connection).submitted()


def both_confirm(connection: Connection) -> Stage:
    return Stage(connection, terms=Terms(release_rule=ReleaseRule.BOTH_CONFIRM)).submitted()


def review_over(connection: Connection) -> Stage:
    """Work was shown and its review is over; nobody has looked yet."""
    return later(submitted(connection), days=14)


def asked_back(connection: Connection) -> Stage:
    stage = submitted(connection)
    assert stage.on_slot("ask_refund", stage.client).is_done
    return stage


def unanswered(connection: Connection) -> Stage:
    return later(asked_back(connection), days=7)


def silent(connection: Connection) -> Stage:
    stage = Stage(connection).ready()
    stage.wait(days=86)
    return later(stage, days=10)


def released(connection: Connection) -> Stage:
    stage = submitted(connection)
    assert stage.approve().is_done
    return later(stage, days=5)


def expiring(connection: Connection) -> Stage:
    return later(paying(connection), minutes=16)


def offered(connection: Connection) -> Stage:
    """The payee has offered another price."""
    stage = ready(connection)
    stage.amendment_id = new_id()  # type: ignore[attr-defined]
    assert offer_price(stage, 8_000, stage.amendment_id).is_done  # type: ignore[attr-defined]
    return stage


def offered_twice(connection: Connection) -> Stage:
    """Two offers lie before the client, on the same version."""
    stage = offered(connection)
    stage.other_id = new_id()  # type: ignore[attr-defined]
    assert offer_price(stage, 7_000, stage.other_id).is_done  # type: ignore[attr-defined]
    return stage


def with_wallet(connection: Connection) -> Stage:
    """Two slots to be paid, and a wallet that is enough for one."""
    stage = Stage(connection, amounts=(10_000, 10_000), terms=Terms(client_fee_bps=0))
    assert stage.propose().is_done
    assert stage.accept().is_done
    stage.fill_wallet(10_000)
    return stage


def ending(connection: Connection) -> Stage:
    stage = submitted(connection)
    assert stage.on_contract("end", stage.client).is_done
    return stage


def held(connection: Connection) -> Stage:
    stage = submitted(connection)
    stage.hold_id = UUID(place(stage).facts["id"])  # type: ignore[attr-defined]
    return later(stage, days=1)


def contract_held(connection: Connection) -> Stage:
    stage = submitted(connection)
    stage.hold_id = UUID(hold_contract(stage).facts["id"])  # type: ignore[attr-defined]
    return later(stage, days=1)


def payee_held(connection: Connection) -> Stage:
    stage = submitted(connection)
    stage.hold_id = UUID(hold_payee(stage).facts["id"])  # type: ignore[attr-defined]
    return later(stage, days=1)


def later(stage: Stage, **length: int) -> Stage:
    """Time passes and no clock rings."""
    stage.now += timedelta(**length)
    return stage


def approve(stage: Stage) -> Outcome:
    return stage.approve()


def part(stage: Stage) -> Outcome:
    return stage.release_part(4_000)


def ask_back(stage: Stage) -> Outcome:
    return stage.on_slot("ask_refund", stage.client)


def accept_refund(stage: Stage) -> Outcome:
    return stage.on_slot("accept_refund", stage.payee)


def give_back(stage: Stage) -> Outcome:
    return stage.on_slot("give_back", stage.payee)


def changes(stage: Stage) -> Outcome:
    return stage.on_slot("request_changes", stage.client, reason="a corner is missing")


def withdraw(stage: Stage) -> Outcome:
    return stage.on_slot("withdraw_submission", stage.payee, submission_no=1)


def approve_first(stage: Stage) -> Outcome:
    return stage.approve(submission_no=1)


def submit_again(stage: Stage) -> Outcome:
    return stage.submit("message:2")


def place(stage: Stage, subject: str = "") -> Outcome:
    named = subject or f"slot:{stage.slot_id}"
    command = holds.PlaceHold(
        actor=stage.operator, subject=named, kind=holds.HoldKind.COMPLIANCE, reason="a doubt"
    )
    return place_holds(stage.connection, [command], at=stage.now)[0]


def hold_contract(stage: Stage) -> Outcome:
    return place(stage, f"contract:{stage.contract_id}")


def hold_payee(stage: Stage) -> Outcome:
    return place(stage, f"party:{stage.payee.party_id}")


def lift(stage: Any) -> Outcome:
    command = holds.LiftHold(actor=stage.operator, hold_id=stage.hold_id)
    return lift_holds(stage.connection, [command], at=stage.now)[0]


def pause(stage: Stage) -> Outcome:
    return stage.on_contract("pause", stage.client)


def end(stage: Stage) -> Outcome:
    return stage.on_contract("end", stage.payee)


def close(stage: Stage) -> Outcome:
    return stage.on_contract("close", stage.payee)


def cancel_slot(stage: Stage) -> Outcome:
    return stage.on_slot("cancel", stage.payee)


def cancel_paying(stage: Stage) -> Outcome:
    command = FundingCommand(actor=stage.client, funding_id=stage.funding_id)
    return service.cancel_funding(stage.connection, [command], at=stage.now)[0]


def paid(stage: Stage) -> Outcome:
    return stage.hear(stage.result(fee_minor=320))


def declined(stage: Stage) -> Outcome:
    return stage.hear(stage.result(RailOutcome.REFUSED))


def pay_first(stage: Stage) -> Outcome:
    return stage.start_funding(Method.WALLET)


def pay_second(stage: Stage) -> Outcome:
    stage.slot_id = stage.slot_ids[1]
    return stage.start_funding(Method.WALLET)


def offer_price(stage: Stage, price: int, amendment_id: UUID | None = None) -> Outcome:
    command = ProposeAmendment(
        actor=stage.payee,
        slot_id=stage.slot_id,
        amendment_id=amendment_id or new_id(),
        new_amount_minor=price,
    )
    return service.propose_amendment(stage.connection, [command], at=stage.now)[0]


def sign(stage: Any) -> Outcome:
    return _sign(stage, stage.amendment_id)


def sign_other(stage: Any) -> Outcome:
    return _sign(stage, stage.other_id)


def _sign(stage: Stage, amendment_id: UUID) -> Outcome:
    command = SignAmendment(actor=stage.client, amendment_id=amendment_id)
    return service.sign_amendment(stage.connection, [command], at=stage.now)[0]


def roll(stage: Stage) -> Outcome:
    """Offer and sign at once: what the first slot holds goes to the second."""
    return stage.amend(to_slot_id=stage.slot_ids[1])


def add_slot(stage: Stage) -> Outcome:
    command = AddMilestones(
        actor=stage.payee,
        contract_id=stage.contract_id,
        milestones=(Milestone(slot_id=new_id(), amount_minor=100),),
    )
    return service.add_milestones(stage.connection, [command], at=stage.now)[0]


def settle_asleep(stage: Stage) -> Outcome:
    return stage.on_slot("settle_dormant", stage.operator)


def confirm_client(stage: Stage) -> Outcome:
    return stage.on_slot("confirm", stage.client)


def confirm_payee(stage: Stage) -> Outcome:
    return stage.on_slot("confirm", stage.payee)


_RING_REVIEW: Final = rings("escrow.auto_release")

PAIRS: Final = (
    Pair("approve / approve", submitted, approve, approve),
    Pair("approve / request changes", submitted, approve, changes),
    Pair("approve / withdraw the submission", submitted, approve_first, withdraw),
    Pair("approve / submit again", submitted, approve_first, submit_again),
    Pair("approve / give back", submitted, approve, give_back),
    Pair("approve / end the contract", submitted, approve, end),
    Pair("part / approve", submitted, part, approve),
    Pair("part / part", submitted, part, part),
    Pair("release / ask refund", submitted, approve, ask_back),
    Pair("part / give back", submitted, part, give_back),
    Pair("confirm / confirm", both_confirm, confirm_client, confirm_payee),
    Pair("auto-release / submit again", review_over, rings("escrow.auto_release"), submit_again),
    Pair("auto-release / request changes", review_over, rings("escrow.auto_release"), changes),
    Pair("auto-release / approve", review_over, rings("escrow.auto_release"), approve),
    Pair("auto-release / part", review_over, rings("escrow.auto_release"), part),
    Pair("auto-release / hold placed", review_over, rings("escrow.auto_release"), place),
    Pair("auto-release / itself", review_over, _RING_REVIEW, _RING_REVIEW),
    Pair("refund reply / accept", unanswered, rings("escrow.refund_reply"), accept_refund),
    Pair("refund reply / hold placed", unanswered, rings("escrow.refund_reply"), place),
    Pair("dormant / submit", silent, rings("escrow.dormant"), submit_again),
    Pair("dormant / approve", silent, rings("escrow.dormant"), approve),
    Pair("security hold / hold on payee", released, rings("escrow.security_hold"), hold_payee),
    Pair("hold placed / release", submitted, place, approve),
    Pair("hold on contract / release", submitted, hold_contract, approve),
    Pair("hold on payee / part", submitted, hold_payee, part),
    Pair("hold lifted / release", held, lift, approve),
    Pair("hold lifted / hold placed", held, lift, place),
    Pair("hold lifted / hold on contract", held, lift, hold_contract),
    Pair("hold lifted / hold on payee", held, lift, hold_payee),
    Pair("hold on contract lifted / hold on slot", contract_held, lift, place),
    Pair("hold on payee lifted / hold on slot", payee_held, lift, place),
    Pair("hold lifted / lifted", held, lift, lift),
    Pair("pause / release", submitted, pause, approve),
    Pair("pause / pause", submitted, pause, pause),
    Pair("pause / add milestones", submitted, pause, add_slot),
    Pair("end / close", ending, give_back, close),
    Pair("end / fund", accepted, end, Stage.start_funding),
    Pair("accept / cancel", proposed, Stage.accept, cancel_slot),
    Pair("fund / cancel", accepted, Stage.start_funding, cancel_slot),
    Pair("fund / fund", accepted, Stage.start_funding, Stage.start_funding),
    Pair("paid / cancel the payment", paying, paid, cancel_paying),
    Pair("paid / payment expires", expiring, paid, rings("escrow.fund_interactive")),
    Pair("paid / declined", paying, paid, declined, repeats=True),
    Pair("one wallet / two slots", with_wallet, pay_first, pay_second),
    Pair("sign / sign", offered, sign, sign),
    Pair("two amendments", offered_twice, sign, sign_other),
    Pair("sign / new offer", offered, sign, lambda stage: offer_price(stage, 6_000)),
    Pair("sign / release", offered, sign, approve),
    Pair("sign / part", offered, sign, part),
    Pair("roll / release", ready, roll, approve),
    Pair("refund accepted / given back", asked_back, accept_refund, give_back),
)
