"""Lines and items by what they are part of: a payout, a batch, a trace. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from reconciliation.model_matching import Candidate

Items = Iterable[Candidate]
"""Candidates of the books."""

Group = tuple[list[Candidate], list[Candidate], int]
"""Lines and items that share a name, and what the lines sum to more than the items."""


def equal(lines: Iterable[Candidate], items: Items) -> Iterator[Group]:
    """Groups whose two sides sum to the same; small ones first, and nothing in two of them."""
    yield from _apart(_by_group(lines, items), lambda gap: gap == 0)


def differing(lines: Iterable[Candidate], items: Items) -> Iterator[Group]:
    """Those of one against one or many whose sums, of one sign, are not the same."""
    found = (
        group
        for group in _by_group(lines, items)
        if min(len(group[0]), len(group[1])) == 1 and total(group[0]) * total(group[1]) > 0
    )
    yield from _apart(found, lambda gap: gap != 0)


def total(candidates: Sequence[Candidate]) -> int:
    """The sum of their amounts, in minor units."""
    return sum(each.amount_minor for each in candidates)


def _apart(groups: Iterable[Group], wanted: Callable[[int], bool]) -> Iterator[Group]:
    used: set[str] = set()
    in_order = sorted(
        (group for group in groups if wanted(group[2])),
        key=lambda group: (
            len(group[0]) + len(group[1]),
            [each.key for each in (*group[0], *group[1])],
        ),
    )
    for lines, items, difference in in_order:
        keys = {each.key for each in (*lines, *items)}
        if not keys & used:
            used |= keys
            yield lines, items, difference


def _by_group(lines: Iterable[Candidate], items: Items) -> Iterator[Group]:
    stated, booked = _members(lines), _members(items)
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for name in sorted(stated.keys() & booked.keys()):
        some_lines = sorted(stated[name], key=lambda each: each.order)
        some_items = sorted(booked[name], key=lambda each: each.order)
        keys = tuple(each.key for each in some_lines), tuple(each.key for each in some_items)
        if keys not in seen:
            seen.add(keys)
            yield some_lines, some_items, total(some_lines) - total(some_items)


def _members(candidates: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        for name in {*candidate.names, *candidate.groups}:
            found[name].append(candidate)
    return found
