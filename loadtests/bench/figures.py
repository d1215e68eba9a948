"""What came out: ratios with their goals, rates, CPU per operation; as tables and as JSON.

The names are stable: `bulk_uniform_over_copy` means our bulk posting of the uniform load, over
COPY. A ratio stands under its name as the median of the rounds; `spread` has least and most.
"""

from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from loadtests.bench.measure import Series, Spread, ratio

GOALS: Final = MappingProxyType(
    {
        # name: (must, aim); see the issue and domain/performance.md section 10
        "bulk_uniform_over_copy": (0.5, 0.8),
        "bulk_hot_over_copy": (0.5, 0.8),
        "bulk_uniform_over_pgledger": (6.0, 10.0),
        "bulk_hot_over_pgledger": (12.0, 20.0),
        "callers256_uniform_over_pgledger": (3.0, 6.0),
        "callers256_hot_over_pgledger": (7.0, 15.0),
        "callers16_uniform_over_pgledger": (2.0, 5.0),
        "callers16_hot_over_pgledger": (4.0, 10.0),
        "callers256_uniform_p99_ms": (30.0, 15.0),
        "callers256_hot_p99_ms": (30.0, 15.0),
        "release_lines_over_post_lines": (0.25, 0.25),
        "autorelease_over_release": (0.5, 0.5),
        "release_priced_over_release_plain": (0.75, 0.9),
        "growth_1e7_over_1e5": (0.8, 0.95),
        "callers16_sealing_over_standing": (0.9, 1.0),
        "bulk_sealing_over_standing": (0.8, 0.9),
        "seal_lag_p99_s": (5.0, 2.0),
        "post_backdated_over_post_now": (0.5, 0.8),
    }
)


@dataclass(slots=True)
class Figures:
    """Collects what the parts found."""

    ratios: dict[str, Spread] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_ratio(self, ours: Series, theirs: Series, name: str = "") -> None:
        """Keep how many times their rate ours is."""
        self.ratios[name or f"{ours.name}_over_{theirs.name}"] = ratio(ours, theirs)

    def add_series(self, *series: Series) -> None:
        """Keep rates and CPU of contestants."""
        self.series.update({each.name: each for each in series})

    def note(self, sentence: str) -> None:
        """Say something once that a reader of the figures must know."""
        plain = " ".join(sentence.split())
        if plain not in self.notes:
            self.notes.append(plain)

    def as_json(self) -> dict[str, Any]:
        """Everything under stable keys."""
        return {
            **{name: round(spread.median, 4) for name, spread in self.ratios.items()},
            **{f"{s.name}_per_s": round(median(s.rates()), 1) for s in self.series.values()},
            **self.facts,
            "cpu_us": {
                s.name: {"client": round(s.client_us(), 2), "server": round(s.server_us(), 2)}
                for s in self.series.values()
                if s.server_us()
            },
            "spread": {
                name: [round(spread.least, 4), round(spread.most, 4)]
                for name, spread in self.ratios.items()
            },
            "notes": self.notes,
        }

    def show(self, console: Console) -> None:
        """Print the tables and the notes."""
        if self.ratios:
            console.print(self._ratio_table())
        if self.series:
            console.print(self._rate_table())
        for name, value in self.facts.items():
            if not isinstance(value, dict):
                console.print(f"{name}: {value}", highlight=False)
        for sentence in self.notes:
            console.print(f"- {sentence}", style="dim", highlight=False)

    def _ratio_table(self) -> Table:
        table = Table(title="ratios, medians of interleaved rounds", title_justify="left")
        for heading in ("figure", "median", "least - most", "must", "aim"):
            table.add_column(heading, justify="left" if heading == "figure" else "right")
        for name, spread in self.ratios.items():
            must, aim = GOALS.get(name, (None, None))
            table.add_row(
                name,
                _tinted(name, spread.median, must),
                f"{spread.least:.2f} - {spread.most:.2f}",
                "" if must is None else f"{must:g}",
                "" if aim is None else f"{aim:g}",
            )
        return table

    def _rate_table(self) -> Table:
        table = Table(
            title="rates, and microseconds of CPU per operation, of client and server",
            title_justify="left",
        )
        for heading in ("work", "per s", "least - most", "client", "server"):
            table.add_column(
                heading, justify="left" if heading == "work" else "right", no_wrap=True
            )
        for series in self.series.values():
            spread = Spread.of(series.rates())
            table.add_row(
                series.name,
                f"{spread.median:,.0f}",
                f"{spread.least:,.0f} - {spread.most:,.0f}",
                f"{series.client_us():.1f}" if series.client_us() else "",
                f"{series.server_us():.1f}" if series.server_us() else "",
            )
        return table


def _tinted(name: str, value: float, must: float | None) -> str:
    text = f"{value:.2f}"
    if must is None:
        return text
    is_met = value <= must if name.endswith(("_ms", "_s")) else value >= must
    return f"[green]{text}[/]" if is_met else f"[red]{text}[/]"
