"""Random histories and splits: the fraction of `python -m tests.commissions.cases` that CI runs."""

from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commissions import maths
from escrow.model_price import Price, Returned
from escrow.rules_price import give_back
from tests.commissions import cases, histories
from tests.commissions.histories import run_history
from tests.commissions.splits import check_splits

IN_CI = 20_000
"""Payments with their refunds: 0.2 % of ten million."""


def run_some() -> None:
    for number in range(50):
        run_history(Random(number))


@given(st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_history_holds(random: Random) -> None:
    """Quote, posting, invoice and refunds of a pair's life agree; hypothesis shrinks what fails."""
    payments, prices = run_history(random)

    assert prices > payments > 0


@given(st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_split_holds(random: Random) -> None:
    """Each part of a tariff keeps the properties that `splits` says of it."""
    assert check_splits(random) > 1


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_twenty_thousand_cases(part: int) -> None:
    """The first histories of seed 1, the same on every machine."""
    payments, number = 0, part * IN_CI
    while payments < IN_CI // 10:
        payments += cases.check_case(1, number)[0]
        number += 1


def test_a_cent_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk can fail: a band that rounds down instead of half up does not pass."""

    def floored(bps_minor: int) -> int:
        return bps_minor // 10_000

    monkeypatch.setattr(maths, "round_bps", floored)
    with pytest.raises(AssertionError):
        run_some()


def test_a_return_from_other_bands_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a refund that forgets what stood before its payment."""

    def from_nothing(
        price: Price, amount_minor: int, *, release_id: UUID | None = None
    ) -> Returned:
        lines = tuple(replace(line, before_minor=0) for line in price.lines)
        return give_back(replace(price, lines=lines), amount_minor, release_id=release_id)

    monkeypatch.setattr(histories, "give_back", from_nothing)
    with pytest.raises(AssertionError):
        run_some()


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """The journal holds what is done: the second run adds to it, and another seed is refused."""
    journal = tmp_path / "cases"
    small = [cases.Chunk(0, 5, 6, 7), cases.Chunk(3, 8, 9, 10)]
    lines = "".join(" ".join(map(str, chunk)) + "\n" for chunk in small)
    journal.write_text(f"seed 1 chunk {cases.CHUNK}\n{lines}4 9", "ascii")

    known = cases.journal_of(journal, 1)

    assert known == {chunk.number: chunk for chunk in small}
    assert list(cases.run(13, 1, 1, journal)) == small
    with pytest.raises(SystemExit):
        cases.journal_of(journal, 2)
    assert cases.journal_of(tmp_path / "none", 1) == {}


def test_a_failure_names_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed and number are enough to see it again."""

    def broken(random: Random) -> tuple[int, int]:
        del random
        raise LookupError("nothing there")

    monkeypatch.setattr(cases, "run_history", broken)
    with pytest.raises(cases.CaseError, match="--seed 3 --only 1000: LookupError"):
        cases.check_chunk((3, 2))
