"""The words of what profiles, checks of tax numbers and invoices refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TAX: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "tax.operator_only": (
            403,
            "Operators only",
            "Only an operator sets profiles for the tax and stores checks of numbers.",
        ),
        "tax.bad_profile": (
            422,
            "Bad profile",
            "The profile cannot be meant as it is written: {why}.",
        ),
        "tax.bad_number": (
            422,
            "No such tax number",
            "That is no tax number of {country}: {why}.",
        ),
        "tax.too_early": (
            422,
            "Too early",
            "A profile cannot be in force from {in_force_from}: what was charged is not rewritten.",
        ),
        "tax.no_number": (409, "No tax number", "The party has no tax number to check."),
        "tax.bad_check": (422, "Bad check", "The check cannot be stored: {why}."),
        "tax.nothing_to_credit": (
            409,
            "Nothing to credit",
            "No fee of that time bore a tax that the check would have spared.",
        ),
        "tax.not_proved": (
            409,
            "Not proved",
            "No valid check of the party's number says that it was valid before.",
        ),
        "tax.register_silent": (
            409,
            "Register silent",
            "The register {register} does not answer; the tax is charged, and credited later.",
        ),
        "tax.register_off": (
            409,
            "No register",
            "No register is configured for numbers of {country}.",
        ),
    }
)
"""By code."""
