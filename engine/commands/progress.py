"""The progress bar of long work, on a terminal only, and a Ctrl-C that ends it cleanly."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from engine.commands.frame import errors

_WEEK: Final = 7


class DayBar:
    """Days of a replay, and a line for each week; nothing where standard error is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("replaying", total=None)
        self._started = time.monotonic()
        self._days = 0

    def start(self, days: int) -> None:
        """How many days there are."""
        self._days = days
        self._started = time.monotonic()
        self._progress.update(self._task, total=days)

    def on_day(self, day: int, at: datetime) -> None:
        """A day is over."""
        self._progress.update(self._task, completed=day, description=f"{at:%Y-%m-%d}")
        if day % _WEEK == 0 and not self._progress.disable:
            weeks = -(-self._days // _WEEK)
            seconds = time.monotonic() - self._started
            self._progress.console.print(
                f"week {day // _WEEK} of {weeks}, until {at:%Y-%m-%d}: {seconds:.0f} s"
            )


@contextmanager
def day_bar() -> Iterator[DayBar]:
    """A bar until the block ends."""
    screen = errors()
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        yield DayBar(progress)


@contextmanager
def count_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar to be told what is counted, how much of it is done, and how much there is."""
    screen = errors()
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tell


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one interrupts at once."""
    stop = threading.Event()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
