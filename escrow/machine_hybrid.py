"""THE transition table of the term amendment: offered by one side, signed by the other."""

from types import MappingProxyType
from typing import Final

from escrow.machine import EITHER, Guard, Machine, Transition, Trigger
from escrow.model_hybrid import OfferState

_T = Trigger
_S = OfferState

TERM_AMENDMENTS: Final[Machine] = MappingProxyType(
    {
        (None, _T.PROPOSE): Transition(who=EITHER, to=_S.PROPOSED),
        (_S.PROPOSED, _T.ACCEPT): Transition(
            who=EITHER, to=_S.SIGNED, guards=(Guard.OTHER_PARTY,), movement=("P31",)
        ),
        (_S.PROPOSED, _T.REJECT): Transition(
            who=EITHER, to=_S.REJECTED, guards=(Guard.OTHER_PARTY,)
        ),
        (_S.PROPOSED, _T.WITHDRAW): Transition(who=EITHER, to=_S.WITHDRAWN, guards=(Guard.OPENER,)),
    }
)
"""proposed -> signed, rejected, withdrawn."""
