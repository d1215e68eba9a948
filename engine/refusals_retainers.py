"""The words of what retainers refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RETAINERS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "retainer.unknown": (404, "Unknown retainer", "There is no such retainer."),
        "retainer.unknown_period": (404, "Unknown period", "There is no such period."),
        "retainer.unknown_drawdown": (404, "Unknown drawdown", "There is no such drawdown."),
        "retainer.bad_terms": (
            422,
            "Retainer out of range",
            "The terms of the retainer do not hold: {field}.",
        ),
        "retainer.not_funded": (
            409,
            "Not funded",
            "The period holds no money of the client: do not work, it is not protected.",
        ),
        "retainer.overdrawn": (
            409,
            "More than is there",
            "The period has {available_minor} minor units left to draw, {amount_minor} were asked.",
        ),
        "retainer.nothing_to_draw": (
            409,
            "Nothing to draw",
            "An access fee is earned by the end of its period; nothing is drawn from it.",
        ),
        "retainer.drawdowns_open": (
            409,
            "Drawdowns open",
            "Drawdowns that wait for the client are decided first.",
        ),
        "retainer.period_before_open": (
            409,
            "Earlier period open",
            "The period before is settled first: what it carries over is used first.",
        ),
        "retainer.next_not_funded": (
            409,
            "Next period not funded",
            "What is left rolls into the next period once that is funded.",
        ),
        "retainer.bad_drawdown": (
            422,
            "Not what this retainer takes",
            "The drawdown is refused: {why}.",
        ),
        "retainer.no_running_period": (
            409,
            "No such period now",
            "Only a running period is paused, only a paused one resumed.",
        ),
        "term.unknown_amendment": (
            404,
            "Unknown term amendment",
            "There is no such amendment of a term.",
        ),
        "term.amendment_open": (
            409,
            "Amendment open",
            "The term has an amendment that is not answered yet.",
        ),
        "term.bad_price": (422, "No such price", "The price is refused: {why}."),
        "term.over": (409, "Term over", "The term was never signed, or has ended."),
        "term.only_offerer": (
            409,
            "Not your offer",
            "Only the side that offered an amendment withdraws it.",
        ),
        "escrow.not_a_milestone": (
            409,
            "Not a milestone",
            "The slot of a week or a period moves by the week or the period.",
        ),
    }
)
