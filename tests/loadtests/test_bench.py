"""The bench measures each part and names its figures; how fast it was is no test's business."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.embedded import EmbeddedServer
from loadtests.bench.__main__ import PARTS, measure
from loadtests.bench.figures import Figures
from loadtests.bench.ground import Ground, prepare
from loadtests.bench.measure import Sample, Series, Spread, percentile, ratio
from loadtests.bench.scale import Scale
from tests.fixtures.databases import data_dir

TINY = Scale(
    rounds=1,
    warm_lines=100,
    repeats={1: 1, 20: 1},
    pgbench_s=1,
    orm_s=0.01,
    callers=(1, 16),
    callers_s=0.1,
    deals=5,
    release_batches=1,
    release_batch=4,
    timers=6,
    growth_lines=(100, 200),
    asof_lines=6_000,
    trial_lines=(3_200,),
)

# Stands for the file that the user gives: it takes what pgledger takes and does nothing.
PGLEDGER = """
CREATE TABLE pgledger_accounts (
    id text PRIMARY KEY, name text, currency text, allow_negative_balance boolean,
    allow_positive_balance boolean, created_at timestamptz, updated_at timestamptz
);
CREATE TYPE transfer_request AS (from_account_id text, to_account_id text, amount numeric);
CREATE FUNCTION pgledger_create_transfers(transfer_request[], timestamptz, jsonb)
RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1';
"""


@pytest.fixture
def ground(server: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """The bench's database on the tests' server, gone with its roles afterwards."""
    ground = prepare(server, data_dir(), f"test_{os.getpid()}_b{abs(hash(request.node.name)) % 97}")
    yield ground
    ground.drop_database(ground.database)
    with ground.admin("postgres") as admin:
        for tenant in ground.tenants:
            admin.execute(f"DROP ROLE {tenant.role}".encode())


def run_part(ground: Ground, part: str, *pgledger: Path) -> dict[str, Any]:
    figures = Figures()
    found = measure(ground, TINY, [part], pgledger, figures=figures, say=lambda _sentence: None)
    assert found["proven"], found["proofs"]
    assert found["deadlocks"] == 0
    return figures.as_json()


@pytest.mark.slow
def test_bulk_is_compared_with_copy_pgledger_and_orm(ground: Ground, tmp_path: Path) -> None:
    """Both loads have their ratios, the largest batch without a number, the others with one."""
    sql = tmp_path / "pgledger.sql"
    sql.write_text(PGLEDGER, encoding="utf-8")

    figures = run_part(ground, "bulk", sql)

    for load in ("uniform", "hot"):
        for rival in ("copy", "pgledger", "orm"):
            assert figures[f"bulk_{load}_over_{rival}"] > 0
            assert figures[f"bulk1_{load}_over_{rival}"] > 0
        assert figures[f"bulk_{load}_per_s"] > 0
    assert figures["copy_without_triggers_over_copy"] > 0
    assert figures["copy_rows_only_over_copy"] > 0
    assert figures["cpu_us"]["bulk_uniform"]["client"] > 0


@pytest.mark.slow
def test_callers_have_rates_and_latencies(ground: Ground) -> None:
    """Without pgledger there is no ratio to it, but rates and latencies there are."""
    figures = run_part(ground, "callers")

    for name in ("callers1_uniform", "callers16_hot"):
        assert figures[f"{name}_per_s"] > 0
        assert 0 < figures[f"{name}_p50_ms"] <= figures[f"{name}_p99_ms"]
    assert not any(name.endswith("_over_pgledger") for name in figures)


@pytest.mark.slow
def test_release_is_compared_with_posting_and_timers_with_release(ground: Ground) -> None:
    """Every due timer fires once, and both ratios are there."""
    figures = run_part(ground, "release")

    assert figures["release_lines_over_post_lines"] > 0
    assert figures["autorelease_over_release"] > 0
    assert figures["autorelease_fired"] == TINY.timers
    assert figures["release_priced_over_release_plain"] > 0
    assert figures["release_priced_per_s"] > 0


@pytest.mark.slow
def test_growth_is_compared_with_a_small_tenant(ground: Ground) -> None:
    """The ratio is named by both numbers of lines."""
    figures = run_part(ground, "growth")

    assert figures["growth_200_over_1e2"] > 0


@pytest.mark.slow
def test_looking_back_is_measured_and_checked(ground: Ground) -> None:
    """Balances on both axes, held against a full scan, posting back-dated, and trial balances."""
    figures = run_part(ground, "asof")

    for name in ("both_axes", "effective", "known"):
        middle, high = (figures[f"asof_balance_{name}_{share}_ms"] for share in ("p50", "p95"))
        assert 0 < middle <= high
    assert figures["post_backdated_over_post_now"] > 0
    assert figures["asof_trial_balance_3e3_worst_s"] >= figures["asof_trial_balance_3e3_p50_s"]


def test_sealing_is_compared_with_standing_still(ground: Ground) -> None:
    """Callers and batches with and without the sealer; all is sealed at the end."""
    figures = run_part(ground, "sealing")

    assert figures["callers16_sealing_over_standing"] > 0
    assert figures["bulk_sealing_over_standing"] > 0
    assert figures["seal_lag_p99_s"] >= 0


def test_a_quote_is_compared_with_a_plain_fee(ground: Ground) -> None:
    """In process and through the service; each has its microseconds."""
    figures = run_part(ground, "quote")

    assert figures["quote_over_plain_fee"] > 0
    assert figures["quote_served_per_s"] > 0
    assert figures["quote_cpu_us"] > 0


def test_every_part_is_tested_here() -> None:
    """A part that is added gets a tiny run too."""
    assert set(PARTS) == {"bulk", "callers", "release", "growth", "asof", "sealing", "quote"}


def test_a_ratio_is_taken_round_by_round() -> None:
    """A slow minute hits both contestants of its round and leaves the ratio alone."""
    ours = Series("ours", [Sample(100, 1.0), Sample(10, 1.0), Sample(50, 1.0)])
    theirs = Series("theirs", [Sample(50, 1.0), Sample(5, 1.0), Sample(10, 1.0)])

    assert ratio(ours, theirs) == Spread(median=2.0, least=2.0, most=5.0)


def test_a_percentile_is_a_value_that_occurred() -> None:
    """The 99th percentile of a hundred values is the 99th, of one value that value."""
    assert percentile([float(number) for number in range(100, 0, -1)], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0
