"""Pairs on a chargeback: the bank takes and gives while money is released, refunded, paid out."""

from typing import Final

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.ids import new_id
from payouts import service as payouts
from payouts.commands import RequestPayout
from tests.escrow import stage_claims
from tests.escrow.stage import Stage
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_dispute import Court
from tests.interleave import pairs_deal as deal
from tests.interleave.scenes import Act, Pair, rings
from tests.payouts.builders import new_method


def submitted(connection: Connection) -> Bank:
    return Bank(deal.submitted(connection))


def review_over(connection: Connection) -> Bank:
    return Bank(deal.review_over(connection))


def part_released(connection: Connection) -> Bank:
    stage = deal.submitted(connection)
    assert stage.release_part(4_000).is_done
    stage.wait(days=5)
    return Bank(stage)


def in_hold(connection: Connection) -> Bank:
    """All released; its security hold is over, but nobody has looked yet."""
    return Bank(deal.released(connection))


def paid_out(connection: Connection) -> Bank:
    """All released and available, and the payee has a place to be paid to."""
    stage = stage_claims.released(connection)
    assert stage.payee.party_id is not None
    stage.method_id = new_method(connection, stage.payee.party_id)  # type: ignore[attr-defined]
    return Bank(stage)


def fought_for(connection: Connection) -> Bank:
    """The bank took it back after release, and waits for our answer."""
    bank = paid_out(connection).opened()
    assert bank.tell().is_done
    return bank


def frozen(connection: Connection) -> Bank:
    """The bank took it before release."""
    return submitted(connection).opened()


def takes(bank: Bank) -> Outcome:
    return bank.takes(ref="txn_taken")


def takes_half(bank: Bank) -> Outcome:
    return bank.takes(5_000, ref="txn_half")


def gives(bank: Bank) -> Outcome:
    return bank.gives(ref="txn_given")


def says(state: str) -> Act:
    return lambda bank: bank.says(state)


def on_stage(act: Act) -> Act:
    return lambda bank: act(bank.stage)


def dispute(bank: Bank) -> Outcome:
    return Court(bank.stage).open()


def pay_out(bank: Bank) -> Outcome:
    stage: Stage = bank.stage
    assert stage.payee.party_id is not None
    command = RequestPayout(
        actor=stage.payee,
        payout_id=new_id(),
        payee_id=stage.payee.party_id,
        method_id=stage.method_id,  # type: ignore[attr-defined]
        amount_minor=9_000,
        currency=stage.currency,
    )
    return payouts.request(stage.connection, [command], at=stage.now)[0]


def answer(bank: Bank) -> Outcome:
    return bank.file(bank.stage.payee)


def add(bank: Bank) -> Outcome:
    return bank.file(bank.stage.operator, "contract:1")


def send_back(bank: Bank) -> Outcome:
    return stage_claims.send_back(bank.stage, 10_000)


_REVIEW: Final = rings("escrow.auto_release")
_HOLD: Final = rings("escrow.security_hold")

PAIRS: Final = (
    Pair("chargeback / release", submitted, takes, on_stage(deal.approve)),
    Pair("chargeback / part", submitted, takes, on_stage(deal.part)),
    Pair("chargeback / refund", submitted, takes, on_stage(deal.give_back)),
    Pair("chargeback / dispute", submitted, takes, dispute),
    Pair("chargeback / amendment", submitted, takes, lambda b: deal.offer_price(b.stage, 8_000)),
    Pair("chargeback / auto-release", review_over, takes, _REVIEW),
    Pair("chargeback / itself", submitted, takes, takes),
    Pair("chargeback taken / given", submitted, takes, gives),
    Pair("chargeback in two halves", part_released, takes_half, takes),
    Pair("chargeback / rest released", part_released, takes, on_stage(deal.approve)),
    Pair("chargeback / security hold", in_hold, takes, _HOLD),
    Pair("chargeback / payout", paid_out, takes, pay_out),
    Pair("chargeback / refund later", paid_out, takes, send_back),
    Pair("chargeback lost / payout", fought_for, says("lost"), pay_out),
    Pair("chargeback lost / given", fought_for, says("lost"), gives),
    Pair("chargeback lost / won", fought_for, says("lost"), says("won")),
    Pair("chargeback won / given", fought_for, says("won"), gives),
    Pair("chargeback won / release", frozen, says("won"), on_stage(deal.approve)),
    Pair("chargeback given / release", frozen, gives, on_stage(deal.approve)),
    Pair("chargeback evidence / answer", fought_for, Bank.submit, answer),
    Pair("chargeback answer / addition", fought_for, answer, add),
)
