"""The words of what those are refused who try out fees.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EXPERIMENTS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "experiment.unknown": (404, "Unknown experiment", "There is no such experiment."),
        "experiment.people_only": (
            403,
            "People of the platform only",
            "People of the platform prepare, start and decide experiments; no key and no party.",
        ),
        "experiment.same_person": (
            403,
            "Another person is needed",
            "Who prepared an experiment neither starts nor decides it.",
        ),
        "experiment.wrong_state": (
            409,
            "Not possible now",
            "The experiment is {state}; that does not go with {trigger}.",
        ),
        "experiment.name_taken": (
            409,
            "Name taken",
            "There is an experiment {name}; its units were cut by this name.",
        ),
        "experiment.no_price": (
            409,
            "An arm without a price",
            "No approved fee schedule is for the arm {arm} now: prepare one with this scope.",
        ),
        "experiment.unknown_arm": (422, "Unknown arm", "The experiment has no arm {arm}."),
        "experiment.reason_missing": (
            422,
            "Reason missing",
            "Say why an experiment is stopped, and what its decision rests on.",
        ),
    }
)
