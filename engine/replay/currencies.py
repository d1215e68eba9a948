"""The currencies of a replay: which one a client pays in, and what dollars are in it on a day.

Postings name dollars. A client pays in his country's currency where the central bank has a rate of
it on the day of the posting, and in dollars where it has none; countries that took the euro since
are in it from the start, so that no currency ends in the middle of a contract.
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from engine.replay.countries import code_of
from engine.replay.postings import CURRENCY
from kernel.money import convert
from rails.rates.model import Source

_EURO: Final = "AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MC ME MT NL PT SI SK SM GP"

_OWN: Final = """
AU AUD|BR BRL|CA CAD|CH CHF|LI CHF|CN CNY|CZ CZK|DK DKK|GB GBP|HK HKD|HU HUF|ID IDR|IL ILS|IN INR
JP JPY|KR KRW|MX MXN|MY MYR|NO NOK|NZ NZD|PH PHP|PL PLN|RO RON|SE SEK|SG SGD|TH THB|TR TRY|ZA ZAR
"""

BY_COUNTRY: Final = MappingProxyType(
    {
        **dict.fromkeys(_EURO.split(), "EUR"),
        **{item[:2]: item[3:] for line in _OWN.split("\n") for item in line.split("|") if item},
    }
)
"""ISO 3166-1 code -> currency; who is not here pays in dollars."""


@dataclass(frozen=True, slots=True)
class Local:
    """A currency, and how much of it one dollar was on the day that counts."""

    currency: str
    rate: Fraction

    def of(self, dollars_minor: int) -> int:
        """An amount of dollars in this currency, at least one minor unit; both in minor units."""
        found = convert(dollars_minor, sold=CURRENCY, bought=self.currency, rate=self.rate)
        return max(1, found)


DOLLARS: Final = Local(CURRENCY, Fraction(1))

_PAYEES: Final = (
    "US 20|IN 16|PH 9|PK 6|GB 7|UA 5|DE 5|IE 3|FR 3|ES 3|"
    "PL 4|RO 2|CA 3|AU 2|JP 3|CH 2|SE 2|BR 3|KR 2"
)

PAYEE_COUNTRIES: Final = MappingProxyType({item[:2]: int(item[3:]) for item in _PAYEES.split("|")})
"""Where freelancers live, and how many of a hundred; made up, as postings do not name them."""


def currency_of(country: str) -> str:
    """The currency of a country named in English, or of its code; dollars where we know none."""
    return BY_COUNTRY.get(code_of(country) or country, CURRENCY)


def local_of(source: Source | None, currency: str, on: date) -> Local:
    """A currency at the source's rate of a day; dollars without a source, or without a rate."""
    if source is None or currency == CURRENCY:
        return DOLLARS
    found = source.find(sold=CURRENCY, bought=currency, on=on)
    return DOLLARS if found is None else Local(currency, found.rate)
