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


class Trigger(StrEnum):
    """What moves a machine: a command, a timer, or what a rail reports."""

    PROPOSE = "propose"
    ACCEPT = "accept"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"
    CLOSE = "close"
    START_FUNDING = "start_funding"
    FUND = "fund"
    FUND_FROM_WALLET = "fund_from_wallet"
    FUNDING_ENDED = "funding_ended"
    START_TOP_UP = "start_top_up"
    TOP_UP = "top_up"
    TOP_UP_FROM_WALLET = "top_up_from_wallet"
    CLEAR = "clear"
    SUBMIT = "submit"
    WITHDRAW_SUBMISSION = "withdraw_submission"
    REQUEST_CHANGES = "request_changes"
    APPROVE = "approve"
    RELEASE_PART = "release_part"
    CONFIRM_FIRST = "confirm_first"
    CONFIRM_SECOND = "confirm_second"
    AUTO_RELEASE = "auto_release"
    ASK_REFUND = "ask_refund"
    ACCEPT_REFUND = "accept_refund"
    REFUND_UNANSWERED = "refund_unanswered"
    GIVE_BACK = "give_back"
    REMIND = "remind"
    FALL_DORMANT = "fall_dormant"
    RELEASE_DORMANT = "release_dormant"
    REFUND_DORMANT = "refund_dormant"
    AMEND_UP = "amend_up"
    AMEND_DOWN = "amend_down"
    ROLL_REST = "roll_rest"
    ROLL_ALL = "roll_all"
    ROLL_IN = "roll_in"
    CREATE = "create"
    NEED_ACTION = "need_action"
    PEND = "pend"
    LOSE_SIGHT = "lose_sight"
    SUCCEED = "succeed"
    SUCCEED_UNCLEARED = "succeed_uncleared"
    FAIL = "fail"
    EXPIRE = "expire"
    MISMATCH = "mismatch"
    ARRIVE_LATE = "arrive_late"
    CREDIT = "credit"
    BOUNCE = "bounce"
    HOLD_ENDS = "hold_ends"
    DISPUTE = "dispute"
    REJECT_REFUND = "reject_refund"
    SPLIT_PART = "split_part"
    SPLIT_RELEASED = "split_released"
    SPLIT_REFUNDED = "split_refunded"
    RESTORE_FUNDED = "restore_funded"
    RESTORE_SUBMITTED = "restore_submitted"
    RESTORE_CHANGES_REQUESTED = "restore_changes_requested"
    RESTORE_REFUND_REQUESTED = "restore_refund_requested"
    RESTORE_DORMANT = "restore_dormant"
    OPEN_DISPUTE = "open_dispute"
    SERVE = "serve"
    CONCEDE = "concede"
    REPLY = "reply"
    DEFAULT = "default"
    OFFER = "offer"
    ACCEPT_OFFER = "accept_offer"
    FILE_EVIDENCE = "file_evidence"
    EXTEND = "extend"
    MEDIATE = "mediate"
    TAKE_SMALL = "take_small"
    RECOMMEND = "recommend"
    MEDIATION_OVER = "mediation_over"
    ELECT = "elect"
    ELECT_TOO = "elect_too"
    LET_STAND = "let_stand"
    ARBITRATE = "arbitrate"
    PROPOSE_DECISION = "propose_decision"
    APPROVE_DECISION = "approve_decision"
    EXECUTE = "execute"
    WITHDRAW_DISPUTE = "withdraw_dispute"
    RELEASE_EARNED = "release_earned"
    SETTLE_ADVANCE = "settle_advance"
    SETTLE_ADVANCE_PART = "settle_advance_part"
    OPEN_WEEK = "open_week"
    CLOSE_WEEK = "close_week"
    INVOICE = "invoice"
    REVIEW_ENDS = "review_ends"
    ADVANCE = "advance"
    LEAVE_UNPAID = "leave_unpaid"
    WRITE_OFF = "write_off"
    LOG_TIME = "log_time"
    LOG_LATE = "log_late"
    EDIT_TIME = "edit_time"
    DELETE_TIME = "delete_time"
    REFUND_LATER = "refund_later"
    RECOVER = "recover"
    RECOVER_ALL = "recover_all"
    PROPOSE_WRITE_OFF = "propose_write_off"
    APPROVE_WRITE_OFF = "approve_write_off"
    APPROVE_LATE = "approve_late"
    LOCK = "lock"
    BILL = "bill"
    OFFER_RETAINER = "offer_retainer"
    GIVE_NOTICE = "give_notice"
    SCHEDULE = "schedule"
    LAPSE = "lapse"
    BEGIN = "begin"
    CLOSE_PERIOD = "close_period"
    SETTLE = "settle"
    SLOT_CLOSED = "slot_closed"
    DRAW = "draw"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    RELEASE_DRAWN = "release_drawn"
    SETTLE_RELEASED = "settle_released"
    SETTLE_REFUNDED = "settle_refunded"
    SETTLE_ROLLED = "settle_rolled"


class Guard(StrEnum):
    """What must hold besides the state and the actor; `rules.GUARDS` has the check of each."""

    AMOUNT_IN_RANGE = "amount_in_range"
    OTHER_PARTY = "other_party"
    PARTIES_CLEAR = "parties_clear"
    CONTRACT_RUNS = "contract_runs"
    PRICE_UNPAID = "price_unpaid"
    BALANCE_ZERO = "balance_zero"
    CAPTURED_AS_ASKED = "captured_as_asked"
    SOMETHING_SHOWN = "something_shown"
    SAME_SUBMISSION = "same_submission"
    REASON_GIVEN = "reason_given"
    BEFORE_DUE = "before_due"
    ROUNDS_LEFT = "rounds_left"
    NO_HOLD = "no_hold"
    CLEARED = "cleared"
    ONE_MAY_RELEASE = "one_may_release"
    BOTH_CONFIRM = "both_confirm"
    OTHER_CONFIRMED = "other_confirmed"
    TIMER_MAY_RELEASE = "timer_may_release"
    PART_OF_BALANCE = "part_of_balance"
    NOTICES_SENT = "notices_sent"
    WITHIN_LIMIT = "within_limit"
    BOTH_SIGNED = "both_signed"
    ALL_SETTLED = "all_settled"
    CLAIM_WITHIN_HELD = "claim_within_held"
    RESPONDENT = "respondent"
    OPENER = "opener"
    SERVED = "served"
    SMALL_CLAIM = "small_claim"
    ABOVE_SMALL_CLAIM = "above_small_claim"
    OTHERS_OFFER = "others_offer"
    BOTH_HEARD = "both_heard"
    IN_PERSON = "in_person"
    NOT_INVOLVED = "not_involved"
    NOT_EXTENDED = "not_extended"
    NONE_PAID = "none_paid"
    OTHER_PAID = "other_paid"
    RECOMMENDED = "recommended"
    SHARES_ADD_UP = "shares_add_up"
    SECOND_PERSON = "second_person"
    REVIEW_UNPAID = "review_unpaid"
    PROTECTED_HOURS = "protected_hours"
    KEPT_BY_PAYEE = "kept_by_payee"
    NO_NOTICE = "no_notice"
    BOTH_ASKED = "both_asked"
    DRAWDOWNS_REVIEWED = "drawdowns_reviewed"
    BEFORE_SETTLED = "before_settled"
    PERIOD_FUNDED = "period_funded"
    WITHIN_PERIOD = "within_period"


class Timer(StrEnum):
    """The clocks of a deal; as rows their kinds are `escrow.<name>`."""

    AUTO_RELEASE = "auto_release"
    SECURITY_HOLD = "security_hold"
    FUND_INTERACTIVE = "fund_interactive"
    FUND_BANK = "fund_bank"
    REFUND_REPLY = "refund_reply"
    DORMANT = "dormant"
    DISPUTE_REPLY = "dispute_reply"
    DISPUTE_NEGOTIATION = "dispute_negotiation"
    MEDIATION_MAX = "mediation_max"
    ARBITRATION_ELECT = "arbitration_elect"
    DISPUTE_EXECUTE = "dispute_execute"
    WEEK_CLOSE = "week_close"
    WEEK_INVOICE = "week_invoice"
    WEEK_CHARGE = "week_charge"
    WEEK_REVIEW_END = "week_review_end"
    PERIOD_OPEN = "period_open"
    FUND_RETRY = "fund_retry"
    PERIOD_START = "period_start"
    PERIOD_CLOSE = "period_close"
    DRAWDOWN_REVIEW = "drawdown_review"
    RETAINER_ENDS = "retainer_ends"


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
        (_C.ENDING, _T.CLOSE): Transition(
            who=ANYONE | SYSTEM, to=_C.ENDED, guards=(_G.ALL_SETTLED,)
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
    }
)
"""Released money in its security hold (domain/escrow.md 2.2, security_hold)."""
