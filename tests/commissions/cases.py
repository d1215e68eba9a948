"""Random (schedule, history, payment, refund) cases by the million: `python -m` this module.

Every case prices a history of payments and refunds twice, with the program's function and by the
plain rules, and asks that quote = posting, that refunds give back exactly what was charged, that
parts sum to the whole, and that order does not matter.
"""

import argparse
import sys
import time
from random import Random
from typing import Final

from commissions.maths import Before, fee, unwind
from commissions.model import Tariff
from tests.commissions.deals import draw, plain_fee

_TOLD_EVERY: Final = 10_000


def check_case(random: Random) -> int:
    """One tariff with a history; how many prices were compared."""
    is_plain = random.random() < 0.5
    tariff = draw(random, plain=is_plain)
    payments = [random.randint(1, 120_000) for _ in range(random.randint(1, 6))]
    billed = month = compared = 0
    for amount in payments:
        before = Before(billed, month)
        quoted = fee(tariff, amount, before)
        expected = plain_fee(tariff, amount, billed_minor=billed, charged_month_minor=month)
        assert quoted == expected, (tariff, before, amount)
        assert 0 <= quoted <= amount, (tariff, before, amount)
        compared += 1 + _check_refunds(random, tariff, amount, before)
        billed += amount
        month += quoted
    if is_plain:
        _check_order(random, tariff, payments)
    return compared


def _check_refunds(random: Random, tariff: Tariff, amount: int, before: Before) -> int:
    """Parts of a payment come back until nothing is left."""
    gone, kept, compared = 0, fee(tariff, amount, before), 0
    while gone < amount:
        back = min(random.choice((1, amount // 3 + 1, amount)), amount - gone)
        back = amount - gone if compared == 3 else back
        returned = unwind(tariff, amount, before, returned_minor=back, returned_before_minor=gone)
        gone, kept, compared = gone + back, kept - returned, compared + 1
        left = plain_fee(
            tariff,
            amount - gone,
            billed_minor=before.billed_minor,
            charged_month_minor=before.charged_month_minor,
        )
        assert kept == left, (tariff, before, amount, gone)
    assert kept == 0, (tariff, before, amount)
    return compared


def _check_order(random: Random, tariff: Tariff, payments: list[int]) -> None:
    totals = set()
    for _ in range(2):
        billed = total = 0
        for amount in payments:
            total += fee(tariff, amount, Before(billed))
            billed += amount
        totals.add(total)
        random.shuffle(payments)
    assert totals == {fee(tariff, sum(payments))}, (tariff, payments)


def main() -> None:
    """Run until so many prices have been compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random, compared, rounds, began = Random(given.seed), 0, 0, time.monotonic()
    while compared < given.cases:
        compared += check_case(random)
        rounds += 1
        if rounds % _TOLD_EVERY == 0:
            rate = compared / (time.monotonic() - began)
            sys.stderr.write(f"\r{compared:,} of {given.cases:,} ({rate:,.0f}/s)")
    sys.stdout.write(
        f"\n{compared:,} payments and refunds of {rounds:,} schedules, seed {given.seed}:"
        f" no cent of difference, {time.monotonic() - began:.0f} s\n"
    )


if __name__ == "__main__":
    main()
