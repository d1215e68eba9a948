"""The words of what the keepers of fee schedules are refused.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FEES: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "fees.finance_only": (
            403,
            "Finance people only",
            "Fee schedules are prepared and approved by people with the finance right.",
        ),
        "fees.same_person": (
            403,
            "Another person must approve",
            "Who prepared a change of fees does not approve it.",
        ),
        "fees.unknown_schedule": (404, "No such fee schedule", "There is no such fee schedule."),
        "fees.unknown_ending": (404, "No such end", "There is no such end of a fee schedule."),
        "fees.unknown_move": (404, "No such move", "There is no such move of contracts."),
        "fees.unknown_in_scope": (
            422,
            "Unknown in scope",
            "The scope names {id}, and there is no such contract or client.",
        ),
        "fees.wrong_state": (409, "Not in that state", "It is {state} already."),
        "fees.id_taken": (409, "Id taken", "Another fee schedule has the id {id}."),
        "fees.changes_the_past": (
            409,
            "Changes the past",
            "A fee schedule begins and ends no earlier than it is approved; this names {starts}.",
        ),
        "fees.not_replaceable": (
            409,
            "Nothing to replace",
            "{replaces} is not of the same side, scope and priority, or does not hold then.",
        ),
        "fees.promotion_named": (
            409,
            "Promotion named already",
            "The deal names a promotion already, or was accepted.",
        ),
        "fees.unknown_promotion": (
            422,
            "No such promotion",
            "No promotion {promotion} is in force for deals that name it.",
        ),
    }
)
