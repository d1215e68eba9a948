"""What every double of a provider stands on: a server on loopback, a clock, faults, deliveries.

A double is a `Provider`: it answers requests from its own state. `Frame` puts it behind HTTP, or
asks it in the same process (`Frame.ask`), one request at a time; it lays faults upon the answers
and serves the control plane under `/_sim/`.
"""

import heapq
import json
import random
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener
from urllib.request import Request as UrlRequest

SIM: Final = "/_sim/"
_PATIENCE_S: Final = 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names are in lower case, `query` is without its `?`."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `body` as it goes over the wire."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body."""
    sent = {"content-type": "application/json", **(headers or {})}
    return Response(status, json.dumps(value).encode(), sent)


class LostReplyError(ConnectionError):
    """The connection broke after the request was worked and before its answer came."""


class Clock:
    """The double's own time, aware; what is due is run as the time goes over it."""

    def __init__(self, now: datetime) -> None:
        """Start at an aware time."""
        assert now.tzinfo is not None
        self.now = now
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, when: datetime, act: Callable[[], object]) -> None:
        """Run `act` when the time comes; what is due at once waits for the next `advance`."""
        self._count += 1
        heapq.heappush(self._due, (when, self._count, act))

    def after(self, wait: timedelta, act: Callable[[], object]) -> None:
        """Run `act` a while from now."""
        self.at(self.now + wait, act)

    def advance(self, by: timedelta = timedelta()) -> datetime:
        """Move on and run what has come due, each at its own time, in order."""
        assert by >= timedelta()
        return self.set(self.now + by)

    def set(self, to: datetime) -> datetime:
        """Move on to a time, never backwards; runs what has come due."""
        assert to >= self.now
        while self._due and self._due[0][0] <= to:
            when, _, act = heapq.heappop(self._due)
            self.now = max(self.now, when)
            act()
        self.now = to
        return to


class Fault(StrEnum):
    """What may go wrong with one request."""

    LOST_REPLY = "lost_reply"  # worked, but the connection breaks before the answer
    ERROR_BEFORE = "error_before"  # 500, nothing was done
    ERROR_AFTER = "error_after"  # 500, though it was done
    RATE_LIMIT = "rate_limit"  # 429, nothing was done
    LOCK_TIMEOUT = "lock_timeout"  # 429, nothing was done
    HOLD = "hold"  # waits for `Faults.release` before it is worked


EVERY_KIND: Final = tuple(fault for fault in Fault if fault is not Fault.HOLD)


@dataclass(slots=True)
class _Forced:
    fault: Fault
    times: int
    method: str
    path: str


class Faults:
    """Which fault meets the next request: forced ones first, then a share by a seeded die."""

    def __init__(self, *, seed: int = 0) -> None:
        """No faults until asked for."""
        self._random = random.Random(seed)
        self._rate = 0.0
        self._kinds: tuple[Fault, ...] = ()
        self._forced: list[_Forced] = []
        self._gate = threading.Event()
        self.held = threading.Semaphore(0)
        self.laid: list[tuple[Fault, str, str]] = []

    def plan(
        self,
        *,
        rate: float,
        kinds: Sequence[Fault] = EVERY_KIND,
        seed: int | None = None,
    ) -> None:
        """Lay a fault of these kinds upon this share (0 to 1) of all requests; 0 ends it."""
        assert 0 <= rate <= 1
        self._rate, self._kinds = rate, tuple(kinds)
        if seed is not None:
            self._random = random.Random(seed)

    def force(self, fault: Fault, *, times: int = 1, method: str = "", path: str = "") -> None:
        """Lay a fault upon the next requests with this method whose path holds `path`."""
        self._forced.append(_Forced(fault, times, method, path))

    def forget(self) -> None:
        """Lay no forced fault that has not met its request yet."""
        self._forced.clear()

    def next_for(self, request: Request) -> Fault | None:
        """The fault for this request, if any; it is spent by asking."""
        fault = self._forced_for(request)
        if fault is None and self._kinds and self._random.random() < self._rate:
            fault = self._random.choice(self._kinds)
        if fault is not None:
            self.laid.append((fault, request.method, request.path))
        return fault

    def _forced_for(self, request: Request) -> Fault | None:
        for forced in self._forced:
            if forced.method in {"", request.method} and forced.path in request.path:
                forced.times -= 1
                if forced.times <= 0:
                    self._forced.remove(forced)
                return forced.fault
        return None

    def wait(self) -> None:
        """Wait for `release`, as a request that is held does; tells `held` that it waits."""
        self.held.release()
        self._gate.wait(_PATIENCE_S)

    def release(self) -> None:
        """Let all requests go that are held now; later ones are held again."""
        self._gate.set()
        self._gate = threading.Event()


@dataclass(frozen=True, slots=True)
class Message:
    """One webhook before it is sent. `sign` gives the headers for a body sent at a time."""

    endpoint: str
    body: bytes
    sign: Callable[[bytes, datetime], Mapping[str, str]]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it is sent to an endpoint of ours."""

    endpoint: str
    body: bytes
    headers: Mapping[str, str]
    name: str = ""


class Order(StrEnum):
    """In which order the messages that wait are delivered."""

    FIFO = "fifo"
    SHUFFLE = "shuffle"
    REVERSE = "reverse"


Receiver = Callable[[Delivery], int]


class Deliveries:
    """Webhooks that wait to be delivered, to a callable or to an address for each endpoint.

    `duplicate` and `drop` are shares (0 to 1) of messages that come twice or never. A message that
    is not answered with 2xx waits again.
    """

    def __init__(self, clock: Clock, *, seed: int = 0) -> None:
        """Nothing waits, and nobody listens yet."""
        self._clock = clock
        self._random = random.Random(seed)
        self._receivers: dict[str, Receiver] = {}
        self.order = Order.FIFO
        self.duplicate = 0.0
        self.drop = 0.0
        self.waiting: list[Message] = []
        self.dropped: list[Message] = []
        self.delivered: list[Delivery] = []

    def send_to(self, receiver: Receiver, *, endpoint: str = "") -> None:
        """Who gets an endpoint's messages ("": of every endpoint without its own receiver)."""
        self._receivers[endpoint] = receiver

    def post_to(self, url: str, *, endpoint: str = "") -> None:
        """Post an endpoint's messages to an address on loopback."""
        assert urlsplit(url).hostname in {"127.0.0.1", "localhost"}
        self.send_to(lambda delivery: _post(url, delivery), endpoint=endpoint)

    def add(self, message: Message) -> None:
        """Put a message at the end of the queue; one in `drop` is lost here."""
        if self.drop and self._random.random() < self.drop:
            self.dropped.append(message)
            return
        self.waiting.append(message)

    def deliver(self, *, limit: int | None = None) -> int:
        """Deliver what waits, in the order that is set; how many were sent.

        A message without a receiver stays; so does one that was not taken with 2xx.
        """
        batch = self._in_order([m for m in self.waiting if self._receiver(m) is not None])[:limit]
        sent = 0
        for message in batch:
            self.waiting.remove(message)
            twice = bool(self.duplicate) and self._random.random() < self.duplicate
            taken = [self._send(message) for _ in range(2 if twice else 1)]
            sent += len(taken)
            if not all(taken):
                self.waiting.append(message)
        return sent

    def _in_order(self, batch: list[Message]) -> list[Message]:
        if self.order is Order.REVERSE:
            return batch[::-1]
        if self.order is Order.SHUFFLE:
            self._random.shuffle(batch)
        return batch

    def _receiver(self, message: Message) -> Receiver | None:
        return self._receivers.get(message.endpoint) or self._receivers.get("")

    def _send(self, message: Message) -> bool:
        receiver = self._receiver(message)
        assert receiver is not None
        headers = message.sign(message.body, self._clock.now)
        delivery = Delivery(message.endpoint, message.body, headers, message.name)
        self.delivered.append(delivery)
        return 200 <= receiver(delivery) < 300


def _post(url: str, delivery: Delivery) -> int:
    """The status that an address answers; 0 where it does not answer at all."""
    headers = {"content-type": "application/json", **delivery.headers}
    asked = UrlRequest(url, data=delivery.body, headers=headers, method="POST")  # noqa: S310
    straight = build_opener(ProxyHandler({}))  # no proxy of the environment: it is loopback
    try:
        with straight.open(asked, timeout=_PATIENCE_S) as answer:
            return int(answer.status)
    except OSError as error:
        return int(getattr(error, "code", 0))


class Provider(Protocol):
    """What a double tells the frame. All are called one at a time, under the frame's lock."""

    def answer(self, request: Request) -> Response:
        """The provider's answer, from its state."""

    def trouble(self, fault: Fault, request: Request) -> Response:
        """What a fault looks like at this provider. After ERROR_AFTER the request was worked."""

    def enter(self, request: Request) -> Response | None:
        """Called before a request is held or worked; an answer here ends it."""

    def leave(self, request: Request) -> None:
        """Called when a request that was let in is done with, however it ended."""

    def control(self, verb: str, said: Mapping[str, Any]) -> Any:
        """The control plane: POST /_sim/<verb> with a JSON object; KeyError: no such verb."""


class Frame:
    """A provider behind faults, in the same process or over HTTP on loopback."""

    def __init__(self, provider: Provider, *, clock: Clock, faults: Faults) -> None:
        """Nothing listens until `start`. Errors of the double's own gather in `broken`."""
        self._provider = provider
        self._clock = clock
        self._faults = faults
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.lock = threading.RLock()
        self.broken: list[Exception] = []

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> str:
        """Listen on a free port of loopback; the address."""
        assert self._server is None
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self.url

    def stop(self) -> None:
        """End the server, its connections and its threads."""
        if self._server is None:
            return
        self._faults.release()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        assert self._thread is not None
        self._thread.join()
        self._server = None

    def ask(self, request: Request) -> Response:
        """The answer, as over the wire; LostReplyError where the connection would break."""
        if request.path == f"{SIM}deliver":  # whoever is told may call us back before he answers
            return self._control(request)
        if request.path.startswith(SIM):
            with self.lock:
                return self._control(request)
        with self.lock:
            fault = self._faults.next_for(request)
            barred = self._provider.enter(request)
        if barred is not None:
            return barred
        try:
            return self._work(request, fault)
        finally:
            with self.lock:
                self._provider.leave(request)

    def _work(self, request: Request, fault: Fault | None) -> Response:
        if fault in {Fault.ERROR_BEFORE, Fault.RATE_LIMIT, Fault.LOCK_TIMEOUT}:
            with self.lock:
                return self._provider.trouble(Fault(fault), request)
        if fault is Fault.HOLD:
            self._faults.wait()
        with self.lock:
            answer = self._provider.answer(request)
            if fault is Fault.ERROR_AFTER:
                answer = self._provider.trouble(fault, request)
        if fault is Fault.LOST_REPLY:
            raise LostReplyError(request.path)
        return answer

    def _control(self, request: Request) -> Response:
        """Clock and faults here, all else at the provider.

        `clock` takes `advance_s` or `to` (ISO), `force` and `plan` as the methods of `Faults`.
        """
        said = json.loads(request.body or b"{}")
        verb = request.path.removeprefix(SIM)
        if verb == "clock":
            if "to" in said:
                self._clock.set(datetime.fromisoformat(said["to"]))
            self._clock.advance(timedelta(seconds=said.get("advance_s", 0)))
            return as_json({"now": self._clock.now.isoformat()})
        if verb == "force":
            self._faults.force(Fault(said.pop("fault")), **said)
            return as_json({})
        if verb == "plan":
            kinds = said.pop("kinds", EVERY_KIND)
            self._faults.plan(kinds=[Fault(kind) for kind in kinds], **said)
            return as_json({})
        try:
            return as_json(self._provider.control(verb, said))
        except KeyError as missing:
            return as_json({"error": f"no such verb or object: {missing}"}, status=404)
        except TypeError as wrong:  # told to whoever typed it; a test's own mistake is broken, too
            self.broken.append(wrong)
            return as_json({"error": f"not what {verb} takes: {wrong}"}, status=400)


class _Server(ThreadingHTTPServer):
    """Keeps its open connections, so that it can end them."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_args: object) -> None:
        """A client that went away is no matter; an error of the double's own is kept."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
            self.frame.broken.append(error)

    def hang_up(self) -> None:
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class _Handler(BaseHTTPRequestHandler):
    """One connection. The answer leaves in one piece, without Nagle's 40 ms."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        length = int(self.headers.get("content-length") or 0)
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, self.rfile.read(length))
        try:
            answer = server.frame.ask(request)
        except LostReplyError:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is given
        """Say nothing: the test's own words are enough."""
