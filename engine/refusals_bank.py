"""The words of what bank accounts and files of payments refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

BANK: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "bank.bad_account": (
            422,
            "Account not taken",
            "The field {field} does not hold what a bank account or file needs.",
        ),
        "bank.unknown_account": (404, "Unknown account", "No open bank account has this id."),
        "bank.no_own_account": (
            409,
            "Our own account is missing",
            "Add our own account as {source} in {currency} first.",
        ),
        "bank.account_serves": (
            409,
            "Another account serves",
            "Another account serves as {serves} in {currency}: end it first.",
        ),
        "bank.nothing_to_file": (
            409,
            "Nothing to put into a file",
            "No order of {source} in {currency} waits for a file.",
        ),
        "bank.unknown_file": (404, "Unknown file", "There is no bank file with this id."),
        "bank.file_wrong_state": (
            409,
            "Not possible in this state",
            "The file is {state} already.",
        ),
        "bank.file_takes_two": (
            403,
            "A second person must release",
            "Who made a file does not release it.",
        ),
        "bank.file_in_person": (
            403,
            "In person only",
            "Files are made and released by people, never by programs.",
        ),
        "bank.bad_day": (
            422,
            "Day not possible",
            "A file is executed today or within a year, not on {execute_on}.",
        ),
        "bank.cannot_write": (
            409,
            "The format does not take it",
            "One of the {orders} payments does not fit {format}.",
        ),
        "bank.details_erased": (
            409,
            "Details were erased",
            "Details of an account were erased: withdraw the file, or the order is refused.",
        ),
        "bank.unknown_order": (404, "Unknown order", "No order to a bank has this id."),
        "bank.order_wrong_state": (
            409,
            "It cannot be so",
            "An order that is {state} cannot be {heard}.",
        ),
        "bank.amount_differs": (
            409,
            "Another amount",
            "The statement names another amount than was ordered.",
        ),
    }
)
