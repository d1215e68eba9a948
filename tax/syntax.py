"""The syntax of tax numbers by country: letters, digits and check digits, and nothing else.

That a number could exist says nothing about whether it does: only a register's answer counts.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import stdnum.au.abn
import stdnum.eu.vat
import stdnum.gb.vat
import stdnum.in_.gstin
from stdnum.exceptions import ValidationError

from tax.refusals import BadNumber
from tax.vat import EU, TERRITORIES

_OTHERS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "GB": stdnum.gb.vat.validate,
        "AU": stdnum.au.abn.validate,
        "IN": stdnum.in_.gstin.validate,
    }
)
_LONGEST: Final = 40


def cleaned(number: str, *, country: str) -> str:
    """A tax number of a country in the one way it is stored; refuses `tax.bad_number`.

    Numbers of the EU carry their prefix (`EL` for Greece). Of a country whose numbers we do not
    know, any visible ASCII is taken: they decide nothing.
    """
    given = number.strip().upper()
    if not given or len(given) > _LONGEST or not given.isascii() or not given.isprintable():
        raise BadNumber(country=country, why="it is no short ASCII text")
    try:
        if country in EU or given.startswith("XI"):
            return _european(country, given)
        validate = _OTHERS.get(TERRITORIES.get(country, country))
        return validate(given) if validate else given
    except ValidationError as wrong:
        raise BadNumber(country=country, why=str(wrong).rstrip(".")) from None


def _european(country: str, given: str) -> str:
    prefix = "EL" if country == "GR" else "XI" if country == "GB" else country
    if country == "GR" and given.startswith("GR"):
        given = f"EL{given[2:]}"
    compact = stdnum.eu.vat.compact(given if given.startswith(prefix) else prefix + given)
    stdnum.eu.vat.validate(compact)
    return compact
