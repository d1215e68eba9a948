"""How hledger and beancount write a declaration, a transaction and an assertion; pure text."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Final, NamedTuple

from kernel.money import exponent, format_minor
from ledger.exports.files import iso
from ledger.exports.model import JournalLine

_EVER: Final = date(1970, 1, 1)


class Leg(NamedTuple):
    """An account by the name that the tools know, and an amount: debit positive."""

    account: str
    amount_minor: int
    currency: str

    @property
    def amount(self) -> str:
        """The amount as both tools write it."""
        return f"{format_minor(self.amount_minor, self.currency)} {self.currency}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words of one tool.

    `opening` brings balances in on a day; `closing` states what stands at the end of a day.
    """

    name: str
    suffix: str
    heading: Callable[[str], str]
    account: Callable[[str, Sequence[str]], str]
    commodity: Callable[[str], str]
    transaction: Callable[[JournalLine, Sequence[Leg]], str]
    opening: Callable[[date, Sequence[Leg]], str]
    closing: Callable[[date, Sequence[Leg]], str]


# What ends a description, a tag or a line in hledger, and what it strips.
_ODD_IN_HLEDGER: Final = re.compile(r"[\\;,|\x00-\x1f\x7f-\x9f\u2028\u2029]|^\s|\s$")


def plain(text: str) -> str:
    r"""A text on one line for hledger: what it would take for its own is written `\u{3b}`."""
    return _ODD_IN_HLEDGER.sub(lambda match: f"\\u{{{ord(match[0]):x}}}", text)


def quoted(text: str) -> str:
    """A string of beancount."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    inner = inner.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{inner}"'


def _tags(head: JournalLine) -> list[tuple[str, int | str]]:
    """What both tools are told of an entry beside its lines; nothing that is empty."""
    tags: list[tuple[str, int | str]] = [
        ("journal_no", head.journal_no),
        ("book", head.book),
        ("book_no", head.book_no),
        ("event_id", str(head.event_id)),
        ("subject", head.event_subject),
        ("reason", head.reason),
        ("actor", f"{head.actor_kind}:{head.actor_id}"),
        ("recorded_at", iso(head.recorded_at)),
    ]
    if head.reverses_book_no is not None:
        tags.append(("reverses_book_no", head.reverses_book_no))
    return [(name, value) for name, value in tags if value != ""]


def _hledger_transaction(head: JournalLine, legs: Sequence[Leg]) -> str:
    day = head.effective_at.astimezone(UTC).date()
    tags = "".join(f"    ; {name}: {plain(str(value))}\n" for name, value in _tags(head))
    postings = "".join(f"    {leg.account}  {leg.amount}\n" for leg in legs)
    return f"{day} * ({head.book} {head.book_no}) {plain(head.event_kind)}\n{tags}{postings}\n"


def _hledger_opening(day: date, legs: Sequence[Leg]) -> str:
    postings = "".join(f"    {leg.account}  {leg.amount}\n" for leg in legs)
    return f"{day} * opening balances\n{postings}\n"


def _hledger_closing(day: date, legs: Sequence[Leg]) -> str:
    postings = "".join(
        f"    {leg.account}  {format_minor(0, leg.currency)} {leg.currency} = {leg.amount}\n"
        for leg in legs
    )
    return f"{day} * closing balances\n{postings}\n"


def _hledger_commodity(currency: str) -> str:
    mark = "" if exponent(currency) else "."
    return (
        f"commodity {format_minor(1_000 * 10 ** exponent(currency), currency)}{mark} {currency}\n"
    )


HLEDGER: Final = Dialect(
    name="hledger",
    suffix="journal",
    heading=lambda title: f"; {plain(title)}\n\ndecimal-mark .\n\n",
    account=lambda name, _: f"account {name}\n",
    commodity=_hledger_commodity,
    transaction=_hledger_transaction,
    opening=_hledger_opening,
    closing=_hledger_closing,
)


def _beancount_transaction(head: JournalLine, legs: Sequence[Leg]) -> str:
    day = head.effective_at.astimezone(UTC).date()
    tags = "".join(
        f"  {name}: {value if isinstance(value, int) else quoted(value)}\n"
        for name, value in _tags(head)
    )
    postings = "".join(f"  {leg.account}  {leg.amount}\n" for leg in legs)
    return f"{day} * {quoted(head.event_kind)}\n{tags}{postings}\n"


def _beancount_opening(day: date, legs: Sequence[Leg]) -> str:
    postings = "".join(f"  {leg.account}  {leg.amount}\n" for leg in legs)
    return f'{day} * "opening balances"\n{postings}\n'


def _beancount_closing(day: date, legs: Sequence[Leg]) -> str:
    """Beancount asks at the beginning of a day, and forgives a cent unless told not to."""
    morning = day + timedelta(days=1)
    return "".join(
        f"{morning} balance {leg.account}"
        f"  {format_minor(leg.amount_minor, leg.currency)} ~ 0 {leg.currency}\n"
        for leg in legs
    )


BEANCOUNT: Final = Dialect(
    name="beancount",
    suffix="beancount",
    heading=lambda title: f'option "title" {quoted(title)}\n\n',
    account=lambda name, currencies: f"{_EVER} open {name} {','.join(currencies)}\n",
    commodity=lambda currency: f"{_EVER} commodity {currency}\n",
    transaction=_beancount_transaction,
    opening=_beancount_opening,
    closing=_beancount_closing,
)
