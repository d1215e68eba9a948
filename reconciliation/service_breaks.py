"""Breaks: what matching leaves over, who looks at it, and how it ends.

A rerun finds the same breaks under the same ids. A break ends by itself when its line or item comes
into a match; a person explains it, or two people write it off: the difference is posted (P46), and
the posting and the break are matched by hand.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import format_minor
from kernel.principals import Actor, PrincipalKind
from payouts.service_rounding import Rounding, book_roundings
from reconciliation import store_breaks as store
from reconciliation import store_matches
from reconciliation.commands_breaks import AssignBreak, BreakCommand, DecideWriteOff, SetHour
from reconciliation.leftovers import list_left, without_opening
from reconciliation.model_breaks import Left, due_on, write_off_limit_minor
from reconciliation.model_matching import Found
from reconciliation.refusals_breaks import (
    AboveLimit,
    BreakClosed,
    NoHour,
    OtherPerson,
    PeopleDecide,
    SaySomething,
    UnknownBreak,
    UnknownWriteOff,
    WriteOffDecided,
    WriteOffOpen,
)
from reconciliation.service import check_operator
from reconciliation.store_breaks import Locked, NewBreak
from reconciliation.store_certificates import list_adopted, list_stated
from reconciliation.store_items import Place, item_key, parts_of
from reconciliation.store_matches import NewMatch

_OPEN: Final = frozenset({"open", "explained"})


def take_breaks(
    connection: Connection, places: Sequence[Place], *, actor: Actor, at: datetime
) -> dict[str, int]:
    """Make breaks of what is left over, and end those whose other side came; how many of each."""
    store_matches.lock_matching(connection)
    counts = dict.fromkeys(("opened", "changed", "resolved", "reopened", "open"), 0)
    adopted = list_adopted(connection)
    for place in places:
        left = _left(connection, place, adopted, at)
        known = store.lock_known(connection, place, [each.id for each in left])
        _take_place(connection, place, left, known, actor=actor, at=at, counts=counts)
    return counts


def comment(
    connection: Connection, commands: Sequence[BreakCommand], *, at: datetime
) -> list[Outcome]:
    """Say something of breaks. Refuses `break.unknown`, `break.says_nothing`."""

    def say(command: BreakCommand) -> dict[str, Any]:
        _lock(connection, command.break_id, even_closed=True)
        told = _words(command.told)
        _note(connection, command.break_id, "comment", told, command.actor, at)
        return {"break_id": str(command.break_id)}

    return _each(commands, say)


def assign(
    connection: Connection, commands: Sequence[AssignBreak], *, at: datetime
) -> list[Outcome]:
    """Say who looks at breaks. Refuses `break.unknown`, `break.closed`."""

    def hand(command: AssignBreak) -> dict[str, Any]:
        _lock(connection, command.break_id)
        store.save_owner(connection, command.break_id, command.owner_id)
        owner = str(command.owner_id) if command.owner_id else ""
        _note(connection, command.break_id, "assigned", owner, command.actor, at)
        return {"break_id": str(command.break_id), "owner_id": owner or None}

    return _each(commands, hand)


def explain(
    connection: Connection, commands: Sequence[BreakCommand], *, at: datetime
) -> list[Outcome]:
    """Say why breaks are there; they stay on certificates until they match.

    Refuses `break.unknown`, `break.closed`, `break.says_nothing`.
    """

    def say(command: BreakCommand) -> dict[str, Any]:
        _lock(connection, command.break_id)
        told = _words(command.told)
        store.save_states(connection, [command.break_id], "explained", closed_at=None)
        _note(connection, command.break_id, "explained", told, command.actor, at)
        return {"break_id": str(command.break_id), "state": "explained"}

    return _each(commands, say)


def propose_write_off(
    connection: Connection, commands: Sequence[BreakCommand], *, at: datetime
) -> list[Outcome]:
    """Propose that the platform bears (or keeps) a break's money; nothing is posted yet.

    Refuses `break.unknown`, `break.closed`, `break.says_nothing`, `write_off.people_decide`,
    `write_off.above_limit`, `write_off.proposed_already`.
    """

    def propose(command: BreakCommand) -> dict[str, Any]:
        found = _lock(connection, command.break_id)
        _check_person(command.actor)
        told = _words(command.told)
        limit = write_off_limit_minor(found.place.currency)
        if abs(found.amount_minor) > limit or found.place.place == "platform_bank":
            raise AboveLimit(
                limit=f"{format_minor(limit, found.place.currency)} {found.place.currency}"
            )
        write_off_id = new_id()
        is_new = store.add_write_off(
            connection,
            write_off_id=write_off_id,
            break_id=command.break_id,
            amounts=(found.amount_minor, limit),
            reason=told,
            by=command.actor.principal_id,
            at=at,
        )
        if not is_new:
            raise WriteOffOpen(break_id=str(command.break_id))
        _note(connection, command.break_id, "write_off_proposed", told, command.actor, at)
        return {"break_id": str(command.break_id), "write_off_id": str(write_off_id)}

    return _each(commands, propose)


def decide_write_offs(
    connection: Connection, commands: Sequence[DecideWriteOff], *, at: datetime
) -> list[Outcome]:
    """Approve or reject write-offs; approved they are posted, and the break is over.

    Refuses `write_off.unknown`, `write_off.decided_already`, `write_off.other_person`,
    `write_off.people_decide`, `break.closed`.
    """
    store_matches.lock_matching(connection)

    def decide(command: DecideWriteOff) -> dict[str, Any]:
        _check_person(command.actor)
        break_id = store.find_write_offs_break(connection, command.write_off_id)
        if break_id is None:
            raise UnknownWriteOff(write_off_id=str(command.write_off_id))
        found = _lock(connection, break_id, even_closed=True)
        write_off = store.lock_write_off(connection, command.write_off_id)
        if write_off.decided_by is not None:
            raise WriteOffDecided(write_off_id=str(command.write_off_id))
        if write_off.proposed_by == command.actor.principal_id:
            raise OtherPerson(write_off_id=str(command.write_off_id))
        if found.state not in _OPEN and command.is_approved:
            raise BreakClosed(break_id=str(break_id), state=found.state)
        made = (
            _post(connection, found, write_off.reason, command.actor, at)
            if (command.is_approved)
            else None
        )
        store.decide_write_off(
            connection,
            command.write_off_id,
            is_approved=command.is_approved,
            made=made,
            by=command.actor.principal_id,
            at=at,
        )
        kind = "written_off" if command.is_approved else "write_off_rejected"
        if command.is_approved:
            store.save_states(connection, [break_id], kind, closed_at=at)
        _note(connection, break_id, kind, command.reason, command.actor, at)
        return {
            "break_id": str(break_id),
            "write_off_id": str(command.write_off_id),
            "is_approved": command.is_approved,
            "match_id": str(made[1]) if made else None,
        }

    return _each(commands, decide)


def set_hours(
    connection: Connection, commands: Sequence[SetHour], *, at: datetime
) -> list[Outcome]:
    """At which hour the day before is certified. Refuses `safeguarding.no_such_hour`."""

    def set_one(command: SetHour) -> dict[str, Any]:
        if not 0 <= command.hour <= 23:
            raise NoHour(hour=command.hour)
        store.set_hour(connection, command.hour, by=command.actor.principal_id, at=at)
        return {"hour": command.hour}

    return _each(commands, set_one)


def _each(commands: Sequence[Any], act: Callable[[Any], dict[str, Any]]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for command in commands:
        assert isinstance(command, Command)
        try:
            check_operator(command.actor)
            outcomes.append(done(**act(command)))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
    return outcomes


def _left(
    connection: Connection, place: Place, adopted: frozenset[int], at: datetime
) -> list[Left]:
    """What is left over by today, without what opened books and statement alike."""
    left = list_left(connection, place, at.date())
    if not adopted:
        return left
    for each in list_stated(connection, place.currency, at.date()):
        if (each.place, each.rail_account) == (place.place, place.rail_account):
            return without_opening(left, adopted, each.opening_minor)
    return left


def _take_place(
    connection: Connection,
    place: Place,
    left: Sequence[Left],
    known: dict[UUID, store.Known],
    *,
    actor: Actor,
    at: datetime,
    counts: dict[str, int],
) -> None:
    there = {each.id for each in left}
    new = [each for each in left if each.id not in known]
    again = [each for each in left if each.id in known and known[each.id].state not in _OPEN]
    other = [
        each
        for each in left
        if each.id in known and (each.kind, each.told[:500]) != _words_of(known[each.id])
    ]
    over = [each.id for each in known.values() if each.id not in there and each.state in _OPEN]
    store.add_breaks(connection, place, [_new(each, place, at) for each in new], at)
    store.save_kinds(connection, [(each.id, each.kind.value, each.told[:500]) for each in other])
    store.save_states(connection, [each.id for each in again], "open", closed_at=None)
    store.save_states(connection, over, "resolved", closed_at=at)
    notes = [(each.id, "opened", each.told) for each in new]
    notes += [(each.id, "reopened", "its match was taken back") for each in again]
    notes += [(each.id, "kind", f"{each.kind.value}: {each.told}") for each in other]
    notes += [(each, "resolved", "the other side came, and matches") for each in over]
    store.add_notes(connection, notes, by=actor.principal_id, at=at)
    counts["opened"] += len(new)
    counts["changed"] += len(other)
    counts["resolved"] += len(over)
    counts["reopened"] += len(again)
    counts["open"] += len(left)


def _words_of(known: store.Known) -> tuple[str, str]:
    return known.kind, known.told


def _new(left: Left, place: Place, at: datetime) -> NewBreak:
    return NewBreak(
        id=left.id,
        line_id=UUID(left.key) if left.is_line else None,
        item=None if left.is_line else parts_of(left.key),
        amount_minor=left.amount_minor,
        arose_on=left.on,
        kind=left.kind.value,
        told=left.told[:500],
        due_on=due_on(left.amount_minor, place.currency, at.date()),
    )


def _lock(connection: Connection, break_id: UUID, *, even_closed: bool = False) -> Locked:
    found = store.lock_break(connection, break_id)
    if found is None:
        raise UnknownBreak(break_id=str(break_id))
    if found.state not in _OPEN and not even_closed:
        raise BreakClosed(break_id=str(break_id), state=found.state)
    return found


def _words(told: str) -> str:
    if not told.strip():
        raise SaySomething
    return told.strip()[:2000]


def _check_person(actor: Actor) -> None:
    if actor.kind is not PrincipalKind.PERSON:
        raise PeopleDecide


def _note(
    connection: Connection, break_id: UUID, kind: str, told: str, actor: Actor, at: datetime
) -> None:
    store.add_notes(connection, [(break_id, kind, told)], by=actor.principal_id, at=at)


def _post(
    connection: Connection, found: Locked, reason: str, actor: Actor, at: datetime
) -> tuple[int, UUID]:
    """Post what makes both sides the same, and match it with the break by hand.

    What the statement alone has is booked as it says; what the books alone have is taken back.
    """
    gap_minor = found.amount_minor if found.line_id is not None else -found.amount_minor
    (event_id,) = book_roundings(
        connection,
        [
            Rounding(
                rail_account=found.place.rail_account,
                currency=found.place.currency,
                short_minor=-gap_minor,
                actor=actor,
                reason=f"written off: {reason}"[:500],
                most_minor=write_off_limit_minor(found.place.currency),
            )
        ],
        at=at,
    )
    posted = store_matches.get_item(connection, found.place, event_id)
    lines = [] if found.line_id is None else [(str(found.line_id), found.amount_minor)]
    items = [] if found.item is None else [(_key(found.item), found.amount_minor)]
    members = Found(
        "hand",
        1000,
        tuple(key for key, _ in lines),
        tuple(key for key, _ in [*items, posted]),
        amounts=tuple(minor for _, minor in [*lines, *items, posted]),
    )
    match_id = new_id()
    store_matches.add_matches(
        connection,
        found.place,
        [NewMatch(match_id, members)],
        run_id=None,
        by=actor.principal_id,
        at=at,
    )
    return event_id, match_id


def _key(item: tuple[int, int, int]) -> str:
    account_id, account_seq, event_id = item
    return item_key(account_id=account_id, account_seq=account_seq, event_id=event_id)
