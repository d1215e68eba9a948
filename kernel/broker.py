"""The dramatiq broker over each tenant's table of jobs, and the decorator for actors.

`BROKER` is the only broker that dramatiq ever sees by itself: importing this module sets it, so
an actor must be declared with `actor` from here. Delayed jobs and retries wait in the table, not
in memory: there are no delay queues.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar, cast

import dramatiq
from dramatiq.common import current_millis
from dramatiq.errors import QueueJoinTimeout, QueueNotFound
from dramatiq.middleware import (
    AgeLimit,
    Callbacks,
    Pipelines,
    Retries,
    ShutdownNotifications,
    SkipMessage,
    TimeLimit,
)
from sqlalchemy import Engine

from kernel import jobs
from kernel.consumer import TENANT_OPTION, JobMessage, TableConsumer
from kernel.database import Tenant, transaction
from kernel.doorbell import Doorbell, Listener
from kernel.errors import Broken, Refusal

LEASE_FOR: Final = timedelta(seconds=30)
PREFETCH: Final = 64
"""Jobs that one process takes of a queue at most; 16 gave three quarters of the throughput."""

_MIN_BACKOFF_MS: Final = 1_000
_MAX_BACKOFF_MS: Final = 3_600_000
_JOIN_POLL_S: Final = 0.02

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where an actor works: open transactions with `database.transaction(engine, tenant)`."""

    engine: Engine
    tenant: Tenant


_WORKPLACE: Final[ContextVar[Workplace]] = ContextVar("workplace")


def workplace() -> Workplace:
    """The workplace of the actor that is running in this thread."""
    here = _WORKPLACE.get(None)
    if here is None:
        raise Broken("only a running actor has a workplace")
    return here


@contextmanager
def working_for(engine: Engine, tenant: Tenant) -> Iterator[None]:
    """Run what follows as an actor of this tenant would: `send` goes to its jobs."""
    token = _WORKPLACE.set(Workplace(engine, tenant))
    try:
        yield
    finally:
        _WORKPLACE.reset(token)


class WorkForTenant(dramatiq.Middleware):
    """Gives each actor its workplace, and gives up on jobs that keep killing their workers.

    It must be the first middleware: the others send follow-up messages at the same workplace.
    """

    def __init__(self, place: Callable[[], Engine]) -> None:
        self._engine = place
        self._local = threading.local()

    def before_process_message(
        self, _broker: dramatiq.Broker, message: dramatiq.MessageProxy
    ) -> None:
        """Set the workplace; count a start after a lost worker, and skip one start too many."""
        here = Workplace(self._engine(), Tenant(message.options[TENANT_OPTION]))
        self._local.token = _WORKPLACE.set(here)
        if isinstance(message, JobMessage) and message.was_lost:
            with transaction(here.engine, here.tenant) as connection:
                starts = jobs.count_lost_start(connection, *message.key)
            if starts > jobs.MAX_LOST_STARTS:
                message.fail()
                raise SkipMessage(f"its workers died {starts} times")

    def after_process_message(
        self,
        _broker: dramatiq.Broker,
        _message: dramatiq.MessageProxy,
        *,
        result: object = None,  # noqa: ARG002  dramatiq names it
        exception: BaseException | None = None,  # noqa: ARG002  dramatiq names it
    ) -> None:
        """Leave the workplace."""
        self._leave()

    def after_skip_message(self, _broker: dramatiq.Broker, _message: dramatiq.MessageProxy) -> None:
        """Leave the workplace."""
        self._leave()

    def _leave(self) -> None:
        token: Token[Workplace] | None = getattr(self._local, "token", None)
        if token is not None:
            _WORKPLACE.reset(token)
            self._local.token = None


def middleware(place: Callable[[], Engine]) -> list[dramatiq.Middleware]:
    """What every broker of ours carries, ours first."""
    return [
        WorkForTenant(place),
        AgeLimit(),
        TimeLimit(),
        ShutdownNotifications(),
        Callbacks(),
        Pipelines(),
        Retries(min_backoff=_MIN_BACKOFF_MS, max_backoff=_MAX_BACKOFF_MS),
    ]


class TableBroker(dramatiq.Broker):
    """A dramatiq broker whose queues are the tenants' tables `job`.

    It is declared without a database, so that actors can be; `open` gives it one.
    """

    def __init__(self) -> None:
        self._opened: tuple[Engine, Callable[[], Sequence[Tenant]], Doorbell] | None = None
        self._listener: Listener | None = None
        self._consumers: list[TableConsumer] = []
        self._lock = threading.Lock()
        self._lease_for = LEASE_FOR
        self._prefetch = PREFETCH
        super().__init__(middleware(lambda: self._open_parts[0]))

    def open(
        self,
        engine: Engine,
        tenants: Callable[[], Sequence[Tenant]],
        *,
        lease_for: timedelta = LEASE_FOR,
        prefetch: int = PREFETCH,
    ) -> None:
        """Work on this database; the jobs of `tenants` are looked at once a second.

        A ring reaches any tenant. `lease_for` is how long a job stays with a worker that gives
        no sign of life, `prefetch` how many jobs of a queue one process takes at most.
        """
        if self._opened is not None:
            raise Broken("the broker is open already")
        self._opened = (engine, tenants, Doorbell(engine))
        self._lease_for = lease_for
        self._prefetch = prefetch

    def ring(self, tenant: Tenant) -> None:
        """Wake the workers of all processes; call it after a commit with new jobs or timers."""
        self._open_parts[2].ring(tenant)

    def close(self) -> None:
        """Send what was rung, stop listening, forget the database; the actors stay declared."""
        if self._opened is None:
            return
        self._opened[2].close()
        if self._listener is not None:
            self._listener.close()
        self._opened, self._listener, self._consumers = None, None, []

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> dramatiq.Consumer:
        """An iterator over the jobs of a queue, of all tenants; None after `timeout` ms idle.

        It refills in batches, up to the larger of dramatiq's prefetch and ours.
        """
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        engine, tenants, _ = self._open_parts
        consumer = TableConsumer(
            engine,
            tenants,
            queue=queue_name,
            prefetch=max(prefetch, self._prefetch),
            timeout_s=timeout / 1000,
            lease_for=self._lease_for,
        )
        with self._lock:
            self._consumers.append(consumer)
            if self._listener is None:
                self._listener = Listener(engine, self._hear)
        return consumer

    def declare_queue(self, queue_name: str) -> None:
        """Know a queue; it needs nothing in the database."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def enqueue(
        self,
        message: dramatiq.Message[Any],
        *,
        delay: int | None = None,
    ) -> dramatiq.Message[Any]:
        """Commit a job by itself, for the tenant it names or whose actor is running, and ring.

        This is the way of retries and of `send`. A service calls `jobs.add` with its connection.
        """
        if message.queue_name not in self.queues:
            raise QueueNotFound(message.queue_name)  # type: ignore[no-untyped-call]
        name = message.options.get(TENANT_OPTION) or workplace().tenant.name
        tenant = Tenant(name)
        message = message.copy(options={TENANT_OPTION: name})
        self.emit_before("enqueue", message, delay)
        later = timedelta(milliseconds=delay or 0)
        with transaction(self._open_parts[0], tenant) as connection:
            jobs.add(connection, [message], delay=later, priorities=self.priorities([message]))
        if not delay:
            self.ring(tenant)
        self.emit_after("enqueue", message, delay)
        return message

    def priorities(self, messages: Sequence[dramatiq.Message[Any]]) -> dict[str, int]:
        """The priorities of the messages' actors, for `jobs.add`."""
        names = {message.actor_name for message in messages} & self.actors.keys()
        return {name: self.actors[name].priority for name in names}

    def flush(self, queue_name: str) -> None:
        """Forget all jobs of a queue, of all tenants."""
        self._each_tenant(lambda connection: jobs.drop(connection, queue_name))

    def flush_all(self) -> None:
        """Forget all jobs of all declared queues, of all tenants."""
        for queue_name in self.queues:
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until no job of the queue is left, delayed ones included; for tests."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        ends_at = None if timeout is None else current_millis() + timeout
        while sum(self._each_tenant(lambda one: jobs.count_waiting(one, queue_name))):
            if ends_at is not None and current_millis() > ends_at:
                left = f"jobs are left on {queue_name}"
                raise QueueJoinTimeout(left)  # type: ignore[no-untyped-call]
            time.sleep(_JOIN_POLL_S)

    @property
    def _open_parts(self) -> tuple[Engine, Callable[[], Sequence[Tenant]], Doorbell]:
        if self._opened is None:
            raise Broken("the broker has no database yet: open it first")
        return self._opened

    def _each_tenant(self, ask: Callable[[Any], R]) -> list[R]:
        engine, tenants, _ = self._open_parts
        answers = []
        for tenant in tenants():
            with transaction(engine, tenant) as connection:
                answers.append(ask(connection))
        return answers

    def _hear(self, tenant: Tenant) -> None:
        with self._lock:
            consumers = list(self._consumers)
        for consumer in consumers:
            consumer.ring(tenant)


BROKER: Final = TableBroker()
dramatiq.set_broker(BROKER)


def actor(
    *,
    queue: str,
    retries: int,
    time_limit_s: float,
    priority: int = 0,
    name: str | None = None,
    broker: dramatiq.Broker = BROKER,
) -> Callable[[Callable[P, R]], dramatiq.Actor[P, R]]:
    """Declare an actor: it may run twice and beside itself, and must come out the same.

    A Refusal is not tried again: the job goes to the dead with the refusal's code and facts.

    Args:
        queue: jobs of different queues do not wait for one another.
        retries: tries after the first, 1 s, 2 s, 4 s ... one hour apart at most.
        time_limit_s: after this an exception is raised in the actor.
        priority: the smaller the sooner, within the queue.
        name: stored in every job, so it outlives a move of the function; module and name if None.
        broker: another than ours only in tests.
    """

    def declare(function: Callable[P, R]) -> dramatiq.Actor[P, R]:
        declared = dramatiq.actor(
            actor_name=name or f"{function.__module__}.{function.__name__}",
            queue_name=queue,
            priority=priority,
            broker=broker,
            max_retries=retries,
            time_limit=time_limit_s * 1000,
            throws=(Refusal,),
        )
        return cast("dramatiq.Actor[P, R]", declared(function))

    return declare
