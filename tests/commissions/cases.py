"""Random (schedule, history, payment, refund) cases by the million: `python -m` this module.

Every history is priced by the functions that quote, post, invoice and refund, and by the plain
rules (`histories`), and every tariff is held to what a split and an order may change (`splits`).
A case is one payment after some history, with all that comes back of it. Histories are numbered:
the same seed and number are the same history, on any number of processes.

    python -m tests.commissions.cases --cases 10000000 --seed 1 --journal /tmp/cases
    python -m tests.commissions.cases --seed 1 --only 4711

With a journal, a run that was stopped goes on where it was.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TextIO

from kernel.errors import Broken, Refusal
from tests.commissions.histories import run_history
from tests.commissions.splits import check_splits

CHUNK: Final = 500
"""Histories that one process takes at a time."""


class Chunk(NamedTuple):
    """Some histories in a row, and how much of each kind was checked in them."""

    number: int
    payments: int
    prices: int
    splits: int


class CaseError(AssertionError):
    """A history that does not hold; its number makes it again."""


def check_case(seed: int, number: int) -> tuple[int, int, int]:
    """One numbered history: its payments, the prices compared, and the payments of its split."""
    random = Random((seed << 64) + number)
    payments, prices = run_history(random)
    return payments, prices, check_splits(random)


def check_chunk(given: tuple[int, int]) -> Chunk:
    """All histories of a chunk; a failure names seed and number."""
    seed, chunk = given
    sums = [0, 0, 0]
    for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        try:
            found = check_case(seed, number)
        except (ArithmeticError, AssertionError, Broken, LookupError, Refusal) as broken:
            raise CaseError(f"--seed {seed} --only {number}: {broken!r}") from broken
        sums = [old + more for old, more in zip(sums, found, strict=True)]
    return Chunk(chunk, *sums)


def journal_of(path: Path | None, seed: int) -> dict[int, Chunk]:
    """The chunks that an earlier run of the same seed has checked; a torn last line is no chunk."""
    if path is None or not path.exists():
        return {}
    first, *lines = path.read_text("ascii").split("\n")
    if first != f"seed {seed} chunk {CHUNK}":
        raise SystemExit(f"{path} is of another seed or size: {first}")
    complete = (line.split() for line in lines[:-1])
    return {each.number: each for each in (Chunk(*map(int, words)) for words in complete)}


def run(cases: int, seed: int, processes: int, journal: Path | None) -> Iterator[Chunk]:
    """Chunks as they are done, those of the journal first, until so many payments were checked."""
    known = journal_of(journal, seed)
    payments = 0
    for chunk in known.values():
        payments += chunk.payments
        yield chunk
    if payments >= cases:
        return
    left = ((seed, number) for number in count() if number not in known)
    with _opened(journal, seed) as out, get_context("fork").Pool(processes) as pool:
        for chunk in pool.imap_unordered(check_chunk, _bounded(left, cases)):
            out.write(" ".join(map(str, chunk)) + "\n")
            out.flush()
            payments += chunk.payments
            yield chunk
            if payments >= cases:
                return


def _bounded(left: Iterator[tuple[int, int]], cases: int) -> Iterator[tuple[int, int]]:
    """At least one payment a history: more chunks than this are never needed."""
    for _, given in zip(range(cases // CHUNK + 2), left, strict=False):
        yield given


def _opened(journal: Path | None, seed: int) -> TextIO:
    if journal is None:
        return Path(os.devnull).open("w", encoding="ascii")
    if not journal.exists():
        journal.write_text(f"seed {seed} chunk {CHUNK}\n", "ascii")
    return journal.open("a", encoding="ascii")


def main() -> None:
    """Run until so many payments were checked; exit 1 at the first that does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=10_000_000, help="payments to check")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--journal", type=Path, help="where to note what is done, to go on later")
    parser.add_argument("--only", type=int, help="check this history alone")
    given = parser.parse_args()
    if given.only is not None:
        sys.stdout.write(f"{check_case(given.seed, given.only)}\n")
        return
    known = sum(chunk.payments for chunk in journal_of(given.journal, given.seed).values())
    began, sums = time.monotonic(), [0, 0, 0, 0]
    for number, chunk in enumerate(run(given.cases, given.seed, given.processes, given.journal)):
        found = (CHUNK, *chunk[1:])
        sums = [old + more for old, more in zip(sums, found, strict=True)]
        if number % 20 == 0:
            rate = max(sums[1] - known, 0) / (time.monotonic() - began)
            sys.stderr.write(f"\r{sums[1]:,} of {given.cases:,} ({rate:,.0f}/s)")
            sys.stderr.flush()
    took = time.monotonic() - began
    histories, payments, prices, splits = sums
    rate = max(payments - known, 0) / took
    sys.stdout.write(
        f"\n{payments:,} payments with their refunds in {histories:,} histories, seed {given.seed}:"
        f" {prices:,} prices of releases and refunds and {splits:,} of split payments compared,"
        f" no minor unit of difference, {took:.0f} s ({rate:,.0f}/s)\n"
    )


if __name__ == "__main__":
    main()
