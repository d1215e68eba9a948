"""THE transition table of the chargeback (domain/escrow.md 2.9).

The rail speaks late, twice and out of order. A word is news if its rank is higher than what is
known, or equal and later by the rail's own time; so any order of words ends in the same state.
Money does not move with these rows: each balance transaction posts by itself, and what is then
lost or lifted follows from the last decision.
"""

from types import MappingProxyType
from typing import Final

from escrow.machine import (
    OPERATOR,
    PAYEE,
    RAIL,
    SYSTEM,
    Guard,
    Machine,
    Transition,
    Trigger,
)
from escrow.model_chargeback import ChargebackState

_T = Trigger
_S = ChargebackState

RANK: Final = MappingProxyType(
    {
        _S.WARNING: 1,
        _S.CLOSED: 2,
        _S.NEEDS_RESPONSE: 3,
        _S.UNDER_REVIEW: 4,
        _S.WON: 5,
        _S.PREVENTED: 5,
        _S.LOST: 5,
        _S.APPEAL_OPEN: 6,
        _S.APPEAL_UNDER_REVIEW: 7,
        _S.APPEAL_WON: 8,
        _S.APPEAL_LOST: 8,
    }
)
"""How far a word is; among equals the later one counts, and at one time the worse for us."""

WORDS: Final = MappingProxyType(
    {
        _S.WARNING: _T.WARN,
        _S.CLOSED: _T.CLOSE_WARNING,
        _S.NEEDS_RESPONSE: _T.NEED_RESPONSE,
        _S.UNDER_REVIEW: _T.REVIEW,
        _S.WON: _T.WIN,
        _S.PREVENTED: _T.PREVENT,
        _S.LOST: _T.LOSE,
        _S.APPEAL_OPEN: _T.OPEN_APPEAL,
        _S.APPEAL_UNDER_REVIEW: _T.REVIEW_APPEAL,
        _S.APPEAL_WON: _T.WIN_APPEAL,
        _S.APPEAL_LOST: _T.LOSE_APPEAL,
    }
)
"""The step that a word of the rail is."""

TURNS: Final = MappingProxyType(
    {
        _S.WON: _T.TURN_WON,
        _S.LOST: _T.TURN_LOST,
        _S.PREVENTED: _T.TURN_PREVENTED,
        _S.APPEAL_WON: _T.TURN_WON,
        _S.APPEAL_LOST: _T.TURN_LOST,
    }
)
"""The step of a later word of the same rank: the bank thought better of it."""

KEPT: Final = frozenset({_S.CLOSED, _S.WON, _S.APPEAL_WON})
"""Decisions after which the money is ours to keep."""

GONE: Final = frozenset({_S.LOST, _S.PREVENTED, _S.APPEAL_LOST})
"""Decisions after which what left does not come back."""

DECIDED: Final = KEPT | GONE

_MOVES: Final = MappingProxyType(
    {
        _S.LOST: ("P21",),
        _S.PREVENTED: ("P21",),
        _S.APPEAL_LOST: ("P21",),
        _S.WON: ("P22",),
        _S.APPEAL_WON: ("P22",),
        _S.CLOSED: ("P22",),
    }
)
_ANSWERABLE: Final = (_S.WARNING, _S.NEEDS_RESPONSE, _S.UNDER_REVIEW, _S.APPEAL_OPEN)


def _heard(word: ChargebackState) -> dict[tuple[ChargebackState | None, Trigger], Transition]:
    """The word may come first, or after any of lower rank, or after another of its own."""
    row = Transition(who=RAIL, to=word, movement=_MOVES.get(word, ()))
    before = [state for state in _S if RANK[state] < RANK[word]]
    equals = [state for state in _S if RANK[state] == RANK[word] and state is not word]
    return {(state, WORDS[word]): row for state in (None, *before)} | {
        (state, TURNS[word]): row for state in equals
    }


def step_of(known: ChargebackState, *, word: ChargebackState) -> Trigger:
    """The step that a word is, from what is known."""
    return TURNS[word] if RANK[word] == RANK[known] else WORDS[word]


CHARGEBACKS: Final[Machine] = MappingProxyType(
    {
        **{key: row for word in _S for key, row in _heard(word).items()},
        **{
            (state, _T.TELL_PAYEE): Transition(who=OPERATOR | SYSTEM, to=state)
            for state in _ANSWERABLE
        },
        **{(state, _T.ANSWER): Transition(who=PAYEE | OPERATOR, to=state) for state in _ANSWERABLE},
        (_S.NEEDS_RESPONSE, _T.SUBMIT_EVIDENCE): Transition(
            who=OPERATOR,
            to=_S.UNDER_REVIEW,
            guards=(Guard.PAYEE_HEARD, Guard.BEFORE_DEADLINE),
        ),
        (_S.APPEAL_OPEN, _T.SUBMIT_EVIDENCE): Transition(
            who=OPERATOR,
            to=_S.APPEAL_UNDER_REVIEW,
            guards=(Guard.PAYEE_HEARD, Guard.BEFORE_DEADLINE),
        ),
    }
)
"""warning -> needs_response -> under_review -> won or lost; prevented, closed; appeals."""
