"""A replay exported and counted again by hledger, beancount and DuckDB, each by its own arithmetic.

Totals are (debit, credit) in minor units by currency; all of them must be those of the journal.
"""

import csv
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Final

import duckdb
from sqlalchemy import Connection, Engine

from engine.replay.service import Options, play, take_in
from kernel.database import Tenant, snapshot
from kernel.money import exponent
from ledger.exports.formats import FORMATS
from ledger.exports.model import ExportedFile
from tests.exports.stage import Read, seal
from tests.exports.tools import run

RFC_4180: Final = """delim = ',', quote = '"', escape = '"', header = true"""
"""What DuckDB is told of our CSV; left to itself, it may guess wrong where a text is odd."""

Totals = dict[str, tuple[int, int]]

# A contract of made-up postings gives some three entries in its month, a few more or less.
_CONTRACTS_PER_ENTRY: Final = Fraction(1, 2)

_TOTALS: Final = """
SELECT n.currency, sum(greatest(l.amount_minor, 0)), sum(greatest(-l.amount_minor, 0))
FROM seal s JOIN entry n ON n.event_id = s.event_id
    JOIN line l ON l.event_id = n.event_id AND l.entry_no = n.entry_no
WHERE s.journal_no <= %(last)s GROUP BY 1
"""
_ENTRIES: Final = """
SELECT count(*) FROM seal s JOIN entry n ON n.event_id = s.event_id WHERE s.journal_no <= %(last)s
"""
_REACHES: Final = """
SELECT min(journal_no) FROM seal WHERE custody_entries + platform_entries >= %(entries)s
"""

_BEANCOUNT: Final = """
import collections, json, sys
from beancount import loader
from beancount.core.data import Transaction
entries, errors, _ = loader.load_file(sys.argv[1])
sums, count = collections.defaultdict(lambda: [0, 0]), 0
for entry in entries:
    if isinstance(entry, Transaction) and "journal_no" in entry.meta:
        count += 1
        for posting in entry.postings:
            number = posting.units.number
            sums[posting.units.currency][number < 0] += abs(number)
print(json.dumps({"errors": len(errors), "entries": count,
                  "sums": {key: [str(side) for side in sides] for key, sides in sums.items()}}))
"""

_DUCKDB: Final = """
SELECT currency, sum(debit_minor)::HUGEINT, sum(credit_minor)::HUGEINT
FROM {source} GROUP BY currency
"""


@dataclass
class Recount:
    """What was exported, what each program found, and how long each step took (clock, CPU)."""

    entries: int = 0
    lines: int = 0
    totals: Totals = field(default_factory=dict)
    found: dict[str, Totals] = field(default_factory=dict)
    files: dict[str, list[ExportedFile]] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note how long the block takes by the clock, and how much CPU it and its programs."""
        started, spent = time.monotonic(), sum(os.times()[:4])
        yield
        self.seconds[step] = time.monotonic() - started, sum(os.times()[:4]) - spent

    def expect(self, step: str, *, is_so: bool, said: str = "") -> None:
        """Complain where something is not so."""
        if not is_so:
            self.complaints.append(f"{step}: {said[:2_000]}")


def replay(engine: Engine, tenant: Tenant, *, entries: int, seed: int) -> int:
    """Replay until the books have so many entries, seal them, and give the number that has them."""
    options = Options(contracts=ceil(entries * _CONTRACTS_PER_ENTRY), days=30, seed=seed)
    report = play(
        engine,
        tenant,
        take_in(options),
        options,
        on_day=lambda _day, _at: None,
        on_start=lambda _days: None,
        stop=threading.Event(),
    )
    assert report.is_good, report.findings
    seal(engine, tenant)
    with snapshot(engine, tenant) as connection:
        last = connection.exec_driver_sql(_REACHES, {"entries": entries}).scalar()
    assert last is not None, f"the replay has fewer than {entries} entries: {report.entries}"
    return int(last)


def export(engine: Engine, tenant: Tenant, folder: Path, *, last: int) -> Recount:
    """Write all formats of the journal up to a number, and sum the same in the database."""
    recount = Recount()
    with snapshot(engine, tenant) as connection:
        recount.totals = _database(connection, last)
        recount.entries = int(connection.exec_driver_sql(_ENTRIES, {"last": last}).scalar_one())
        for name, write in FORMATS.items():
            told: list[int] = []
            with recount.timed(f"write {name}"):
                recount.files[name] = write(
                    connection, Read(last), folder, period=None, progress=told.append
                )
            recount.lines = sum(told)
    return recount


def count_by_hledger(recount: Recount, program: Path, folder: Path) -> None:
    """`hledger check`, strictly and in the order of days; then its own sums."""
    file = folder / "hledger/ledger.journal"
    with recount.timed("hledger check"):
        checked = run(program, "-f", file, "check", "-s", "ordereddates")
    recount.expect("hledger", is_so=checked.returncode == 0, said=checked.stderr)
    sides = []
    for sign in ">", "<":
        said = run(
            *(program, "-f", file, "balance", f"amt:{sign}0", "--depth", "1", "--flat"),
            *("--layout", "bare", "-O", "csv", "--no-total"),
        )
        sides.append(_by_currency(said.stdout))
    currencies = sides[0].keys() | sides[1].keys()
    recount.found["hledger"] = {
        currency: (sides[0].get(currency, 0), -sides[1].get(currency, 0)) for currency in currencies
    }


def count_by_beancount(recount: Recount, programs: Path, folder: Path) -> None:
    """`bean-check`; then beancount's own sums over the transactions that came from entries."""
    file = folder / "beancount/ledger.beancount"
    with recount.timed("bean-check"):
        checked = run(programs / "bean-check", "--no-cache", file)
    recount.expect("beancount", is_so=checked.returncode == 0, said=checked.stderr)
    said = run(programs / "python", "-c", _BEANCOUNT, file)
    found = json.loads(said.stdout)
    recount.expect("beancount", is_so=found["errors"] == 0, said=said.stderr)
    recount.expect("beancount", is_so=found["entries"] == recount.entries, said=said.stdout)
    recount.found["beancount"] = {
        currency: (_minor(debit, currency), _minor(credit, currency))
        for currency, (debit, credit) in found["sums"].items()
    }


def count_by_duckdb(recount: Recount, folder: Path) -> None:
    """DuckDB's sums over the lines, in CSV and in Parquet."""
    sources: dict[str, Callable[[str], str]] = {
        "csv": lambda path: f"read_csv('{path}', hive_partitioning = true, {RFC_4180})",
        "parquet": lambda path: f"read_parquet('{path}', hive_partitioning = true)",
    }
    with duckdb.connect() as duck:
        for kind, source in sources.items():
            with recount.timed(f"duckdb {kind}"):
                path = f"{folder}/{kind}/lines/*/lines.{kind}"
                rows = duck.execute(_DUCKDB.format(source=source(path))).fetchall()
            recount.found[f"duckdb {kind}"] = {row[0]: (int(row[1]), int(row[2])) for row in rows}


def compare(recount: Recount) -> None:
    """Complain about every program whose totals are not those of the journal, to the cent."""
    for name, found in recount.found.items():
        recount.expect(name, is_so=found == recount.totals, said=f"{found} {recount.totals}")


def _database(connection: Connection, last: int) -> Totals:
    rows = connection.exec_driver_sql(_TOTALS, {"last": last})
    return {currency: (int(debit), int(credit)) for currency, debit, credit in rows}


def _by_currency(text: str) -> dict[str, int]:
    """Sums of hledger's table of accounts, commodities and balances, in minor units."""
    sums: dict[str, int] = {}
    for row in csv.DictReader(io.StringIO(text)):
        currency = row["commodity"]
        sums[currency] = sums.get(currency, 0) + _minor(row["balance"], currency)
    return sums


def _minor(amount: str, currency: str) -> int:
    scaled = Decimal(amount).scaleb(exponent(currency))
    assert scaled == int(scaled), amount
    return int(scaled)
