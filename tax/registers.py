"""Public registers of tax numbers behind one interface: VIES, HMRC, and a simulated one.

None is asked unless it was configured. A register that does not answer is `RailTrouble`: nothing is
stored, the tax is charged meanwhile, and credited if the number is proved later.

Source: the registers' own descriptions of their interfaces (VIES REST, HMRC check-vat-number 2.0).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from kernel.errors import RailTrouble
from tax.model_profile import Register, RegisterAnswer
from tax.vat import EU

VIES_URL: Final = "https://ec.europa.eu/taxation_customs/vies/rest-api"
HMRC_URL: Final = "https://api.service.hmrc.gov.uk"
TIMEOUT_S: Final = 20

_MOST_BYTES: Final = 100_000
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class SimulatedRegister:
    """Knows what it is told: numbers that are valid; with `is_down` it answers nothing."""

    valid: frozenset[str] = frozenset()
    is_down: bool = False
    name: str = "simulated"

    def covers(self, country: str, number: str) -> bool:  # noqa: ARG002  any number
        """Numbers of every country."""
        return True

    def ask(self, country: str, number: str, *, at: datetime) -> RegisterAnswer:
        """Whether it was told so; the reference is made of the number."""
        if self.is_down:
            raise RailTrouble("the simulated register is down")
        is_valid = number in self.valid
        return RegisterAnswer(self.name, is_valid, f"SIM-{country}-{number[-4:]}", at)


@dataclass(frozen=True, slots=True)
class ViesRegister:
    """The European Commission's. Without a requester it gives no consultation number."""

    requester: str
    url: str = VIES_URL
    name: str = "vies"

    def covers(self, country: str, number: str) -> bool:
        """Numbers of member states, and those of Northern Ireland."""
        return country in EU or number.startswith("XI")

    def ask(self, country: str, number: str, *, at: datetime) -> RegisterAnswer:
        """What the member state's own register says through it."""
        del country  # the number has its prefix, which for Greece is not the country
        query = urlencode(
            {
                "requesterMemberStateCode": self.requester[:2],
                "requesterNumber": self.requester[2:],
            }
        )
        where = f"{self.url}/ms/{quote(number[:2])}/vat/{quote(number[2:])}?{query}"
        said = _get(self.name, where)
        if said is None or said.get("userError") not in {"VALID", "INVALID"}:
            raise RailTrouble(f"vies could not say: {said and said.get('userError')}")
        is_valid = said.get("isValid") is True and said["userError"] == "VALID"
        return RegisterAnswer(self.name, is_valid, str(said.get("requestIdentifier") or ""), at)


@dataclass(frozen=True, slots=True)
class HmrcRegister:
    """The United Kingdom's, by a token of its developer hub; the requester is our own number."""

    requester: str
    token: str = field(repr=False)
    url: str = HMRC_URL
    name: str = "hmrc"

    def covers(self, country: str, number: str) -> bool:
        """Numbers of Great Britain; those of Northern Ireland are asked of VIES."""
        return country == "GB" and not number.startswith("XI")

    def ask(self, country: str, number: str, *, at: datetime) -> RegisterAnswer:
        """What it says; a number that it does not find is not valid."""
        del country
        path = f"organisations/vat/check-vat-number/lookup/{quote(number)}/{quote(self.requester)}"
        headers = {
            "Accept": "application/vnd.hmrc.2.0+json",
            "Authorization": f"Bearer {self.token}",
        }
        said = _get(self.name, f"{self.url}/{path}", headers)
        if said is None:
            return RegisterAnswer(self.name, is_valid=False, reference="", checked_at=at)
        target = said.get("target")
        is_found = isinstance(target, dict) and target.get("vatNumber") == number
        return RegisterAnswer(self.name, is_found, str(said.get("consultationNumber") or ""), at)


def configured(environment: Mapping[str, str], *, numbers: Mapping[str, str]) -> Sequence[Register]:
    """The registers that `HOLDFAST_TAX_REGISTERS` names (vies, hmrc), none by default.

    `numbers` are the supplier's own, by country: a register wants to know who asks.
    """
    named = {name.strip() for name in environment.get("HOLDFAST_TAX_REGISTERS", "").split(",")}
    found: list[Register] = []
    own = [number for country, number in sorted(numbers.items()) if country in EU]
    if "vies" in named and own:
        found.append(ViesRegister(own[0], environment.get("HOLDFAST_VIES_URL") or VIES_URL))
    token = environment.get("HOLDFAST_HMRC_TOKEN", "")
    if "hmrc" in named and token and "GB" in numbers:
        url = environment.get("HOLDFAST_HMRC_URL") or HMRC_URL
        found.append(HmrcRegister(numbers["GB"], token, url))
    return found


def _get(register: str, url: str, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  a JSON object
    """The JSON object at an address; None if there is none; RailTrouble for all else."""
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise RailTrouble(f"{register} is asked by https alone")
    request = Request(url, headers=dict(headers or {}))  # noqa: S310  checked above
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  checked above
            said = json.loads(answer.read(_MOST_BYTES))
    except HTTPError as trouble:
        if trouble.code == _NOT_FOUND:
            return None
        raise RailTrouble(f"{register} answered {trouble.code}") from trouble
    except (URLError, TimeoutError, ConnectionError, ValueError) as trouble:
        raise RailTrouble(f"{register} did not answer: {type(trouble).__name__}") from trouble
    if not isinstance(said, dict):
        raise RailTrouble(f"{register} answered no object")
    return said
