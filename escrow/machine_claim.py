"""THE transition table of a claim on a payee (domain/escrow.md 2.9; edge case 9)."""

from types import MappingProxyType
from typing import Final

from escrow.machine import OPERATOR, PAYEE, RAIL, SYSTEM, Guard, Machine, Transition, Trigger
from escrow.model_claim import ClaimState

_T = Trigger
_S = ClaimState

CLAIMS: Final[Machine] = MappingProxyType(
    {
        (None, _T.CREATE): Transition(
            who=PAYEE | OPERATOR | RAIL, to=_S.OPEN, movement=("P17", "P21")
        ),
        (_S.OPEN, _T.RECOVER): Transition(who=SYSTEM, to=_S.OPEN, movement=("P23",)),
        (_S.OPEN, _T.RECOVER_ALL): Transition(who=SYSTEM, to=_S.RECOVERED, movement=("P23",)),
        (_S.OPEN, _T.RELIEVE): Transition(who=RAIL, to=_S.OPEN, movement=("P22",)),
        (_S.OPEN, _T.RELIEVE_ALL): Transition(who=RAIL, to=_S.RECOVERED, movement=("P22",)),
        (_S.OPEN, _T.PROPOSE_WRITE_OFF): Transition(
            who=OPERATOR, to=_S.OPEN, guards=(Guard.IN_PERSON, Guard.REASON_GIVEN)
        ),
        (_S.OPEN, _T.APPROVE_WRITE_OFF): Transition(
            who=OPERATOR,
            to=_S.WRITTEN_OFF,
            guards=(Guard.IN_PERSON, Guard.SECOND_PERSON),
            movement=("P24",),
        ),
    }
)
"""What a payee owes: recovered from later releases or by the bank, or written off by two people."""
