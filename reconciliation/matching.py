"""Which lines of statements are which items of the books: R0 to R4 by rule, R5 and R6 proposed.

Pure, with whole numbers alone. What is looked at is put in order first, so that the order in which
it comes says nothing. Each line and each item is in one match at most. Names that are told of one
movement decide at once (R0), so that a long run keeps only what is open; all other rules look at
what is open at the end, again and again until they find nothing more: a rerun finds nothing.

Source: domain/audit-and-reliability.md 3.5.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import attrgetter
from typing import Final

from reconciliation import proposing
from reconciliation.grouping import Items, differing, equal
from reconciliation.model_matching import (
    Candidate,
    Found,
    Rules,
    business_days,
    found_of,
    references,
)

_BY_ORDER: Final = attrgetter("order")
Pair = tuple[str, str]


@dataclass(slots=True)
class Open:
    """What is not matched yet, by key; and by name and amount, for R0."""

    lines: dict[str, Candidate] = field(default_factory=dict)
    items: dict[str, Candidate] = field(default_factory=dict)
    line_names: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    item_names: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def drop(self, found: Found) -> None:
        """Take out what a match has used."""
        for key in found.lines:
            _forget(self.line_names, self.lines.pop(key))
        for key in found.items:
            _forget(self.item_names, self.items.pop(key))


def match(lines: Iterable[Candidate], items: Items, rules: Rules | None = None) -> list[Found]:
    """All matches and proposals; the same for any order of the two sides."""
    return list(
        match_streams(sorted(lines, key=_BY_ORDER), sorted(items, key=_BY_ORDER), rules or Rules())
    )


def match_streams(lines: Iterable[Candidate], items: Items, rules: Rules) -> Iterator[Found]:
    """The same of two streams in order (`Candidate.order`); memory holds only what is open."""
    pool = Open()
    told_lines = ((line, True) for line in lines)
    told_items = ((item, False) for item in items)
    both = merge(told_lines, told_items, key=lambda each: each[0].order)
    for _, day in groupby(both, key=lambda each: each[0].on):
        # The items of a day first: which side comes first must not depend on how keys are written.
        for candidate, is_line in sorted(day, key=lambda each: (each[1], each[0].key)):
            found = _named(pool, candidate, rules, is_line=is_line)
            if found is not None:
                yield found
    yield from _settle(pool, rules)
    yield from proposing.propose(pool.lines.values(), pool.items.values(), rules)


def _named(pool: Open, candidate: Candidate, rules: Rules, *, is_line: bool) -> Found | None:
    """R0: a name told by both sides of one movement, and the same amount; the earliest first."""
    names, side = (pool.item_names, pool.items) if is_line else (pool.line_names, pool.lines)
    _add(pool, candidate, is_line=is_line)
    for name in candidate.names:
        for key in names.get((name, candidate.amount_minor), ()):
            line, item = (candidate, side[key]) if is_line else (side[key], candidate)
            if not rules.bars([line], [item]):
                found = found_of("R0", [line], [item])
                pool.drop(found)
                return found
    return None


def _add(pool: Open, candidate: Candidate, *, is_line: bool) -> None:
    side, names = (pool.lines, pool.line_names) if is_line else (pool.items, pool.item_names)
    assert candidate.key not in side, "a key that is not its alone"
    side[candidate.key] = candidate
    for name in candidate.names:
        names.setdefault((name, candidate.amount_minor), []).append(candidate.key)


def _forget(names: dict[tuple[str, int], list[str]], candidate: Candidate) -> None:
    for name in candidate.names:
        waiting = names[name, candidate.amount_minor]
        waiting.remove(candidate.key)
        if not waiting:
            del names[name, candidate.amount_minor]


def _settle(pool: Open, rules: Rules) -> Iterator[Found]:
    """Rule by rule over what is open, until a whole round finds nothing."""
    is_news = True
    while is_news:
        is_news = False
        for rule in _RULES:
            for found in rule(pool, rules):
                pool.drop(found)
                is_news = True
                yield found


def _other_names(pool: Open, rules: Rules) -> list[Found]:
    """R0 by names of what both belong to: one line and one item only, of the same amount."""
    pairs = _pairs(pool, rules, lambda each: {(n, each.amount_minor) for n in _all_names(each)})
    return [found_of("R0", [line], [item]) for line, item in _alone(pool, pairs)]


def _referenced(pool: Open, rules: Rules) -> list[Found]:
    """R1: amount and reference the same (as far as a bank leaves it), in days, unique both ways."""
    pairs = {
        (line, item)
        for line, item in _pairs(
            pool, rules, lambda each: {(name, each.amount_minor) for name in references(each)}
        )
        if business_days(pool.lines[line].on, pool.items[item].on) <= rules.window_days
    }
    return [found_of("R1", [line], [item]) for line, item in _alone(pool, pairs)]


def _grouped(pool: Open, rules: Rules) -> list[Found]:
    """R2 and R3: all lines and all items of one payout, batch or trace, if their sums are equal."""
    return [
        found_of("R2" if min(len(lines), len(items)) == 1 else "R3", lines, items)
        for lines, items, _ in equal(pool.lines.values(), pool.items.values())
        if len(lines) + len(items) > 2 and not rules.bars(lines, items)
    ]


def _tolerated(pool: Open, rules: Rules) -> list[Found]:
    """R4 by itself: one against one or many by a shared name, a few minor units apart."""
    if not rules.posts_differences:
        return []
    return [
        found_of("R4", lines, items, score=950, difference_minor=difference)
        for lines, items, difference in differing(pool.lines.values(), pool.items.values())
        if abs(difference) <= rules.tolerance_minor and not rules.bars(lines, items)
    ]


Rule = Callable[[Open, Rules], list[Found]]
_RULES: Final[tuple[Rule, ...]] = (_other_names, _referenced, _grouped, _tolerated)


def _all_names(candidate: Candidate) -> set[str]:
    return {*candidate.names, *candidate.others}


def _pairs(
    pool: Open, rules: Rules, names: Callable[[Candidate], set[tuple[str, int]]]
) -> set[Pair]:
    """Lines and items that share a name and that nobody took apart."""
    by_name: dict[tuple[str, int], list[str]] = defaultdict(list)
    for item in pool.items.values():
        for name in names(item):
            by_name[name].append(item.key)
    return {
        (line.key, key)
        for line in pool.lines.values()
        for name in names(line)
        for key in by_name.get(name, ())
        if (line.key, key) not in rules.barred
    }


def _alone(pool: Open, pairs: set[Pair]) -> list[tuple[Candidate, Candidate]]:
    """Pairs whose line has no other item, and whose item has no other line."""
    lines: dict[str, int] = defaultdict(int)
    items: dict[str, int] = defaultdict(int)
    for line, item in pairs:
        lines[line] += 1
        items[item] += 1
    return [
        (pool.lines[line], pool.items[item])
        for line, item in sorted(pairs)
        if lines[line] == 1 and items[item] == 1
    ]
