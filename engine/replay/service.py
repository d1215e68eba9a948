"""A whole replay: postings in, a tenant of its own, the run, the proof, and the report kept."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Engine

from engine.proofs import check_books
from engine.replay import store, store_bank, store_outcome
from engine.replay.bank import BANK_WAYS
from engine.replay.behaviour import RATES
from engine.replay.currencies import currency_of, local_of
from engine.replay.deals import Deal, deal_of
from engine.replay.dice import Dice
from engine.replay.driver import OnDay, Replay, group_by_day
from engine.replay.generator import generate_postings
from engine.replay.lines import LINE_WAYS
from engine.replay.postings import Kind, Posting, Unreadable, open_postings
from engine.replay.quarrels import WAYS
from engine.replay.report import Report, amounts, from_json, items
from engine.replay.second_count import count_again
from engine.replay.stage import Stage
from engine.replay.store_midnight import digest_balances
from engine.replay.store_outcome import Sum
from engine.store_locks import alone
from kernel import clock
from kernel.database import Tenant, snapshot, transaction
from kernel.errors import Refusal
from kernel.money import format_minor
from kernel.principals import SYSTEM
from ledger.model import Draft
from ledger.service import post
from rails.rates.ecb import packaged
from rails.rates.model import Source
from reconciliation.model import OpenItem
from reconciliation.open_items import open_items

DEFAULT_CONTRACTS: Final = 500
DEFAULT_DAYS: Final = 30
"""Days of a made-up month: postings come in during all of them."""

LEAST_DAYS: Final = 184
"""Days of a file's replay, unless it is told otherwise: six months, or more if it is longer."""

DAYS_AFTER_LAST: Final = 30
"""Days that a file's replay goes on after its last posting, at the least."""

MOST_CONTRACTS: Final = 100_000
UNREADABLE_KEPT: Final = 1_000
SUBJECT: Final = "replay:report"


NOT_ZERO: Final = ".not_zero"
"""How the sorts of open items end whose money should have gone with what it belonged to."""

_WHY_NOT: Final = MappingProxyType(
    {
        Kind.HOURLY: "no_rate",
        Kind.FIXED_BUDGET: "no_budget",
        Kind.NO_BUDGET: "no_budget",
    }
)


class NothingToReplay(Refusal):
    """No posting of the file can become a contract."""

    code = "replay.nothing_to_replay"


class NotEmpty(Refusal):
    """A replay wants a tenant in which nothing has happened yet."""

    code = "replay.tenant_not_empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a replay is asked for. `jobs` None: postings are made up from the seed.

    `share_bps`: of the usable postings only this share is taken, drawn by seed and posting.
    `in_dollars`: every contract is, whatever its client's country.
    """

    jobs: Path | None = None
    seed: int = 1
    days: int | None = None
    contracts: int | None = None
    share_bps: int = 10_000
    in_dollars: bool = False


@dataclass(slots=True)
class Intake:
    """What became of the rows: deals, and those passed over by reason.

    `source` has the rates of exchange; without it all deals are in dollars.
    """

    deals: list[Deal] = field(default_factory=list)
    source: Source | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[dict[str, str | int]] = field(default_factory=list)


def take_in(options: Options) -> Intake:
    """The deals of all postings that can be replayed.

    Refuses `replay.not_postings` and `replay.nothing_to_replay`; OSError where the file cannot be
    opened.
    """
    if options.jobs is None:
        count = options.contracts or DEFAULT_CONTRACTS
        days = options.days or DEFAULT_DAYS
        return _sort_out(generate_postings(options.seed, count=count, days=days), options)
    with open_postings(options.jobs) as rows:
        return _sort_out(rows, options)


def play(
    engine: Engine,
    tenant: Tenant,
    intake: Intake,
    options: Options,
    *,
    on_day: OnDay,
    on_start: Callable[[int], None],
    stop: threading.Event,
) -> Report:
    """Run the replay in a tenant without events, prove its books, and keep the report in its log.

    Args:
        engine: the program's own login; five connections of its pool are used.
        tenant: made for this replay; refuses `replay.tenant_not_empty`.
        intake: what `take_in` gave for the same options.
        options: seed and days.
        on_day: told after each day: its number from 1, and the tenant's time.
        on_start: told the number of days.
        stop: set it to end after the batch that runs; the report tells what was done.
    """
    with alone(engine, tenant) as is_ours:
        with transaction(engine, tenant) as connection:
            if not is_ours or store.has_events(connection):
                raise NotEmpty(tenant=tenant.name)
        return _play(engine, tenant, intake, options, on_day, on_start, stop)


def _play(
    engine: Engine,
    tenant: Tenant,
    intake: Intake,
    options: Options,
    on_day: OnDay,
    on_start: Callable[[int], None],
    stop: threading.Event,
) -> Report:
    starts_on, by_day = group_by_day(intake.deals)
    days = options.days or _default_days(options, by_day)
    stage = Stage.of(engine, tenant, stop)
    run = Replay(
        stage=stage,
        seed=options.seed,
        starts_on=starts_on,
        days=days,
        by_day=by_day,
        source=intake.source,
    )
    on_start(days)
    started = time.monotonic()
    is_complete = run.run(on_day)
    seconds = time.monotonic() - started
    report = _report(run, intake, options, seconds=seconds, is_complete=is_complete)
    keep_report(engine, tenant, report)
    return report


def keep_report(engine: Engine, tenant: Tenant, report: Report) -> None:
    """Write the report as an event of the tenant's own log."""
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        draft = Draft(store.REPORTED, SUBJECT, SYSTEM, at, detail=report.as_json())
        for answer in post(connection, [draft]):
            if isinstance(answer, Refusal):
                raise answer


def find_report(engine: Engine, tenant: Tenant) -> Report | None:
    """The report of this tenant's replay; None if there was none or it did not come to its end."""
    with transaction(engine, tenant) as connection:
        stored = store.find_report(connection, SUBJECT)
    return None if stored is None else from_json(orjson.loads(stored))


def _sort_out(rows: Iterable[Posting | Unreadable], options: Options) -> Intake:
    intake = Intake()
    limit = min(options.contracts or MOST_CONTRACTS, MOST_CONTRACTS)
    postings: list[Posting] = []
    for row in rows:
        if isinstance(row, Unreadable):
            intake.skipped["unreadable"] += 1
            if len(intake.unreadable) < UNREADABLE_KEPT:
                intake.unreadable.append({"line": row.line, "reason": row.reason})
        elif row.budget_minor is None and row.rate_minor is None:
            intake.skipped[_WHY_NOT[row.kind]] += 1
        elif not Dice(options.seed, row.job_id).happens("share", options.share_bps):
            intake.skipped["not_in_share"] += 1
        elif len(postings) >= limit:
            intake.skipped["over_limit"] += 1
        else:
            postings.append(row)
    if not postings:
        raise NothingToReplay(skipped=dict(intake.skipped))
    payee_count = max(10, len(postings) * 6 // 10)
    intake.source = None if options.in_dollars else packaged()
    intake.deals = [
        deal_of(
            options.seed,
            each,
            payee_count=payee_count,
            local=local_of(intake.source, currency_of(each.country), each.posted_at.date()),
            is_priced=intake.source is not None,
        )
        for each in postings
    ]
    return intake


def _default_days(options: Options, by_day: dict[int, list[Deal]]) -> int:
    if options.jobs is None:
        return DEFAULT_DAYS
    return max(LEAST_DAYS, max(by_day) + 1 + DAYS_AFTER_LAST)


def _report(
    run: Replay, intake: Intake, options: Options, *, seconds: float, is_complete: bool
) -> Report:
    engine, tenant = run.stage.engine, run.stage.tenant
    with snapshot(engine, tenant) as connection:
        sums = store.get_sums(connection)
        waiting = list(open_items(connection, at=clock.now(connection)))
        outcome = {**_outcome(connection), "open_items": _items_of(waiting)}
        again = count_again(connection, options.seed)
    checked = check_books(engine, tenant)
    left_over = [_say(item) for item in waiting if item.sort.endswith(NOT_ZERO)]
    findings = (*run.midnights.findings, *left_over, *again.findings, *checked.findings)
    is_clean = not left_over and not run.midnights.findings and not again.findings
    last = run.starts_on + timedelta(days=max(0, run.days_done - 1))
    return Report(
        tenant=tenant.name,
        source=options.jobs.name if options.jobs else "made-up postings",
        seed=options.seed,
        days=run.days_done,
        first_day=_day(run.starts_on),
        last_day=_day(last),
        is_complete=is_complete,
        timers_fired=run.stage.fired.total(),
        timers=_sorted(run.stage.fired),
        commands=run.stage.commands,
        refusals=_sorted(run.stage.refusals),
        skipped=_sorted(intake.skipped),
        unreadable=tuple(intake.unreadable),
        seconds=round(seconds, 2),
        lines_per_second=int(sums.lines / seconds) if seconds else 0,
        proven=checked.is_proven and is_clean,
        safeguarding=checked.is_safe,
        findings=findings,
        midnights=run.midnights.checked,
        midnights_told_late=run.midnights.told_late,
        exchange=again.exchange,
        fees=again.fees,
        documents=again.documents,
        **_of_sums(sums),
        **outcome,
    )


def _of_sums(sums: store.Sums) -> dict[str, Any]:
    """The figures as the report has them, under its names."""
    money = ("funded", "released", "refunded", "held", "tips", "wallets", "paid_out", "revenue")
    return {
        **asdict(sums),
        **{name: amounts(getattr(sums, name)) for name in (*money, "returned")},
    }


def _items_of(waiting: Sequence[OpenItem]) -> dict[str, dict[str, Any]]:
    return items(Sum(item.sort, item.currency, 1, item.amount_minor) for item in waiting)


def _say(item: OpenItem) -> str:
    amount = format_minor(item.amount_minor, item.currency)
    return f"{item.subject} is {item.state}, and {amount} {item.currency} are left: {item.sort}"


def _rates() -> dict[str, int]:
    """All stated shares in basis points: of behaviour, and of the ways that disputes take."""
    ways = {f"dispute_{way}": 100 * share for way, share in WAYS.items()}
    lines = {f"line_{way}": 100 * share for way, share in LINE_WAYS.items()}
    cases = {f"chargeback_{way}": 100 * share for way, share in BANK_WAYS.items()}
    return {**asdict(RATES), **ways, **lines, **cases}


def _outcome(connection: Connection) -> dict[str, Any]:
    """Money by account, disputes, weeks, periods, claims and open items, as the report has them."""
    accounts: dict[str, dict[str, int]] = {}
    for kind, currency, balance_minor in store_outcome.sum_accounts(connection):
        accounts.setdefault(kind, {})[currency] = balance_minor
    taken, given_back = store_bank.sum_movements(connection)
    return {
        "chargebacks": store_bank.count_chargebacks(connection),
        "charged_back": amounts(taken),
        "reinstated": amounts(given_back),
        "accounts": {kind: amounts(found) for kind, found in accounts.items()},
        "disputes": store_outcome.count_disputes(connection),
        "lines_disputed": store_outcome.count_lines(connection),
        "weeks": store_outcome.count_weeks(connection),
        "periods": store_outcome.count_periods(connection),
        "claims": items(store_outcome.sum_claims(connection)),
        "open": items(store_outcome.sum_open(connection)),
        "digest": digest_balances(connection),
        "rates": _rates(),
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _day(at: datetime) -> str:
    return at.date().isoformat()
