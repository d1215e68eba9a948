"""What every part of the bench is given, and the contestants that several parts ask."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from loadtests.bench.figures import Figures
from loadtests.bench.ground import Ground
from loadtests.bench.measure import Sample, Series, best_of
from loadtests.bench.pgledger import CLIENTS, PgLedger
from loadtests.bench.scale import Scale
from loadtests.bench.workload import Load


@dataclass(frozen=True, slots=True)
class Bench:
    """The running bench. `say` shows what is being done just now."""

    ground: Ground
    scale: Scale
    figures: Figures
    say: Callable[[str], None]
    pgledger: PgLedger | None = None


@dataclass(slots=True)
class Contest:
    """The series of one part by name; a name that is new begins a series."""

    series: dict[str, Series] = field(default_factory=dict)

    def add(self, name: str, sample: Sample) -> None:
        """One sample more for a contestant."""
        self.series.setdefault(name, Series(name)).samples.append(sample)

    def __getitem__(self, name: str) -> Series:
        return self.series[name]


def ask_pgledger(bench: Bench, contest: Contest, load: Load) -> None:
    """One sample of pgledger with each number of clients, if it was given."""
    if bench.pgledger is None:
        return
    for clients in CLIENTS:
        bench.say(f"pgledger, {load.value}, {clients} clients")
        sample = bench.pgledger.run(load, clients=clients, seconds=bench.scale.pgbench_s)
        contest.add(f"pgledger{clients}_{load.value}", sample)


def compare_with_pgledger(bench: Bench, contest: Contest, load: Load, names: Iterable[str]) -> None:
    """Ratios of our series to the best pgledger of the same rounds."""
    if bench.pgledger is None:
        return
    clients = [contest[f"pgledger{each}_{load.value}"] for each in CLIENTS]
    best = best_of("pgledger", clients)
    for name in names:
        bench.figures.add_ratio(contest[name], best, f"{name}_over_pgledger")
