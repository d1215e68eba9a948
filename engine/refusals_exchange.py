"""The words of what exchange refuses beside its rates (those stand with the prices).

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EXCHANGE: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "fx.no_rate": (409, "No rate", "There is no rate for {bought} of {sold}."),
        "fx.same_currency": (422, "One currency", "{currency} is not exchanged for itself."),
        "fx.unknown_party": (404, "Unknown party", "There is no such party that you may act for."),
        "fx.unknown_quote": (404, "Unknown quote", "There is no such quote of this party."),
        "fx.quote_used": (409, "Quote used", "A quote is used once; this one was, for {used_by}."),
        "fx.quote_expired": (
            409,
            "Quote expired",
            "The quote ended at {expires_at}: ask for a new one.",
        ),
        "fx.quote_does_not_fit": (
            422,
            "Quote of something else",
            "The quote is not of this amount in these currencies.",
        ),
        "fx.rate_moved": (
            409,
            "The rate has moved",
            "The payee would get another amount than was shown: look at it, or take a new quote.",
        ),
        "fx.over_limit": (
            409,
            "Limit of exchange reached",
            "{open_minor} minor units of {currency} wait, and {limit_minor} may.",
        ),
        "fx.rate_differs": (
            409,
            "Another rate stands",
            "{source} gave {stands} {bought} for a {sold} on {as_of} before.",
        ),
        "fx.unknown_conversion": (404, "Unknown conversion", "There is no such conversion."),
        "fx.already_filled": (
            409,
            "Filled already",
            "{provider} has filled this conversion with {provider_ref}.",
        ),
        "fx.fill_taken": (
            409,
            "Fill used before",
            "{provider} has filled conversion {conversion_id} with {provider_ref}.",
        ),
        "fx.fill_in_another_currency": (
            422,
            "Filled in another currency",
            "The conversion bought {currency}, and the fill is in {given}.",
        ),
        "fx.bad_policy": (422, "Bad policy of exchange", "The policy cannot be meant: {why}."),
        "fx.unknown_policy": (404, "Unknown policy", "There is no such policy of exchange."),
        "fx.policy_approved": (409, "Approved already", "This policy was approved before."),
        "fx.second_person": (
            403,
            "Two people are needed",
            "One person prepares a policy of exchange, and another approves it.",
        ),
        "fx.not_operator": (403, "For the platform only", "Only the platform does this."),
        "fx.on_hold": (409, "On hold", "Holds stand on this money: {holds}."),
        "fx.party_not_clear": (
            409,
            "Party not clear",
            "This party is not verified, or has a sanctions hit.",
        ),
        "fx.not_revalued": (409, "Not revalued", "Nothing was revalued for {on}."),
        "fx.later_revalued": (
            409,
            "A later day was revalued",
            "{on} was revalued already; take that back first.",
        ),
        "fx.day_not_over": (409, "Day not over", "{on} is not over yet."),
    }
)
"""By code."""
