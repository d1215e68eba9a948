"""The sender of webhooks: sealed events become deliveries, and deliveries are sent until they end.

One sender serves a tenant at a time. A try is sent outside any transaction and then written down:
who dies in between sends it again, by the same `webhook-id`. No order is promised.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine

from engine.rounds import go_round, keep_going
from engine.webhooks import service, store
from engine.webhooks.model import (
    DISABLED_AFTER,
    Answer,
    Delivery,
    DeliveryState,
    wait_after,
)
from engine.webhooks.wire import Parcel, Wire
from kernel import clock
from kernel.database import Tenant, transaction
from ledger import reads

LOOPBACK: Final = "HOLDFAST_WEBHOOKS_TO_LOOPBACK"
"""Set to 1, sandboxes may send to `http://127.0.0.1:<port>`; live tenants never do."""

_PLANNED_AT_ONCE: Final = 500
_SENT_AT_ONCE: Final = 64
_TO_ONE_AT_ONCE: Final = 8
_CHANCE: Final = secrets.SystemRandom()

_log = structlog.get_logger(__name__)


def may_use_loopback(connection: Connection, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether endpoints may be on this machine: those of a sandbox whose people asked for it."""
    asked = environment.get(LOOPBACK) == "1"
    return asked and clock.get_mode(connection) is clock.Mode.SANDBOX


@dataclass(frozen=True, slots=True)
class WebhookLoop:
    """Walks the tenants and sends what is due; each is walked by one process at a time."""

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    wire: Wire
    interval_s: float = 1.0
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def run_forever(self, stop: threading.Event) -> None:
        """Go round until `stop` is set; at once again while there is work."""
        keep_going(self.run_once, stop, interval_s=self.interval_s)

    def run_once(self, stop: threading.Event) -> bool:
        """Look at each tenant once; whether anything was planned or sent."""
        return go_round(self.tenants, self.look_at, stop, what="webhooks", engine=self.engine) > 0

    def look_at(self, tenant: Tenant) -> bool:
        """Plan what was sealed and send what is due, once; whether there was anything."""
        planned = plan(self.engine, tenant)
        with transaction(self.engine, tenant) as connection:
            parcels = list_parcels(connection)
            loopback = may_use_loopback(connection, self.environment)
        if not parcels:
            return planned > 0
        answers = asyncio.run(_send_all(replace(self.wire, allows_loopback=loopback), parcels))
        for parcel, answer in zip(parcels, answers, strict=True):
            with transaction(self.engine, tenant) as connection:
                save_answer(connection, parcel.delivery, answer)
        return True


def plan(engine: Engine, tenant: Tenant) -> int:
    """Write deliveries of what was sealed since, endpoint by endpoint; how many."""
    with transaction(engine, tenant) as connection:
        behind = store.list_behind(connection)
    count = 0
    for endpoint_id in behind:
        with transaction(engine, tenant) as connection:
            (endpoint,) = store.lock_endpoints(connection, [endpoint_id]).values()
            events = reads.list_journal(
                connection, after=endpoint.planned_to, limit=_PLANNED_AT_ONCE
            )
            numbers = [each.journal_no for each in events if endpoint.wants(each.kind)]
            if numbers:
                count += len(store.add_deliveries(connection, endpoint, numbers))
            if events and events[-1].journal_no is not None:
                moved = replace(endpoint, planned_to=events[-1].journal_no)
                store.save_endpoint(connection, moved)
    return count


def list_parcels(connection: Connection) -> list[Parcel]:
    """What is due, with the endpoint, its live secrets and the event of each."""
    due = store.list_due(connection, limit=_SENT_AT_ONCE, each=_TO_ONE_AT_ONCE)
    ids = {delivery.endpoint_id for delivery in due}
    endpoints, signing = store.find_endpoints(connection, ids), service.secrets_of(connection, ids)
    numbers = [each.journal_no for each in due if each.journal_no is not None]
    event_ids = store.find_event_ids(connection, numbers)
    return [
        Parcel(
            delivery=delivery,
            endpoint=endpoints[delivery.endpoint_id],
            secrets=signing[delivery.endpoint_id],
            event=None
            if delivery.journal_no is None
            else reads.find_event(connection, event_ids[delivery.journal_no]),
        )
        for delivery in due
    ]


def save_answer(connection: Connection, delivery: Delivery, answer: Answer) -> None:
    """Write down a try: arrived, to be tried again, or dead; who fails for days is disabled."""
    told: dict[str, Any] = {"status": answer.status, "trouble": answer.trouble}
    if answer.is_taken:
        store.save_try(connection, delivery.delivery_no, DeliveryState.DELIVERED, **told, wait=None)
        store.note_taken(connection, delivery.endpoint_id)
        return
    wait = wait_after(delivery.tries + 1, chance=_CHANCE.random(), retry_after=answer.retry_after)
    state = DeliveryState.DEAD if wait is None else DeliveryState.WAITING
    store.save_try(connection, delivery.delivery_no, state, **told, wait=wait)
    has_failed_long = store.note_failed(connection, delivery.endpoint_id, after=DISABLED_AFTER)
    if answer.is_gone or has_failed_long:
        reason = "gone (410)" if answer.is_gone else f"took nothing for {DISABLED_AFTER.days} days"
        service.disable_failing(
            connection, delivery.endpoint_id, reason=reason, at=clock.now(connection)
        )


async def _send_all(wire: Wire, parcels: Sequence[Parcel]) -> list[Answer]:
    return list(await asyncio.gather(*(wire.send(parcel) for parcel in parcels)))
