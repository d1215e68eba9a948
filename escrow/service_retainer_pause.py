"""Use cases of pauses: asked for by one side, agreed by the other, ended by either."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from escrow import rules_retainer, rules_retainer_pause, store, store_retainer
from escrow import service_retainer_locks as locks
from escrow.machine import Timer
from escrow.maths_retainer import first_number_after
from escrow.model_retainer import Moves, Period, PeriodState, RetainerCommand
from escrow.rules_retainer import period_subject, priced
from escrow.rules_retainer_pause import PauseCase
from escrow.rules_retainer_settle import cancel
from escrow.service_retainer import act, lock_case, lock_ground
from escrow.service_retainer_batch import list_prices
from kernel import timers
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM


def pause_retainer(
    connection: Connection, commands: Sequence[RetainerCommand], *, at: datetime
) -> list[Outcome]:
    """Ask for a pause of the running period, or agree to the one that the other side asked for."""
    return _on_retainers(connection, commands, rules_retainer_pause.pause, at=at)


def resume_retainer(
    connection: Connection, commands: Sequence[RetainerCommand], *, at: datetime
) -> list[Outcome]:
    """End a pause; by either side, or an operator.

    A period that the pause has eaten whole, and that is not paid for, is passed over.
    """
    outcomes = _on_retainers(connection, commands, rules_retainer_pause.resume, at=at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            _run_on(connection, command, at)
    return outcomes


def _on_retainers(
    connection: Connection,
    commands: Sequence[RetainerCommand],
    decide: Callable[[PauseCase, RetainerCommand, datetime], Moves],
    *,
    at: datetime,
) -> list[Outcome]:
    known = locks.contracts_of_retainers(connection, [each.retainer_id for each in commands])
    locks.lock_ahead(connection, known.values())
    return [
        act(connection, command, lambda c: decide(_lock(connection, c), c, at), at=at)
        for command in commands
    ]


def _lock(connection: Connection, command: RetainerCommand) -> PauseCase:
    retainer, contract = lock_ground(connection, command.retainer_id)
    known = store_retainer.list_periods(connection, retainer.id)
    lasting = [each.id for each in known if each.state in _LASTING]
    store.lock_slots(connection, lasting)
    periods = sorted(store_retainer.lock_periods(connection, lasting), key=lambda each: each.number)
    return PauseCase(retainer, contract, periods)


_LASTING = frozenset(
    {
        PeriodState.SCHEDULED,
        PeriodState.FUNDING,
        PeriodState.FUNDED,
        PeriodState.ACTIVE,
        PeriodState.PAUSED,
    }
)


def _run_on(connection: Connection, command: RetainerCommand, at: datetime) -> None:
    """Charges under way go on; a period that is eaten makes room for the one of today."""
    periods = store_retainer.list_periods(connection, command.retainer_id)
    charging = [period_subject(each) for each in periods if each.state is PeriodState.FUNDING]
    timers.resume(connection, charging, at=at, kinds=[f"escrow.{Timer.FUND_RETRY}"])
    for period in periods:
        if period.state is PeriodState.SCHEDULED and period.ends_at <= at:
            pass_over(connection, period, at)


def pass_over(connection: Connection, period: Period, at: datetime) -> None:
    """A period that is over and was never paid makes room for the next to begin."""
    by_engine = Command(actor=SYSTEM)
    case = lock_case(connection, period.id, at)
    done = act(connection, by_engine, lambda c: cancel(case, c, at, new_id), at=at)
    assert done.is_done, done
    retainer, contract = lock_ground(connection, period.retainer_id)
    number = first_number_after(retainer.terms, at, shift_days=retainer.shift_days)
    prices = list_prices(connection, [retainer.id]).get(retainer.id, ())
    mine = priced(retainer, prices, number)
    seq = locks.next_seq(connection, contract.id)
    act(
        connection,
        by_engine,
        lambda c: rules_retainer.schedule(mine, contract, number, c, at, slot_id=new_id(), seq=seq),
        at=at,
    )
