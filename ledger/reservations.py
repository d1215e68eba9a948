"""Reservations: set money of an account aside, post it in parts, void it, let it expire.

What is set aside lies on the account's reserved twin (decision 0004). It has left the account, so
the account's bound counts it, and nothing else can spend it. Which accounts may be reserved from,
and what may be paid out of them, stands in `ledger.rules_reservations`. The database refuses a
reserved twin that holds anything but what remains of its open reservations. An import brings the
money of a twin and not the reservations: until one posting has taken all of it back, nothing more
is set aside on that account.

Locks: the parties whose money is paid out FOR SHARE, then the reservations by id, then what
`ledger.service.post` locks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from kernel import timers
from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer
from ledger import rules_reservations as rules
from ledger.chart import is_reserved, reserved_twin
from ledger.holds import list_open
from ledger.model import AccountKey, Posted
from ledger.model_reservations import (
    PostReserved,
    Reservation,
    ReservationState,
    Reserve,
    VoidReservation,
    as_json,
)
from ledger.parties import UnknownParty
from ledger.rules_reservations import Moved
from ledger.service import post
from ledger.store_parties import find_many as find_parties
from ledger.store_parties import lock_share
from ledger.store_reservations import (
    Written,
    add_many,
    find_many,
    list_left_over,
    list_page,
    lock_many,
    save_many,
)

__all__ = ["as_json", "expire_due", "find_many", "list_page", "post_reserved", "reserve", "void"]

EXPIRY: Final = "ledger.reservation_expiry"
"""The kind of the timer, and the name of its handler."""

AGAIN: Final = timedelta(days=1)
"""When an expiry is tried again that the books refused, as on a frozen account."""

_Command = TypeVar("_Command", bound=PostReserved | VoidReservation)


def reserve(connection: Connection, commands: Sequence[Reserve], *, at: datetime) -> list[Outcome]:
    """Set money aside; one outcome each, an earlier command before a later one.

    Refuses what `ledger.rules_reservations.reserve` says, `party.unknown`, `reservation.exists`,
    and what `ledger.service.post` says: `ledger.insufficient_funds` where less is there.
    """
    taken = set(find_many(connection, [command.reservation_id for command in commands]))
    accounts = [command.account for command in commands]
    strangers = _list_strangers(connection, accounts)
    twins = [reserved_twin(key) for key in accounts if not is_reserved(key.subject)]
    left_over = list_left_over(connection, twins)

    def decide(command: Reserve) -> Moved:
        moved = rules.reserve(command, at)
        _check_known(strangers, [command.account])
        rules.check_twin(command.account, left_over)
        if moved.row.id in taken:
            raise rules.ReservationExists(reservation_id=str(moved.row.id))
        taken.add(moved.row.id)
        return moved

    outcomes, written = _run(connection, [_told(decide, command) for command in commands])
    add_many(connection, written)
    timers.arm(
        connection,
        [
            Arm(row.subject, EXPIRY, row.expires_at, 1)
            for row, _, _ in written
            if row.expires_at is not None
        ],
    )
    return outcomes


def post_reserved(
    connection: Connection, commands: Sequence[PostReserved], *, at: datetime
) -> list[Outcome]:
    """Pay out of reservations, a part or the last; a reservation may be named once.

    Refuses `reservation.unknown`, `reservation.named_twice`, `reservation.held`, `party.unknown`,
    what `ledger.rules_reservations.post_reserved` says, and what `ledger.service.post` says.
    """
    seen = find_many(connection, [command.reservation_id for command in commands])
    targets = [target.account for command in commands for target in command.targets]
    strangers = _list_strangers(connection, targets)
    held = _lock_holders(connection, seen.values())
    rows = lock_many(connection, seen)

    def decide(command: PostReserved) -> Moved:
        row = _pick(rows, command)
        rules.check_open(row, at)
        why = held.get(rules.holder(row.account))
        if why:
            raise rules.Held(reservation_id=str(row.id), holds=why)
        moved = rules.post_reserved(row, command, at)
        _check_known(strangers, [target.account for target in command.targets])
        return moved

    return _step(connection, _once(commands, decide))


def void(
    connection: Connection, commands: Sequence[VoidReservation], *, at: datetime
) -> list[Outcome]:
    """Give back what remains; a reservation may be named once. No hold stands in the way.

    Refuses `reservation.unknown`, `reservation.named_twice`, `reservation.already_*`.
    """
    rows = lock_many(connection, [command.reservation_id for command in commands])
    return _step(
        connection,
        _once(commands, lambda command: rules.void(_pick(rows, command), command, at)),
    )


def expire_due(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Fire the timers of reservations whose time is over; how many were fired.

    One whose money cannot go back now, as to a frozen account, is tried again in a day.
    """
    rows = lock_many(connection, [_id(each) for each in due], skip_locked=True)
    free = [each for each in due if _id(each) in rows]
    claimed = timers.claim(connection, free)
    ending = [rows[_id(each)] for each in claimed if _is_open(rows[_id(each)])]
    outcomes, written = _run(connection, [rules.expire(row, SYSTEM, at) for row in ending])
    save_many(connection, written)
    again = [
        Arm(row.subject, EXPIRY, at + AGAIN, 1)
        for row, outcome in zip(ending, outcomes, strict=True)
        if not outcome.is_done
    ]
    timers.arm(connection, again)
    return len(claimed)


HANDLERS: Final = MappingProxyType({EXPIRY: expire_due})
"""The kinds of timers that this room fires, for the engine's table of handlers."""


def _step(connection: Connection, decided: Sequence[Moved | Refusal]) -> list[Outcome]:
    """Post, save, and take away the timers of what has ended."""
    outcomes, written = _run(connection, decided)
    save_many(connection, written)
    ended = [(row.subject, EXPIRY) for row, _, _ in written if not _is_open(row)]
    timers.cancel(connection, ended)
    return outcomes


def _run(
    connection: Connection, decided: Sequence[Moved | Refusal]
) -> tuple[list[Outcome], list[Written]]:
    """Post what was decided in one call; an outcome each, and what is to be written."""
    drafts = [each.draft for each in decided if not isinstance(each, Refusal)]
    answers = iter(post(connection, drafts) if drafts else ())
    outcomes: list[Outcome] = []
    written: list[Written] = []
    for each in decided:
        answer: Posted | Refusal = each if isinstance(each, Refusal) else next(answers)
        if isinstance(each, Refusal) or isinstance(answer, Refusal):
            assert isinstance(answer, Refusal)
            outcomes.append(refused(answer))
            continue
        written.append((each.row, each.step, answer.event_id))
        outcomes.append(done(**as_json(each.row), event_id=str(answer.event_id)))
    return outcomes, written


def _once(
    commands: Sequence[_Command], decide: Callable[[_Command], Moved]
) -> list[Moved | Refusal]:
    """Decide each command; the second that names a reservation is refused."""
    named: set[UUID] = set()

    def checked(command: _Command) -> Moved:
        rules.check_actor(command.actor, str(command.reservation_id))
        if command.reservation_id in named:
            raise rules.NamedTwice(reservation_id=str(command.reservation_id))
        named.add(command.reservation_id)
        return decide(command)

    return [_told(checked, command) for command in commands]


_Any = TypeVar("_Any")


def _told(decide: Callable[[_Any], Moved], command: _Any) -> Moved | Refusal:
    try:
        return decide(command)
    except Refusal as refusal:
        return refusal


def _pick(rows: Mapping[UUID, Reservation], command: PostReserved | VoidReservation) -> Reservation:
    row = rows.get(command.reservation_id)
    if row is None:
        raise rules.UnknownReservation(reservation_id=str(command.reservation_id))
    return row


def _lock_holders(connection: Connection, rows: Iterable[Reservation]) -> Mapping[str, list[str]]:
    """Lock the parties whose money it is FOR SHARE; the kinds of the open holds on each."""
    parties = {rules.holder(row.account) for row in rows} - {""}
    ids = [UUID(each) for each in parties if _is_id(each)]
    lock_share(connection, ids)
    found = list_open(connection, [f"party:{each}" for each in parties])
    return {
        subject.partition(":")[2]: [hold.kind.value for hold in holds]
        for subject, holds in found.items()
    }


def _list_strangers(connection: Connection, keys: Iterable[AccountKey]) -> set[str]:
    """Ids that name a party whose account is meant, and that no party has."""
    ids = {UUID(each) for each in map(rules.holder, keys) if _is_id(each)}
    return {str(each) for each in ids - set(find_parties(connection, ids))} if ids else set()


def _check_known(strangers: set[str], keys: Iterable[AccountKey]) -> None:
    for key in keys:
        if rules.holder(key) in strangers:
            raise UnknownParty(party_id=key.subject)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _is_open(row: Reservation) -> bool:
    return row.state is ReservationState.OPEN


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])
