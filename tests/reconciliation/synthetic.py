"""A year of books and statements with seeded defects, and the truth of what belongs together."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import Final

from reconciliation.model_matching import Candidate, Found, plain_names

FIRST_DAY: Final = date(2026, 1, 1)

DEFECTS: Final = {
    "missing_line": 20,
    "missing_item": 20,
    "doubled_line": 10,
    "fee_changed": 20,
    "shifted": 300,
    "truncated": 200,
    "no_reference": 10,
    "split_payout": 100,
    "batched": 100,
    "many_to_many": 30,
    "twin_amounts": 200,
}
"""How many in ten thousand facts each defect strikes."""


@dataclass(slots=True)
class Year:
    """Both sides and the truth: each set of line keys with its set of item keys."""

    lines: list[Candidate] = field(default_factory=list)
    items: list[Candidate] = field(default_factory=list)
    truth: dict[frozenset[str], frozenset[str]] = field(default_factory=dict)
    defects: Counter[str] = field(default_factory=Counter)

    @property
    def matchable(self) -> int:
        """Lines that have something in the books."""
        return sum(len(keys) for keys in self.truth)


def synthetic_year(seed: int, facts: int, *, days: int = 365) -> Year:
    """A year of so many facts, the same for the same seed."""
    year, dice = Year(), random.Random(seed)
    for number in range(facts):
        day = FIRST_DAY + timedelta(days=number * days // facts)
        draw, defect = dice.randrange(10_000), ""
        for name, share in DEFECTS.items():
            if draw < share:
                defect = name
                break
            draw -= share
        year.defects[defect or "none"] += 1
        amount = dice.choice((1, 1, -1)) * dice.randrange(100, 500_000)
        _TELLERS.get(defect, _plain)(year, dice, number, day, amount, defect)
    return year


def wrong_matches(year: Year, found: Sequence[Found]) -> list[Found]:
    """Matches by rule that are not the truth: any set of lines with other items than its own."""
    return [
        each
        for each in found
        if not each.is_proposal and year.truth.get(frozenset(each.lines)) != frozenset(each.items)
    ]


def matched_lines(found: Sequence[Found]) -> int:
    """Lines that the rules matched by themselves."""
    return sum(len(each.lines) for each in found if not each.is_proposal)


def _name(number: int, part: int = 0) -> str:
    """An operation's id of that number: time first, as UUID version 7 has it."""
    noise = sha256(f"{number}/{part}".encode()).hexdigest()
    return f"{1_767_225_600_000 + number * 311:012x}7{noise[:19]}"


def _put(
    year: Year,
    *,
    lines: Sequence[tuple[str, date, int, tuple[str, ...], tuple[str, ...], str]] = (),
    items: Sequence[tuple[str, date, int, tuple[str, ...], tuple[str, ...], str]] = (),
    is_true: bool = True,
) -> None:
    stated = [_candidate(*each) for each in lines]
    booked = [_candidate(*each) for each in items]
    year.lines += stated
    year.items += booked
    if is_true:
        keys = frozenset(each.key for each in stated)
        year.truth[keys] = frozenset(each.key for each in booked)


def _candidate(
    key: str, on: date, amount: int, names: tuple[str, ...], groups: tuple[str, ...], text: str
) -> Candidate:
    return Candidate(key, amount, on, plain_names(names), (), plain_names(groups), text)


def _plain(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    name = _name(number)
    late = day + timedelta(days=dice.choice((0, 0, 0, 1, 2)))
    _put(
        year,
        lines=[(f"l{number}", late, amount, (name,), (), "")],
        items=[(f"i{number}", day, amount, (name,), (), "")],
    )


def _shifted(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    name = _name(number)
    moved = day + timedelta(days=dice.randrange(-20, 40))
    _put(
        year,
        lines=[(f"l{number}", moved, amount, (name,), (), "")],
        items=[(f"i{number}", day, amount, (name,), (), "")],
    )


def _truncated(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    name = _name(number)
    cut = name[: dice.choice((16, 18, 24))]
    text = f"payment {cut.upper()} thank you" if dice.random() < 0.5 else ""
    _put(
        year,
        lines=[(f"l{number}", day, amount, () if text else (cut,), (), text)],
        items=[(f"i{number}", day, amount, (name,), (), "")],
    )


def _no_reference(
    year: Year, _dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    _put(
        year,
        lines=[(f"l{number}", day, amount, (), (), f"payment of order {number}")],
        items=[(f"i{number}", day, amount, (_name(number),), (), f"order {number}")],
    )


def _missing(
    year: Year, _dice: random.Random, number: int, day: date, amount: int, defect: str
) -> None:
    told = (f"{defect}{number}", day, amount, (_name(number),), (), "")
    is_line = defect == "missing_item"
    _put(year, lines=[told] if is_line else [], items=[] if is_line else [told], is_true=False)


def _doubled(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    """The second comes later; the first one is the true one."""
    name = _name(number)
    _plain(year, dice, number, day, amount, "")
    again = day + timedelta(days=dice.randrange(3, 6))
    _put(year, lines=[(f"l{number}x", again, amount, (name,), (), "")], is_true=False)


def _fee_changed(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    name = _name(number)
    stated = amount + dice.choice((-2, -1, 1, 2))
    _put(
        year,
        lines=[(f"l{number}", day, stated, (name,), (), "")],
        items=[(f"i{number}", day, amount, (name,), (), "")],
    )


def _split(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    """One item of the books that the bank carries out in several lines."""
    name, parts = _name(number), _parts(dice, amount)
    _put(
        year,
        lines=[
            (f"l{number}.{at}", day + timedelta(days=1), part, (_name(number, at),), (name,), "")
            for at, part in enumerate(parts, start=1)
        ],
        items=[(f"i{number}", day, amount, (name,), (), "")],
    )


def _batched(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    """One line of the bank for several items of the books."""
    name, parts = _name(number), _parts(dice, amount)
    _put(
        year,
        lines=[(f"l{number}", day + timedelta(days=1), amount, (), (name,), "")],
        items=[
            (f"i{number}.{at}", day, part, (_name(number, at),), (name,), "")
            for at, part in enumerate(parts, start=1)
        ],
    )


def _many_to_many(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    name = _name(number)
    stated, booked = _parts(dice, amount), _parts(dice, amount)
    _put(
        year,
        lines=[
            (f"l{number}.{at}", day + timedelta(days=2), part, (), (name,), "")
            for at, part in enumerate(stated, start=1)
        ],
        items=[
            (f"i{number}.{at}", day, part, (_name(number, at),), (name,), "")
            for at, part in enumerate(booked, start=1)
        ],
    )


def _twins(
    year: Year, dice: random.Random, number: int, day: date, amount: int, _defect: str
) -> None:
    """Two of the same amount on one day; one of the bank's references is cut short."""
    for part in (1, 2):
        name = _name(number, part)
        told = name[:20] if part == dice.choice((1, 2)) else name
        _put(
            year,
            lines=[(f"l{number}.{part}", day, amount, (told,), (), "")],
            items=[(f"i{number}.{part}", day, amount, (name,), (), "")],
        )


def _parts(dice: random.Random, amount: int) -> list[int]:
    sign, left = (1 if amount > 0 else -1), abs(amount)
    parts = []
    for _ in range(dice.randrange(1, 5)):
        part = dice.randrange(1, left // 2)
        parts.append(sign * part)
        left -= part
    return [*parts, sign * left]


_TELLERS: Final = {
    "missing_line": _missing,
    "missing_item": _missing,
    "doubled_line": _doubled,
    "fee_changed": _fee_changed,
    "shifted": _shifted,
    "truncated": _truncated,
    "no_reference": _no_reference,
    "split_payout": _split,
    "batched": _batched,
    "many_to_many": _many_to_many,
    "twin_amounts": _twins,
}
