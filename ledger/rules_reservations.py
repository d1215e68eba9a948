"""What may be set aside, what may be paid out of it, and the entries of each step. Pure.

An account can be reserved from if it has a bound: elsewhere nothing keeps the rest from being
spent as well, so a reservation would promise nothing. That leaves out banks, processors, revenue
and the debts between the books, whose two sides must move in one event. What a machine counts for
itself (a slot, a payout, a refund, earnings in their security hold) only the engine reserves or
pays into; operators set aside what a party or the platform may freely use.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from kernel.errors import Refusal
from kernel.money import NotPositive
from kernel.principals import Actor, PrincipalKind
from ledger.chart import (
    CHART,
    MIRRORS,
    UNBOUNDED,
    AccountKind,
    is_reserved,
    names_account,
    reserved_twin,
)
from ledger.model import AccountKey, Draft, Entry, Line
from ledger.model_reservations import (
    PostReserved,
    Reservation,
    ReservationState,
    Reserve,
    Step,
    StepKind,
    VoidReservation,
)
from ledger.rules import UnknownKind

FREE_KINDS: Final = frozenset(
    f"custody.{name}"
    for name in ("wallet", "earned_available", "suspense", "tax_withheld", "unclaimed")
)
"""What operators may set aside and pay into: no machine counts on what lies there."""

PARTYS_OWN: Final = frozenset({"party", "payee", "client"})
"""What the kinds are kept per whose money is a party's."""

MAX_TARGETS: Final = 100
"""Accounts that one posting may pay into."""

_MIRRORED: Final = frozenset(kind for pair in MIRRORS for kind in pair)


class OperatorOnly(Refusal):
    """Only an operator of the tenant sets money aside, posts it, or gives it back."""

    code = "reservation.operator_only"


class UnknownReservation(Refusal):
    """No reservation has this id."""

    code = "reservation.unknown"


class ReservationExists(Refusal):
    """A reservation with this id is there already."""

    code = "reservation.exists"


class NamedTwice(Refusal):
    """One list of commands names the same reservation twice."""

    code = "reservation.named_twice"


class NotReservable(Refusal):
    """Money of this account cannot be set aside, or not by this caller."""

    code = "reservation.not_reservable"


class BadTarget(Refusal):
    """What was set aside is not paid into this account, or not by this caller."""

    code = "reservation.bad_target"


class BadExpiry(Refusal):
    """A reservation expires later than it is made, before the year 2200."""

    code = "reservation.bad_expiry"


class ReasonMissing(Refusal):
    """A reservation says what the money is set aside for."""

    code = "reservation.reason_missing"


class ExceedsRemaining(Refusal):
    """More would be posted than remains."""

    code = "reservation.exceeds_remaining"


class AlreadyPosted(Refusal):
    """All of it was posted."""

    code = "reservation.already_posted"


class AlreadyVoided(Refusal):
    """What remained was given back."""

    code = "reservation.already_voided"


class AlreadyExpired(Refusal):
    """Its time is over: what remains goes back by itself."""

    code = "reservation.already_expired"


class Held(Refusal):
    """An open hold on the party whose money it is blocks every outflow."""

    code = "reservation.held"


_ALREADY: Final = MappingProxyType(
    {
        ReservationState.POSTED: AlreadyPosted,
        ReservationState.VOIDED: AlreadyVoided,
        ReservationState.EXPIRED: AlreadyExpired,
    }
)

_ENDED_BY: Final = MappingProxyType(
    {StepKind.VOIDED: ReservationState.VOIDED, StepKind.EXPIRED: ReservationState.EXPIRED}
)

_LATEST: Final = 2200


class Moved(NamedTuple):
    """What a command comes to: the reservation after it, its step, and the event to be posted."""

    row: Reservation
    step: Step
    draft: Draft


def reserve(command: Reserve, at: datetime) -> Moved:
    """Money of an account goes to its reserved twin; its kind holds as much as before.

    Refuses `reservation.operator_only`, `reservation.not_reservable`, `reservation.bad_expiry`,
    `reservation.reason_missing`, `ledger.unknown_account_kind` and `money.not_positive`.
    """
    check_actor(command.actor, str(command.reservation_id))
    _check_source(command.account, command.actor)
    if command.amount_minor <= 0:
        raise NotPositive(amount_minor=command.amount_minor)
    if not command.reason.strip():
        raise ReasonMissing(account=command.account.code)
    expires_at = command.expires_at
    if expires_at is not None and not (at < expires_at and expires_at.year < _LATEST):
        raise BadExpiry(expires_at=expires_at.isoformat())
    amount_minor = command.amount_minor
    row = Reservation(
        id=command.reservation_id,
        account=command.account,
        amount_minor=amount_minor,
        remaining_minor=amount_minor,
        posted_minor=0,
        state=ReservationState.OPEN,
        version=1,
        reason=command.reason,
        made_at=at,
        expires_at=expires_at,
        ended_at=None,
    )
    step = Step(StepKind.MADE, 0, 0, amount_minor)
    parts = [(command.account, -amount_minor), (reserved_twin(command.account), amount_minor)]
    return Moved(row, step, _draft(row, step, command.actor, command.reason, at, parts))


def post_reserved(row: Reservation, command: PostReserved, at: datetime) -> Moved:
    """A part, or the last of what was set aside, goes to other accounts of the book.

    Refuses `reservation.already_*`, `reservation.exceeds_remaining`, `reservation.bad_target`,
    `ledger.unknown_account_kind` and `money.not_positive`.
    """
    check_open(row, at)
    _check_targets(row, command)
    posted = sum(target.amount_minor for target in command.targets)
    if posted > row.remaining_minor:
        raise ExceedsRemaining(
            reservation_id=str(row.id), remaining_minor=row.remaining_minor, amount_minor=posted
        )
    rest = row.remaining_minor - posted
    returned, remaining = (rest, 0) if command.is_last else (0, rest)
    step = Step(StepKind.POSTED, posted, returned, remaining)
    state = ReservationState.OPEN if remaining else ReservationState.POSTED
    parts = [(reserved_twin(row.account), -posted - returned)]
    parts += [(target.account, target.amount_minor) for target in command.targets]
    parts += [(row.account, returned)] if returned else []
    after = _after(row, step, state, at)
    return Moved(after, step, _draft(row, step, command.actor, command.reason, at, parts))


def void(row: Reservation, command: VoidReservation, at: datetime) -> Moved:
    """All that remains goes back to the account; refuses `reservation.already_*`."""
    check_open(row, at)
    return _give_back(row, StepKind.VOIDED, command.actor, command.reason, at)


def expire(row: Reservation, actor: Actor, at: datetime) -> Moved:
    """The time of an open reservation is over: all that remains goes back to the account."""
    assert row.state is ReservationState.OPEN
    return _give_back(row, StepKind.EXPIRED, actor, "", at)


def check_actor(actor: Actor, reservation_id: str) -> None:
    """Refuse who is neither an operator nor the engine, before anything is looked at."""
    if not (actor.is_operator or actor.kind is PrincipalKind.SYSTEM):
        raise OperatorOnly(reservation_id=reservation_id)


def check_open(row: Reservation, at: datetime) -> None:
    """Refuse what has ended, and what will only expire because its time is over."""
    ended = _ALREADY.get(row.state)
    if ended is not None:
        raise ended(reservation_id=str(row.id))
    if row.expires_at is not None and row.expires_at <= at:
        raise AlreadyExpired(reservation_id=str(row.id))


def check_twin(key: AccountKey, left_over: Collection[str]) -> None:
    """Refuse an account whose twin holds imported money that no reservation accounts for."""
    if reserved_twin(key) in left_over:
        raise NotReservable(account=key.code, why="imported money set aside must go back first")


def holder(key: AccountKey) -> str:
    """The party whose money an account holds, by id; empty where it is no party's."""
    row = CHART.get(key.kind)
    return key.subject if row is not None and row.subject in PARTYS_OWN else ""


def _check_source(key: AccountKey, actor: Actor) -> None:
    row = _kind_of(key)
    if is_reserved(key.subject):
        raise NotReservable(account=key.code, why="it is set aside already")
    if _is_unbounded(row):
        raise NotReservable(account=key.code, why="it has no bound that would keep the rest")
    if not _is_free(key, actor):
        raise NotReservable(account=key.code, why="a machine counts on what lies there")


def _check_targets(row: Reservation, command: PostReserved) -> None:
    targets = command.targets
    if not 1 <= len(targets) <= MAX_TARGETS:
        raise BadTarget(why=f"name one to {MAX_TARGETS} accounts")
    book = CHART[row.account.kind].book
    for key, amount_minor in ((target.account, target.amount_minor) for target in targets):
        if amount_minor <= 0:
            raise NotPositive(amount_minor=amount_minor)
        if _kind_of(key).book is not book or key.currency != row.account.currency:
            raise BadTarget(account=key.code, why="it is of another book or currency")
        if key == row.account or is_reserved(key.subject):
            raise BadTarget(account=key.code, why="void what shall go back")
        if key.kind in _MIRRORED:
            raise BadTarget(account=key.code, why="a debt between the books moves in both at once")
        if not _is_free(key, command.actor):
            raise BadTarget(account=key.code, why="a machine counts on what lies there")


def _kind_of(key: AccountKey) -> AccountKind:
    row = CHART.get(key.kind)
    if row is None or not names_account(row, key.subject):
        raise UnknownKind(kind=key.kind, subject=key.subject)
    return row


def _is_unbounded(row: AccountKind) -> bool:
    return row.lowest_minor == -UNBOUNDED and row.highest_minor == UNBOUNDED


def _is_free(key: AccountKey, actor: Actor) -> bool:
    return actor.kind is PrincipalKind.SYSTEM or key.kind in FREE_KINDS


def _give_back(row: Reservation, kind: StepKind, actor: Actor, reason: str, at: datetime) -> Moved:
    rest = row.remaining_minor
    step = Step(kind, 0, rest, 0)
    parts = [(reserved_twin(row.account), -rest), (row.account, rest)]
    after = _after(row, step, _ENDED_BY[kind], at)
    return Moved(after, step, _draft(row, step, actor, reason, at, parts))


def _after(row: Reservation, step: Step, state: ReservationState, at: datetime) -> Reservation:
    return replace(
        row,
        remaining_minor=step.remaining_minor,
        posted_minor=row.posted_minor + step.posted_minor,
        state=state,
        version=row.version + 1,
        ended_at=None if state is ReservationState.OPEN else at,
    )


def _draft(
    row: Reservation,
    step: Step,
    actor: Actor,
    reason: str,
    at: datetime,
    parts: list[tuple[AccountKey, int]],
) -> Draft:
    """One event, which says all that its row does. `parts` are what each account gains."""
    kind = CHART[row.account.kind]
    side = -1 if kind.highest_minor == 0 else 1
    lines = tuple(Line(key, side * gained) for key, gained in parts)
    detail = {
        "account": row.account.code,
        "posted_minor": step.posted_minor,
        "returned_minor": step.returned_minor,
        "remaining_minor": step.remaining_minor,
        "expires_at": row.expires_at and row.expires_at.isoformat(),
    }
    entries = (Entry(kind.book, row.account.currency, lines),)
    return Draft(f"reservation.{step.kind}", row.subject, actor, at, entries, reason, detail)
