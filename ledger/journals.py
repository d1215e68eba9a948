"""Use cases of manual journals: prepare, approve, reject, let expire, reverse by date.

A journal waits as a row of its own and an event; it reaches the books when a second person approves
it, by `ledger.service.post`. Timers let it expire, and reverse what was meant for a while only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.ids import new_id
from kernel.money import EXPONENTS, UnknownCurrency, format_minor
from kernel.principals import SYSTEM, Actor
from kernel.timers import Arm, DueTimer
from ledger import rules_journals as rules
from ledger import store_journals as store
from ledger import store_parties, store_periods
from ledger.model import Draft, Entry
from ledger.model_journals import Journal, Role, State, as_json, content_sha256
from ledger.model_periods import State as PeriodState
from ledger.periods import redated
from ledger.rules import PeriodNotOpen
from ledger.rules_periods import open_from
from ledger.service import lock, post
from ledger.store_audit import list_reversed

EXPIRY: Final = "ledger.journal_expiry"
REVERSAL: Final = "ledger.journal_reversal"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareJournal(Command):
    """Draw up a manual journal.

    `attachment_sha256` is the hash of the paper that it rests on. `effective_at` None: now.
    `original_effective_on` is the day on which it should have counted, where its period is closed.
    `expires_at` None: in a week.
    """

    entries: tuple[Entry, ...]
    reason: str
    attachment_sha256: bytes
    effective_at: datetime | None = None
    original_effective_on: date | None = None
    reverse_at: datetime | None = None
    expires_at: datetime | None = None
    journal_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideJournal(Command):
    """Approve or reject a journal."""

    journal_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimit(Command):
    """The most that a role may prepare or approve in one journal, in one currency, from now on."""

    role: Role
    currency: str
    highest_minor: int


def prepare(
    connection: Connection, commands: Sequence[PrepareJournal], *, at: datetime
) -> list[Outcome]:
    """Write journals down for their approver; nothing reaches the books.

    Refuses `journal.*` and what `ledger.service.post` refuses of entries, and
    `ledger.period_not_open` for a time that counts in a closed period.
    """
    outcomes: list[Outcome] = []
    limits = store.find_limits(connection, at)
    for command in commands:
        journal = _drawn_up(command, at)
        try:
            rules.check_person(command.actor)
            rules.check_journal(journal, at)
            rules.check_limit(journal.entries, limits, Role.PREPARER)
            _check_parties(connection, journal)
            _check_period(connection, journal)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        detail = {
            "entries_sha256": content_sha256(journal.entries),
            "attachment_sha256": journal.attachment_sha256.hex(),
            "counts_at": journal.effective_at.isoformat(),
        }
        event_id = _tell(connection, journal, rules.PREPARED, command.actor, at, detail=detail)
        journal = replace(journal, prepared_event_id=event_id)
        store.add_journal(connection, journal)
        timers.arm(connection, [Arm(journal.subject, EXPIRY, journal.expires_at, 1)])
        outcomes.append(done(**as_json(journal)))
    return outcomes


def approve(
    connection: Connection, commands: Sequence[DecideJournal], *, at: datetime
) -> list[Outcome]:
    """Post journals that another person prepared; a journal that the books refuse stays waiting.

    Refuses `journal.finance_only`, `journal.unknown`, `journal.wrong_state`, `journal.expired`,
    `journal.same_person`, `journal.above_limit`, and what `ledger.service.post` refuses.
    """
    known = store.lock_journals(connection, [command.journal_id for command in commands])
    limits = store.find_limits(connection, at)
    outcomes: list[Outcome | None] = [None] * len(commands)
    taken: list[tuple[int, Journal]] = []
    for i, command in enumerate(commands):
        try:
            journal = _waiting(known, command, at)
            if journal.prepared_by == command.actor.principal_id:
                raise rules.SamePerson(journal_id=str(journal.id))
            rules.check_limit(journal.entries, limits, Role.APPROVER)
        except Refusal as refusal:
            outcomes[i] = refused(refusal)
            continue
        del known[journal.id]
        taken.append((i, journal))
    answers = post(connection, [rules.drafted(each, commands[i].actor) for i, each in taken])
    posted: list[Journal] = []
    for (i, journal), answer in zip(taken, answers, strict=True):
        if isinstance(answer, Refusal):
            outcomes[i] = refused(answer)
            continue
        posted.append(_decided(journal, commands[i], State.POSTED, at, event_id=answer.event_id))
        outcomes[i] = done(**as_json(posted[-1]))
    _settle(connection, posted)
    return [outcome for outcome in outcomes if outcome is not None]


def reject(
    connection: Connection, commands: Sequence[DecideJournal], *, at: datetime
) -> list[Outcome]:
    """Give journals up before they were posted; also their preparer may. It takes a reason."""
    known = store.lock_journals(connection, [command.journal_id for command in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            journal = _waiting(known, command, at)
            if not command.reason.strip():
                raise rules.ReasonMissing
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        del known[journal.id]
        said = replace(journal, reason=command.reason)
        _tell(connection, said, rules.REJECTED, command.actor, at)
        journal = _decided(journal, command, State.REJECTED, at)
        _settle(connection, [journal])
        outcomes.append(done(**as_json(journal)))
    return outcomes


def set_limits(
    connection: Connection, commands: Sequence[SetLimit], *, at: datetime
) -> list[Outcome]:
    """Set limits from now on.

    Refuses `journal.finance_only`, `money.unknown_currency`, and `journal.limit_just_set` where
    one was set at this very instant.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            rules.check_person(command.actor)
            if command.currency not in EXPONENTS:
                raise UnknownCurrency(currency=command.currency)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = {
            "role": command.role.value,
            "currency": command.currency,
            "highest": format_minor(command.highest_minor, command.currency),
        }
        is_new = store.add_limit(
            connection,
            command.role,
            currency=command.currency,
            highest_minor=command.highest_minor,
            valid_from=at,
            set_by=command.actor.principal_id,
        )
        if not is_new:
            facts = {"role": command.role.value, "currency": command.currency}
            outcomes.append(refused(rules.LimitJustSet(**facts)))
            continue
        post(connection, [Draft("journal.limit_set", "", command.actor, at, detail=told)])
        outcomes.append(done(**told, valid_from=at.isoformat()))
    return outcomes


def expire(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Let journals go that nobody decided; the number of timers fired."""
    known, claimed = _claim(connection, due)
    for timer in claimed:
        journal = known[_id_of(timer)]
        if journal.state is not State.PREPARED:
            continue
        _tell(connection, journal, rules.EXPIRED, SYSTEM, at)
        over = replace(
            journal,
            state=State.EXPIRED,
            decided_by=SYSTEM.principal_id,
            decider_kind=SYSTEM.kind.value,
            decided_at=at,
        )
        store.save_decided(connection, [over])
    return len(claimed)


def reverse_due(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Reverse posted journals on their day, or in the first period that is open after it.

    What somebody reversed by hand meanwhile is left alone. Broken where the books refuse: the timer
    is tried again later, and no period is closed over it.
    """
    assert at.tzinfo is not None
    known, claimed = _claim(connection, due)
    wanted = [known[_id_of(timer)] for timer in claimed]
    wanted = [each for each in wanted if each.state is State.POSTED]
    lock(connection, {ln.account for each in wanted for e in each.entries for ln in e.lines})
    by_hand = list_reversed(connection, [each.event_id for each in wanted if each.event_id])
    left = [each for each in wanted if each.event_id not in by_hand]
    drafts = [rules.mirrored(each, SYSTEM, each.reverse_at or at) for each in left]
    reversed_: list[Journal] = []
    for journal, answer in zip(left, post(connection, redated(connection, drafts)), strict=True):
        if isinstance(answer, Refusal):
            raise Broken("the books refuse to reverse a journal", journal_id=str(journal.id))
        reversed_.append(replace(journal, reversal_event_id=answer.event_id))
    store.save_reversed(connection, reversed_)
    return len(claimed)


HANDLERS: Final[dict[str, Callable[[Connection, Sequence[DueTimer], datetime], int]]] = {
    EXPIRY: expire,
    REVERSAL: reverse_due,
}
"""By the kind of the timer."""


def _drawn_up(command: PrepareJournal, at: datetime) -> Journal:
    return Journal(
        id=command.journal_id or new_id(),
        state=State.PREPARED,
        entries=command.entries,
        reason=command.reason,
        attachment_sha256=command.attachment_sha256,
        effective_at=command.effective_at or at,
        original_effective_on=command.original_effective_on,
        reverse_at=command.reverse_at,
        expires_at=command.expires_at or at + rules.EXPIRES_AFTER,
        prepared_by=command.actor.principal_id,
        prepared_at=at,
    )


def _check_parties(connection: Connection, journal: Journal) -> None:
    named = rules.parties_named(journal.entries)
    unknown = named - store_parties.find_many(connection, named).keys() if named else set()
    if unknown:
        raise rules.UnknownSubaccount(kind="", subject=str(min(unknown)))


def _check_period(connection: Connection, journal: Journal) -> None:
    """A journal for a closed period would wait in vain; a softly closed one takes it."""
    spans = store_periods.list_not_open(connection, after=journal.effective_at)
    closed = [span for span in spans if span.state is PeriodState.CLOSED]
    if open_from(journal.effective_at, closed) > journal.effective_at:
        first = open_from(journal.effective_at, spans).isoformat()
        raise PeriodNotOpen(effective_at=journal.effective_at.isoformat(), open_from=first)


def _waiting(known: dict[UUID, Journal], command: DecideJournal, at: datetime) -> Journal:
    rules.check_person(command.actor)
    journal = known.get(command.journal_id)
    if journal is None:
        raise rules.UnknownJournal(journal_id=str(command.journal_id))
    rules.check_decision(journal, at)
    return journal


def _decided(
    journal: Journal,
    command: DecideJournal,
    state: State,
    at: datetime,
    *,
    event_id: int | None = None,
) -> Journal:
    return replace(
        journal,
        state=state,
        decided_by=command.actor.principal_id,
        decider_kind=command.actor.kind.value,
        decided_at=at,
        decision_reason=command.reason,
        event_id=event_id,
    )


def _settle(connection: Connection, journals: Sequence[Journal]) -> None:
    """Save what was decided; the clock of its expiry ends, that of its reversal begins."""
    store.save_decided(connection, journals)
    timers.cancel(connection, [(each.subject, EXPIRY) for each in journals])
    arms = [
        Arm(each.subject, REVERSAL, each.reverse_at, 1)
        for each in journals
        if each.state is State.POSTED and each.reverse_at is not None
    ]
    timers.arm(connection, arms)


def _claim(
    connection: Connection, due: Sequence[DueTimer]
) -> tuple[dict[UUID, Journal], list[DueTimer]]:
    """Lock the journals that nobody holds, then claim their timers."""
    ids = [_id_of(timer) for timer in due]
    known = store.lock_journals(connection, ids, skips_locked=True)
    return known, timers.claim(connection, [timer for timer in due if _id_of(timer) in known])


def _id_of(timer: DueTimer) -> UUID:
    return UUID(timer.subject.removeprefix("journal:"))


def _tell(
    connection: Connection,
    journal: Journal,
    kind: str,
    actor: Actor,
    at: datetime,
    *,
    detail: dict[str, str] | None = None,
) -> int:
    """Write an event about a journal that moves nothing."""
    draft = Draft(kind, journal.subject, actor, at, (), journal.reason, detail or {})
    (answer,) = post(connection, [draft])
    if isinstance(answer, Refusal):
        raise Broken("an event without entries was refused", code=answer.code)
    return answer.event_id
