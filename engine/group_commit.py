"""Group commit: concurrent commands of one tenant share transactions, without waiting for it.

Callers put commands into a queue and hold a future; one writer thread takes whatever arrived
while its previous transaction ran. There is no timer and no added wait: one command alone is a
batch of one. A transaction runs one service once, so its locks are taken in the one order of
design.md section 4 (decision 0003). A subject appears once in a batch; its next command waits for
the next one. Twins of one idempotency key share one result.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import psycopg
import structlog
from psycopg import errors as pg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel import clock, idempotency
from kernel.commands import Command, Outcome
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from kernel.idempotency import IdempotencyKey

logger = structlog.get_logger()

MAX_BATCH: Final = 8_000
"""Commands of one transaction. More gain nothing and keep the first of them waiting."""

_TWINS: Final = frozenset(
    {"idempotency_pkey", "party_reference_unique", "payout_method_active_once"}
)
"""Keys that another process may take just now: run again, the batch sees who was first."""

_PERIOD_CLOSED: Final = "HF004"
"""A period was softly closed while the batch ran: run again, it is refused by name then."""

_TRIES: Final = 5
_PAUSES_S: Final = (0.0, 0.05, 0.2, 1.0, 3.0)


class Service(Protocol):
    """A use case: takes a list of commands inside a transaction, answers each in order."""

    def __call__(
        self, connection: Connection, commands: Sequence[Any], *, at: datetime
    ) -> list[Outcome]:
        """Never commits."""


@dataclass(frozen=True, slots=True)
class Door:
    """One service as the group commit knows it, and what each of its commands is about."""

    service: Service
    subjects: Callable[[Any], Iterable[Hashable]]


class Closed(Exception):  # noqa: N818  a state, not an error
    """The group commit has been closed and takes no more commands."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One command in the queue, what it is about, and whoever waits for its outcome."""

    command: Command
    about: tuple[Hashable, ...]
    key: IdempotencyKey | None
    future: "Future[Outcome] | asyncio.Future[Outcome]"
    loop: asyncio.AbstractEventLoop | None


class GroupCommit:
    """The door to all services of one tenant. Close it to end its thread."""

    def __init__(self, engine: Engine, tenant: Tenant, doors: Mapping[str, Door]) -> None:
        """Start the writer thread; it ends with `close()`, or with the program."""
        self._engine = engine
        self._tenant = tenant
        self._doors = doors
        self._queues: dict[str, deque[_Waiting]] = {name: deque() for name in doors}
        self._came: dict[asyncio.AbstractEventLoop, list[tuple[str, _Waiting]]] = {}
        self._arrived = threading.Condition()
        self._is_closed = False
        self._turn = 0
        self._writer = threading.Thread(
            target=self._run, name=f"group-commit-{tenant.name}", daemon=True
        )
        self._writer.start()

    def submit(
        self, service: str, command: Command, *, key: IdempotencyKey | None = None
    ) -> Future[Outcome]:
        """Queue a command; the future gives its outcome once it is durable, or what broke."""
        future: Future[Outcome] = Future()
        self._add(service, _Waiting(command, self._about(service, command), key, future, None))
        return future

    def submit_async(
        self, service: str, command: Command, *, key: IdempotencyKey | None = None
    ) -> asyncio.Future[Outcome]:
        """The same for a coroutine: one wake-up of the loop settles a whole batch.

        The writer is told once the loop has run whatever is ready: coroutines that were answered
        together and ask again at once share the next batch, too.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        waiting = _Waiting(command, self._about(service, command), key, future, loop)
        if self._is_closed:
            raise Closed
        came = self._came.setdefault(loop, [])
        if not came:
            loop.call_soon(self._bring, loop)
        came.append((service, waiting))
        return future

    def close(self) -> None:
        """Take no more commands, finish those that wait, and end the thread."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()
        self._writer.join()

    def _about(self, service: str, command: Command) -> tuple[Hashable, ...]:
        """Asked in the caller's thread, so that a command that cannot say fails there."""
        return tuple(self._doors[service].subjects(command))

    def _bring(self, loop: asyncio.AbstractEventLoop) -> None:
        """Queue what the coroutines of a loop submitted since the last time."""
        came = self._came.pop(loop)
        with self._arrived:
            if not self._is_closed:
                for service, waiting in came:
                    self._queues[service].append(waiting)
                self._arrived.notify()
                return
        for _, waiting in came:
            _fill(waiting.future, Closed())

    def _add(self, service: str, waiting: _Waiting) -> None:
        with self._arrived:
            if self._is_closed:
                raise Closed
            self._queues[service].append(waiting)
            self._arrived.notify()

    def _run(self) -> None:
        while True:
            with self._arrived:
                while not (name := self._next_service()):
                    if self._is_closed:
                        return
                    self._arrived.wait()
                batch = _take(self._queues[name])
            self._commit(self._doors[name].service, batch)

    def _next_service(self) -> str:
        """Services take turns, so that a busy one does not starve its neighbours."""
        names = list(self._queues)
        for step in range(len(names)):
            name = names[(self._turn + step) % len(names)]
            if self._queues[name]:
                self._turn = (self._turn + step + 1) % len(names)
                return name
        return ""

    def _commit(self, service: Service, batch: Sequence[_Waiting]) -> None:
        """Run a batch as one transaction; if it breaks, what is left of it in another way."""
        try:
            outcomes = self._try(service, batch)
        except Exception as error:  # noqa: BLE001  the outermost frame: whatever broke is answered
            self._fall_back(service, batch, error)
        else:
            _settle(batch, outcomes)

    def _fall_back(self, service: Service, batch: Sequence[_Waiting], error: Exception) -> None:
        """After what a command may have caused, each alone.

        After a lost server nobody knows whether the batch took effect. Commands without a key are
        answered with the error, and run no second time; those with one run again without them.
        """
        if _is_lost(error):
            keyed = [waiting for waiting in batch if waiting.key is not None]
            if len(keyed) < len(batch):
                _settle([waiting for waiting in batch if waiting.key is None], error)
                if keyed:
                    self._commit(service, keyed)
                return
        elif len(batch) > 1:
            logger.warning("group_commit.one_by_one", commands=len(batch), error=_told(error))
            for waiting in batch:
                self._commit(service, [waiting])
            return
        logger.error("group_commit.broken", commands=len(batch), error=_told(error))
        _settle(batch, error)

    def _try(self, service: Service, batch: Sequence[_Waiting]) -> list[Outcome]:
        """Run a batch, again where the world was in the way: a deadlock, a twin, a lost server.

        After a lost server only a batch of commands with keys runs again: their stored answers
        tell whether they took effect.
        """
        for attempt in range(_TRIES):
            threading.Event().wait(_PAUSES_S[attempt]) if attempt else None
            try:
                return self._run_once(service, batch)
            except (DBAPIError, psycopg.Error) as error:
                keyed = all(waiting.key is not None for waiting in batch)
                if attempt == _TRIES - 1 or not _is_worth_again(error, keyed=keyed):
                    raise
                logger.info("group_commit.again", attempt=attempt + 1, error=_told(error))
        raise Broken("a loop of tries ended without an answer")

    def _run_once(self, service: Service, batch: Sequence[_Waiting]) -> list[Outcome]:
        with transaction(self._engine, self._tenant) as connection:
            at = clock.now(connection)
            keyed = [waiting.key for waiting in batch if waiting.key is not None]
            answers = idempotency.find_answers(connection, keyed)
            fresh = _fresh(batch, answers)
            given = (
                service(connection, [waiting.command for waiting in fresh], at=at) if fresh else []
            )
            if len(given) != len(fresh):
                raise Broken("a service answered other commands than it was given")
            by_waiting = dict(zip(map(id, fresh), given, strict=True))
            first = {w.key[:2]: w for w in fresh if w.key is not None}
            idempotency.add_answers(
                connection,
                [(w.key, by_waiting[id(w)]) for w in fresh if w.key is not None],
                at=at,
            )
        return [_outcome(waiting, answers, by_waiting, first) for waiting in batch]


def _take(queue: deque[_Waiting]) -> list[_Waiting]:
    """The next batch: in order of arrival, each subject once; the others keep their places."""
    taken: list[_Waiting] = []
    left: list[_Waiting] = []
    seen: set[Hashable] = set()
    keys: set[tuple[Any, str]] = set()
    while queue and len(taken) < MAX_BATCH:
        waiting = queue.popleft()
        is_twin = waiting.key is not None and waiting.key[:2] in keys
        if not is_twin and not seen.isdisjoint(waiting.about):
            # A later command on the same subject must not overtake this one either.
            left.append(waiting)
            seen.update(waiting.about)
            continue
        seen.update(waiting.about)
        if waiting.key is not None:
            keys.add(waiting.key[:2])
        taken.append(waiting)
    queue.extendleft(reversed(left))
    return taken


def _fresh(batch: Sequence[_Waiting], answers: Mapping[IdempotencyKey, Outcome]) -> list[_Waiting]:
    """The commands that have no answer yet; of twins with one key only the first."""
    fresh = []
    seen: set[tuple[Any, str]] = set()
    for waiting in batch:
        key = waiting.key
        if key is not None:
            if key in answers or key[:2] in seen:
                continue
            seen.add(key[:2])
        fresh.append(waiting)
    return fresh


def _outcome(
    waiting: _Waiting,
    answers: Mapping[IdempotencyKey, Outcome],
    by_waiting: Mapping[int, Outcome],
    first: Mapping[tuple[Any, str], _Waiting],
) -> Outcome:
    own = by_waiting.get(id(waiting))
    if own is not None:
        return own
    key = waiting.key
    if key is None:
        raise Broken("a command without a key was left out")
    if key in answers:
        return answers[key]
    twin = first[key[:2]]
    if twin.key != key:
        return idempotency.mismatch(key)
    shared = by_waiting[id(twin)]
    return Outcome(shared.code, shared.facts, replayed=True)


def _is_worth_again(error: Exception, *, keyed: bool) -> bool:
    cause = _cause(error)
    if isinstance(cause, pg.DeadlockDetected | pg.SerializationFailure):
        return True
    if isinstance(cause, pg.UniqueViolation):
        return cause.diag.constraint_name in _TWINS
    if isinstance(cause, psycopg.Error) and cause.sqlstate == _PERIOD_CLOSED:
        return True
    return keyed and _is_lost(error)


def _is_lost(error: Exception) -> bool:
    """Whether the server went away or was too full to answer, and said nothing of the batch itself.

    Told by the SQLSTATE: the guards' own codes are operational errors to the driver, too.
    """
    cause = _cause(error)
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return cause.sqlstate is None or cause.sqlstate[:2] in {"08", "53", "55", "57"}


def _cause(error: Exception) -> BaseException | None:
    """What the driver said, whether or not SQLAlchemy wrapped it."""
    return error.orig if isinstance(error, DBAPIError) else error


def _told(error: Exception) -> str:
    """What a log may say of an error: the database's own words would show the rows' contents."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error):
        return repr(error)
    named = (type(cause).__name__, cause.sqlstate, cause.diag.constraint_name)
    return " ".join(name for name in named if name)


def _settle(batch: Sequence[_Waiting], answer: Sequence[Outcome] | BaseException) -> None:
    """Hand the outcomes out: futures of threads one by one, those of a loop in one call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any]]] = {}
    answers = [answer] * len(batch) if isinstance(answer, BaseException) else answer
    for waiting, one in zip(batch, answers, strict=True):
        if waiting.loop is None:
            _fill(waiting.future, one)
        else:
            by_loop.setdefault(waiting.loop, []).append((waiting.future, one))
    for loop, pairs in by_loop.items():
        # A loop that was closed has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_fill_all, pairs)


def _fill_all(pairs: Iterable[tuple[Any, Any]]) -> None:
    for future, one in pairs:
        _fill(future, one)


def _fill(future: Any, one: Any) -> None:  # noqa: ANN401  two kinds of futures, two of answers
    if future.done():
        return
    # A caller in another thread may cancel at this very moment.
    with suppress(InvalidStateError):
        if isinstance(one, BaseException):
            future.set_exception(one)
        else:
            future.set_result(one)
