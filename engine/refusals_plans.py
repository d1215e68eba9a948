"""The words of what plans, products and subscriptions refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PLANS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "plans.not_yours": (403, "Not yours", "This step belongs to another role."),
        "plans.wrong_state": (
            409,
            "Not possible in this state",
            "From {state} there is no step {trigger}.",
        ),
        "plans.in_person_only": (
            403,
            "In person only",
            "What is sold is prepared and approved by operators in person, not by programs.",
        ),
        "plans.second_person": (
            403,
            "A second person must approve",
            "Who prepared a version cannot approve it.",
        ),
        "plans.bad_offering": (
            422,
            "Nothing that could be sold",
            (
                "The field {field} is outside its range: a plan has prices a month or a year, a"
                " product one price above zero and its days, and a name is a plain word."
            ),
        ),
        "plans.unknown_offering": (404, "Unknown version", "There is no version with this id."),
        "plans.too_late": (
            409,
            "Time is over",
            (
                "A version is sold from {wanted_from} at the earliest if that is still to come, and"
                " after every version that is approved already."
            ),
        ),
        "plans.not_sold": (
            409,
            "Not sold",
            "There is no {name} for this currency and this length of time now.",
        ),
        "plans.another_version": (
            409,
            "Another version is sold now",
            "Of {name} version {version} is sold now: look at its price first.",
        ),
        "plans.subscribed": (
            409,
            "There is a plan already",
            "A party has one plan; it is ended before another begins.",
        ),
        "plans.running": (
            409,
            "Running already",
            "The days of {product} for {about} are not over yet.",
        ),
        "plans.on_hold": (409, "On hold", "An open hold blocks every charge."),
        "plans.keeps": (
            409,
            "Nothing goes back",
            "By its terms it runs to its end, and nothing is given back.",
        ),
        "plans.nothing_left": (
            409,
            "Nothing left",
            "Every day of it has begun: there is nothing to give back.",
        ),
        "plans.unknown_party": (404, "Unknown party", "There is no party with this id."),
        "plans.unknown_subscription": (
            404,
            "Unknown subscription",
            "There is no such subscription.",
        ),
        "plans.unknown_purchase": (404, "Unknown purchase", "There is no such purchase."),
        "plans.stale_version": (
            409,
            "Changed meanwhile",
            "What you saw is no longer so: read it again, then decide.",
        ),
    }
)
