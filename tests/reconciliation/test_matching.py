"""The rules of matching, pure: what each does, and that no order and no rerun changes it."""

import os
import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.matching import match
from reconciliation.model_matching import (
    Candidate,
    Found,
    Rules,
    business_days,
    digest,
    plain_names,
)
from reconciliation.proposing import MOST_ADDENDS, only_sum
from tests.reconciliation.synthetic import matched_lines, synthetic_year, wrong_matches

DAY: Final = date(2026, 3, 2)
POSTING: Final = Rules(posts_differences=True)
SHUFFLES: Final = int(os.environ.get("RECONCILE_SHUFFLES", "25"))
"""`RECONCILE_SHUFFLES=1000 pytest tests/reconciliation/test_matching.py -k shuffles` for all."""


def line(key: str, minor: int, days: int = 0, **told: object) -> Candidate:
    return _candidate(f"line-{key}", minor, days, **told)


def item(key: str, minor: int, days: int = 0, **told: object) -> Candidate:
    return _candidate(f"item-{key}", minor, days, **told)


def _candidate(key: str, minor: int, days: int, **told: object) -> Candidate:
    names = {
        name: plain_names(str(value).split()) for name, value in told.items() if name != "text"
    }
    return Candidate(
        key, minor, DAY + timedelta(days=days), **names, text=str(told.get("text", ""))
    )


def said(found: list[Found]) -> list[str]:
    """What was found, in words."""
    return sorted(
        f"{each.rule}{'?' if each.is_proposal else ''} "
        f"{'+'.join(key.removeprefix('line-') for key in each.lines)} = "
        f"{'+'.join(key.removeprefix('item-') for key in each.items)}"
        + (f" off {each.difference_minor}" if each.difference_minor else "")
        for each in found
    )


STORIES: Final = {
    "R0: a name of the movement and the amount": (
        [line("a", 100, 40, names="txn_1")],
        [item("b", 100, names="TXN-1 other_2")],
        ["R0 a = b"],
    ),
    "R0: the same name with other money is nothing": (
        [line("a", 100, names="txn_1")],
        [item("b", -100, names="txn_1")],
        [],
    ),
    "R0: the bank doubled it: the earlier one": (
        [line("late", 100, 3, names="txn_1"), line("a", 100, names="txn_1")],
        [item("b", 100, names="txn_1")],
        ["R0 a = b"],
    ),
    "R0: a name of what both belong to, if alone": (
        [line("a", 100, others="ch_99")],
        [item("b", 100, others="ch_99")],
        ["R0 a = b"],
    ),
    "R0: two refunds of one charge are not told apart": (
        [line("a", -5, others="ch_99"), line("c", -5, others="ch_99")],
        [item("b", -5, 9, others="ch_99"), item("d", -5, 9, others="ch_99")],
        [],
    ),
    "R1: the reference is cut short": (
        [line("a", 100, 3, names="0190AAAABBBBCCCC")],
        [item("b", 100, names="0190aaaabbbbccccddddeeeeffff0000")],
        ["R1 a = b"],
    ),
    "R1: the reference stands in the text": (
        [line("a", 100, 1, text="payment INV20260301 thanks")],
        [item("b", 100, names="inv-2026-0301")],
        ["R1 a = b"],
    ),
    "R1: too many days apart": (
        [line("a", 100, 30, names="0190AAAABBBBCCCC")],
        [item("b", 100, names="0190aaaabbbbccccddddeeeeffff0000")],
        [],
    ),
    "R1: two items have the reference: nobody is matched": (
        [line("a", 100, names="0190AAAABBBBCCCC")],
        [
            item("b", 100, names="0190aaaabbbbccccdddd"),
            item("c", 100, names="0190aaaabbbbcccceeee"),
        ],
        [],
    ),
    "R2: a payout is the sum of its transactions": (
        [line("a", 70, groups="po_11"), line("b", 30, 1, groups="po_11")],
        [item("p", 100, groups="po_11")],
        ["R2 a+b = p"],
    ),
    "R2: a deposit is the sum of what was sent": (
        [line("d", 100, names="po_11")],
        [item("p", 70, groups="po_11"), item("q", 30, groups="po_11")],
        ["R2 d = p+q"],
    ),
    "R2: one of them is missing: nobody is matched": (
        [line("a", 70, groups="po_11")],
        [item("p", 60, groups="po_11"), item("q", 30, groups="po_11")],
        [],
    ),
    "R3: a batch on both sides": (
        [line("a", 60, groups="trace1"), line("b", 40, groups="trace1")],
        [item("p", 70, groups="trace1"), item("q", 30, groups="trace1")],
        ["R3 a+b = p+q"],
    ),
    "R4: a minor unit less than booked": (
        [line("a", 9_999, names="txn_1")],
        [item("b", 10_000, names="txn_1")],
        ["R4 a = b off -1"],
    ),
    "R4: a fee more than the limit is proposed": (
        [line("a", 9_900, names="txn_1")],
        [item("b", 10_000, names="txn_1")],
        ["R4? a = b off -100"],
    ),
    "R4: half of it is another thing": (
        [line("a", 5_000, names="txn_1")],
        [item("b", 10_000, names="txn_1")],
        [],
    ),
    "R5: alone of its amount": (
        [line("a", 4_711, 2, text="rent")],
        [item("b", 4_711, text="something else")],
        ["R5? a = b"],
    ),
    "R5: the likest of several": (
        [line("a", 50, text="order 17 of may"), line("c", 50, text="order 99 of june")],
        [item("b", 50, text="order 99 of june"), item("d", 50, text="order 17 of may")],
        ["R5? a = d", "R5? c = b"],
    ),
    "R6: one is the sum of some": (
        [line("a", 1_117)],
        [item("b", 1_000), item("c", 100), item("d", 17), item("e", 3)],
        ["R6? a = b+c+d"],
    ),
    "R6: two ways to make it: none": (
        [line("a", 300)],
        [item("b", 100), item("c", 200), item("d", 50), item("e", 250)],
        [],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_rule_finds_what_it_says(story: str) -> None:
    """Each rule by an example, and by one that it must not find."""
    lines, items, expected = STORIES[story]

    assert said(match(lines, items, POSTING)) == expected


def test_differences_are_only_proposed_where_nobody_posts_them() -> None:
    """R4 within the limit is a proposal as long as no one is there to post the difference."""
    lines, items = [line("a", 9_999, names="txn_1")], [item("b", 10_000, names="txn_1")]

    assert said(match(lines, items)) == ["R4? a = b off -1"]


def test_what_a_person_took_apart_stays_apart() -> None:
    """A barred pair is brought together by no rule; the next best is found."""
    lines = [line("a", 100, names="txn_1", groups="po_11", text="same")]
    items = [item("b", 100, names="txn_1", groups="po_11", text="same")]
    rules = replace(POSTING, barred=frozenset({("line-a", "item-b")}))
    other = item("c", 100, 1, names="txn_1")

    assert match(lines, items, rules) == []
    assert said(match(lines, [*items, other], rules)) == ["R0 a = c"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_year_with_defects_is_matched_without_one_wrong_match(seed: int) -> None:
    """99.5 % of the lines that have something in the books by rule, and none wrongly (G16)."""
    year = synthetic_year(seed, 6_000)
    found = match(year.lines, year.items, POSTING)

    assert wrong_matches(year, found) == []
    assert 1_000 * matched_lines(found) >= 995 * year.matchable
    assert all(year.defects[name] for name in ("doubled_line", "missing_line", "truncated"))


def test_shuffles_of_both_sides_change_nothing() -> None:
    """The order in which lines and items come says nothing (25 here; 1,000 by their command)."""
    year = synthetic_year(7, 1_500)
    expected = digest(match(year.lines, year.items, POSTING))
    for seed in range(SHUFFLES):
        dice = random.Random(seed)
        lines, items = year.lines.copy(), year.items.copy()
        dice.shuffle(lines)
        dice.shuffle(items)

        assert digest(match(lines, items, POSTING)) == expected, seed


def test_a_rerun_over_what_is_left_adds_nothing() -> None:
    """What the rules left open they leave open again, with the same proposals."""
    year = synthetic_year(11, 3_000)
    found = match(year.lines, year.items, POSTING)
    used = {key for each in found if not each.is_proposal for key in (*each.lines, *each.items)}

    again = match(
        [each for each in year.lines if each.key not in used],
        [each for each in year.items if each.key not in used],
        POSTING,
    )

    assert [each for each in again if not each.is_proposal] == []
    assert digest(again) == digest(each for each in found if each.is_proposal)


NAMES: Final = st.lists(st.sampled_from(["name1", "name2", "name3"]), max_size=2).map(tuple)
SIDES: Final = st.lists(
    st.tuples(
        st.sampled_from([-20, -10, 1, 2, 3, 10, 20, 30]),
        st.integers(0, 12),
        NAMES,
        NAMES,
        NAMES,
    ),
    max_size=9,
)


Told = tuple[int, int, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _side(prefix: str, told: list[Told]) -> list[Candidate]:
    return [
        Candidate(
            f"{prefix}{number}",
            each[0],
            DAY + timedelta(days=each[1]),
            plain_names(each[2]),
            plain_names(each[3]),
            plain_names(each[4]),
        )
        for number, each in enumerate(told)
    ]


@settings(max_examples=150)
@given(SIDES, SIDES, st.randoms(use_true_random=False))
def test_matches_are_exclusive_and_add_up(
    stated: list[Told],
    booked: list[Told],
    dice: random.Random,
) -> None:
    """Nothing is in two matches, both sides are the same but for what R4 tells, in any order."""
    lines, items = _side("l", stated), _side("i", booked)
    found = match(lines, items, POSTING)

    used = Counter(key for each in found for key in (*each.lines, *each.items))
    assert all(count == 1 for count in used.values())
    amounts = {each.key: each.amount_minor for each in (*lines, *items)}
    for each in found:
        gap = sum(amounts[key] for key in each.lines) - sum(amounts[key] for key in each.items)
        assert gap == each.difference_minor
        assert gap == 0 or each.rule == "R4"
    dice.shuffle(lines)
    dice.shuffle(items)
    assert digest(match(lines, items, POSTING)) == digest(found)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 300))
def test_a_sum_is_found_if_it_can_be_made_in_one_way(minors: list[int], wanted: int) -> None:
    """Against trying all sets, one by one."""
    addends = [item(f"{number}", minor) for number, minor in enumerate(minors)]
    ways = [
        chosen
        for chosen in range(1, 1 << len(minors))
        if sum(minor for at, minor in enumerate(minors) if chosen >> at & 1) == wanted
    ]

    found = only_sum(addends, wanted)

    if len(ways) == 1:
        assert sum(each.amount_minor for each in found) == wanted
    else:
        assert found == []


def test_the_work_of_sums_is_bounded_by_a_count() -> None:
    """Twenty addends of one amount: two halves of 1,024 sums each, and too many ways to choose."""
    addends = [item(f"{number:02}", 7) for number in range(MOST_ADDENDS)]

    assert only_sum(addends, 70) == []
    assert len(only_sum(addends, 140)) == MOST_ADDENDS


@given(st.dates(date(2024, 1, 1), date(2028, 1, 1)), st.integers(-40, 40))
def test_business_days_are_those_from_monday_to_friday(one: date, days: int) -> None:
    """Counted one by one, and the same both ways."""
    other = one + timedelta(days=days)
    first, last = min(one, other), max(one, other)
    counted = sum(
        1
        for step in range(1, (last - first).days + 1)
        if (first + timedelta(days=step)).weekday() < 5
    )

    assert business_days(one, other) == business_days(other, one) == counted
