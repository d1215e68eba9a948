"""Refunds after release and claims on the real database, driven by short words."""

from uuid import UUID

from sqlalchemy import Connection

from escrow import service_claims, store_chargeback
from escrow.model import Terms
from escrow.model_chargeback import RefundLater
from escrow.model_claim import ApproveWriteOff, Claim, ProposeWriteOff, SetClaimRules
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from tests.escrow.stage import Stage, prove_books


def released(connection: Connection, *, terms: Terms | None = None, amount: int = 10_000) -> Stage:
    """Funded by card, released in full, and available to the payee."""
    stage = Stage(connection, terms=terms or Terms(), amounts=(amount,)).submitted()
    assert stage.approve().is_done
    stage.wait(days=5)
    return stage


def send_back(stage: Stage, amount: int, actor: Actor | None = None, ref: str = "") -> Outcome:
    """Released money goes back."""
    command = RefundLater(
        actor=actor or stage.payee,
        slot_id=stage.slot_id,
        amount_minor=amount,
        agreement_ref=ref,
    )
    return service_claims.refund_later(stage.connection, [command], at=stage.now)[0]


def set_rules(
    stage: Stage, *, fronts: bool, bps: int = 2_500, actor: Actor | None = None
) -> Outcome:
    """How the platform acts in the stage's currency."""
    command = SetClaimRules(
        actor=actor or stage.operator,
        currency=stage.currency,
        fronts_refunds=fronts,
        recovery_bps=bps,
    )
    return service_claims.set_claim_rules(stage.connection, [command], at=stage.now)[0]


def claims(stage: Stage) -> list[Claim]:
    """The payee's claims, oldest first."""
    return store_chargeback.list_claims(
        stage.connection, after=None, limit=100, payee_id=stage.payee.party_id
    )


def propose(stage: Stage, claim_id: UUID, actor: Actor, reason: str = "gone") -> Outcome:
    command = ProposeWriteOff(actor=actor, claim_id=claim_id, write_off_id=new_id(), reason=reason)
    return service_claims.propose_write_off(stage.connection, [command], at=stage.now)[0]


def approve(stage: Stage, claim_id: UUID, actor: Actor) -> Outcome:
    command = ApproveWriteOff(actor=actor, claim_id=claim_id)
    return service_claims.approve_write_off(stage.connection, [command], at=stage.now)[0]


def take_out(stage: Stage, amount: int) -> None:
    """The payee spends a part of what is available: as a journal of the books would show it."""
    assert stage.payee.party_id is not None
    lines = (
        Line(account("custody.earned_available", stage.currency, stage.payee.party_id), amount),
        Line(account("custody.payout_in_transit", stage.currency, new_id()), -amount),
    )
    draft = Draft(
        "payout.requested", "", SYSTEM, stage.now, (Entry(Book.CUSTODY, stage.currency, lines),)
    )
    assert all(not isinstance(answer, Exception) for answer in post(stage.connection, [draft]))


def another_release(stage: Stage, amount: int) -> Stage:
    """The same payee earns more, and it becomes available."""
    other = Stage(stage.connection, stage.currency, amounts=(amount,), now=stage.now)
    other.payee = stage.payee
    assert other.submitted().approve().is_done
    other.wait(days=5)
    stage.now = other.now
    return other


def prove_claims(stage: Stage) -> None:
    """The books hold, and what payees owe in them is what the claims say remains."""
    prove_books(stage.connection)
    rows = stage.connection.exec_driver_sql(
        "SELECT sum(balance_minor) FROM account WHERE kind = 'platform.claim_on_payee'"
    ).scalar_one()
    remaining = stage.connection.exec_driver_sql(
        "SELECT sum(remaining_minor) FROM claim"
    ).scalar_one()
    assert (rows or 0) == (remaining or 0)
