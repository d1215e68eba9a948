"""A replay end to end: contracts, money, clocks and payouts through the services, then proof."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from engine.proofs import check_books
from engine.replay.report import Report, from_json
from engine.replay.service import (
    NotEmpty,
    NothingToReplay,
    Options,
    find_report,
    play,
    take_in,
)
from kernel.database import Tenant
from migrations import runner
from tests.fixtures.databases import TestDatabase
from tests.fixtures.sources import ROOT

REAL = ROOT.parent / "shared" / "data" / "jobs-2023-01.csv.gz"
SMALL = Options(contracts=50, days=25, seed=3)

Play = Callable[[Options, str], Report]


def never(_day: int, _at: datetime) -> None:
    """Nobody watches."""


def run(
    engine: Engine, tenant: Tenant, options: Options, stop: threading.Event | None = None
) -> Report:
    return play(
        engine,
        tenant,
        take_in(options),
        options,
        on_day=never,
        on_start=lambda _days: None,
        stop=stop or threading.Event(),
    )


def without_time(report: Report) -> Report:
    return replace(report, tenant="", seconds=0, lines_per_second=0)


def cents(amount: str) -> int:
    return int(amount.replace(".", ""))


@pytest.fixture
def second_tenant(own_database: TestDatabase) -> Tenant:
    tenant = Tenant("second")
    runner.create_tenant(own_database.owner_url, tenant)
    return tenant


@pytest.mark.slow
def test_a_month_is_replayed_proven_and_the_same_twice(
    own_engine: Engine, tenant: Tenant, second_tenant: Tenant
) -> None:
    """Money adds up, books and client money are clean; a second run differs in its time alone."""
    first = run(own_engine, tenant, SMALL)
    second = run(own_engine, second_tenant, SMALL)

    assert first.is_good, first.findings
    assert first.contracts == {"milestone": 50}
    assert first.timers_fired > 0
    assert first.is_complete
    paid_in = cents(first.funded["USD"])
    came_out = [first.released, first.refunded, first.held]
    assert paid_in == sum(cents(each["USD"]) for each in came_out) > 0
    assert 0 < cents(first.paid_out["USD"]) < cents(first.released["USD"])
    assert set(first.skipped) == {"hourly_not_yet", "no_budget"}
    assert without_time(first) == without_time(second)


@pytest.mark.slow
def test_a_report_is_kept_in_the_tenants_own_log(own_engine: Engine, tenant: Tenant) -> None:
    """It reads as it was written, the books stay clean, and the tenant takes no second replay."""
    options = Options(contracts=5, days=3)
    report = run(own_engine, tenant, options)

    assert find_report(own_engine, tenant) == report
    assert check_books(own_engine, tenant).is_clean
    with pytest.raises(NotEmpty):
        run(own_engine, tenant, options)


def test_a_report_of_another_version_can_be_read() -> None:
    """What it lacks is empty, and what it has that we do not know is left out."""
    names = ("tenant", "source", "first_day", "last_day")
    numbers = ("seed", "days", "timers_fired", "commands", "events", "entries", "lines")
    by_name = "contracts slots funded released refunded held tips paid_out revenue timers".split()
    by_name += ["refusals", "skipped"]
    stored = {
        **dict.fromkeys(names, ""),
        **dict.fromkeys((*numbers, "seconds", "lines_per_second"), 1),
        **dict.fromkeys(("is_complete", "proven", "safeguarding"), True),
        **{name: {} for name in by_name},
        "unreadable": [],
        "of_a_later_version": 7,
    }

    assert from_json(stored).wallets == {}


@pytest.mark.slow
def test_a_replay_that_is_stopped_is_settled_and_proven(own_engine: Engine, tenant: Tenant) -> None:
    """Ctrl-C ends it after the batch that runs; the report says so, and the books are clean."""
    stop = threading.Event()

    def on_day(day: int, _at: datetime) -> None:
        if day == 8:
            stop.set()

    report = play(
        own_engine,
        tenant,
        take_in(SMALL),
        SMALL,
        on_day=on_day,
        on_start=lambda _days: None,
        stop=stop,
    )

    assert (report.days, report.is_complete, report.is_good) == (8, False, True)
    assert cents(report.funded["USD"]) > 0


def test_a_file_without_a_usable_posting_is_refused(tmp_path: Path) -> None:
    """The refusal says what the rows were instead."""
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(
        "job_id,posted_at,type,fixed_budget_usd,duration,client\n"
        "a,2023-01-01T00:00:00Z,hourly,,,c\n"
        "b,2023-01-01T00:00:00Z,fixed_budget,,,c\n"
        "c,2023-01-01T00:00:00Z,fixed_budget,minus two,,c\n"
    )

    with pytest.raises(NothingToReplay) as refusal:
        take_in(Options(jobs=jobs))

    assert refusal.value.facts["skipped"] == {
        "hourly_not_yet": 1,
        "no_budget": 1,
        "unreadable": 1,
    }


def test_an_unreadable_row_is_counted_and_told(tmp_path: Path) -> None:
    """Its line and reason come with the report; the other rows become deals."""
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(
        "job_id,posted_at,type,fixed_budget_usd,duration,client\n"
        "a,2023-01-01T00:00:00Z,fixed_budget,100,,c\n"
        "b,someday,fixed_budget,100,,c\n"
    )

    intake = take_in(Options(jobs=jobs))

    assert [deal.posting.job_id for deal in intake.deals] == ["a"]
    assert intake.skipped == {"unreadable": 1}
    assert [row["line"] for row in intake.unreadable] == [3]


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real postings are not beside the checkout")
def test_the_real_postings_are_replayed_and_proven(own_engine: Engine, tenant: Tenant) -> None:
    """All 2,191 fixed-budget postings become contracts, and the books are clean."""
    report = run(own_engine, tenant, Options(jobs=REAL))

    assert report.is_good, report.findings
    assert report.contracts == {"milestone": 2_191}
    assert report.skipped == {"hourly_not_yet": 1_790, "no_budget": 1_014}
    assert report.unreadable == ()
