"""The embedded PostgreSQL server: started on demand, shared by processes, stopped by the last.

Whether it is up is answered by a connection, never by a PID. Who uses it is answered by a lock that
the kernel drops when a process dies. It listens on a socket in a directory of mode 0700 and on no
network; that mode is the authentication.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Final, Self

from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL

from kernel.machine_size import durable_settings
from kernel.postgres_programs import Programs, programs_for
from kernel.postmaster import Postmaster, end_orphans, forget_postmaster, read_postmaster
from kernel.settings import CannotStart

if sys.platform != "win32":
    import fcntl

    # A fast shutdown that arrives while a full disk is being recovered from never ends; what is
    # committed survives the harder ways too, and is recovered at the next start.
    _ENDINGS: Final = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))

SUPERUSER: Final = "postgres"

_NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
_PING_TIMEOUT_S: Final = 10
_PAUSE_S: Final = 0.02
_ORPHANS_S: Final = 30
_SILENCE_S: Final = 30
_LONGEST_SOCKET_PATH: Final = 100
_LOG_KEPT_BYTES: Final = 10_000_000
_INITDB: Final = (
    *("--username", SUPERUSER, "--encoding", "UTF8", "--data-checksums"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
    *("--auth-local=trust", "--auth-host=reject"),
)

# What a dead server's last processes still hold, and let go when they are gone.
_WILL_PASS: Final = ("still in use", '.lock" already exists')

_DISK_FULL: Final = "No space left on device"
_COMPLAINT: Final = re.compile(r"(FATAL|PANIC|error):.*")


class EmbeddedServer:
    """A server in a directory of ours: `with EmbeddedServer.start(data_dir) as server: ...`."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str]) -> None:
        self._data_dir = data_dir
        self._cluster = data_dir / "cluster"
        self._log = data_dir / "server.log"
        self._settings = settings
        self._pid = os.getpid()
        self._child: subprocess.Popen[bytes] | None = None
        self._users: IO[bytes] | None = None
        self.socket_dir = _socket_dir(data_dir)

    @classmethod
    def start(cls, data_dir: Path, *, settings: Mapping[str, str] = _NO_SETTINGS) -> Self:
        """Join the server of this directory, or make and start it; CannotStart says what lacks.

        Args:
            data_dir: made if it is not there; everything of the server stays inside it.
            settings: PostgreSQL settings on top of ours. Only the process that really starts the
                server has a say.
        """
        if sys.platform == "win32":
            raise CannotStart(
                "There is no embedded server on Windows: point DATABASE_URL at a PostgreSQL 18."
            )
        # One name for the directory, however its users came to it: the PID file is told by it.
        server = cls(data_dir.resolve(), settings)
        with _in_a_sentence(server._data_dir):
            _make_data_dir(server._data_dir)
            with server._starting():
                server._users = _open_private(server._data_dir / "users.lock")
                fcntl.flock(server._users, fcntl.LOCK_SH)
                try:
                    server._start_if_down()
                except BaseException:
                    server._users.close()
                    raise
        return server

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """The SQLAlchemy URL of a database of this server."""
        url = URL.create(
            "postgresql+psycopg",
            username=user,
            database=database,
            query={"host": str(self.socket_dir)},
        )
        return url.render_as_string()

    def is_up(self) -> bool:
        """Whether the server takes connections now."""
        conninfo = make_conninfo(
            host=str(self.socket_dir),
            user=SUPERUSER,
            dbname=SUPERUSER,
            connect_timeout=_PING_TIMEOUT_S,
        )
        return pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK

    def ensure_running(self) -> bool:
        """Bring the server back if it died; whether that was needed."""
        if self.is_up():
            return False
        with _in_a_sentence(self._data_dir), self._starting():
            return self._start_if_down()

    def stop(self) -> None:
        """Leave the server; the last process to leave stops it and waits until it is down."""
        users, self._users = self._users, None
        if users is None or os.getpid() != self._pid:
            return
        with self._starting(), users:
            fcntl.flock(users, fcntl.LOCK_UN)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._shut_down()
        if self._child is not None:
            # Where others still use the server it outlives us, and Popen need not complain.
            self._child.returncode = self._child.poll() or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        """Hold the lock under which the server is started and stopped."""
        with _open_private(self._data_dir / "start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_if_down(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        running = read_postmaster(self._cluster)
        if self.is_up() or (running and running.is_alive() and self._wait_until_up()):
            return False
        self._bury_child()
        forget_postmaster(self._cluster)
        programs = programs_for(self._data_dir)
        self._prepare_files(programs)
        self._launch(programs)
        return True

    def _bury_child(self) -> None:
        """Wait for the end of a server of ours that dies: until then its lock files count."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_ORPHANS_S)
            self._child = None

    def _prepare_files(self, programs: Programs) -> None:
        account = programs.account
        _make_socket_dir(self.socket_dir)
        if not self._cluster.exists():
            self._make_cluster(programs)
        for directory in (self._cluster, self.socket_dir):
            _give(directory, account.uid, account.gid)

    def _make_cluster(self, programs: Programs) -> None:
        """Make it beside its place and move it there whole, so that no half of one is ever used."""
        unfinished = self._data_dir / "cluster-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _give(unfinished, programs.account.uid, programs.account.gid)
        sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        answer = programs.run("initdb", "-D", str(unfinished), *_INITDB, *sync)
        if answer.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise CannotStart(
                f"PostgreSQL could not make its files in {self._data_dir}:"
                f" {_complaint(answer.stderr + answer.stdout)}."
            )
        unfinished.rename(self._cluster)

    def _launch(self, programs: Programs) -> None:
        settings = {
            **durable_settings(self._data_dir),
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "cluster_name": "holdfast",
            **self._settings,
        }
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        give_up_at = time.monotonic() + _ORPHANS_S
        while True:
            said_before = self._turn_log()
            with _open_private(self._log) as log:
                self._child = programs.spawn(
                    "postgres", "-D", str(self._cluster), *options, log=log
                )
            if self._wait_until_up():
                return
            said = self._log.read_bytes()[said_before:].decode(errors="replace")
            if not any(words in said for words in _WILL_PASS) or time.monotonic() > give_up_at:
                raise CannotStart(
                    f"PostgreSQL did not start: {_complaint(said)}. Its log is {self._log}."
                )
            end_orphans(self._cluster)
            time.sleep(_PAUSE_S)

    def _wait_until_up(self) -> bool:
        """Wait as long as the server lives, however long its recovery takes; False if it died."""
        silent_since: float | None = None
        while not self.is_up():
            if self._child is not None and self._child.poll() is not None:
                return False
            running = read_postmaster(self._cluster)
            if self._child is None and (running is None or not running.is_alive()):
                return False
            if running is None or not running.is_ready:
                silent_since = None
            elif silent_since is None:
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > _SILENCE_S:
                raise CannotStart(
                    f"PostgreSQL runs as process {running.pid} but does not answer in"
                    f" {self.socket_dir}: stop it with `kill -INT {running.pid}` and start again."
                )
            time.sleep(_PAUSE_S)
        return True

    def _shut_down(self) -> None:
        running = read_postmaster(self._cluster)
        if running is None or not running.is_alive():
            return
        for number, patience_s in _ENDINGS:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, number)
            if self._is_gone(running, patience_s):
                self._bury_child()
                return
        end_orphans(self._cluster)

    def _is_gone(self, running: Postmaster, patience_s: float) -> bool:
        give_up_at = time.monotonic() + patience_s
        while running.is_alive():
            if time.monotonic() > give_up_at:
                return False
            if self._child is not None and self._child.pid == running.pid:
                self._child.poll()
            time.sleep(_PAUSE_S)
        return True

    def _turn_log(self) -> int:
        """Put a log that grew large aside; where the next word of the log will stand."""
        size = self._log.stat().st_size if self._log.exists() else 0
        if size <= _LOG_KEPT_BYTES:
            return size
        self._log.replace(self._log.with_suffix(".log.1"))
        return 0


@contextlib.contextmanager
def _in_a_sentence(data_dir: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or data_dir
        raise CannotStart(
            f"The embedded database cannot use {where} ({error.strerror}): make room or rights"
            " there, or name another directory in HOLDFAST_DATA."
        ) from error


def _open_private(path: Path) -> IO[bytes]:
    """A file to append to that no other user may read or lock."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _make_data_dir(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = data_dir.stat().st_uid
    if owner != os.geteuid():
        raise CannotStart(
            f"{data_dir} belongs to another user (uid {owner}): start Holdfast as that user, or"
            " name a directory of your own in HOLDFAST_DATA."
        )


def _socket_dir(data_dir: Path) -> Path:
    """Beside the data; under the temporary directory where a socket's path would be too long."""
    beside = data_dir / "socket"
    if len(os.fsencode(beside / ".s.PGSQL.5432")) <= _LONGEST_SOCKET_PATH:
        return beside
    # Not TMPDIR: every process that shares the server must come to the same answer.
    return Path("/tmp") / f"holdfast-{sha256(os.fsencode(data_dir)).hexdigest()[:16]}"  # noqa: S108


def _make_socket_dir(socket_dir: Path) -> None:
    if not socket_dir.exists():
        socket_dir.mkdir(mode=0o700)
    status = socket_dir.lstat()
    if socket_dir.is_symlink() or not socket_dir.is_dir() or status.st_mode & 0o077:
        raise CannotStart(
            f"{socket_dir} must be a directory of mode 0700, because that is what keeps other"
            " users out of the database: remove it and start again."
        )


def _give(directory: Path, uid: int, gid: int) -> None:
    """Make a user the owner of a directory and all in it; the top changes last, as the mark."""
    if directory.stat().st_uid == uid:
        return
    for folder, _, files in os.walk(directory, topdown=False):
        for name in files:
            os.chown(Path(folder) / name, uid, gid, follow_symlinks=False)
        os.chown(folder, uid, gid)


def _complaint(said: str) -> str:
    """The line in which PostgreSQL says what went wrong, without the time before it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if _DISK_FULL in said:
        return f"{_DISK_FULL}; make room there or name another place in HOLDFAST_DATA"
    telling = [match[0] for line in lines if (match := _COMPLAINT.search(line))]
    return (telling or lines or ["it said nothing"])[-1].rstrip(".")
