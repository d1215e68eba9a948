"""The words of what methods, screening, payees' accounts and the policy of payouts refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PAYOUTS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "payouts.method_unverified": (
            409,
            "Method not verified",
            "It takes payouts once somebody has verified that it is the payee's.",
        ),
        "payouts.method_cooling": (
            409,
            "Method too new",
            "It takes payouts from {usable_from} on, so that its owner hears of it before.",
        ),
        "payouts.not_unverified": (
            409,
            "Nothing to verify",
            "This method is {state}; only one that waits for it can be verified.",
        ),
        "payouts.below_minimum": (
            422,
            "Below the minimum",
            "At least {minimum} is paid out at a time; the money stays until it is enough.",
        ),
        "payouts.needs_approval": (
            409,
            "A second person must approve",
            "This payout is above the limit: it waits for another person's word.",
        ),
        "payouts.needs_no_approval": (
            409,
            "Needs no approval",
            "This payout is within the limit; nobody has to look at it.",
        ),
        "payouts.second_person": (
            403,
            "A second person must approve",
            "Another person than the one who asked has to approve, signed in himself.",
        ),
        "payouts.not_sanctioned": (
            409,
            "No sanctions match",
            "Money is blocked on a sanctions match alone, and this payee has none.",
        ),
        "payouts.reason_missing": (
            422,
            "Reason missing",
            "Say why: whoever waits for the money is told.",
        ),
        "payouts.processor_short": (
            409,
            "Not there yet",
            "The balance at {rail} does not hold it beyond what is promised; the payout waits.",
        ),
        "payouts.no_payee_account": (
            409,
            "No account at the rail",
            "The payee has no account at {rail} that may be paid out; let one be opened first.",
        ),
        "payouts.payee_account_exists": (
            409,
            "Account exists",
            "The payee has an account at {rail}, or one is being opened.",
        ),
        "payouts.unknown_payee_account": (
            404,
            "Unknown account",
            "There is no such account of a payee, or the rail has not opened it yet.",
        ),
        "payouts.bad_policy": (
            422,
            "Policy not taken",
            "A policy is of methods (days 0 to 365) or of a currency (limit, minimum).",
        ),
        "payouts.unknown_policy": (
            404,
            "Unknown policy",
            "No policy of this id waits for its second person.",
        ),
    }
)
