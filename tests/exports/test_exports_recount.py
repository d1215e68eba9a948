"""Exports found right, and altered ones found wrong, by three programs that are not ours."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant
from ledger.exports.model import Period
from tests.exports import recount as counting
from tests.exports.recount import Recount
from tests.exports.stage import Export
from tests.exports.tools import NotToBeHad, beancount, hledger

ENTRIES = 5_000
"""Of the 100,000 that `make exports-check` takes."""


@dataclass(frozen=True)
class Programs:
    """What is to be had here, and why the rest is not."""

    counts: tuple[Callable[[Recount, Path], None], ...]
    missing: tuple[str, ...]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Hledger and beancount, installed for these tests where they are not there."""
    count: list[Callable[[Recount, Path], None]] = []
    missing = []
    try:
        ours = hledger()
        count.append(lambda recount, folder: counting.count_by_hledger(recount, ours, folder))
    except NotToBeHad as reason:
        missing.append(str(reason))
    try:
        theirs = beancount(tmp_path_factory.mktemp("beancount"))
        count.append(lambda recount, folder: counting.count_by_beancount(recount, theirs, folder))
    except NotToBeHad as reason:
        missing.append(str(reason))
    return Programs(tuple(count), tuple(missing))


@pytest.mark.slow
def test_a_replay_is_found_right_by_hledger_beancount_and_duckdb(
    own_engine: Engine, tenant: Tenant, tmp_path: Path, programs: Programs
) -> None:
    """Each program's own check passes, and its totals are those of the journal to the cent."""
    last = counting.replay(own_engine, tenant, entries=ENTRIES, seed=1)
    recount = counting.export(own_engine, tenant, tmp_path, last=last)
    counting.count_by_duckdb(recount, tmp_path)
    for count in programs.counts:
        count(recount, tmp_path)
    counting.compare(recount)

    assert ENTRIES <= recount.entries < ENTRIES + 2
    assert recount.totals
    assert recount.complaints == []
    if programs.missing:
        pytest.skip(f"DuckDB agrees; not asked: {'; '.join(programs.missing)}")
    assert set(recount.found) == {"duckdb csv", "duckdb parquet", "hledger", "beancount"}


@pytest.mark.slow
@pytest.mark.parametrize("period", [None, (date(2026, 3, 1), date(2026, 4, 29))])
def test_odd_names_and_texts_are_legal_in_both_programs(
    export: Export, programs: Programs, period: Period | None
) -> None:
    """The whole story, and a part of it that opens with balances brought in."""
    for name in "hledger", "beancount":
        export(name, period=period)
    recount = Recount(entries=6 if period is None else 2)
    for count in programs.counts:
        count(recount, export.folder)

    if programs.missing:
        pytest.skip(f"not asked: {'; '.join(programs.missing)}")
    assert recount.complaints == []


@pytest.mark.slow
def test_a_cent_more_on_both_sides_of_an_entry_is_found(export: Export, programs: Programs) -> None:
    """The entry still balances; the closing assertions do not."""
    for name in "hledger", "beancount":
        export(name)
    for file in export.folder.rglob("ledger.*"):
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(r"\b7\.00 EUR$", "7.01 EUR", text, flags=re.MULTILINE))
    recount = Recount(entries=6)
    for count in programs.counts:
        count(recount, export.folder)

    if programs.missing:
        pytest.skip(f"not asked: {'; '.join(programs.missing)}")
    assert {said.partition(":")[0] for said in recount.complaints} == {"hledger", "beancount"}
