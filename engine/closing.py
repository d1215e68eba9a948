"""Acts on periods as the program does them: each once per key, a closing proven and sealed before.

Not for the group commit: a closing recounts the books, which may take minutes, and others must not
wait for it. The proof runs in a snapshot of its own, before anything is locked.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from psycopg import errors
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from kernel import clock, idempotency
from kernel.commands import Outcome
from kernel.database import Tenant, snapshot, transaction
from kernel.errors import Refusal
from kernel.idempotency import IdempotencyKey
from ledger import periods
from ledger.periods import ClosePeriod, PeriodCommand
from ledger.proof import Progress, prove
from ledger.rules_periods import NotSealed
from ledger.seal import seal

TRIES: Final = 5
"""Rounds of sealing and closing: between two of them a manual journal may come in."""

Act = Callable[[Connection, datetime], Outcome]
Service = Callable[..., list[Outcome]]

SERVICES: Final[dict[str, Service]] = {
    "soft-close": periods.soft_close,
    "ask-reopen": periods.ask_reopening,
    "reopen": periods.reopen,
}
"""By the verb of the API and of the command line; closing has its own function."""


class _SealFirst(Exception):  # noqa: N818  a way out of the transaction, seen by nobody
    """What was tried is rolled back: seal, and try again."""


def take(
    engine: Engine, tenant: Tenant, verb: str, command: PeriodCommand, key: IdempotencyKey | None
) -> Outcome:
    """One act on one period, in a transaction of its own."""
    service = SERVICES[verb]
    return _once(
        engine, tenant, key, lambda connection, at: service(connection, [command], at=at)[0]
    )


def close(
    engine: Engine,
    tenant: Tenant,
    command: PeriodCommand,
    key: IdempotencyKey | None,
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Prove, seal and close a period; sealing is repeated while something came in between.

    What can be refused without a proof of the books is refused before it.
    """
    asked = ClosePeriod(
        actor=command.actor, period_id=command.period_id, reason=command.reason, findings=()
    )
    if _is_closable(engine, tenant, asked, key):
        with snapshot(engine, tenant) as connection:
            findings = periods.told(prove(connection, progress=progress))
        asked = ClosePeriod(
            actor=asked.actor, period_id=asked.period_id, reason=asked.reason, findings=findings
        )
    for tries_left in reversed(range(TRIES)):
        _seal_all(engine, tenant)
        try:
            return _once(engine, tenant, key, _closing(asked, may_wait=tries_left > 0))
        except _SealFirst:
            continue
    raise AssertionError("the last try has an answer")


def _closing(command: ClosePeriod, *, may_wait: bool) -> Act:
    def act(connection: Connection, at: datetime) -> Outcome:
        (outcome,) = periods.close(connection, [command], at=at)
        if may_wait and outcome.code == NotSealed.code:
            raise _SealFirst
        return outcome

    return act


def _is_closable(
    engine: Engine, tenant: Tenant, command: ClosePeriod, key: IdempotencyKey | None
) -> bool:
    """Whether it is worth a proof: no answer is stored, and nothing is in the way that shows."""
    with transaction(engine, tenant) as connection:
        if key is not None and idempotency.find_answers(connection, [key]):
            return False
        try:
            periods.check_closable(connection, command, at=clock.now(connection))
        except Refusal:
            return False
    return True


def _seal_all(engine: Engine, tenant: Tenant) -> None:
    while True:
        with transaction(engine, tenant) as connection:
            sealed = seal(connection, at=datetime.now(UTC))
        if not sealed.is_full:
            return


def _once(engine: Engine, tenant: Tenant, key: IdempotencyKey | None, act: Act) -> Outcome:
    """The answer that was stored, or the act and its answer in one transaction."""
    try:
        return _try(engine, tenant, key, act)
    except IntegrityError as error:
        if not isinstance(error.orig, errors.UniqueViolation):
            raise
    except errors.UniqueViolation:
        # A twin with the same key was faster: its answer is there now.
        pass
    return _try(engine, tenant, key, act)


def _try(engine: Engine, tenant: Tenant, key: IdempotencyKey | None, act: Act) -> Outcome:
    with transaction(engine, tenant) as connection:
        if key is not None:
            stored = idempotency.find_answers(connection, [key]).get(key)
            if stored is not None:
                return stored
        at = clock.now(connection)
        outcome = act(connection, at)
        if key is not None:
            idempotency.add_answers(connection, [(key, outcome)], at=at)
        return outcome
