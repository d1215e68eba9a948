"""The broker's contract with dramatiq, kept by ours and by dramatiq's own StubBroker alike."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import QueueNotFound
from sqlalchemy import Engine

from kernel.broker import BROKER, TableBroker, actor, middleware, working_for, workplace
from kernel.database import Tenant
from kernel.errors import Broken, Refusal
from tests.kernel.broker_at_work import (
    DEADLINE_S,
    dead_of,
    until,
    working,
)


class TooLate(Refusal):
    """The rules say no."""

    code = "test.too_late"


@pytest.fixture(params=["ours", "stub"])
def broker(
    request: pytest.FixtureRequest, own_engine: Engine, tenant: Tenant
) -> Iterator[dramatiq.Broker]:
    """Ours, then dramatiq's in memory; `send` goes to the test's tenant."""
    with ExitStack() as stack, working_for(own_engine, tenant):
        if request.param == "ours":
            one: dramatiq.Broker = TableBroker()
            assert isinstance(one, TableBroker)
            one.open(own_engine, lambda: [tenant])
        else:
            # The stub takes no tenant from anywhere, so it goes without our first middleware.
            one = StubBroker(middleware(lambda: own_engine)[1:], fail_fast_default=False)
        stack.callback(one.close)
        yield one


def test_dramatiq_never_picks_a_broker_of_its_own() -> None:
    """Whoever imports kernel.broker has set the only broker that dramatiq knows."""
    assert dramatiq.get_broker() is BROKER


def test_a_broker_without_a_database_refuses_to_work() -> None:
    """Actors may be declared before there is a database; sending needs one."""
    broker = TableBroker()
    count = actor(queue="default", retries=0, time_limit_s=5, broker=broker)(lambda: None)

    with pytest.raises(Broken):
        count.send()


def test_what_is_sent_is_run_once(broker: dramatiq.Broker) -> None:
    """Every message reaches its actor with its arguments, once."""
    seen: list[tuple[int, str]] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=broker)
    def note(number: int, *, word: str) -> None:
        seen.append((number, word))

    with working(broker):
        for number in range(100):
            note.send(number, word="x")
        broker.join("default", timeout=120_000)

    assert sorted(seen) == [(number, "x") for number in range(100)]


def test_a_failing_actor_is_tried_again_with_the_same_message(broker: dramatiq.Broker) -> None:
    """A retry carries the same message id, and success ends it."""
    tries: list[int] = []

    @actor(queue="default", retries=3, time_limit_s=5, broker=broker)
    def stumble() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise dramatiq.errors.Retry("again", delay=1)

    with working(broker):
        stumble.send()
        broker.join("default", timeout=120_000)

    assert len(tries) == 3


def test_a_refusal_is_not_tried_again(broker: dramatiq.Broker, tenant: Tenant) -> None:
    """The rules will say no again: the job goes to the dead at once."""
    tries: list[int] = []

    @actor(queue="default", retries=3, time_limit_s=5, broker=broker)
    def refuse() -> None:
        tries.append(1)
        raise TooLate(slot_id="a")

    with working(broker):
        refuse.send()
        broker.join("default", timeout=120_000)

    assert len(tries) == 1
    if isinstance(broker, StubBroker):
        assert len(broker.dead_letters) == 1
    else:
        (dead,) = dead_of(workplace().engine, tenant)
        assert dead.startswith("TooLate: test.too_late")


def test_a_pipeline_hands_results_on(broker: dramatiq.Broker) -> None:
    """The next actor of a pipeline gets the result of the one before, for the same tenant."""
    seen: list[int] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=broker)
    def double(number: int) -> int:
        return number * 2

    @actor(queue="default", retries=0, time_limit_s=5, broker=broker)
    def note(number: int) -> None:
        seen.append(number)

    with working(broker):
        steps = [double.message(4), double.message_with_options(), note.message_with_options()]
        dramatiq.pipeline(steps, broker=broker).run()  # type: ignore[no-untyped-call]
        until(lambda: bool(seen))

    assert seen == [16]


def test_an_actor_over_its_time_limit_is_stopped(broker: dramatiq.Broker) -> None:
    """After time_limit_s an exception is raised in the actor."""
    stopped = threading.Event()

    @actor(queue="default", retries=0, time_limit_s=0.1, broker=broker)
    def dawdle() -> None:
        try:
            until(lambda: False)
        except dramatiq.middleware.TimeLimitExceeded:
            stopped.set()
            raise

    with working(broker):
        dawdle.send()
        assert stopped.wait(DEADLINE_S)


def test_an_undeclared_queue_is_refused(broker: dramatiq.Broker) -> None:
    """Neither sending to nor reading from a queue that nobody declared."""
    stray: dramatiq.Message[None] = dramatiq.Message(
        queue_name="nowhere", actor_name="nobody", args=(), kwargs={}, options={}
    )

    with pytest.raises(QueueNotFound):
        broker.enqueue(stray)
    with pytest.raises(QueueNotFound):
        broker.consume("nowhere")


def test_flush_forgets_what_waits(broker: dramatiq.Broker) -> None:
    """A flushed queue is empty."""
    count = actor(queue="default", retries=0, time_limit_s=5, broker=broker)(lambda: None)
    count.send()

    broker.flush_all()

    assert next(broker.consume("default", timeout=1)) is None
