"""THE transition tables of escrow: who may do what from which state, and what follows.

Rows are those of domain/escrow.md 2.3, 2.4 and 2.9; the milestone's own are in
`escrow.machine_slot`, the dispute's in `escrow.machine_dispute`. The same tables draw the
diagrams of docs/machines and answer what one can do now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from escrow.model import ContractState, FundingState, RefundState, ReleaseState, Role
from escrow.triggers import Guard, Timer, Trigger

__all__ = [
    "ANYONE",
    "CLIENT",
    "CONTRACTS",
    "EITHER",
    "FUNDINGS",
    "OPEN_FUNDING",
    "OPERATOR",
    "PAYEE",
    "RAIL",
    "REFUNDS",
    "RELEASES",
    "SYSTEM",
    "Guard",
    "Machine",
    "Timer",
    "Transition",
    "Trigger",
    "from_each",
]


S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row: who may, what must hold, where it leads, which postings, which clocks."""

    who: frozenset[Role]
    to: StrEnum
    guards: tuple[Guard, ...] = ()
    movement: tuple[str, ...] = ()
    arms: tuple[Timer, ...] = ()
    cancels: tuple[Timer, ...] = ()
    pauses: tuple[Timer, ...] = ()


Machine = Mapping[tuple[StrEnum | None, Trigger], Transition]

CLIENT: Final = frozenset({Role.CLIENT})
PAYEE: Final = frozenset({Role.PAYEE})
EITHER: Final = CLIENT | PAYEE
OPERATOR: Final = frozenset({Role.OPERATOR})
SYSTEM: Final = frozenset({Role.SYSTEM})
RAIL: Final = frozenset({Role.RAIL})
ANYONE: Final = EITHER | OPERATOR
_FUND_TIMERS: Final = (Timer.FUND_INTERACTIVE, Timer.FUND_BANK)

OPEN_FUNDING: Final = (
    FundingState.CREATED,
    FundingState.REQUIRES_ACTION,
    FundingState.PROCESSING,
    FundingState.UNKNOWN,
)
"""States in which the rail may still take the money."""

RETURNABLE: Final = (
    FundingState.SUCCEEDED_UNCLEARED,
    FundingState.SUCCEEDED,
    FundingState.CREDITED,
)
"""States in which the client's bank may still take the money back, for months."""

_GONE_FUNDING: Final = (FundingState.FAILED, FundingState.CANCELED, FundingState.EXPIRED)
_OPEN_REFUND: Final = (RefundState.APPROVED, RefundState.SUBMITTED, RefundState.UNKNOWN)


def from_each(
    states: Iterable[S | None], trigger: Trigger, row: Transition
) -> dict[tuple[StrEnum | None, Trigger], Transition]:
    """The same row for each of these states."""
    return {(state, trigger): row for state in states}


_T = Trigger
_G = Guard
_C = ContractState

CONTRACTS: Final[Machine] = MappingProxyType(
    {
        (None, _T.PROPOSE): Transition(who=EITHER, to=_C.DRAFT, guards=(_G.AMOUNT_IN_RANGE,)),
        (_C.DRAFT, _T.ACCEPT): Transition(who=EITHER, to=_C.ACTIVE, guards=(_G.OTHER_PARTY,)),
        (_C.ACTIVE, _T.ACCEPT): Transition(who=EITHER, to=_C.ACTIVE, guards=(_G.OTHER_PARTY,)),
        (_C.DRAFT, _T.END): Transition(who=EITHER, to=_C.ENDED),
        (_C.ACTIVE, _T.PAUSE): Transition(who=ANYONE | SYSTEM, to=_C.PAUSED),
        (_C.PAUSED, _T.RESUME): Transition(who=ANYONE, to=_C.ACTIVE),
        **from_each((_C.ACTIVE, _C.PAUSED), _T.END, Transition(who=ANYONE, to=_C.ENDING)),
        **from_each(
            (_C.ENDING, _C.CLOSED_DISPUTED),
            _T.CLOSE,
            Transition(who=ANYONE | SYSTEM, to=_C.ENDED, guards=(_G.ALL_SETTLED,)),
        ),
        # ended while a dispute runs, or disputed when it was ended already
        **from_each(
            (_C.ACTIVE, _C.PAUSED),
            _T.END_DISPUTED,
            Transition(who=ANYONE, to=_C.CLOSED_DISPUTED),
        ),
        **from_each(
            (_C.ENDING, _C.ENDED),
            _T.DISPUTE_OPENED,
            Transition(who=SYSTEM, to=_C.CLOSED_DISPUTED),
        ),
        (_C.CLOSED_DISPUTED, _T.DISPUTES_OVER): Transition(
            who=SYSTEM, to=_C.ENDING, guards=(_G.NONE_OPEN,)
        ),
    }
)
"""draft -> active <-> paused -> ending -> ended (domain/escrow.md 2.4, last paragraph)."""

_F = FundingState

FUNDINGS: Final[Machine] = MappingProxyType(
    {
        (None, _T.CREATE): Transition(who=CLIENT, to=_F.CREATED, arms=_FUND_TIMERS),
        (None, _T.FUND_FROM_WALLET): Transition(
            who=CLIENT, to=_F.SUCCEEDED, movement=("P05", "P25")
        ),
        (_F.CREATED, _T.NEED_ACTION): Transition(who=RAIL, to=_F.REQUIRES_ACTION),
        **from_each(
            (_F.CREATED, _F.REQUIRES_ACTION, _F.UNKNOWN),
            _T.PEND,
            Transition(who=RAIL, to=_F.PROCESSING),
        ),
        **from_each(
            (_F.CREATED, _F.REQUIRES_ACTION, _F.PROCESSING),
            _T.LOSE_SIGHT,
            Transition(who=RAIL, to=_F.UNKNOWN),
        ),
        **from_each(
            OPEN_FUNDING,
            _T.SUCCEED,
            Transition(
                who=RAIL,
                to=_F.SUCCEEDED,
                guards=(_G.CAPTURED_AS_ASKED,),
                movement=("P01", "P25"),
                cancels=_FUND_TIMERS,
            ),
        ),
        **from_each(
            OPEN_FUNDING,
            _T.SUCCEED_UNCLEARED,
            Transition(
                who=RAIL,
                to=_F.SUCCEEDED_UNCLEARED,
                guards=(_G.CAPTURED_AS_ASKED,),
                movement=("P01", "P25"),
                cancels=_FUND_TIMERS,
            ),
        ),
        (_F.SUCCEEDED_UNCLEARED, _T.CLEAR): Transition(who=RAIL, to=_F.SUCCEEDED),
        **from_each(
            RETURNABLE,
            _T.REVERSE,
            Transition(who=RAIL, to=_F.REVERSED, movement=("P18", "P20", "P21")),
        ),
        **from_each(
            OPEN_FUNDING, _T.FAIL, Transition(who=RAIL, to=_F.FAILED, cancels=_FUND_TIMERS)
        ),
        **from_each(
            (_F.CREATED, _F.REQUIRES_ACTION, _F.PROCESSING),
            _T.CANCEL,
            Transition(who=CLIENT, to=_F.CANCELED, cancels=_FUND_TIMERS),
        ),
        **from_each(
            (_F.CREATED, _F.REQUIRES_ACTION, _F.PROCESSING),
            _T.EXPIRE,
            Transition(who=SYSTEM, to=_F.EXPIRED),
        ),
        **from_each(
            (*OPEN_FUNDING, *_GONE_FUNDING),
            _T.MISMATCH,
            Transition(who=RAIL, to=_F.MISMATCH, movement=("P06",), cancels=_FUND_TIMERS),
        ),
        **from_each(
            (*OPEN_FUNDING, *_GONE_FUNDING),
            _T.ARRIVE_LATE,
            Transition(who=RAIL, to=_F.CREDITED, movement=("P06",), cancels=_FUND_TIMERS),
        ),
        (_F.MISMATCH, _T.CREDIT): Transition(
            who=OPERATOR, to=_F.CREDITED, guards=(_G.NO_HOLD,), movement=("P06",)
        ),
    }
)
"""The client's payment (domain/escrow.md 2.3)."""

_R = RefundState

REFUNDS: Final[Machine] = MappingProxyType(
    {
        (None, _T.CREATE): Transition(
            who=PAYEE | SYSTEM | OPERATOR | CLIENT, to=_R.APPROVED, movement=("P14", "P17")
        ),
        (None, _T.CREDIT): Transition(
            who=PAYEE | SYSTEM | OPERATOR | CLIENT, to=_R.WALLET_CREDITED, movement=("P14", "P17")
        ),
        **from_each((_R.APPROVED, _R.UNKNOWN), _T.PEND, Transition(who=RAIL, to=_R.SUBMITTED)),
        **from_each(
            (_R.APPROVED, _R.SUBMITTED), _T.LOSE_SIGHT, Transition(who=RAIL, to=_R.UNKNOWN)
        ),
        **from_each(
            _OPEN_REFUND,
            _T.SUCCEED,
            Transition(who=RAIL, to=_R.SUCCEEDED, movement=("P15",)),
        ),
        **from_each(
            _OPEN_REFUND,
            _T.FAIL,
            Transition(who=RAIL, to=_R.WALLET_CREDITED, movement=("P16",)),
        ),
        (_R.SUCCEEDED, _T.BOUNCE): Transition(
            who=RAIL, to=_R.WALLET_CREDITED, movement=("P15", "P16")
        ),
    }
)
"""Money on its way back (domain/escrow.md 2.9); asking for it is the slot's own machine."""

RELEASES: Final[Machine] = MappingProxyType(
    {
        (ReleaseState.PENDING, _T.HOLD_ENDS): Transition(
            who=SYSTEM, to=ReleaseState.AVAILABLE, guards=(_G.NO_HOLD,), movement=("P09",)
        ),
        (ReleaseState.PENDING, _T.SET_ASIDE): Transition(
            who=CLIENT | OPERATOR, to=ReleaseState.PENDING, movement=("P12",)
        ),
        **{
            (state, _T.PUT_BACK): Transition(who=SYSTEM, to=state, movement=("P12",))
            for state in ReleaseState
        },
    }
)
"""Released money in its security hold (domain/escrow.md 2.2, security_hold; 2.11, edge case 1).

A dispute sets a part of it aside, and puts back what stays the payee's.
"""
