"""The life of an accounting period: its one table of moves, and what stands against a closing.

A period is open, softly closed (finance people alone post, by manual journal), closed, and after a
reopening by two people softly closed once more, until it is closed as the next version. Closed
periods stand before all others: closing goes forward, reopening backward.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from kernel.errors import Refusal
from kernel.principals import Actor, PrincipalKind
from ledger.chart import MIRRORS
from ledger.model import Draft
from ledger.model_periods import Act, Done, Period, Span, State, TrialLine

MANUAL_JOURNAL: Final = "journal.posted"
"""The kind of the events that a softly closed period takes."""

ASKED_FOR: Final = timedelta(hours=72)
"""How long a question to reopen waits for its second person."""

SETTLING: Final = timedelta(minutes=1)
"""A period is softly closed this long after its end: who began before the end is done by then."""

CONVERSION: Final = "custody.fx"
SUSPENSE: Final = "custody.suspense"


class Step(NamedTuple):
    """Where an act leads, and the kind of its event."""

    to: State
    event_kind: str


TRANSITIONS: Final[Mapping[tuple[State, Act], Step]] = MappingProxyType(
    {
        (State.OPEN, Act.SOFT_CLOSE): Step(State.SOFT_CLOSED, "period.soft_closed"),
        (State.SOFT_CLOSED, Act.CLOSE): Step(State.CLOSED, "period.closed"),
        (State.CLOSED, Act.ASK_REOPENING): Step(State.CLOSED, "period.reopening_asked"),
        (State.CLOSED, Act.REOPEN): Step(State.REOPENED, "period.reopened"),
        (State.REOPENED, Act.CLOSE): Step(State.CLOSED, "period.closed"),
    }
)
"""Every act is a finance person's. The table `period_step` holds the same rows."""


class UnknownPeriod(Refusal):
    """No period of this tenant has this number."""

    code = "period.unknown"


class FinanceOnly(Refusal):
    """Periods are closed and reopened by people with the finance right, never by a program."""

    code = "period.finance_only"


class WrongState(Refusal):
    """From the period's state there is no such act."""

    code = "period.wrong_state"


class NotOver(Refusal):
    """A period is closed after its end, not before."""

    code = "period.not_over"


class EarlierNotClosed(Refusal):
    """Periods are closed in their order: an earlier one is not closed yet."""

    code = "period.earlier_not_closed"


class LaterClosed(Refusal):
    """Periods are reopened from the newest backward: a later one is still closed."""

    code = "period.later_closed"


class ReasonMissing(Refusal):
    """Reopening a period says why."""

    code = "period.reason_missing"


class NotAsked(Refusal):
    """Nobody asked for this reopening, or too long ago: one person asks, another agrees."""

    code = "period.reopening_not_asked"


class SamePerson(Refusal):
    """Who asked for a reopening does not agree to it himself."""

    code = "period.same_person"


class NotSealed(Refusal):
    """Batches that count before the end of the period are not sealed yet: seal, and try again."""

    code = "period.not_sealed"


class NotProven(Refusal):
    """The proof of the books found something."""

    code = "period.not_proven"


class NotTied(Refusal):
    """The trial balance does not tie: within itself, or with the closing before it."""

    code = "period.not_tied"


class ConversionOpen(Refusal):
    """A conversion is booked by half: its account holds other than what waits for its fill."""

    code = "period.conversion_open"


class JournalsOpen(Refusal):
    """Manual journals that count before the end of the period are neither approved nor rejected."""

    code = "period.journals_open"


class TimersDue(Refusal):
    """A timer that was due before the end of the period has not fired yet."""

    code = "period.timers_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """What was found before a closing; empty where nothing stands in the way."""

    earlier: Sequence[int] = ()
    findings: Sequence[str] = ()
    journals: Sequence[UUID] = ()
    timer_due_at: datetime | None = None
    unsealed: int = 0


def check_actor(actor: Actor) -> None:
    """Refuse anyone but a person with the finance right who speaks for no party."""
    if actor.kind is not PrincipalKind.PERSON or not actor.is_operator or actor.party_id:
        raise FinanceOnly(principal_kind=actor.kind.value)


def step(state: State, act: Act) -> Step:
    """Where an act leads from a state; refuses what the table does not have."""
    found = TRANSITIONS.get((state, act))
    if found is None:
        raise WrongState(state=state.value, act=act.value)
    return found


def check_over(period: Period, at: datetime) -> None:
    """Refuse a period that still runs, or ended less than a minute ago."""
    if at < period.end + SETTLING:
        raise NotOver(ends_at=period.end.isoformat())


def asked(period: Period, acts: Iterable[Done], actor: Actor, at: datetime) -> Done:
    """The question that this agreement answers: the newest one of another person, not too old.

    Refuses `period.reopening_not_asked`, and `period.same_person` where only he himself asked.
    """
    questions = [
        each
        for each in acts
        if each.act is Act.ASK_REOPENING
        and each.version == period.version
        and each.acted_at + ASKED_FOR > at
    ]
    if not questions:
        raise NotAsked(period_id=period.id)
    others = [each for each in questions if each.actor_id != actor.principal_id]
    if not others:
        raise SamePerson(period_id=period.id)
    return others[-1]


def check_obstacles(period: Period, found: Obstacles) -> None:
    """Refuse a closing while anything is open that should not be; the gravest first."""
    if found.earlier:
        raise EarlierNotClosed(periods=[str(each) for each in found.earlier])
    if found.findings:
        raise NotProven(findings=list(found.findings))
    if found.journals:
        raise JournalsOpen(journals=[str(each) for each in found.journals])
    if found.timer_due_at is not None and found.timer_due_at < period.end:
        raise TimersDue(due_at=found.timer_due_at.isoformat())
    if found.unsealed:
        raise NotSealed(batches=found.unsealed)


def check_trial(
    rows: Sequence[TrialLine],
    before: Mapping[tuple[str, str], int] | None,
    waiting: Mapping[str, int],
) -> None:
    """Refuse a trial balance that does not tie, or that holds half of a conversion.

    `before` are the closing balances by kind and currency of the period that ends where this one
    begins; None where there is none. `waiting` is what conversions that were made by the end and
    not filled by then have left on the bridge, by currency.
    """
    off = [*_off_in_itself(rows), *_off_from(rows, before)]
    if off:
        raise NotTied(findings=off)
    halves = [
        f"{each.kind} {each.currency} {each.closing_minor}"
        for each in rows
        if each.kind == CONVERSION and each.closing_minor != waiting.get(each.currency, 0)
    ]
    if halves:
        raise ConversionOpen(accounts=halves)


def _off_in_itself(rows: Sequence[TrialLine]) -> list[str]:
    totals: dict[tuple[str, str], int] = {}
    mirrors: dict[tuple[str, str], int] = {}
    pairs = {kind: " and ".join(pair) for pair in MIRRORS for kind in pair}
    off = []
    for row in rows:
        if row.opening_minor + row.debit_minor - row.credit_minor != row.closing_minor:
            off.append(f"{row.kind} {row.currency} does not carry its columns")
        book = (row.book, row.currency)
        totals[book] = totals.get(book, 0) + row.closing_minor
        if row.kind in pairs:
            pair = (pairs[row.kind], row.currency)
            mirrors[pair] = mirrors.get(pair, 0) + row.closing_minor
    return off + [
        f"{name} {currency} is off by {total}"
        for (name, currency), total in (*totals.items(), *mirrors.items())
        if total != 0
    ]


def _off_from(rows: Sequence[TrialLine], before: Mapping[tuple[str, str], int] | None) -> list[str]:
    if before is None:
        return []
    opening = {(row.kind, row.currency): row.opening_minor for row in rows}
    return [
        f"{kind} {currency} was closed with {before.get((kind, currency), 0)} and begins with"
        f" {opening.get((kind, currency), 0)}"
        for kind, currency in sorted(before.keys() | opening.keys())
        if before.get((kind, currency), 0) != opening.get((kind, currency), 0)
    ]


def warnings(rows: Iterable[TrialLine]) -> list[str]:
    """What a closing notes without refusing it: money that is there and not yet assigned.

    Receipts in suspense are somebody's and are being looked into; they may outlast a month's end,
    and stand in the balance. Half a conversion may not: it is refused.
    """
    return [
        f"{each.kind} {each.currency} stands at {each.closing_minor}"
        for each in rows
        if each.kind == SUSPENSE and each.closing_minor != 0
    ]


def open_from(at: datetime, spans: Iterable[Span]) -> datetime:
    """The first instant from `at` on that takes any entry.

    `spans` are the periods that are not open and end after `at`, in order. Nothing before a closed
    one opens any more.
    """
    spans = list(spans)
    closed = [span.end for span in spans if span.state is State.CLOSED]
    first = max([at, *closed])
    for span in spans:
        if span.start <= first < span.end:
            first = span.end
    return first.astimezone(UTC)


def late(draft: Draft, first: datetime) -> Draft:
    """The draft as a late fact: it counts at `first`, and its detail shows when it happened.

    The rule for all that comes too late for its period; the original date is never lost.
    """
    if first == draft.effective_at:
        return draft
    shown = {"original_effective_at": draft.effective_at.astimezone(UTC).isoformat()}
    return replace(draft, effective_at=first, detail={**draft.detail, **shown})
