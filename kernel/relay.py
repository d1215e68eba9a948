"""Drains the tables of jobs to RabbitMQ or Redis, for whoever runs one of these.

A row is taken under a lease, published, and deleted when the publication is confirmed: at least
once, never lost. No transaction is open while the other broker is spoken to.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import dramatiq
import structlog
from dramatiq.errors import BrokerConnectionError, DecodeError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from kernel import jobs
from kernel.broker import BROKER, TableBroker, middleware
from kernel.consumer import TENANT_OPTION
from kernel.database import Tenant, transaction
from kernel.errors import Broken

LEASE_FOR: Final = timedelta(seconds=60)
_INTERVAL_S: Final = 0.05
_BATCH: Final = 200

_log = structlog.get_logger(__name__)


def outside_broker(
    url: str, place: Callable[[], Engine], *, of: TableBroker = BROKER
) -> dramatiq.Broker:
    """RabbitMQ (amqp, amqps) or Redis (redis, rediss) with all actors declared so far.

    An actor still sends to the table, so that every job takes the one way out.
    """
    outside = _connect(url, place)
    for actor in of.actors.values():
        outside.declare_actor(actor)
    return outside


def drain(
    engine: Engine,
    tenant: Tenant,
    outside: dramatiq.Broker,
    queues: Sequence[str],
    *,
    limit: int = _BATCH,
) -> int:
    """Publish a tenant's due jobs, up to `limit` of each queue; the number published.

    If the other broker fails half-way, what was not published is given back at once.
    """
    published = 0
    worker = uuid4()
    for queue in queues:
        with transaction(engine, tenant) as connection:
            jobs.settle_in(connection)
            claimed = jobs.claim(
                connection, queue=queue, worker=worker, limit=limit, lease_for=LEASE_FOR
            )
        if not claimed:
            continue
        keys = [(job.id, worker) for job in claimed]
        sent, unreadable = 0, {}
        try:
            for job in claimed:
                try:
                    outside.enqueue(_addressed(job, tenant))
                except DecodeError:
                    unreadable[job.id, worker] = "the message cannot be read"
                sent += 1
        finally:
            with transaction(engine, tenant) as connection:
                jobs.settle_in(connection)
                jobs.bury(connection, unreadable)
                jobs.finish(connection, keys[:sent])
                jobs.release(connection, keys[sent:])
        published += sent - len(unreadable)
    return published


def relay_forever(
    engine: Engine,
    tenants: Callable[[], Sequence[Tenant]],
    outside: dramatiq.Broker,
    stop: threading.Event,
) -> None:
    """Drain all tenants until `stop` is set, several times a second; trouble is tried again."""
    while not stop.is_set():
        published = 0
        try:
            for tenant in tenants():
                published += drain(engine, tenant, outside, sorted(BROKER.queues))
        except (SQLAlchemyError, BrokerConnectionError) as trouble:
            _log.warning("relay.failed", trouble=type(trouble).__name__)
            stop.wait(1.0)
        if not published:
            stop.wait(_INTERVAL_S)


def _addressed(job: jobs.Claimed, tenant: Tenant) -> dramatiq.Message[Any]:
    message: dramatiq.Message[Any] = dramatiq.Message.decode(job.body)
    return message.copy(options={TENANT_OPTION: tenant.name})


def _connect(url: str, place: Callable[[], Engine]) -> dramatiq.Broker:
    scheme = url.partition("://")[0]
    try:
        if scheme in {"amqp", "amqps"}:
            from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415  needs pika

            return RabbitmqBroker(url=url, confirm_delivery=True, middleware=middleware(place))
        if scheme in {"redis", "rediss"}:
            from dramatiq.brokers.redis import RedisBroker  # noqa: PLC0415  needs redis

            broker: dramatiq.Broker = RedisBroker(  # type: ignore[no-untyped-call]
                url=url, middleware=middleware(place)
            )
            return broker
    except ImportError as missing:
        raise Broken(f"install {missing.name} to use {scheme}") from missing
    raise Broken("the broker's URL begins with amqp:// or redis://", scheme=scheme)
