"""What a profile must be, purely."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck, Supplier
from tax.model_vat import Evidence
from tax.refusals import BadCheck, BadProfile, TaxOperatorOnly, TooEarly
from tax.syntax import cleaned
from tax.vat import RATES, TERRITORIES

MOST_EVIDENCE = 20


def supplier(command: SetSupplier, newest: Supplier | None, at: datetime) -> Supplier:
    """The next version of the supplier's profile; refuses `tax.*`."""
    if not command.actor.is_operator:
        raise TaxOperatorOnly
    since = command.in_force_from or at
    _check_country(command.country)
    _check_text("name", command.name, 200)
    _check_text("address", command.address, 1_000)
    if not 1 <= command.check_days <= 3_660:
        raise BadProfile(why="a check counts for 1 to 3,660 days")
    # A profile of the past would decide anew what was decided; the first may begin before it.
    floor = at if newest is not None else datetime.min.replace(tzinfo=at.tzinfo)
    rows = RATES.get(command.country)
    known = min(row.valid_from for row in rows) if rows else None
    if since < floor or (known is not None and since.date() < known):
        raise TooEarly(in_force_from=since.isoformat())
    numbers = {}
    for country, number in sorted(command.tax_numbers.items()):
        _check_country(country)
        numbers[country] = cleaned(number, country=country)
    return Supplier(
        newest.version + 1 if newest else 1,
        since,
        command.country,
        command.name.strip(),
        command.address.strip(),
        numbers,
        command.service,
        command.when_unsure,
        command.check_days,
    )


def buyer(command: SetBuyer) -> tuple[str | None, Person]:
    """The country of the buyer's number, and name, address and number; refuses `tax.*`.

    By an operator alone: who could tell of himself where he is would choose his tax.
    """
    if not command.actor.is_operator:
        raise TaxOperatorOnly
    _check_evidence(command.evidence)
    person = command.person
    for name, text, longest in (("name", person.name, 200), ("address", person.address, 1_000)):
        if text:
            _check_text(name, text, longest)
    if not person.tax_number:
        return None, Person(person.name.strip(), person.address.strip())
    if not command.is_business or command.tax_country is None:
        raise BadProfile(why="a tax number is of a business, and of a country")
    _check_country(command.tax_country)
    country = TERRITORIES.get(command.tax_country, command.tax_country)
    number = cleaned(person.tax_number, country=country)
    return country, Person(person.name.strip(), person.address.strip(), number)


def check(command: StoreCheck, at: datetime) -> RegisterAnswer:
    """The answer as it may be stored; refuses `tax.operator_only`, `tax.bad_check`."""
    answer = command.answer
    if not command.actor.is_operator:
        raise TaxOperatorOnly
    if answer.checked_at > at:
        raise BadCheck(why="it was made in the future")
    if answer.is_valid and not answer.reference.strip():
        raise BadCheck(why="it names no consultation")
    if len(answer.reference) > 200 or not 1 <= len(answer.register) <= 40:
        raise BadCheck(why="its register or reference is too long")
    if answer.valid_since is not None and (
        not answer.is_valid or answer.valid_since > answer.checked_at
    ):
        raise BadCheck(why="only a valid number was valid before")
    return answer


def numbers_as_json(numbers: Mapping[str, str]) -> dict[str, str]:
    """Tax numbers by country, in the order of countries."""
    return dict(sorted(numbers.items()))


def _check_evidence(evidence: Iterable[Evidence]) -> None:
    pieces = list(evidence)
    if len(pieces) > MOST_EVIDENCE:
        raise BadProfile(why=f"more than {MOST_EVIDENCE} pieces of evidence")
    for each in pieces:
        _check_country(each.country)
        _check_text("kind of evidence", each.kind, 40)


def _check_country(country: str) -> None:
    if not (len(country) == 2 and country.isascii() and country.isalpha() and country.isupper()):
        raise BadProfile(why=f"{country[:40]!r} is no country of two letters")


def _check_text(name: str, text: str, longest: int) -> None:
    if not 1 <= len(text.strip()) <= longest:
        raise BadProfile(why=f"the {name} has 1 to {longest} characters")
    if any(not each.isprintable() and each != "\n" for each in text):
        raise BadProfile(why=f"the {name} holds characters that cannot be printed")
