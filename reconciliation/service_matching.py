"""Matching as use cases: runs, proposals decided, matches undone, and what is left open."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import exponent
from kernel.principals import Actor
from reconciliation import store_matches as store
from reconciliation.commands import DecideProposal, RunMatching, UndoMatch
from reconciliation.differences import post_rounding
from reconciliation.matching import match_streams
from reconciliation.model_matching import VERSION, Candidate, Digest, Found, Rules
from reconciliation.refusals import (
    BadPlace,
    DecidedAlready,
    DifferenceNotPosted,
    Overtaken,
    UndoneAlready,
    UnknownMatch,
    UnknownProposal,
)
from reconciliation.service import PLACES, check_operator
from reconciliation.store_items import Place, Window, list_items, list_lines
from reconciliation.store_matches import NewMatch

_AT_ONCE: Final = 2_000

Progress = Callable[[int], None]
"""Told how many lines and items were looked at by now."""

Poster = Callable[[Connection, Place, Found, Actor, datetime], int]
"""Posts the difference of an R4 (P46, or a processor's fee) and gives the event's number.

The event moves the place by exactly `difference_minor`.
"""


@dataclass(slots=True)
class _Counted:
    """How many candidates went by."""

    lines: int = 0
    items: int = 0
    matched_lines: int = 0
    matched_items: int = 0

    def take(self, found: Found) -> None:
        """Count what a match uses."""
        if not found.is_proposal:
            self.matched_lines += len(found.lines)
            self.matched_items += len(found.items)

    def count(
        self, side: str, each: Iterable[Candidate], progress: Progress
    ) -> Iterator[Candidate]:
        """The candidates of a side as they go by."""
        for candidate in each:
            setattr(self, side, getattr(self, side) + 1)
            if not (self.lines + self.items) % 1_000:
                progress(self.lines + self.items)
            yield candidate


def run_matching(
    connection: Connection,
    commands: Sequence[RunMatching],
    *,
    at: datetime,
    poster: Poster | None = None,
    progress: Progress = lambda _: None,
) -> list[Outcome]:
    """Match what is open of places. A dry run tells what the real one would do, by its digest.

    Refuses `reconciliation.operator_only`, `statement.bad_place`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            place = _place(command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        outcomes.append(done(**_run(connection, command, place, at, poster, progress)))
    return outcomes


def decide_proposals(
    connection: Connection,
    commands: Sequence[DecideProposal],
    *,
    at: datetime,
    poster: Poster | None = None,
) -> list[Outcome]:
    """Accept proposals, which makes them matches, or reject them, which bars their pairs.

    Refuses `reconciliation.operator_only`, `proposal.unknown`, `proposal.decided_already`,
    `proposal.overtaken`, `proposal.difference_not_posted`.
    """
    store.lock_matching(connection)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            facts = _decide(connection, command, at, poster)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        outcomes.append(done(**facts))
    return outcomes


def undo_matches(
    connection: Connection, commands: Sequence[UndoMatch], *, at: datetime
) -> list[Outcome]:
    """Take matches back; no rule will bring those lines and items together again.

    What was posted for a difference stays in the books, and is an open item from now on.
    Refuses `reconciliation.operator_only`, `match.unknown`, `match.undone_already`.
    """
    store.lock_matching(connection)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            known = store.find_match(connection, command.match_id)
            if known is None:
                raise UnknownMatch(match_id=str(command.match_id))
            if known[1]:
                raise UndoneAlready(match_id=str(command.match_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        undo_id = new_id()
        store.undo_match(
            connection,
            undo_id=undo_id,
            match_id=command.match_id,
            reason=command.reason[:2000] or "taken back",
            by=command.actor.principal_id,
            at=at,
        )
        outcomes.append(done(match_id=str(command.match_id), undo_id=str(undo_id)))
    return outcomes


def list_unmatched(
    connection: Connection,
    place: Place,
    *,
    of_statements: bool,
    after: tuple[str, str] = ("", ""),
    limit: int = 1_000,
) -> list[Candidate]:
    """What is in no match, of the statements or of the books, behind a day and key."""
    listed = list_lines if of_statements else list_items
    open_ones = listed(connection, place, Window())
    return list(
        islice((each for each in open_ones if (each.on.isoformat(), each.key) > after), limit)
    )


def _poster_of(place: Place, poster: Poster | None) -> Poster | None:
    """Who posts differences: who was given, else P46 for a processor, and nobody for a bank."""
    if poster is not None:
        return poster
    return post_rounding if place.place == "processor" else None


def _place(command: RunMatching) -> Place:
    exponent(command.currency)
    is_processor = command.place == "processor"
    if command.place not in PLACES or is_processor != bool(command.rail_account):
        raise BadPlace(place=command.place[:40], rail_account=command.rail_account[:80])
    return Place(command.place, command.rail_account, command.currency)


def _run(
    connection: Connection,
    command: RunMatching,
    place: Place,
    at: datetime,
    poster: Poster | None,
    progress: Progress,
) -> dict[str, Any]:
    store.lock_matching(connection)
    poster = _poster_of(place, poster)
    rules = Rules(posts_differences=poster is not None, barred=store.list_barred(connection, place))
    window = Window(command.from_on, command.to_on)
    counted, digest, counts = _Counted(), Digest(), Counter[str]()
    run_id = new_id()
    stream = match_streams(
        counted.count("lines", list_lines(connection, place, window), progress),
        counted.count("items", list_items(connection, place, window), progress),
        rules,
    )
    while some := list(islice(stream, _AT_ONCE)):
        for found in some:
            digest.add(found)
            counted.take(found)
            counts[f"{found.rule}{' proposed' if found.is_proposal else ''}"] += 1
        if not command.is_dry:
            _write(connection, some, place, run_id, command.actor, at, poster)
    facts = _facts(place, counted, counts, digest)
    if not command.is_dry:
        store.add_run(
            connection,
            run_id,
            place,
            window,
            arguments={**asdict(replace(rules, barred=frozenset())), "barred": len(rules.barred)},
            counted=(counted.items, counted.lines),
            counts=dict(sorted(counts.items())),
            digest=digest.value(),
            by=command.actor.principal_id,
            at=at,
        )
    return {"run_id": None if command.is_dry else str(run_id), "is_dry": command.is_dry, **facts}


def _facts(place: Place, counted: _Counted, counts: Counter[str], digest: Digest) -> dict[str, Any]:
    return {
        "place": place.place,
        "rail_account": place.rail_account,
        "currency": place.currency,
        "rules_version": VERSION,
        "items": counted.items,
        "lines": counted.lines,
        "open_items": counted.items - counted.matched_items,
        "open_lines": counted.lines - counted.matched_lines,
        "counts": dict(sorted(counts.items())),
        "digest": digest.value().hex(),
    }


def _write(
    connection: Connection,
    some: Sequence[Found],
    place: Place,
    run_id: UUID,
    actor: Actor,
    at: datetime,
    poster: Poster | None,
) -> None:
    matches = [
        _match(connection, place, found, actor, at, poster)
        for found in some
        if not found.is_proposal
    ]
    store.add_matches(connection, place, matches, run_id=run_id, by=actor.principal_id, at=at)
    for found in some:
        if found.is_proposal:
            store.add_proposal(connection, new_id(), place, found, run_id=run_id, at=at)


def _match(
    connection: Connection,
    place: Place,
    found: Found,
    actor: Actor,
    at: datetime,
    poster: Poster | None,
) -> NewMatch:
    """The match with what was posted for its difference."""
    if not found.difference_minor:
        return NewMatch(new_id(), found)
    if poster is None:
        raise DifferenceNotPosted(difference_minor=found.difference_minor)
    event_id = poster(connection, place, found, actor, at)
    return NewMatch(new_id(), found, event_id, [store.get_item(connection, place, event_id)])


def _decide(
    connection: Connection, command: DecideProposal, at: datetime, poster: Poster | None
) -> dict[str, Any]:
    known = store.find_proposal(connection, command.proposal_id)
    if known is None:
        raise UnknownProposal(proposal_id=str(command.proposal_id))
    proposal, found = known
    if proposal.is_accepted is not None:
        raise DecidedAlready(proposal_id=str(proposal.id))
    match: NewMatch | None = None
    if command.is_accepted:
        if store.is_taken(connection, proposal.id):
            raise Overtaken(proposal_id=str(proposal.id))
        poster = _poster_of(proposal.place, poster)
        match = _match(connection, proposal.place, found, command.actor, at, poster)
        store.add_matches(
            connection,
            proposal.place,
            [match],
            run_id=None,
            by=command.actor.principal_id,
            at=at,
        )
    store.add_decision(
        connection,
        proposal.id,
        match.id if match else None,
        reason=command.reason[:2000],
        by=command.actor.principal_id,
        at=at,
    )
    return {
        "proposal_id": str(proposal.id),
        "is_accepted": command.is_accepted,
        "match_id": str(match.id) if match else None,
    }
