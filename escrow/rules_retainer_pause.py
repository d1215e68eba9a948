"""Decisions on pauses: both agree to one, either ends it, and its days are moved or not paid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from escrow.machine import Timer, Trigger
from escrow.machine_retainer import PERIODS
from escrow.maths_retainer import Span, days_between, shifted
from escrow.model import Alarm, Contract, Plan
from escrow.model_retainer import (
    Moves,
    OnPause,
    Period,
    PeriodState,
    Retainer,
    RetainerCommand,
    RetainerState,
)
from escrow.refusals import OtherPartyMustSign, StaleVersion, WrongState
from escrow.refusals_retainer import NoRunningPeriod
from escrow.rules import roles, step
from escrow.rules_deal import event
from escrow.rules_retainer import AHEAD, period_subject, retainer_facts, subject_of
from escrow.rules_retainer_period import to_state

_CLOCKS: Final = (
    Timer.PERIOD_OPEN,
    Timer.FUND_RETRY,
    Timer.PERIOD_START,
    Timer.PERIOD_CLOSE,
)
_AHEAD_OF_US: Final = frozenset({PeriodState.SCHEDULED, PeriodState.FUNDING, PeriodState.FUNDED})


@dataclass(frozen=True, slots=True)
class PauseCase:
    """A retainer with all its periods, as locked."""

    retainer: Retainer
    contract: Contract
    periods: Sequence[Period]

    def one(self, state: PeriodState) -> Period:
        """The period in a state; refuses `retainer.no_running_period`."""
        for period in self.periods:
            if period.state is state:
                return period
        raise NoRunningPeriod(retainer_id=str(self.retainer.id), wanted=state.value)

    @property
    def later(self) -> list[Period]:
        """Periods that have not begun."""
        return [each for each in self.periods if each.state in _AHEAD_OF_US]


def pause(case: PauseCase, command: RetainerCommand, at: datetime) -> Moves:
    """One side asks, the other agrees: the days and clocks of the periods stand still.

    Work that was shown before is still looked at in its seven days.

    Refuses: `retainer.no_running_period`, `escrow.other_party_must_sign`.
    """
    retainer = case.retainer
    _, role = step(PERIODS, PeriodState.ACTIVE, Trigger.PAUSE, roles(command.actor, case.contract))
    _check(retainer, command)
    period = case.one(PeriodState.ACTIVE)
    if retainer.pause_asked_by is role:
        raise OtherPartyMustSign(retainer_id=str(retainer.id))
    if retainer.pause_asked_by is None:
        after = replace(retainer, version=retainer.version + 1, pause_asked_by=role)
        detail = {"by": role.value}
        subject = subject_of(retainer)
        draft = event(command, at, kind="retainer.pause_asked", subject=subject, detail=detail)
        return Moves(
            plan=Plan(drafts=(draft,), facts=_facts(after, period)),
            moved_retainers=((retainer, after),),
        )
    return _paused(case, period, command, at)


def _paused(case: PauseCase, period: Period, command: RetainerCommand, at: datetime) -> Moves:
    row = PERIODS[period.state, Trigger.PAUSE]
    after = replace(to_state(period, row), paused_at=at)
    retainer = replace(case.retainer, version=case.retainer.version + 1, pause_asked_by=None)
    subjects = [period_subject(each) for each in (period, *case.later)]
    draft = event(command, at, kind="period.paused", subject=period_subject(period))
    return Moves(
        plan=Plan(
            drafts=(draft,),
            facts=_facts(retainer, after),
            paused=tuple((subject, timer) for subject in subjects for timer in _CLOCKS),
        ),
        moved_retainers=((case.retainer, retainer),),
        moved_periods=((period, after),),
    )


def resume(case: PauseCase, command: RetainerCommand, at: datetime) -> Moves:
    """Either side ends the pause: by the terms its days are added at the end, or not paid for.

    Where they are added, every later period moves by as many days.
    """
    mine = roles(command.actor, case.contract)
    row, _ = step(PERIODS, PeriodState.PAUSED, Trigger.RESUME, mine)
    _check(case.retainer, command)
    period = case.one(PeriodState.PAUSED)
    assert period.paused_at is not None
    days = days_between(begin=period.paused_at, end=at, zone=case.retainer.terms.zone)
    extends = case.retainer.terms.on_pause is OnPause.EXTEND
    shift = days if extends else 0
    own_days = days if extends else min(days, _days_left(period, case))
    running = _with_pause(to_state(period, row), case, own_days)
    later = [(each, _after_pause(each, case, at, shift=shift)) for each in case.later]
    retainer = replace(
        case.retainer,
        version=case.retainer.version + 1,
        shift_days=case.retainer.shift_days + shift,
        pause_asked_by=None,
    )
    detail = {"days": days, "ends_at": running.ends_at.isoformat()}
    subject = period_subject(period)
    draft = event(command, at, kind="period.resumed", subject=subject, detail=detail)
    return Moves(
        plan=Plan(
            drafts=(draft,),
            facts=_facts(retainer, running),
            alarms=(
                Alarm(subject, Timer.PERIOD_CLOSE, running.ends_at, running.number),
                *(alarm for _, each in later for alarm in _alarms(each)),
                *_opens_next((running, *(each for _, each in later))[-1]),
            ),
        ),
        moved_retainers=((case.retainer, retainer),),
        moved_periods=((period, running), *later),
    )


def _with_pause(period: Period, case: PauseCase, days: int) -> Period:
    """The period with so many days of pause; its end moves by them where the terms say so."""
    after = replace(period, paused_days=period.paused_days + days)
    if case.retainer.terms.on_pause is not OnPause.EXTEND:
        return after
    found = shifted(_span(period), days, case.retainer.terms.zone)
    return replace(after, next_on=found.next_on, ends_at=found.ends_at)


def _moved(period: Period, case: PauseCase, days: int) -> Period:
    found = shifted(_span(period), days, case.retainer.terms.zone)
    return replace(
        period,
        version=period.version + 1,
        first_on=found.first_on,
        next_on=found.next_on,
        starts_at=found.starts_at,
        ends_at=found.ends_at,
    )


def _after_pause(period: Period, case: PauseCase, at: datetime, *, shift: int) -> Period:
    """A period that has not begun: later by the pause, or without the days that it took."""
    if case.retainer.terms.on_pause is OnPause.EXTEND:
        return _moved(period, case, shift)
    lost = days_between(begin=period.starts_at, end=at, zone=case.retainer.terms.zone)
    lost = min(max(lost, 0), (period.next_on - period.first_on).days)
    return _with_pause(replace(period, version=period.version + 1), case, lost)


def _days_left(period: Period, case: PauseCase) -> int:
    """Days of the period from the day on which it was paused."""
    assert period.paused_at is not None
    return days_between(begin=period.paused_at, end=period.ends_at, zone=case.retainer.terms.zone)


def _alarms(period: Period) -> tuple[Alarm, ...]:
    """The clocks of a period that has not begun; a charge under way is tried again as it was."""
    subject = period_subject(period)
    if period.state is PeriodState.SCHEDULED:
        return (Alarm(subject, Timer.PERIOD_OPEN, period.starts_at - AHEAD, period.number),)
    if period.state is PeriodState.FUNDED:
        return (Alarm(subject, Timer.PERIOD_START, period.starts_at, period.number),)
    return ()


def _opens_next(last: Period) -> tuple[Alarm, ...]:
    """The last period was paid ahead: its clock has still to schedule the next one."""
    if last.state not in {PeriodState.FUNDED, PeriodState.ACTIVE}:
        return ()
    due = last.starts_at - AHEAD
    return (Alarm(period_subject(last), Timer.PERIOD_OPEN, due, last.number),)


def _span(period: Period) -> Span:
    return Span(period.first_on, period.next_on, period.starts_at, period.ends_at)


def _check(retainer: Retainer, command: RetainerCommand) -> None:
    if retainer.state not in {RetainerState.RUNNING, RetainerState.ENDING}:
        raise WrongState(retainer_id=str(retainer.id), state=retainer.state, trigger="pause")
    if command.version not in {None, retainer.version}:
        raise StaleVersion(
            retainer_id=str(retainer.id), version=retainer.version, given=command.version
        )


def _facts(retainer: Retainer, period: Period) -> dict[str, object]:
    return retainer_facts(
        retainer,
        period_id=str(period.id),
        period_state=period.state.value,
        ends_at=period.ends_at.isoformat(),
    )
