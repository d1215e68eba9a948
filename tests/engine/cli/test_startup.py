"""What must hold before anything starts, and how children are kept alive."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.ports import check_free, listen
from engine.run import Child, Supervisor
from engine.startup import check_server
from engine.store_startup import ServerFacts
from kernel.settings import CannotStart
from tests.fixtures.network import quiet_port

GOOD = ServerFacts(
    version_number=180_001,
    version="18.1",
    fsync="on",
    synchronous_commit="on",
    full_page_writes="on",
    is_test=False,
    has_schema=True,
    is_superuser=False,
    login="holdfast_app",
)
DEADLINE_S = 120


def test_a_safe_server_is_accepted() -> None:
    """Any synchronous_commit that waits for our own disk will do."""
    for level in ("on", "local", "remote_write", "remote_apply"):
        check_server(replace(GOOD, synchronous_commit=level))

    assert GOOD.synchronous_commit == "on"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fsync": "off"}, "fsync"),
        ({"synchronous_commit": "off"}, "synchronous_commit"),
        ({"full_page_writes": "off"}, "full_page_writes"),
        ({"version_number": 170_006, "version": "17.6"}, "18 or newer"),
        ({"is_superuser": True, "login": "postgres"}, "superuser"),
    ],
)
def test_a_careless_server_is_refused(change: dict[str, object], words: str) -> None:
    """One sentence names what is wrong and what to do."""
    with pytest.raises(CannotStart, match=words):
        check_server(replace(GOOD, **change))  # type: ignore[arg-type]


def test_a_database_marked_for_tests_may_be_careless_but_not_old() -> None:
    """The mark exempts from safe commits, never from the version."""
    marked = replace(GOOD, is_test=True, fsync="off", is_superuser=True)
    check_server(marked)

    with pytest.raises(CannotStart):
        check_server(replace(marked, version_number=160_000))


def test_a_port_in_use_is_told() -> None:
    """The sentence names the port and the variable."""
    port = quiet_port()
    in_use = pytest.raises(CannotStart, match=f"Port {port} .* in use.*HOLDFAST_PORT")
    with listen("127.0.0.1", port), in_use:
        check_free("127.0.0.1", port)

    check_free("127.0.0.1", port)


def test_a_host_that_is_not_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads nowhere is a setting to change, not a traceback."""

    def nowhere(*_args: object, **_named: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)

    with pytest.raises(CannotStart, match="HOLDFAST_HOST"):
        check_free("no.such.host", 8_000)


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Child]:
    """A child that runs a line of Python instead of one of our commands."""

    def make(code: str) -> Child:
        child = Child("The child", (), tmp_path / "log" / "child.log")
        real = subprocess.Popen

        def popen(_arguments: list[str], **named: Any) -> subprocess.Popen[bytes]:
            return real([sys.executable, "-c", code], **named)

        monkeypatch.setattr(subprocess, "Popen", popen)
        return child

    return make


def until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at, "it did not come about in time"
        time.sleep(0.01)


def test_a_child_that_dies_is_started_again_later_and_later(
    sleeper: Callable[[str], Child],
) -> None:
    """One second, two, four, at most thirty; its last words are told."""
    child = sleeper("print('out of luck'); raise SystemExit(3)")
    now, waits = 100.0, []
    child.start(now)
    for _ in range(7):
        process = child.process
        assert process is not None
        process.wait(DEADLINE_S)
        told = child.look(now)
        assert "exit code 3" in told
        assert "out of luck" in told
        waits.append(child.may_start_at - now)
        assert not child.look(now)
        assert child.process is None
        now = child.may_start_at
        child.look(now)

    child.end(1)
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_child_that_lived_long_begins_its_back_off_anew(sleeper: Callable[[str], Child]) -> None:
    """Dying once a day is no reason to wait half a minute."""
    child = sleeper("raise SystemExit(1)")
    child.back_off_s = 30
    child.start(0)
    process = child.process
    assert process is not None
    process.wait(DEADLINE_S)

    child.look(100)

    assert child.may_start_at == 101


def test_children_are_ended_and_one_that_will_not_is_killed(
    sleeper: Callable[[str], Child],
) -> None:
    """A deaf child does not keep the others from stopping."""
    child = sleeper(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('deaf', flush=True); time.sleep(60)"
    )
    child.start(time.monotonic())
    until(lambda: child.log_path.exists() and child.said == "deaf")
    process = child.process
    assert process is not None

    child.end(0.2)

    assert process.returncode == -9


def test_who_does_not_become_ready_is_told(sleeper: Callable[[str], Child]) -> None:
    """A child that ends before the API answers: its last words, and no endless wait."""
    child = sleeper("print('no room on the disk'); raise SystemExit(2)")
    supervisor = Supervisor((child,), None, print)
    supervisor.start()

    with pytest.raises(CannotStart, match="no room on the disk"):
        supervisor.wait_until_ready("127.0.0.1", 1)
