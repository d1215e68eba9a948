"""One transaction that stops before each of its statements until it is let on.

The hook is the cursor of the driver, so that statements of SQLAlchemy and those written straight
to psycopg are seen alike. The commit is the last step; what stands before it is all undone if the
act raises.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from kernel.database import Tenant, driver, enter
from kernel.errors import Broken, Refusal

Act = Callable[[Connection], object]

COMMIT: Final = "COMMIT"

_PATIENCE_S: Final = 120.0

_ANSWERS: Final = (
    *(SQLAlchemyError, Broken, Refusal, AssertionError),
    *(LookupError, ValueError, TypeError, AttributeError),
)
"""Whatever an act raises is its answer."""


@dataclass(frozen=True)
class Failure:
    """What an act raised instead of an answer."""

    kind: str
    sqlstate: str
    told: str


@dataclass
class Player:
    """A session of the database that plays one act, statement by statement, in its own thread."""

    name: str
    engine: Engine
    tenant: Tenant
    statements: list[str] = field(default_factory=list)
    answer: object = None
    has_ended: bool = False
    is_blocked: bool = False
    pid: int = 0
    change: Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        """Keep one connection for all acts: its plans and functions stay warm."""
        self._connection = self.engine.connect()
        self.pid = driver(self._connection).info.backend_pid
        self._connection.rollback()
        self._go: SimpleQueue[None] = SimpleQueue()
        self._back: SimpleQueue[None] = SimpleQueue()
        self._acts: SimpleQueue[Act | None] = SimpleQueue()
        self._thread = Thread(target=self._play_all, daemon=True)
        self._thread.start()

    def begin(self, act: Act) -> None:
        """Start an act; it stands before its first statement when this returns."""
        self.statements, self.answer = [], None
        self.has_ended = self.is_blocked = False
        self._acts.put(act)
        assert self.is_back_within(_PATIENCE_S)

    def let_on(self) -> None:
        """Let the statement run before which it stands."""
        assert not self.has_ended
        self._go.put(None)

    def is_back_within(self, seconds: float) -> bool:
        """Whether it stands before its next statement, or has ended, within a time."""
        try:
            self._back.get(timeout=seconds)
        except Empty:
            return False
        self.is_blocked = False
        return True

    def leave(self) -> None:
        """End the thread and the session."""
        self._acts.put(None)
        self._thread.join()
        self._connection.close()

    def _play_all(self) -> None:
        while (act := self._acts.get()) is not None:
            self.answer = self._play(act)
            self.has_ended = True
            self._back.put(None)

    def _play(self, act: Act) -> object:
        raw = driver(self._connection)
        try:
            with self._connection.begin():
                enter(self._connection, self.tenant)
                raw.cursor_factory = _stepped(self._stop, self.change)
                answer = act(self._connection)
                self._stop(COMMIT)
                return answer
        except psycopg.Error as error:
            return Failure(type(error).__name__, error.sqlstate or "", str(error))
        except _ANSWERS as error:
            cause = getattr(error, "orig", None)
            state = cause.sqlstate or "" if isinstance(cause, psycopg.Error) else ""
            told = f"{error} {error.facts}" if isinstance(error, Broken) else str(error)
            return Failure(type(cause or error).__name__, state, told)
        finally:
            raw.cursor_factory = psycopg.Cursor

    def _stop(self, statement: str) -> None:
        self.statements.append(" ".join(statement.split()))
        self._back.put(None)
        self._go.get()


def _stepped(
    stop: Callable[[str], None], change: Callable[[str], str] | None
) -> type[psycopg.Cursor[Any]]:
    """A cursor that stops before what it is asked to run; `change` may spoil the statement."""

    def seen(query: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        stop(text)
        return query if change is None else change(text).encode()

    class Stepped(psycopg.Cursor[Any]):
        def execute(self, query: Any, *given: Any, **named: Any) -> Any:
            return super().execute(seen(query), *given, **named)

        def executemany(self, query: Any, *given: Any, **named: Any) -> None:
            super().executemany(seen(query), *given, **named)

        @contextmanager
        def copy(self, statement: Any, *given: Any, **named: Any) -> Iterator[psycopg.Copy]:
            with super().copy(seen(statement), *given, **named) as copy:
                yield copy

    return Stepped
