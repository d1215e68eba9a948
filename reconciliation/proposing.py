"""What a person is asked about: R4 beyond the limit, R5 by likeness, R6 by sums. Pure.

Work is bounded by counts, never by time, so that the same comes out on every machine. What a
proposal holds is in no other of the same run.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from difflib import SequenceMatcher
from typing import Final

from reconciliation.grouping import Items, differing
from reconciliation.model_matching import Candidate, Found, Rules, business_days, found_of

MOST_ADDENDS: Final = 20
"""So many candidates does R6 look at; their sums are 2**20 at most, made from two halves."""

_MOST_ALIKE: Final = 40
"""So many lines and items of one amount does R5 compare, the earliest first."""

_LIKE_ENOUGH: Final = 500


def propose(lines: Iterable[Candidate], items: Items, rules: Rules) -> Iterator[Found]:
    """Proposals of R4, then R5, then R6."""
    open_lines = {line.key: line for line in sorted(lines, key=_order)}
    open_items = {item.key: item for item in sorted(items, key=_order)}
    for rule in (_near, _alike, _sums):
        for found in rule(open_lines, open_items, rules):
            for key in found.lines:
                del open_lines[key]
            for key in found.items:
                del open_items[key]
            yield found


Side = Mapping[str, Candidate]


def _order(candidate: Candidate) -> tuple[date, str]:
    return candidate.order


def _near(lines: Side, items: Side, rules: Rules) -> list[Found]:
    """R4: one shared name, and amounts that a fee or a rate could have moved apart."""
    return [
        found_of(
            "R4",
            some_lines,
            some_items,
            score=950 if abs(difference) <= rules.tolerance_minor else 700,
            difference_minor=difference,
            is_proposal=True,
        )
        for some_lines, some_items, difference in differing(lines.values(), items.values())
        if abs(difference) <= max(rules.tolerance_minor, _share(some_items, rules.tolerance_bps))
        and not rules.bars(some_lines, some_items)
    ]


def _share(items: Sequence[Candidate], bps: int) -> int:
    return abs(sum(item.amount_minor for item in items)) * bps // 10_000


def _alike(lines: Side, items: Side, rules: Rules) -> list[Found]:
    """R5: the same amount in days of each other; alone of its amount, or alike in its words."""
    by_amount: dict[int, tuple[list[Candidate], list[Candidate]]] = defaultdict(lambda: ([], []))
    for line in lines.values():
        by_amount[line.amount_minor][0].append(line)
    for item in items.values():
        by_amount[item.amount_minor][1].append(item)
    found: list[Found] = []
    for amount in sorted(by_amount):
        some_lines, some_items = by_amount[amount]
        found += _likest(some_lines[:_MOST_ALIKE], some_items[:_MOST_ALIKE], rules)
    return found


def _likest(
    lines: Sequence[Candidate], items: Sequence[Candidate], rules: Rules
) -> Iterator[Found]:
    scored = sorted(
        (-score, line.order, item.order, line, item)
        for line in lines
        for item in items
        if not rules.bars([line], [item])
        and (days := business_days(line.on, item.on)) <= rules.window_days
        and (score := _score(line, item, days, is_only=len(lines) == len(items) == 1))
        >= _LIKE_ENOUGH
    )
    used: set[str] = set()
    for score, _, _, line, item in scored:
        if line.key not in used and item.key not in used:
            used |= {line.key, item.key}
            yield found_of("R5", [line], [item], score=-score, is_proposal=True)


def _score(line: Candidate, item: Candidate, days: int, *, is_only: bool) -> int:
    """500 for being alone of the amount (else 300), up to 400 for like words, 10 off for a day."""
    one, other = line.text.lower()[:200], item.text.lower()[:200]
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    shared = sum(block.size for block in blocks)
    length = len(one) + len(other)
    alike = 800 * shared // length if length else 0
    return max(0, alike + (500 if is_only else 300) - 10 * days)


def _sums(lines: Side, items: Side, rules: Rules) -> Iterator[Found]:
    """R6: one that is the sum of several of the other side, in one way only."""
    used: set[str] = set()
    for one_side, other_side, is_line in ((lines, items, True), (items, lines, False)):
        others = sorted(other_side.values(), key=_order)
        days = [each.on for each in others]
        for one in list(one_side.values())[: rules.most_sums]:
            if one.key in used:
                continue
            reach = timedelta(days=2 * rules.window_days + 2)
            some = others[bisect_left(days, one.on - reach) : bisect_right(days, one.on + reach)]
            parts = only_sum(_addends(one, some, used, rules), one.amount_minor)
            pair = ([one], parts) if is_line else (parts, [one])
            if parts and not rules.bars(*pair):
                used |= {one.key, *(each.key for each in parts)}
                yield found_of("R6", *pair, score=400, is_proposal=True)


def _addends(
    one: Candidate, others: Sequence[Candidate], used: AbstractSet[str], rules: Rules
) -> list[Candidate]:
    """What may be a part of it: of its sign, smaller, in days of it; the nearest first."""
    near = [
        (abs((each.on - one.on).days), each.order, each)
        for each in others
        if each.key not in used
        and each.amount_minor * one.amount_minor > 0
        and abs(each.amount_minor) < abs(one.amount_minor)
        and business_days(each.on, one.on) <= rules.window_days
    ]
    near.sort(key=lambda each: each[:2])
    return [each for _, _, each in near[:MOST_ADDENDS]]


def only_sum(addends: Sequence[Candidate], wanted_minor: int) -> list[Candidate]:
    """The one set of addends that makes the sum; empty if there is none, or more than one."""
    half = len(addends) // 2
    left, right = _all_sums(addends[:half]), _all_sums(addends[half:])
    ways = [
        (one, other)
        for total in sorted(left)
        for one in left[total]
        for other in right.get(wanted_minor - total, ())
    ]
    if len(ways) != 1:
        return []
    one, other = ways[0]
    chosen = [addends[at] for at in range(half) if one >> at & 1]
    return chosen + [addends[half + at] for at in range(len(addends) - half) if other >> at & 1]


def _all_sums(addends: Sequence[Candidate]) -> dict[int, list[int]]:
    """Every sum of some of the addends, with sets that make it, as bits; two are enough."""
    sums: list[int] = [0]
    for addend in addends:
        sums += [total + addend.amount_minor for total in sums]
    found: dict[int, list[int]] = defaultdict(list)
    for chosen, total in enumerate(sums):
        if len(found[total]) < 2:
            found[total].append(chosen)
    return found
