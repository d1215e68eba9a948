"""Which tax our fee bears: a table of decisions over facts with evidence.

A reverse charge needs a check of the buyer's number that says it is valid and was made by then; a
number that turns valid later changes no invoice, and is credited if its owner proves it was valid.

Source: domain/tax.md 4.1. Rates: `tax/data/vat_rates.csv`, standard rates, half-open dates.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from types import MappingProxyType
from typing import Final

from kernel.errors import Refusal
from tax.model_vat import (
    Check,
    Decision,
    Evidence,
    Service,
    Supply,
    Treatment,
    WhenUnsure,
)

EU: Final = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()
)
LEVYING: Final = frozenset({"GB", "AU", "IN"})
"""Countries outside the EU whose tax falls on a foreign platform's fee to consumers there."""

TERRITORIES: Final[Mapping[str, str]] = MappingProxyType(
    {"EL": "GR", "XI": "GB", "IM": "GB", "MC": "FR"}
)
"""Where services are taxed as in another country, and how registers write some countries.

Northern Ireland is in the EU for goods alone. Source: Directive 2006/112/EC, Art. 7; VIES.
"""

ENOUGH_EVIDENCE: Final = 2


class NotEnoughEvidence(Refusal):
    """Two pieces of evidence that agree say where the buyer is; there are fewer."""

    code = "vat.not_enough_evidence"


class NoRate(Refusal):
    """No rate of this country is known for this day."""

    code = "vat.no_rate"


class NotDecided(Refusal):
    """The place of this supply follows the underlying one, which counsel must decide."""

    code = "vat.not_decided"


@dataclass(frozen=True, slots=True)
class RateRow:
    """A standard rate of a country, from a day until before another."""

    country: str
    rate_bps: int
    valid_from: date
    valid_to: date | None


def read_rates(lines: Iterable[str]) -> Mapping[str, tuple[RateRow, ...]]:
    """The rates of a file by country."""
    found: dict[str, tuple[RateRow, ...]] = {}
    for row in csv.DictReader(lines):
        made = RateRow(
            row["country"],
            int(row["rate_bps"]),
            date.fromisoformat(row["valid_from"]),
            date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        )
        found[made.country] = (*found.get(made.country, ()), made)
    return MappingProxyType(found)


RATES: Final = read_rates(
    resources.files("tax").joinpath("data/vat_rates.csv").read_text("utf-8").splitlines()
)


def rate_bps(country: str, on: date, rates: Mapping[str, tuple[RateRow, ...]] = RATES) -> int:
    """The standard rate of a country on a day, in basis points; refuses `vat.no_rate`."""
    for row in rates.get(country, ()):
        if row.valid_from <= on and (row.valid_to is None or on < row.valid_to):
            return row.rate_bps
    raise NoRate(country=country, on=on.isoformat())


def place(evidence: Iterable[Evidence]) -> str:
    """The country that most kinds of evidence agree on, at least two of them.

    Refuses `vat.not_enough_evidence`, also where as many speak for another country.
    """
    pieces: dict[str, set[str]] = {}
    for each in evidence:
        country = TERRITORIES.get(each.country, each.country)
        pieces.setdefault(country, set()).add(each.kind)
    by_weight = sorted(((len(kinds), country) for country, kinds in pieces.items()), reverse=True)
    if not by_weight or by_weight[0][0] < ENOUGH_EVIDENCE:
        raise NotEnoughEvidence(found=sorted(pieces))
    if len(by_weight) > 1 and by_weight[1][0] == by_weight[0][0]:
        raise NotEnoughEvidence(found=sorted(pieces))
    return by_weight[0][1]


def decide(supply: Supply) -> Decision:
    """The tax on one fee; refuses `vat.*`."""
    buyer = place(supply.evidence)
    check = _valid(supply, buyer)
    if buyer == supply.supplier_country and buyer in RATES:
        return _charged(supply, buyer, Treatment.DOMESTIC, "domestic")
    if buyer in EU:
        return _in_the_eu(supply, buyer, check)
    if buyer in LEVYING:
        if check is not None:
            return Decision(Treatment.REVERSE_CHARGE, buyer, 0, "reverse_charge", "abroad", check)
        return _charged(supply, buyer, Treatment.DESTINATION, "abroad")
    return Decision(Treatment.OUTSIDE_SCOPE, buyer, 0, "outside_scope", "outside", None)


def decide_or_charge(supply: Supply, when_unsure: WhenUnsure) -> Decision:
    """The tax on one fee, whatever is known: what the table does not decide is charged.

    Charged too much, it is credited when the evidence comes; charged too little, it would be ours
    to pay, so that a country that levies a tax goes before one that does not. `rule` names why
    the table did not decide.
    """
    try:
        return decide(supply)
    except Refusal as refusal:
        rule = refusal.code.removeprefix("vat.")
    home = supply.supplier_country
    guess = likeliest(supply.evidence) or home
    for country in (guess, home) if when_unsure is WhenUnsure.LIKELIEST else (home, guess):
        if country in RATES:
            same = Treatment.DOMESTIC if country == home else Treatment.DESTINATION
            return _charged(supply, country, same, rule)
    return Decision(Treatment.OUTSIDE_SCOPE, home, 0, "outside_scope", rule, None)


def likeliest(evidence: Iterable[Evidence]) -> str | None:
    """The country that most kinds of evidence speak for, the first by name of equals."""
    kinds: dict[str, set[str]] = {}
    for each in evidence:
        kinds.setdefault(TERRITORIES.get(each.country, each.country), set()).add(each.kind)
    return min(kinds, key=lambda country: (-len(kinds[country]), country), default=None)


def _in_the_eu(supply: Supply, buyer: str, check: Check | None) -> Decision:
    rule = "other_member_state" if supply.supplier_country in EU else "supplier_outside_eu"
    if check is not None:
        return Decision(Treatment.REVERSE_CHARGE, buyer, 0, "reverse_charge", rule, check)
    if supply.service is Service.INTERMEDIATION:
        raise NotDecided(country=buyer)
    return _charged(supply, buyer, Treatment.DESTINATION, rule)


def _charged(supply: Supply, country: str, treatment: Treatment, rule: str) -> Decision:
    rate = rate_bps(country, supply.on)
    return Decision(treatment, country, rate, "", rule, None)


def _valid(supply: Supply, buyer: str) -> Check | None:
    """The check that counts: of a number of the buyer's own country, made by then."""
    check = supply.check
    if check is None or not check.holds(supply.at):
        return None
    if TERRITORIES.get(check.country, check.country) != buyer:
        return None
    return check
