"""Samples of work: how many operations, in what time, for how much CPU of client and server.

Two cores serve client and server together, and other programs too, so a rate by itself says
little. Whatever is compared is interleaved: one sample each per round, and the ratio is taken
inside each round.
"""

import gc
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """One stretch of work. CPU of the server counts the named backends only."""

    operations: int
    elapsed_s: float
    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.elapsed_s


@dataclass(slots=True)
class Meter:
    """Adds up what runs inside `running()`; what runs outside is not counted."""

    backend_pids: Sequence[int]
    operations: int = 0
    _elapsed_s: float = 0.0
    _client_cpu_s: float = 0.0
    _server_cpu_s: float = 0.0

    @contextmanager
    def running(self, operations: int) -> Iterator[None]:
        """Count this block as so many operations."""
        server = cpu_seconds(self.backend_pids)
        client, start = time.process_time(), time.perf_counter()
        yield
        self._elapsed_s += time.perf_counter() - start
        self._client_cpu_s += time.process_time() - client
        self._server_cpu_s += cpu_seconds(self.backend_pids) - server
        self.operations += operations

    def sample(self) -> Sample:
        """All that ran so far."""
        return Sample(self.operations, self._elapsed_s, self._client_cpu_s, self._server_cpu_s)


@dataclass(slots=True)
class Series:
    """The samples of one contestant, one per round."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Operations per second, round by round."""
        return [sample.rate for sample in self.samples]

    def client_us(self) -> float:
        """Median microseconds of our own CPU per operation."""
        return median(s.client_cpu_s / s.operations * 1e6 for s in self.samples)

    def server_us(self) -> float:
        """Median microseconds of the backends' CPU per operation."""
        return median(s.server_cpu_s / s.operations * 1e6 for s in self.samples)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several rounds, with the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of at least one value."""
        known = sorted(values)
        return cls(median(known), known[0], known[-1])


def ratio(ours: Series, theirs: Series) -> Spread:
    """How many times their rate ours is, taken round by round."""
    return Spread.of(mine / other for mine, other in zip(ours.rates(), theirs.rates(), strict=True))


def best_of(name: str, contestants: Sequence[Series]) -> Series:
    """The contestant with the highest median rate, under a new name."""
    best = max(contestants, key=lambda series: median(series.rates()))
    return Series(name, list(best.samples))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed; 0 < share <= 1."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of some processes since they began; a process that is gone counts nothing."""
    return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    proc = Path("/proc") / str(pid)
    try:
        # The scheduler counts nanoseconds; `stat` only ticks of 10 ms.
        return int((proc / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        pass
    try:
        words = (proc / "stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(words[11]) + int(words[12])) / _TICKS_PER_S
    except (OSError, ValueError, IndexError):
        return 0.0


def quiet_the_collector() -> str:
    """Set collector and threads as the server sets them; a sentence that says how."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.setswitchinterval(0.0005)
    return (
        "garbage collector: frozen after start-up, thresholds 50,000 / 20 / 100;"
        " threads give way after 0.5 ms"
    )
