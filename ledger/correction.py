"""Posting drafts as commands, and reversing events: the ledger's own doors to its books."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from ledger.chart import is_reserved
from ledger.commands import PostDraft, Reverse
from ledger.model import Draft, Entry, EntryRef, Line, Posted
from ledger.service import lock, post
from ledger.store_audit import find_entries, list_known, list_reversed

EVENT_REVERSED: Final = "event.reversed"


class UnknownEvent(Refusal):
    """No event of this tenant has this number."""

    code = "ledger.unknown_event"


class NothingToReverse(Refusal):
    """The event has no entries; what moved no money needs no reversal."""

    code = "ledger.nothing_to_reverse"


class AlreadyReversed(Refusal):
    """An entry is reversed at most once."""

    code = "ledger.already_reversed"


class ReversalOfReversal(Refusal):
    """A reversal is not reversed: post what was meant as a new event."""

    code = "ledger.reversal_of_reversal"


class OfReservation(Refusal):
    """What touched money that is set aside is no reversal's to undo: void it, or post anew."""

    code = "ledger.reversal_of_reservation"


class ReasonMissing(Refusal):
    """A reversal says why."""

    code = "ledger.reason_missing"


def post_drafts(
    connection: Connection, commands: Sequence[PostDraft], *, at: datetime
) -> list[Outcome]:
    """Post the drafts of the commands; one outcome each, refused as `ledger.service.post` says."""
    assert at.tzinfo is not None
    return [_outcome(answer) for answer in post(connection, [c.draft for c in commands])]


def reverse(connection: Connection, commands: Sequence[Reverse], *, at: datetime) -> list[Outcome]:
    """Mirror every entry of the events; refuses what is unknown, empty or reversed already."""
    ids = [command.event_id for command in commands]
    originals = find_entries(connection, ids)
    lock(
        connection,
        {line.account for entries in originals.values() for e in entries for line in e.lines},
    )
    known = list_known(connection, ids)
    reversed_ids = list_reversed(connection, ids)
    outcomes: list[Outcome | None] = [None] * len(commands)
    drafts: list[tuple[int, Draft]] = []
    for i, command in enumerate(commands):
        try:
            _check(command, known, reversed_ids, originals)
        except Refusal as refusal:
            outcomes[i] = refused(refusal)
            continue
        reversed_ids.add(command.event_id)
        drafts.append((i, _mirror(command, originals[command.event_id], at)))
    answers = post(connection, [draft for _, draft in drafts])
    for (i, _), answer in zip(drafts, answers, strict=True):
        outcomes[i] = _outcome(answer)
    return [outcome for outcome in outcomes if outcome is not None]


def _check(
    command: Reverse,
    known: set[int],
    reversed_ids: set[int],
    originals: dict[int, list[Entry]],
) -> None:
    number = str(command.event_id)
    if command.event_id not in known:
        raise UnknownEvent(event_id=number)
    if command.event_id not in originals:
        raise NothingToReverse(event_id=number)
    if command.event_id in reversed_ids:
        raise AlreadyReversed(event_id=number)
    if any(entry.reverses is not None for entry in originals[command.event_id]):
        raise ReversalOfReversal(event_id=number)
    if any(
        is_reserved(line.account.subject) for e in originals[command.event_id] for line in e.lines
    ):
        raise OfReservation(event_id=number)
    if not command.reason.strip():
        raise ReasonMissing(event_id=number)


def _mirror(command: Reverse, originals: Sequence[Entry], at: datetime) -> Draft:
    entries = tuple(
        Entry(
            entry.book,
            entry.currency,
            tuple(Line(line.account, -line.amount_minor) for line in entry.lines),
            reverses=EntryRef(command.event_id, entry_no),
        )
        for entry_no, entry in enumerate(originals, 1)
    )
    return Draft(
        EVENT_REVERSED,
        f"event:{command.event_id}",
        command.actor,
        command.effective_at or at,
        entries,
        command.reason,
    )


def _outcome(answer: Posted | Refusal) -> Outcome:
    if isinstance(answer, Refusal):
        return refused(answer)
    return done(event_id=str(answer.event_id), recorded_at=answer.recorded_at.isoformat())
