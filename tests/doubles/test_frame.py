"""The frame of all doubles: its clock runs what is due, its server ends what it began."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.doubles.frame import (
    Clock,
    Delivery,
    Fault,
    Faults,
    Frame,
    LostReplyError,
    Message,
    Request,
    Response,
    as_json,
)
from tests.doubles.frame import Deliveries as Queue

START = datetime(2026, 1, 1, tzinfo=UTC)


class Echo:
    """A provider that says what it was asked, and counts."""

    def __init__(self) -> None:
        self.worked = 0

    def answer(self, request: Request) -> Response:
        self.worked += 1
        if request.path == "/broken":
            raise ZeroDivisionError
        return as_json({"path": request.path, "body": request.body.decode()})

    def trouble(self, fault: Fault, request: Request) -> Response:
        return as_json({"fault": fault, "path": request.path}, status=500)

    def enter(self, request: Request) -> Response | None:
        return as_json({}, status=409) if request.path == "/barred" else None

    def leave(self, request: Request) -> None:
        del request

    def control(self, verb: str, said: Mapping[str, Any]) -> Any:
        del said
        raise KeyError(verb)


def _frame() -> tuple[Frame, Echo, Faults]:
    echo, faults = Echo(), Faults()
    return Frame(echo, clock=Clock(START), faults=faults), echo, faults


def test_the_clock_runs_what_is_due_in_order() -> None:
    """Each at its own time, also what is added on the way."""
    clock, ran = Clock(START), list[tuple[str, datetime]]()

    def first() -> None:
        ran.append(("first", clock.now))
        clock.after(timedelta(hours=1), lambda: ran.append(("then", clock.now)))

    clock.after(timedelta(hours=3), lambda: ran.append(("last", clock.now)))
    clock.after(timedelta(hours=1), first)
    clock.advance(timedelta(hours=2))

    assert [name for name, _ in ran] == ["first", "then"]
    clock.advance(timedelta(hours=2))
    assert ran == [
        ("first", START + timedelta(hours=1)),
        ("then", START + timedelta(hours=2)),
        ("last", START + timedelta(hours=3)),
    ]
    assert clock.now == START + timedelta(hours=4)


@pytest.mark.parametrize(
    ("fault", "worked"),
    [(Fault.ERROR_BEFORE, 0), (Fault.ERROR_AFTER, 1), (Fault.RATE_LIMIT, 0), (Fault.LOST_REPLY, 1)],
)
def test_a_fault_strikes_before_or_after_the_work(fault: Fault, worked: int) -> None:
    """Forced for the next request of a path; the one after it is answered."""
    frame, echo, faults = _frame()
    faults.force(fault, path="/pay")
    frame.ask(Request("GET", "/other"))

    try:
        assert frame.ask(Request("POST", "/pay")).status == 500
    except LostReplyError:
        assert fault is Fault.LOST_REPLY

    assert echo.worked == 1 + worked
    assert frame.ask(Request("POST", "/pay")).status == 200
    assert frame.ask(Request("POST", "/barred")).status == 409


def test_the_plan_of_faults_comes_from_its_seed() -> None:
    """The same seed lays the same faults upon the same requests."""

    def laid() -> list[Fault | None]:
        faults = Faults(seed=5)
        faults.plan(rate=0.5)
        return [faults.next_for(Request("GET", "/")) for _ in range(20)]

    assert laid() == laid()
    assert None in laid()
    assert len({*laid()}) > 3


def test_the_server_ends_its_threads_and_connections() -> None:
    """An open connection of a client does not keep it; an error of the double's own is kept."""
    frame, _, _ = _frame()
    before = {*threading.enumerate()}
    url = frame.start()
    with requests.Session() as session:
        said = session.post(f"{url}/x", data=b"hello", timeout=10).json()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{url}/broken", timeout=10)
        session.get(f"{url}/y", timeout=10)

        frame.stop()

        begun = {thread for thread in threading.enumerate() if thread not in before}
        assert not {thread for thread in begun if "process_request" in thread.name}
    assert said == {"path": "/x", "body": "hello"}
    assert [type(error) for error in frame.broken] == [ZeroDivisionError]


def test_webhooks_are_posted_to_an_address() -> None:
    """Over HTTP as to a callable; what is refused waits."""
    frame, _, faults = _frame()
    queue = Queue(Clock(START))
    url = frame.start()
    queue.post_to(f"{url}/hook")
    queue.add(Message("platform", b"{}", lambda _body, at: {"x-at": at.isoformat()}))
    faults.force(Fault.ERROR_BEFORE)

    assert (queue.deliver(), len(queue.waiting)) == (1, 1)
    assert (queue.deliver(), len(queue.waiting)) == (1, 0)

    frame.stop()
    headers = {"x-at": START.isoformat()}
    assert queue.delivered == [Delivery("platform", b"{}", headers)] * 2
