"""A replay end to end: contracts, money, clocks and payouts through the services, then proof."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from engine.proofs import check_books
from engine.replay import bank, givebacks, lines, quarrels, treasury
from engine.replay.bank import BANK_WAYS
from engine.replay.behaviour import RATES
from engine.replay.lines import LINE_WAYS
from engine.replay.midnight import Midnights
from engine.replay.quarrels import WAYS
from engine.replay.report import Report, from_json
from engine.replay.service import (
    NotEmpty,
    NothingToReplay,
    Options,
    find_report,
    play,
    take_in,
)
from engine.replay.stage import Stage
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.principals import SYSTEM
from migrations import runner
from payouts import settlement
from payouts.commands import OpenCapital
from tests.fixtures.databases import TestDatabase
from tests.fixtures.sources import ROOT

REAL = ROOT.parent / "shared" / "data" / "jobs-2023-01.csv.gz"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
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


def open_capital(stage: Stage) -> None:
    """Some money on the accounts of the banks."""
    with transaction(stage.engine, stage.tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
    capital = OpenCapital(actor=SYSTEM, currency="USD", amount_minor=100_000)
    stage.serve(settlement.open_capital, [capital])
    stage.hear_rail()


def plant_a_cent(database: TestDatabase, tenant: Tenant) -> None:
    """What no program of ours can do: a balance without a line."""
    owner = create_engine(database.admin_url)
    with owner.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = 'replica'")
        connection.exec_driver_sql(
            f"UPDATE {tenant.schema}.account SET balance_minor = balance_minor + 1"
            " WHERE kind IN ('custody.bank', 'platform.bank')"
        )
    owner.dispose()


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
    assert sum(first.contracts.values()) == 50
    assert {"milestone", "hourly"} <= set(first.contracts)
    assert first.midnights == 25
    assert first.timers_fired > 0
    assert first.is_complete
    came_out = [first.released, first.refunded, first.held]
    for currency, funded in first.funded.items():
        assert cents(funded) == sum(cents(each[currency]) for each in came_out)
    assert sum(cents(funded) > 0 for funded in first.funded.values()) > 4
    assert 0 < cents(first.paid_out["USD"]) < cents(first.released["USD"])
    assert set(first.skipped) == {"no_budget"}
    assert first.digest == second.digest
    assert without_time(first) == without_time(second)


@pytest.mark.slow
def test_trouble_everywhere_leaves_the_books_clean(
    own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of all payments charged back, weeks and periods disputed, released money given back."""
    trouble = replace(
        RATES, chargeback=5_000, dispute_line=4_000, dispute_period=4_000, refund_later=4_000
    )
    for module in (bank, lines, quarrels, givebacks):
        monkeypatch.setattr(module, "RATES", trouble)
    # In a small currency one contract is most of the business, and the platform pays it back.
    monkeypatch.setattr(treasury, "CAPITAL_BPS", 10_000)

    report = run(own_engine, tenant, Options(contracts=40, days=75, seed=11))

    assert report.is_good, report.findings
    assert sum(report.chargebacks.values()) > 5
    assert sum(report.lines_disputed.values()) > 2
    assert cents(report.charged_back["USD"]) > cents(report.reinstated["USD"]) > 0
    assert any(cents(each) > 0 for each in report.returned.values())


@pytest.mark.parametrize("ways", [WAYS, LINE_WAYS, BANK_WAYS])
def test_ways_are_stated_out_of_a_hundred(ways: Mapping[str, int]) -> None:
    """So that the report can show them as shares."""
    assert sum(ways.values()) == 100


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
        "no_rate": 1,
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


def test_a_share_is_drawn_by_the_seed_and_the_posting() -> None:
    """A larger share has the smaller one in it, and the rest is counted."""
    half = take_in(Options(contracts=300, share_bps=5_000))
    quarter = take_in(Options(contracts=300, share_bps=2_500))

    ids = [{deal.posting.job_id for deal in intake.deals} for intake in (quarter, half)]
    assert ids[0] < ids[1]
    assert 40 < len(ids[0]) < 110
    assert len(ids[1]) + half.skipped["not_in_share"] == 300


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real postings are not beside the checkout")
def test_a_share_of_the_real_postings_lives_through_six_months(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Contracts of every kind, every midnight clean, nothing left in escrow of what has ended.

    All of them: `holdfast replay --jobs FILE`.
    """
    options = Options(jobs=REAL, share_bps=100)
    report = run(own_engine, tenant, options)

    assert report.is_good, report.findings
    assert report.findings == ()
    assert report.unreadable == ()
    assert report.midnights == report.days == 184
    assert {"milestone", "hourly", "retainer"} <= {
        kind for kinds in report.contracts for kind in kinds.split("+")
    }
    assert report.weeks["released"] > 0
    assert report.periods["settled"] > 0
    assert report.rates["dispute"] == RATES.dispute


def test_midnight_finds_a_balance_that_no_line_explains(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """A planted cent on an account, past all guards, is told with the account's name."""
    stage = Stage.of(own_engine, tenant, threading.Event())
    run_of = Midnights()
    open_capital(stage)
    run_of.check(stage, NOON)
    assert run_of.findings == []

    plant_a_cent(own_database, tenant)
    run_of.check(stage, NOON)

    assert any("bank" in finding for finding in run_of.findings)
