"""A worker's hand on one queue: takes jobs of all tenants, keeps their leases, settles them.

Done, failed and new jobs of a tenant go through one short transaction. Worker threads only note
what became of a job; the consumer's own thread writes it down. Jobs that lost a worker may be
what killed it, so they are handed out one after the other: a job that only ran beside the
culprit is not found guilty with it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import dramatiq
import structlog
from dramatiq.errors import DecodeError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from kernel import jobs
from kernel.database import Tenant, transaction

POLL_S: Final = 1.0
"""How long a job may lie when its ring was lost."""

TENANT_OPTION: Final = "tenant"
"""The message option that says whose job it is; always set from the schema it came from."""

_SETTLE_WITHIN_S: Final = 0.02
_AFTER_TROUBLE_S: Final = 0.2
_WHY_LENGTH: Final = 300

_log = structlog.get_logger(__name__)

Key = tuple[int, UUID]


class JobMessage(dramatiq.MessageProxy):
    """A message that knows its row, and the worker whose lease it runs under."""

    def __init__(self, claimed: jobs.Claimed, *, tenant: Tenant, worker: UUID) -> None:
        message: dramatiq.Message[Any] = dramatiq.Message.decode(claimed.body)
        super().__init__(message.copy(options={TENANT_OPTION: tenant.name}))
        self.tenant = tenant
        self.key: Key = (claimed.id, worker)
        self.was_lost = claimed.was_lost

    @property
    def why(self) -> str:
        """Why the job failed, for whoever looks at the dead."""
        if self._exception is None:
            return "failed"
        why = f"{type(self._exception).__name__}: {self._exception}"
        return why.replace("\0", "")[:_WHY_LENGTH]


@dataclass(slots=True)
class _Settled:
    """What became of a tenant's jobs and is not yet written down."""

    done: list[Key] = field(default_factory=list)
    failed: dict[Key, str] = field(default_factory=dict)
    returned: list[Key] = field(default_factory=list)


class TableConsumer(dramatiq.Consumer):
    """Iterates over the jobs of one queue; None when there is none for now."""

    def __init__(
        self,
        engine: Engine,
        tenants: Callable[[], Sequence[Tenant]],
        *,
        queue: str,
        prefetch: int,
        timeout_s: float,
        lease_for: timedelta,
    ) -> None:
        self.worker = uuid4()
        self._engine = engine
        self._tenants = tenants
        self._queue = queue
        self._prefetch = prefetch
        self._timeout_s = timeout_s
        self._lease_for = lease_for
        self._ready: deque[JobMessage] = deque()
        self._suspects: deque[JobMessage] = deque()
        self._suspect: Key | None = None
        self._held: dict[Key, Tenant] = {}
        self._settled: dict[Tenant, _Settled] = {}
        self._look_at: dict[Tenant, None] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stumbled = threading.Event()
        self._rung: dict[Tenant, None] = {}
        self._poll_at = 0.0
        self._keep_at = time.monotonic() + self._keep_every_s

    @property
    def _keep_every_s(self) -> float:
        return self._lease_for.total_seconds() / 3

    def ring(self, tenant: Tenant) -> None:
        """The doorbell: look at this tenant's jobs now."""
        with self._lock:
            self._rung[tenant] = None
        self._wake.set()

    def __next__(self) -> JobMessage | None:
        """The next job; None after a short wait, so that the worker can see that it must stop."""
        if not self._ready:
            self._go_round()
        if self._ready:
            return self._ready.popleft()
        if self._suspects and self._suspect is None:
            message = self._suspects.popleft()
            self._suspect = message.key
            return message
        with self._lock:
            is_unsettled = bool(self._settled)
        self._wake.wait(_SETTLE_WITHIN_S if is_unsettled else self._timeout_s)
        self._wake.clear()
        return None

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Note that a job is done."""
        assert isinstance(message, JobMessage)
        self._settle(message, lambda settled: settled.done.append(message.key))

    def nack(self, message: dramatiq.MessageProxy) -> None:
        """Note that a job cannot be done; it goes to the dead with its reason."""
        assert isinstance(message, JobMessage)
        why = message.why
        self._settle(message, lambda settled: settled.failed.__setitem__(message.key, why))

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Give back what was taken and not begun; another worker may have it at once."""
        for message in messages:
            assert isinstance(message, JobMessage)
            with self._lock:
                self._settled.setdefault(message.tenant, _Settled()).returned.append(message.key)
                self._held.pop(message.key, None)

    def close(self) -> None:
        """Write down what is settled and give back what was never handed out."""
        self.requeue([*self._ready, *self._suspects])
        self._ready.clear()
        self._suspects.clear()
        self._stumbled.set()
        for tenant in list(self._settled):
            self._visit(tenant, keep=False, limit=0)

    def _settle(self, message: JobMessage, note: Callable[[_Settled], None]) -> None:
        with self._lock:
            note(self._settled.setdefault(message.tenant, _Settled()))
            self._held.pop(message.key, None)
            is_hungry = len(self._held) * 2 <= self._prefetch
        if message.key == self._suspect:
            self._suspect = None
            is_hungry = True
        if is_hungry:
            self._wake.set()

    def _go_round(self) -> None:
        """Visit each tenant that has something to write down, to keep or perhaps to give."""
        now = time.monotonic()
        self._note_who_to_look_at(now)
        must_keep = now >= self._keep_at
        if must_keep:
            self._keep_at = now + self._keep_every_s
        with self._lock:
            free = self._prefetch - len(self._held)
            to_settle = dict.fromkeys(self._settled)
            if must_keep:
                to_settle.update(dict.fromkeys(self._held.values()))
        to_ask = list(self._look_at) if free * 2 >= self._prefetch else []
        # One tenant's backlog must not take all the room of the others.
        share = -(-free // len(to_ask)) if to_ask else 0
        for tenant in dict.fromkeys([*to_ask, *to_settle]):
            limit = min(share, free) if tenant in to_ask else 0
            if limit or tenant in to_settle:
                free -= self._visit(tenant, keep=must_keep, limit=limit)

    def _note_who_to_look_at(self, now: float) -> None:
        with self._lock:
            rung, self._rung = self._rung, {}
        self._look_at.update(rung)
        if now >= self._poll_at:
            self._poll_at = now + POLL_S
            try:
                self._look_at.update(dict.fromkeys(self._tenants()))
            except SQLAlchemyError as trouble:
                _log.warning("jobs.tenants_unknown", trouble=type(trouble).__name__)

    def _visit(self, tenant: Tenant, *, keep: bool, limit: int) -> int:
        """One transaction with one tenant; the number of jobs taken. Trouble waits for the poll."""
        if limit:
            self._look_at.pop(tenant, None)
        with self._lock:
            settled = self._settled.pop(tenant, _Settled())
            held = [key for key, owner in self._held.items() if owner == tenant]
        try:
            claimed = self._settle_and_claim(tenant, settled, held, keep=keep, limit=limit)
        except SQLAlchemyError as trouble:
            _log.warning("jobs.visit_failed", tenant=tenant.name, trouble=type(trouble).__name__)
            self._put_back(tenant, settled)
            self._stumbled.wait(_AFTER_TROUBLE_S)
            return 0
        for each in claimed:
            self._take(tenant, each)
        if limit and len(claimed) == limit:
            self._look_at[tenant] = None
        return len(claimed)

    def _take(self, tenant: Tenant, claimed: jobs.Claimed) -> None:
        key = (claimed.id, self.worker)
        try:
            message = JobMessage(claimed, tenant=tenant, worker=self.worker)
        except DecodeError:
            with self._lock:
                settled = self._settled.setdefault(tenant, _Settled())
                settled.failed[key] = "the message cannot be read"
            return
        with self._lock:
            self._held[key] = tenant
        (self._suspects if message.was_lost else self._ready).append(message)

    def _settle_and_claim(
        self, tenant: Tenant, settled: _Settled, held: list[Key], *, keep: bool, limit: int
    ) -> list[jobs.Claimed]:
        with transaction(self._engine, tenant) as connection:
            jobs.settle_in(connection)
            if settled.done:
                self._warn(tenant, len(settled.done) - jobs.finish(connection, settled.done))
            if settled.failed:
                self._warn(tenant, len(settled.failed) - jobs.bury(connection, settled.failed))
            if settled.returned:
                jobs.release(connection, settled.returned)
            if keep and held:
                kept = jobs.keep(connection, held, lease_for=self._lease_for)
                self._warn(tenant, len(held) - len(kept))
            if limit == 0:
                return []
            return jobs.claim(
                connection,
                queue=self._queue,
                worker=self.worker,
                limit=limit,
                lease_for=self._lease_for,
                holding=[job_id for job_id, _ in held],
            )

    def _put_back(self, tenant: Tenant, settled: _Settled) -> None:
        with self._lock:
            later = self._settled.setdefault(tenant, _Settled())
            later.done.extend(settled.done)
            later.failed.update(settled.failed)
            later.returned.extend(settled.returned)

    def _warn(self, tenant: Tenant, lost: int) -> None:
        if lost:
            _log.warning("jobs.lease_lost", tenant=tenant.name, queue=self._queue, jobs=lost)
