"""Pairs of the house: manual journals, money set aside, what is paid out of it meanwhile."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.ids import new_id
from ledger import journals, reservations
from ledger.chart import account
from ledger.journals import DecideJournal, PrepareJournal
from ledger.model import Book, Entry, Line
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from tests.escrow.stage import Stage, person
from tests.interleave import pairs_money
from tests.interleave.scenes import Pair, rings


@dataclass
class Desk:
    """A journal that waits for its second person, and 400.00 of a payee's 500.00 set aside."""

    stage: Stage
    journal_id: UUID
    reservation_id: UUID
    till: pairs_money.Till


def desk(connection: Connection) -> Desk:
    till = pairs_money.till(connection)
    stage = till.stage
    lines = (
        Line(account("platform.bank", "EUR"), 500),
        Line(account("platform.revenue.commission", "EUR"), -500),
    )
    prepare = PrepareJournal(
        actor=stage.operator,
        entries=(Entry(Book.PLATFORM, "EUR", lines),),
        reason="interest",
        attachment_sha256=bytes(range(32)),
    )
    (journal,) = journals.prepare(connection, [prepare], at=stage.now)
    assert journal.is_done, journal
    found = Desk(stage, UUID(journal.facts["id"]), new_id(), till)
    assert set_aside(found, 20_000, found.reservation_id).is_done
    return found


def expired(connection: Connection) -> Desk:
    """The reservation's time is over; nobody has looked yet."""
    found = desk(connection)
    found.stage.now += timedelta(days=8)
    return found


def set_aside(found: Desk, amount: int, reservation_id: UUID) -> Outcome:
    command = Reserve(
        actor=found.stage.operator,
        reservation_id=reservation_id,
        account=account("custody.earned_available", "EUR", found.till.payee_id),
        amount_minor=amount,
        reason="a doubt",
        expires_at=found.stage.now + timedelta(days=8),
    )
    return reservations.reserve(found.stage.connection, [command], at=found.stage.now)[0]


def set_more_aside(found: Desk) -> Outcome:
    return set_aside(found, 4_000, new_id())


def pay_from_it(found: Desk) -> Outcome:
    assert found.stage.client.party_id is not None
    target = Target(account("custody.wallet", "EUR", found.stage.client.party_id), 15_000)
    command = PostReserved(
        actor=found.stage.operator, reservation_id=found.reservation_id, targets=(target,)
    )
    return reservations.post_reserved(found.stage.connection, [command], at=found.stage.now)[0]


def give_back(found: Desk) -> Outcome:
    command = VoidReservation(actor=found.stage.operator, reservation_id=found.reservation_id)
    return reservations.void(found.stage.connection, [command], at=found.stage.now)[0]


def pay_out(found: Desk) -> Outcome:
    return pairs_money.ask(found.till, 4_000, new_id())


def approve(found: Desk) -> Outcome:
    command = DecideJournal(actor=person(None, is_operator=True), journal_id=found.journal_id)
    return journals.approve(found.stage.connection, [command], at=found.stage.now)[0]


def reject(found: Desk) -> Outcome:
    command = DecideJournal(
        actor=found.stage.operator, journal_id=found.journal_id, reason="a mistake"
    )
    return journals.reject(found.stage.connection, [command], at=found.stage.now)[0]


_RING: Final = rings("ledger.reservation_expiry")

PAIRS: Final = (
    Pair("journal approved / approved", desk, approve, approve),
    Pair("journal approved / rejected", desk, approve, reject),
    Pair("journal approved / expires", expired, approve, rings("ledger.journal_expiry")),
    Pair("set aside / payout", desk, set_more_aside, pay_out),
    Pair("set aside / set aside", desk, set_more_aside, set_more_aside),
    Pair("paid from it / voided", desk, pay_from_it, give_back),
    Pair("paid from it / paid from it", desk, pay_from_it, pay_from_it),
    Pair("paid from it / expires", expired, pay_from_it, _RING),
    Pair("voided / expires", expired, give_back, _RING),
)
