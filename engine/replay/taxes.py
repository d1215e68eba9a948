"""The tax on fees in a replay: who supplies, what is known of who buys, and the documents.

The platform is in Ireland. Of most parties two pieces of evidence say where they are, of some a
single one; some are businesses with a tax number, which a register was asked about. Documents are
issued every evening.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final

from engine.replay.acts import OPERATOR
from engine.replay.behaviour import RATES
from engine.replay.dice import Dice
from engine.replay.stage import Stage
from ledger.parties import CreateParty
from rails.rates.model import Source
from tax import service_profile
from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck
from tax.model_vat import Evidence
from tax.refusals import BadNumber
from tax.service_invoice import issue_due
from tax.syntax import cleaned

HOME: Final = "IE"
CHECK_DAYS: Final = 400
"""A check of a tax number counts as long as a replay of half a year lasts."""

KINDS: Final = ("ip", "address", "bank")
"""Evidence of where somebody is; who gave little gave the first alone."""

REGISTER: Final = "simulated"
_DOCUMENTS_AT_ONCE: Final = 2_000

NUMBER_DIGITS: Final = MappingProxyType({"DE": 9, "PL": 10, "SE": 10, "GB": 9, "AU": 11})
"""Countries whose numbers are digits that one can make up, and how many."""

_ENDS: Final = MappingProxyType({"SE": "01"})
_MOST_TRIES: Final = 2_000


@dataclass(slots=True)
class Taxes:
    """The tax office of a replay; `source` gives the rates of exchange that invoices name."""

    seed: int
    source: Source | None

    def open(self, stage: Stage) -> None:
        """The supplier's profile, in force from the first moment on."""
        stage.serve(
            service_profile.set_supplier,
            [
                SetSupplier(
                    actor=OPERATOR,
                    country=HOME,
                    name="Holdfast Replay Ltd",
                    address="1 Custom House Quay, Dublin",
                    tax_numbers={},
                    check_days=CHECK_DAYS,
                )
            ],
        )

    def welcome(self, stage: Stage, fresh: Iterable[CreateParty], at: datetime) -> None:
        """Say what is known of new parties, and ask the register about their numbers."""
        buyers = [self._buyer(each) for each in fresh]
        stage.serve(service_profile.set_buyer, buyers)
        stage.serve(
            service_profile.store_check,
            [self._check(each, at) for each in buyers if each.person.tax_number],
        )

    def issue(self, stage: Stage) -> int:
        """Issue the documents of all fees that have none yet; how many."""
        issued = 0
        while True:
            made = stage.call(partial(issue_due, limit=_DOCUMENTS_AT_ONCE, rates=self.source))
            issued += len(made.numbers)
            if not made.numbers:
                return issued

    def _buyer(self, party: CreateParty) -> SetBuyer:
        dice = Dice(self.seed, f"tax|{party.reference}")
        kinds = KINDS[:1] if dice.happens("little", RATES.little_evidence) else KINDS
        evidence = tuple(Evidence(kind, party.country) for kind in kinds if party.country)
        number = ""
        if (
            party.country in NUMBER_DIGITS
            and party.country
            and dice.happens("business", RATES.is_business)
        ):
            number = made_up_number(dice, party.country)
        assert party.party_id is not None
        return SetBuyer(
            actor=OPERATOR,
            party_id=party.party_id,
            evidence=evidence,
            is_business=bool(number),
            tax_country=party.country if number else None,
            person=Person(party.reference, "1 Main Street", number),
        )

    def _check(self, buyer: SetBuyer, at: datetime) -> StoreCheck:
        dice = Dice(self.seed, f"tax|{buyer.person.name}")
        return StoreCheck(
            actor=OPERATOR,
            party_id=buyer.party_id,
            answer=RegisterAnswer(
                register=REGISTER,
                is_valid=not dice.happens("invalid", RATES.number_is_invalid),
                reference=f"consultation-{buyer.party_id.hex[-12:]}",
                checked_at=at,
            ),
        )


def made_up_number(dice: Dice, country: str) -> str:
    """A tax number of a country, made up, with the right check digits; empty if none was found."""
    digits = NUMBER_DIGITS[country]
    for attempt in range(_MOST_TRIES):
        body = dice.below(f"number{attempt}", 9 * 10 ** (digits - 1)) + 10 ** (digits - 1)
        try:
            return cleaned(f"{body}{_ENDS.get(country, '')}", country=country)
        except BadNumber:
            continue
    return ""
