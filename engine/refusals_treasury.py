"""The words of what treasury, sanctions, dormancy and wallets refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TREASURY: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "treasury.bad_floor": (
            422,
            "Bad floor",
            "A floor is zero or more minor units, and of one currency that the row names.",
        ),
        "treasury.rule_stands": (
            409,
            "Row stands",
            "Another row of {rail_account} counts from {valid_from}, and rows never change.",
        ),
        "sanctions.blocked_money": (
            409,
            "Money is blocked",
            "This party is cleared by a release of its blocked money, under a licence.",
        ),
        "sanctions.nothing_blocked": (409, "Nothing blocked", "No money of this party is blocked."),
        "sanctions.unknown_release": (404, "Unknown release", "There is no such release."),
        "sanctions.release_exists": (
            409,
            "Release waits already",
            "A release of this party's money waits for its second person.",
        ),
        "sanctions.release_over": (409, "Approved already", "This release was approved before."),
        "sanctions.second_person": (
            403,
            "Two people are needed",
            "One person prepares the release of blocked money, and another approves it.",
        ),
        "sanctions.bad_licence": (
            422,
            "Reference missing",
            "Name the licence or the report by its reference, and give a reason.",
        ),
        "sanctions.unknown_block": (
            404,
            "Unknown block",
            "There is no such block that waits for its report.",
        ),
        "sanctions.bad_list": (
            422,
            "Bad list",
            "Name the list, and parties that are known; these are not: {unknown}.",
        ),
        "unclaimed.bad_rule": (422, "Bad rule", "This cannot be meant: {why}."),
        "unclaimed.unknown_owner": (
            404,
            "Unknown owner",
            "There is no such party that you may act for.",
        ),
        "unclaimed.nothing_held": (409, "Nothing held", "No unclaimed money is held here."),
        "unclaimed.owner_blocked": (
            409,
            "Owner blocked",
            "A sanctions match stands against this owner: nothing moves.",
        ),
        "unclaimed.unknown_remittance": (
            404,
            "Unknown remittance",
            "There is no such remittance that waits for its second person.",
        ),
        "unclaimed.remittance_exists": (
            409,
            "Remittance exists",
            "A remittance of this id is there already.",
        ),
        "unclaimed.second_person": (
            403,
            "Two people are needed",
            "One person prepares a remittance, and another sends it.",
        ),
        "wallet.below_minimum": (422, "Below the minimum", "At least {least} is moved at a time."),
        "wallet.bad_minimum": (
            409,
            "Bad minimum",
            "A minimum is zero or more, and one that counts from a time never changes.",
        ),
        "wallet.top_up_exists": (409, "Top-up exists", "A top-up of this id is there already."),
        "wallet.withdrawal_exists": (
            409,
            "Withdrawal exists",
            "A withdrawal of this id was asked for before.",
        ),
        "wallet.short": (409, "Wallet short", "The wallet holds {has}."),
        "wallet.method_needed": (
            422,
            "Method needed",
            "No payment takes {amount} back any more: name a payout method for it.",
        ),
    }
)
"""By code."""
