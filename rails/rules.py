"""Which word of a rail is news: an operation only ever moves forward."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rails.model import OperationState, RailOutcome, RailResult

_RANK: Final = MappingProxyType(
    {
        # A word about what no rail was told of is news, and the database refuses it: people look.
        OperationState.CREATED: 0,
        OperationState.WITHDRAWN: 0,
        OperationState.SENT: 1,
        OperationState.UNKNOWN: 2,
        OperationState.PENDING: 3,
        OperationState.DONE: 4,
        OperationState.REFUSED: 5,
    }
)
"""REFUSED stands above DONE because a payment that was made may still come back, while a
payment that was refused is never made: a new try is a new operation."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What we know of an operation so far."""

    state: OperationState
    cleared: bool
    has_left: bool = False


def is_news(standing: Standing, result: RailResult) -> bool:
    """Whether a result tells more than we know: later in rank, cleared, or gone from its account.

    A duplicate, and an older word that comes late, is no news.

    Source: domain/escrow.md 2.11, edge cases 2 and 3.
    """
    heard = OperationState(result.outcome)
    if heard == standing.state == OperationState.PENDING:
        return result.has_left and not standing.has_left
    if heard == standing.state:
        return heard == OperationState.DONE and result.cleared and not standing.cleared
    return _RANK[heard] > _RANK[standing.state]


def best(results: list[RailResult]) -> RailResult:
    """The result of highest rank among several of one operation; the later one of equals."""
    return max(
        results,
        key=lambda result: (
            _RANK[OperationState(result.outcome)],
            result.cleared,
            result.has_left,
        ),
    )


def is_settled(outcome: RailOutcome) -> bool:
    """Whether the rail has said yes or no."""
    return outcome in (RailOutcome.DONE, RailOutcome.REFUSED)
