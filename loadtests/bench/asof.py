"""What looking back costs: balances and trial balances on both axes, and posting back-dated.

One tenant has an account with a line for every posting, spread over a year, a twentieth of them
back-dated by up to thirty days. Another has slots that are funded and released over a month, as
the replay does it. Both are sealed as they grow. Questions are of random seconds, as known at
random numbers of the journal; some answers are held against a full scan.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from escrow import movements
from kernel.database import Tenant, snapshot, transaction
from kernel.ids import new_id
from ledger import asof
from ledger.known import Known, resolve
from ledger.model import Book, Draft, Entry, Line
from ledger.reports import Span
from ledger.reports_trial import trial_balance
from ledger.seal import seal
from loadtests.bench.bench import Bench, Contest
from loadtests.bench.measure import Meter, cpu_seconds, percentile
from loadtests.bench.workload import ACTOR, BANK, CURRENCY, FEES, BenchTrouble, open_account, post

_SEED: Final = 7
_BATCH: Final = 5_000
_ROUND: Final = 20_000
_QUESTIONS: Final = 400
_CHECKED: Final = 5
_TRIALS: Final = 20
_POSTED: Final = 100
_YEAR: Final = timedelta(days=365)
_MONTH: Final = timedelta(days=30)
_BACKDATED_SHARE: Final = 0.05
_PAYEES: Final = 1_000
_OPEN_SLOTS: Final = 5_000
_LINES_OF_TWO: Final = 15
"""Eight lines of a funding and seven of a release."""

_SCAN: Final = """
SELECT coalesce(sum(l.amount_minor), 0)
FROM line l
JOIN account a ON a.id = l.account_id
JOIN seal s ON s.event_id = l.event_id
WHERE a.code = %(code)s AND l.effective_at < %(before)s AND s.journal_no <= %(journal_no)s
"""


def run(bench: Bench) -> None:
    """The account of many lines, then the books of many slots."""
    random = Random(_SEED)
    with bench.ground.engine() as engine:
        _one_account(bench, engine, bench.ground.make_tenant("asof"), random)
        _many_slots(bench, engine, bench.ground.make_tenant("slots"), random)
    bench.figures.note(
        "as of: random seconds as known at random numbers of the journal; 5 % of the lines are"
        " back-dated by up to 30 days; the account's lines spread over a year, the slots' over a"
        " month"
    )


def _one_account(bench: Bench, engine: Engine, tenant: Tenant, random: Random) -> None:
    lines, now = bench.scale.asof_lines, datetime.now(UTC)
    post(engine, tenant, [open_account(FEES, now - _YEAR - _MONTH)])
    for done in range(0, lines, _BATCH):
        bench.say(f"as of: {done:,} of {lines:,} lines on one account")
        count = min(_BATCH, lines - done)
        times = [now - _YEAR + _YEAR * (done + i) / lines for i in range(count)]
        post(engine, tenant, [_fee(random, at) for at in _backdated(random, times)])
        _seal(engine, tenant)
    bench.ground.settle()
    with snapshot(engine, tenant) as connection:
        known = Known(resolve(connection, None).journal_no, provisional=False)
        bench.say("as of: asking for balances")
        _ask_balances(bench, connection, known, random)
        _spend_on_balances(bench, connection, known, random)
    _post_backdated(bench, engine, tenant, random)
    _seal(engine, tenant)


def _ask_balances(bench: Bench, connection: Connection, newest: Known, random: Random) -> None:
    """Random pairs of dates; then the same dates as known now, and known at random alone."""
    now = datetime.now(UTC)
    spent: dict[str, list[float]] = {"both_axes": [], "effective": [], "known": []}
    for number in range(_QUESTIONS):
        at = now - _YEAR * random.random()
        then = Known(random.randint(1, newest.journal_no), provisional=False)
        asked = {"both_axes": (at, then), "effective": (at, newest), "known": (None, then)}
        for name, (effective_at, known) in asked.items():
            start = time.perf_counter()
            found = asof.balance(connection, FEES, effective_at=effective_at, known=known)
            spent[name].append((time.perf_counter() - start) * 1000)
            if number < _CHECKED and effective_at is not None:
                _check(connection, found, effective_at, known)
    for name, each in spent.items():
        bench.figures.facts[f"asof_balance_{name}_p50_ms"] = round(percentile(each, 0.5), 2)
        bench.figures.facts[f"asof_balance_{name}_p95_ms"] = round(percentile(each, 0.95), 2)
    bench.figures.facts["asof_account_lines"] = bench.scale.asof_lines


def _spend_on_balances(bench: Bench, connection: Connection, newest: Known, random: Random) -> None:
    """What the server itself spends on a question on both axes: other programs do not count."""
    now, pids = datetime.now(UTC), bench.ground.backends()
    before = cpu_seconds(pids)
    for _ in range(_QUESTIONS):
        then = Known(random.randint(1, newest.journal_no), provisional=False)
        asof.balance(connection, FEES, effective_at=now - _YEAR * random.random(), known=then)
    spent_ms = (cpu_seconds(pids) - before) / _QUESTIONS * 1000
    bench.figures.facts["asof_balance_both_axes_server_ms"] = round(spent_ms, 2)


def _check(connection: Connection, found: int, before: datetime, known: Known) -> None:
    given = {"code": FEES.code, "before": before, "journal_no": known.journal_no}
    scanned = int(connection.exec_driver_sql(_SCAN, given).scalar_one())
    if found != scanned:
        raise BenchTrouble(f"a balance is {found}, and a full scan says {scanned}: {given}")


def _post_backdated(bench: Bench, engine: Engine, tenant: Tenant, random: Random) -> None:
    """Single postings that count half a year ago, beside those that count now, by turns."""
    contest = Contest()
    for number in range(1, bench.scale.rounds + 1):
        bench.say(f"as of: posting, round {number} of {bench.scale.rounds}")
        for name, back in (("post_now", timedelta(0)), ("post_backdated", _YEAR / 2)):
            at = datetime.now(UTC) - back
            drafts = [_fee(random, at) for _ in range(_POSTED)]
            meter = Meter(bench.ground.backends())
            with meter.running(_POSTED):
                for each in drafts:
                    post(engine, tenant, [each])
            contest.add(name, meter.sample())
    bench.figures.add_ratio(
        contest["post_backdated"], contest["post_now"], "post_backdated_over_post_now"
    )
    bench.figures.add_series(*contest.series.values())


def _many_slots(bench: Bench, engine: Engine, tenant: Tenant, random: Random) -> None:
    sizes, now = bench.scale.trial_lines, datetime.now(UTC)
    drafts = _slots(random, 2 * sizes[-1] // _LINES_OF_TWO, now - _MONTH)
    lines = 0
    for size in sizes:
        while lines < size:
            bench.say(f"as of: {lines:,} of {size:,} lines of slots")
            batch = [each for _, each in zip(range(_BATCH), drafts, strict=False)]
            if not batch:
                break
            post(engine, tenant, batch)
            _seal(engine, tenant)
            lines += sum(len(entry.lines) for each in batch for entry in each.entries)
        bench.ground.settle()
        with snapshot(engine, tenant) as connection:
            bench.say(f"as of: trial balances of {lines:,} lines")
            _ask_trials(bench, connection, random, f"{size:.0e}".replace("e+0", "e"))


def _ask_trials(bench: Bench, connection: Connection, random: Random, size: str) -> None:
    newest = resolve(connection, None).journal_no
    spent = []
    for _ in range(_TRIALS):
        end = datetime.now(UTC) - _MONTH * random.random()
        known = Known(random.randint(1, newest), provisional=False)
        start = time.perf_counter()
        found = trial_balance(connection, known=known, span=Span(end=end))
        spent.append(time.perf_counter() - start)
        if not found.is_balanced:
            raise BenchTrouble(f"a trial balance is not balanced: {found.header}")
    bench.figures.facts[f"asof_trial_balance_{size}_p50_s"] = round(percentile(spent, 0.5), 3)
    bench.figures.facts[f"asof_trial_balance_{size}_worst_s"] = round(max(spent), 3)


def _slots(random: Random, events: int, start: datetime) -> Iterator[Draft]:
    """Slots funded and, some thousands later, released, over a month."""
    payees = [UUID(int=number) for number in range(1, _PAYEES + 1)]
    waiting: list[tuple[UUID, int]] = []
    for done in range(events):
        (at,) = _backdated(random, [start + _MONTH * done / events])
        if len(waiting) > _OPEN_SLOTS and done % 2:
            place = random.randrange(len(waiting))
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
            slot, amount = waiting.pop()
            entries = movements.p07_release(
                slot_id=slot,
                payee_id=random.choice(payees),
                currency=CURRENCY,
                amount_minor=amount,
                commission_minor=amount // 10,
                fee_earned_minor=amount // 20,
            )
            yield Draft("slot.released", f"slot:{slot}", ACTOR, at, entries)
            continue
        slot, amount = new_id(), random.randint(10_000, 1_000_000)
        waiting.append((slot, amount))
        entries = movements.p01_fund(
            slot_id=slot,
            rail_account="simulated",
            currency=CURRENCY,
            amount_minor=amount,
            client_fee_minor=amount // 20,
            rail_fee_minor=amount // 50,
        )
        yield Draft("slot.funded", f"slot:{slot}", ACTOR, at, entries)


def _fee(random: Random, at: datetime) -> Draft:
    """A fee to the one account."""
    amount = random.randint(100, 10_000)
    entry = Entry(Book.CUSTODY, CURRENCY, (Line(BANK, amount), Line(FEES, -amount)))
    return Draft("bench.charged", f"transfer:{new_id()}", ACTOR, at, (entry,))


def _backdated(random: Random, times: list[datetime]) -> list[datetime]:
    """The same times, a twentieth of them up to thirty days earlier."""
    return [
        at - _MONTH * random.random() if random.random() < _BACKDATED_SHARE else at for at in times
    ]


def _seal(engine: Engine, tenant: Tenant) -> None:
    is_full = True
    while is_full:
        with transaction(engine, tenant) as connection:
            is_full = seal(connection, at=datetime.now(UTC), limit=_ROUND).is_full
