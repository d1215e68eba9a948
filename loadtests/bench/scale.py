"""How much is measured: the full bench, and the quick one of some two minutes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes of all parts. `repeats` says how many batches of a size make one sample."""

    rounds: int
    warm_lines: int
    repeats: dict[int, int]
    pgbench_s: int
    orm_s: float
    callers: tuple[int, ...]
    callers_s: float
    deals: int
    release_batches: int
    release_batch: int
    timers: int
    growth_lines: tuple[int, ...]
    asof_lines: int
    trial_lines: tuple[int, ...]

    @property
    def largest(self) -> int:
        """The batch size that the headline figures are of."""
        return max(self.repeats)


FULL: Final = Scale(
    rounds=5,
    warm_lines=500_000,
    repeats={1: 100, 10: 50, 100: 20, 1_000: 5, 8_000: 2},
    pgbench_s=2,
    orm_s=1.0,
    callers=(1, 16, 256, 2_000),
    callers_s=2.0,
    deals=500,
    release_batches=3,
    release_batch=1_000,
    timers=100_000,
    growth_lines=(100_000, 1_000_000, 10_000_000),
    asof_lines=1_000_000,
    trial_lines=(1_000_000,),
)

QUICK: Final = Scale(
    rounds=2,
    warm_lines=100_000,
    repeats={1: 30, 100: 10, 8_000: 1},
    pgbench_s=1,
    orm_s=0.3,
    callers=(1, 16, 256),
    callers_s=1.0,
    deals=500,
    release_batches=3,
    release_batch=1_000,
    timers=5_000,
    growth_lines=(100_000, 1_000_000),
    asof_lines=100_000,
    trial_lines=(100_000,),
)
