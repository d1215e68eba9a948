"""THE table of clocks (domain/escrow.md 2.2): one row per kind of timer, and all that hangs on it.

The same rows say whom a clock reminds and what becomes of him, which clocks a hold stops, which
an outage moves, and which ring only after proof of notice; they make docs/clocks.md and what the
API tells. As rows of the table `timer` the kinds are `escrow.<kind>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from escrow.model import Role
from escrow.triggers import Timer

ROOM: Final = "escrow."

MAX_HOLD: Final = "max_hold"
RESERVE_RELEASE: Final = "reserve_release"
CLOSE_CONTRACT: Final = "close_contract"

_CLIENT: Final = frozenset({Role.CLIENT})
_PAYEE: Final = frozenset({Role.PAYEE})
_BOTH: Final = _CLIENT | _PAYEE


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One kind of timer.

    `subject` is what it is about, as its rows name it. `told` are those whom it reminds at 50, 75
    and 90 % of its length (`is_reminded`), and of whom `needs_notice` asks a proof that they knew:
    their silence decides. `is_courteous`: an outage moves it. `stops_under_hold`: a hold on
    slot, contract or party stops it, and one that is set under a hold stands from the start.
    `respondent_only`: of both, it concerns him alone who has to answer.
    """

    kind: str
    subject: str
    starts: str
    length: str
    changes: str
    fires: str
    told: frozenset[Role]
    is_reminded: bool = False
    needs_notice: bool = False
    is_courteous: bool = False
    stops_under_hold: bool = False
    respondent_only: bool = False


_WAITS: Final = "under a hold it is looked at again each day"

_OF_SLOTS: Final = (
    Clock(
        kind=Timer.AUTO_RELEASE,
        subject="slot",
        starts="each submission",
        length="14 days, pinned at acceptance (1 hour to 30 days)",
        changes="a hold stops it, and after its lifting it has at least 72 hours or its full length"
        " left; a resubmission starts it anew; a delivery called empty gives it a day more, once;"
        " stopped while a refund is asked for; ended by changes asked for, approval, refund and"
        " withdrawal; after a chargeback that was won it starts anew",
        fires="The money is released to the payee.",
        told=_CLIENT,
        is_reminded=True,
        needs_notice=True,
        is_courteous=True,
        stops_under_hold=True,
    ),
    Clock(
        kind=Timer.REFUND_REPLY,
        subject="slot",
        starts="the client asks for unreleased money back",
        length="7 days, pinned at acceptance",
        changes="a hold stops it; ended by the payee's answer",
        fires="The refund is granted and the money goes back to the client.",
        told=_PAYEE,
        is_reminded=True,
        needs_notice=True,
        is_courteous=True,
        stops_under_hold=True,
    ),
    Clock(
        kind=Timer.DORMANT,
        subject="slot",
        starts="the last act of a party on a milestone, or its agreed date if that is later",
        length="90 days, pinned at acceptance; notices after 60, 75 and 85 of 90",
        changes="a hold stops it; any act of a party starts it anew; weeks and periods have none",
        fires="Both parties are reminded; in the end the slot falls dormant: what was submitted"
        " is released, the rest is refunded.",
        told=_BOTH,
        stops_under_hold=True,
    ),
    Clock(
        kind=Timer.SECURITY_HOLD,
        subject="release",
        starts="a release",
        length="5 days, pinned at acceptance",
        changes="a hold (chargeback, claim, tax) stops it",
        fires="The released money becomes available to the payee.",
        told=_PAYEE,
        stops_under_hold=True,
    ),
    Clock(
        kind=RESERVE_RELEASE,
        subject="reserve",
        starts="the end of a security hold, where a part is kept back",
        length="30 to 90 days, by the payee's own rule",
        changes="extended day by day while a hold stands",
        fires="The part kept back becomes available to the payee.",
        told=_PAYEE,
    ),
    Clock(
        kind=MAX_HOLD,
        subject="funding",
        starts="money enters a rail that limits how long it keeps it",
        length="by rail account, as 90 days; alerts after 60, 75 and 85 of them",
        changes="nothing stops or ends it",
        fires="What still lies with the rail is moved to the client-money bank account.",
        told=frozenset(),
    ),
    Clock(
        kind=Timer.FUND_INTERACTIVE,
        subject="funding",
        starts="a payment by card is asked for",
        length="15 minutes",
        changes="ended by the rail's answer, or by the client",
        fires="The payment is given up and the slot waits for another.",
        told=_CLIENT,
    ),
    Clock(
        kind=Timer.FUND_BANK,
        subject="funding",
        starts="a payment by bank is asked for",
        length="5 business days",
        changes="ended by the rail's answer, or by the client",
        fires="The payment is given up and the slot waits for another.",
        told=_CLIENT,
        is_reminded=True,
    ),
    Clock(
        kind=CLOSE_CONTRACT,
        subject="contract",
        starts="the contract is ended",
        length="a day, and again each day",
        changes="nothing",
        fires="The contract is closed if nothing is left to settle.",
        told=_BOTH,
    ),
)

_OF_DISPUTES: Final = (
    Clock(
        kind=Timer.DISPUTE_REPLY,
        subject="dispute",
        starts="the other side is served, which is the proof of notice",
        length="5 business days",
        changes=f"an operator extends it once; ended by the answer; {_WAITS}",
        fires="The silent side loses by default, if it was served.",
        told=_BOTH,
        is_reminded=True,
        is_courteous=True,
        respondent_only=True,
    ),
    Clock(
        kind=Timer.DISPUTE_NEGOTIATION,
        subject="dispute",
        starts="the answer",
        length="7 days",
        changes="an operator extends it once; ended by agreement, withdrawal and mediation",
        fires="A mediator looks at it; a small claim is decided.",
        told=_BOTH,
        is_reminded=True,
        is_courteous=True,
    ),
    Clock(
        kind=Timer.MEDIATION_MAX,
        subject="dispute",
        starts="mediation",
        length="30 days",
        changes="an operator extends it once; ended by agreement, withdrawal and recommendation",
        fires="Mediation is over; either side may elect arbitration.",
        told=_BOTH,
        is_reminded=True,
        is_courteous=True,
    ),
    Clock(
        kind=Timer.ARBITRATION_ELECT,
        subject="dispute",
        starts="the recommendation, or the end of mediation",
        length="7 days",
        changes="an operator extends it once; ended by agreement and by the second election",
        fires="The recommendation stands, or arbitration begins.",
        told=_BOTH,
        is_reminded=True,
        is_courteous=True,
    ),
    Clock(
        kind=Timer.DISPUTE_EXECUTE,
        subject="dispute",
        starts="what was settled meets a hold or uncleared money",
        length="a day, and again each day",
        changes="ended by the carrying out",
        fires="What was agreed or decided is carried out.",
        told=_BOTH,
    ),
)

_OF_WEEKS: Final = (
    Clock(
        kind=Timer.WEEK_CLOSE,
        subject="week",
        starts="the week",
        length="until Monday 00:00 in the contract's zone",
        changes="nothing",
        fires="The hours are locked and the next week opens.",
        told=_PAYEE,
    ),
    Clock(
        kind=Timer.WEEK_INVOICE,
        subject="week",
        starts="the week's end",
        length="until Monday 12:00 in the contract's zone",
        changes="nothing",
        fires="The week is invoiced and the client charged.",
        told=_BOTH,
    ),
    Clock(
        kind=Timer.WEEK_CHARGE,
        subject="week",
        starts="a charge that failed",
        length="1, 3 and 5 days",
        changes="ended by the payment, or by writing off",
        fires="The client is charged again.",
        told=_CLIENT,
    ),
    Clock(
        kind=Timer.WEEK_REVIEW_END,
        subject="week",
        starts="the invoice",
        length="until Friday 23:59 UTC",
        changes=f"ended when the week's money is gone; {_WAITS}",
        fires="The week is released, advanced, or left unpaid.",
        told=_CLIENT,
        is_reminded=True,
        needs_notice=True,
        is_courteous=True,
    ),
)

_OF_DEPOSITS: Final = (
    Clock(
        kind=Timer.LINE_REPLY,
        subject="line_dispute",
        starts="the payee is served that a line of the invoice is disputed: the proof of notice",
        length="3 days",
        changes=f"ended by the answer, by conceding and by withdrawal; {_WAITS}",
        fires="Protected hours of the line are upheld, the others go back to the client.",
        told=_PAYEE,
        is_reminded=True,
        is_courteous=True,
    ),
    Clock(
        kind=Timer.WEEK_AHEAD,
        subject="week",
        starts="a week whose hours are paid ahead opens",
        length="until 3 days before the next week",
        changes="ended with the week",
        fires="The next week opens and its deposit is asked for.",
        told=_CLIENT,
    ),
    Clock(
        kind=Timer.WEEK_DEPOSIT,
        subject="week",
        starts="a deposit is needed",
        length="at once, and again each day of the week",
        changes="ended by the deposit, and with the week",
        fires="The deposit is asked for.",
        told=_CLIENT,
    ),
)

_OF_RETAINERS: Final = (
    Clock(
        kind=Timer.PERIOD_OPEN,
        subject="period",
        starts="the period before opens",
        length="until 3 days before the period",
        changes="looked at again each day while the contract is paused; payment before it ends the"
        " charge alone",
        fires="The period is charged and the next one scheduled.",
        told=_CLIENT,
    ),
    Clock(
        kind=Timer.FUND_RETRY,
        subject="period",
        starts="a charge",
        length="1, 3 and 5 days, then the grace of 7 days",
        changes="ended by payment",
        fires="The client is charged again; in the end the period lapses.",
        told=_BOTH,
    ),
    Clock(
        kind=Timer.PERIOD_START,
        subject="period",
        starts="the period is paid",
        length="until the period begins",
        changes="ended with the period",
        fires="The period begins.",
        told=_BOTH,
    ),
    Clock(
        kind=Timer.PERIOD_CLOSE,
        subject="period",
        starts="the period begins",
        length="until the period ends",
        changes=f"ended with the period; open drawdowns and {_WAITS}",
        fires="The period is settled: what was earned is released, the rest by the pinned policy.",
        told=_BOTH,
    ),
    Clock(
        kind=Timer.DRAWDOWN_REVIEW,
        subject="drawdown",
        starts="a drawdown",
        length="7 days",
        changes=f"ended by approval, rejection and withdrawal; {_WAITS}",
        fires="The drawdown is paid to the payee.",
        told=_CLIENT,
        is_reminded=True,
        needs_notice=True,
        is_courteous=True,
    ),
    Clock(
        kind=Timer.OVERAGE_CHARGE,
        subject="drawdown",
        starts="what exceeds a period is billed, or its payment came",
        length="at once; a charge that failed 1, 3 and 5 days later, given up after 7",
        changes=f"ended when it is paid, given back or given up; {_WAITS}",
        fires="It is charged to the client, and released to the payee once it is paid.",
        told=_BOTH,
    ),
    Clock(
        kind=Timer.RETAINER_ENDS,
        subject="retainer",
        starts="notice is given",
        length="the pinned days of notice",
        changes="ended when both end it at once",
        fires="The retainer ends; what was earned of the period is released, the rest refunded.",
        told=_BOTH,
        is_reminded=True,
    ),
)

CLOCKS: Final[Mapping[str, Clock]] = MappingProxyType(
    {
        clock.kind: clock
        for clock in (*_OF_SLOTS, *_OF_DISPUTES, *_OF_WEEKS, *_OF_DEPOSITS, *_OF_RETAINERS)
    }
)
"""By kind, without the room."""

REMINDED: Final = tuple(ROOM + c.kind for c in CLOCKS.values() if c.is_reminded)
"""The kinds that remind, as timers name them."""

COURTEOUS: Final = tuple(ROOM + c.kind for c in CLOCKS.values() if c.is_courteous)
"""The kinds that an outage moves."""

STOPPED: Final = tuple(ROOM + c.kind for c in CLOCKS.values() if c.stops_under_hold)
"""The kinds that a hold stops."""

NOTICED: Final = tuple(c.kind for c in CLOCKS.values() if c.needs_notice)
"""The kinds whose default needs proof of notice where the rules require it; without the room."""

CONSEQUENCES: Final = MappingProxyType({ROOM + c.kind: c.fires for c in CLOCKS.values()})
"""What each clock does when it rings, by the kind of its timer."""


def clock_of(timer_kind: str) -> Clock | None:
    """The row of a timer's kind; None for timers of other rooms."""
    return CLOCKS.get(timer_kind.removeprefix(ROOM))
