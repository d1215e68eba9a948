"""`make run`: one process that keeps the database, a replayed month, the API and a worker running.

The database is there first and goes last. Children run in sessions of their own, so that a Ctrl-C
reaches only this process, which then ends them in order; a child that dies is started again.
"""

import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Final

from kernel.embedded import EmbeddedServer
from kernel.settings import CannotStart

LONGEST_BACK_OFF_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0
"""A child that lived so long begins its back-off anew."""

READY_WITHIN_S: Final = 60.0
END_WITHIN_S: Final = 30.0
_LOG_KEPT_BYTES: Final = 10_000_000
_PAUSE_S: Final = 0.2

Tell = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process of ours: what it runs, where it logs, and when it may start again."""

    name: str
    arguments: Sequence[str]
    log_path: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    may_start_at: float = 0.0
    back_off_s: float = 1.0

    def start(self, now: float) -> None:
        """Start it, its output at the end of its log."""
        self.started_at = now
        with _open_log(self.log_path) as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "engine", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self, now: float) -> str:
        """Start it again if it died and its back-off is over; what there is to tell, or nothing."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return ""
            self.process = None
            if now - self.started_at > STEADY_AFTER_S:
                self.back_off_s = 1.0
            self.may_start_at = now + self.back_off_s
            told = f"{self.name} ended ({_how(code)}) and starts again in {self.back_off_s:.0f} s"
            told += "." if code < 0 else f": {self.said}"
            self.back_off_s = min(2 * self.back_off_s, LONGEST_BACK_OFF_S)
            return told
        if now >= self.may_start_at:
            self.start(now)
        return ""

    @property
    def said(self) -> str:
        """The last line of its log."""
        lines = self.log_path.read_bytes()[-2_000:].decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def end(self, within_s: float) -> None:
        """Ask it to end, and after a while kill it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


@dataclass(slots=True)
class Supervisor:
    """Keeps children alive until it is told to stop; the embedded server, if there is one, too."""

    children: Sequence[Child]
    server: EmbeddedServer | None
    tell: Tell
    stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start all children."""
        for child in self.children:
            child.start(time.monotonic())

    def wait_until_ready(self, host: str, port: int) -> None:
        """Wait for the API's first good answer; CannotStart if a child gives up or time is over."""
        give_up_at = time.monotonic() + READY_WITHIN_S
        while not self.stop.is_set() and not is_ready(host, port):
            for child in self.children:
                if child.process is not None and child.process.poll() is not None:
                    raise CannotStart(f"{child.name} did not start: {child.said}")
            if time.monotonic() > give_up_at:
                raise CannotStart(
                    f"The API did not answer within {READY_WITHIN_S:.0f} s; its log is"
                    f" {self.children[0].log_path}."
                )
            self.stop.wait(_PAUSE_S)

    def keep(self) -> None:
        """Look after everything until told to stop."""
        while not self.stop.is_set():
            self._look_after_server()
            for child in self.children:
                told = child.look(time.monotonic())
                if told:
                    self.tell(told)
            self.stop.wait(_PAUSE_S)

    def end(self) -> None:
        """End the children in the order in which they were named."""
        for child in self.children:
            child.end(END_WITHIN_S)

    def _look_after_server(self) -> None:
        if self.server is None:
            return
        try:
            if self.server.ensure_running():
                self.tell("PostgreSQL was gone and is back.")
        except CannotStart as trouble:
            self.tell(str(trouble))
            self.stop.wait(LONGEST_BACK_OFF_S)


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set the event; a second one interrupts at once."""

    def told(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, told) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def is_ready(host: str, port: int) -> bool:
    """Whether the API says that it can serve."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reachable(host: str) -> str:
    """Where to reach what listens at this address: `any` is reached at the loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  read, not bound


def _open_log(path: Path) -> IO[bytes]:
    """A log to append to; one that grew large is put aside first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _how(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
