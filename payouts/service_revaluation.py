"""Month's end: what the platform's own balances in foreign currencies have gained or lost.

Client money is never revalued: what is owed in a currency lies there in the same currency. The
rates are those of the policy's source; each day of a balance counts at its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection

from commissions.maths_fx import check_fresh
from commissions.refusals_fx import DayNotOver, LaterRevalued, NoRate, NotRevalued
from commissions.rules_fx import check_operator
from commissions.service_fx import policy_of
from commissions.store_fx import find_mids_of
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from ledger.model import Draft, Entry, EntryRef, Posted
from ledger.service import post
from payouts import movements_revaluation, rules_revaluation
from payouts import store_revaluation as store
from payouts.rules_revaluation import Revaluation
from rails.rates.model import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Revalue(Command):
    """Revalue all foreign balances as they stand at the end of a day (UTC)."""

    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseRevaluation(Command):
    """Take the revaluation of a day back, to be made anew."""

    on: date
    reason: str = ""


def revalue(connection: Connection, commands: Sequence[Revalue], *, at: datetime) -> list[Outcome]:
    """Book the gains and losses of a day that is over; a currency that was revalued stays as it is.

    Refuses with `fx.not_operator`, `fx.day_not_over`, `fx.later_revalued`, `fx.no_rate`,
    `fx.stale_rate`, and with `ledger.period_not_open`. Nothing of a refused day is written.
    """
    return [_each(connection, command, at, _revalue) for command in commands]


def reverse_revaluation(
    connection: Connection, commands: Sequence[ReverseRevaluation], *, at: datetime
) -> list[Outcome]:
    """Take back what was booked for a day: each entry by one that mirrors it.

    Refuses with `fx.not_operator`, `fx.not_revalued`, `fx.later_revalued`, and with
    `ledger.period_not_open`.
    """
    return [_each(connection, command, at, _reverse) for command in commands]


def _each(connection: Connection, command: Any, at: datetime, act: Any) -> Outcome:  # noqa: ANN401
    try:
        check_operator(command.actor)
        store.take_turns(connection)
        later = store.find_later(connection, command.on)
        if later is not None:
            raise LaterRevalued(on=later.isoformat())
        facts: dict[str, Any] = act(connection, command, at)
    except Refusal as refusal:
        return refused(refusal)
    return done(**facts)


def _revalue(connection: Connection, command: Revalue, at: datetime) -> dict[str, Any]:
    if command.on >= at.astimezone(UTC).date():
        raise DayNotOver(on=command.on.isoformat())
    reporting = policy_of(connection).reporting
    standing = [each for each, _ in store.list_standing(connection, command.on)]
    fresh = _found(connection, command.on, reporting, {each.currency for each in standing})
    drafts = [_draft(each, command, at=_end_of(command.on)) for each in fresh]
    answers = post(connection, drafts, chains=[range(len(drafts))]) if drafts else []
    rows = list(zip(fresh, _events(answers), strict=True))
    store.add_revaluations(connection, rows, by=command.actor.principal_id, at=at)
    told = sorted([*standing, *fresh], key=lambda each: each.currency)
    return {
        "on": command.on.isoformat(),
        "reporting": reporting,
        "revalued": [rules_revaluation.facts_of(each) for each in told],
    }


def _found(connection: Connection, on: date, reporting: str, known: set[str]) -> list[Revaluation]:
    flows = store.list_flows(connection, reporting=reporting, before=_end_of(on))
    asked = {
        (currency, reporting, day)
        for currency, days in flows.items()
        if currency not in known
        for day in (*days, on)
    }
    rates = find_mids_of(connection, asked)
    gained = store.sum_gained(connection, reporting=reporting, on=on)
    return [
        rules_revaluation.revalue(
            revaluation_id=new_id(),
            on=on,
            flows=days,
            rates={day: _rate(rates, currency, reporting, day) for day in days},
            rate=_fresh(_rate(rates, currency, reporting, on), on),
            gained_minor=gained.get(currency, 0),
        )
        for currency, days in flows.items()
        if currency not in known
    ]


def _rate(
    rates: Mapping[tuple[str, str, date], Rate], currency: str, reporting: str, day: date
) -> Rate:
    found = rates.get((currency, reporting, day))
    if found is None or found.rate <= 0:
        raise NoRate(sold=currency, bought=reporting, on=day.isoformat())
    return found


def _fresh(rate: Rate, on: date) -> Rate:
    check_fresh(rate, on)
    return rate


def _reverse(connection: Connection, command: ReverseRevaluation, at: datetime) -> dict[str, Any]:
    standing = store.list_standing(connection, command.on)
    if not standing:
        raise NotRevalued(on=command.on.isoformat())
    drafts = [_draft_back(each, event_id, command) for each, event_id in standing]
    _events(post(connection, drafts, chains=[range(len(drafts))]))
    ids = [each.id for each, _ in standing]
    store.save_reversed(connection, ids, by=command.actor.principal_id, at=at)
    return {
        "on": command.on.isoformat(),
        "reversed": [rules_revaluation.facts_of(each) for each, _ in standing],
    }


def _draft(found: Revaluation, command: Revalue, *, at: datetime) -> Draft:
    return Draft(
        kind="fx.revalued",
        subject=f"revaluation:{found.id}",
        actor=command.actor,
        effective_at=at - timedelta(microseconds=1),
        entries=movements_revaluation.revalue(
            currency=found.currency, reporting=found.reporting, gain_minor=found.gain_minor
        ),
        detail={"on": found.on.isoformat(), **rules_revaluation.facts_of(found)},
    )


def _draft_back(found: Revaluation, event_id: int, command: ReverseRevaluation) -> Draft:
    entries = movements_revaluation.revalue(
        currency=found.currency, reporting=found.reporting, gain_minor=-found.gain_minor
    )
    return Draft(
        kind="fx.revaluation_reversed",
        subject=f"revaluation:{found.id}",
        actor=command.actor,
        effective_at=_end_of(command.on) - timedelta(microseconds=1),
        entries=tuple(
            Entry(each.book, each.currency, each.lines, EntryRef(event_id, 1)) for each in entries
        ),
        reason=command.reason,
        detail={"on": found.on.isoformat()},
    )


def _events(answers: Sequence[Posted | Refusal]) -> list[int]:
    """The events that were written; the refusal that stands at the root, if they were refused."""
    refusals = [each for each in answers if isinstance(each, Refusal)]
    roots = [each for each in refusals if each.code != "ledger.link_broken"]
    if refusals:
        raise (roots or refusals)[0]
    return [each.event_id for each in answers if isinstance(each, Posted)]


def _end_of(on: date) -> datetime:
    """The first instant after a day, in UTC."""
    return datetime.combine(on, time(), UTC) + timedelta(days=1)
