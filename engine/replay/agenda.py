"""What is to be done on which day of a replay, and where each milestone stands.

Pure. Acts of one day are done in the order in which `Act` lists them, each kind as one batch.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from engine.replay.deals import Deal, SlotPlan


class Act(StrEnum):
    """Everything that clients, freelancers and the operator do, in the order of a day."""

    PROPOSE = "propose"
    ACCEPT = "accept"
    VERIFY = "verify"
    PAY = "pay"
    OFFER_RAISE = "offer_raise"
    SIGN_RAISE = "sign_raise"
    PAY_RAISE = "pay_raise"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    APPROVE_AGAIN = "approve_again"
    CONFIRM = "confirm"
    CONFIRM_TOO = "confirm_too"
    RELEASE_PART = "release_part"
    ASK_CHANGES = "ask_changes"
    ASK_REFUND = "ask_refund"
    ACCEPT_REFUND = "accept_refund"
    GIVE_BACK = "give_back"
    TIP = "tip"


class Waiting(StrEnum):
    """What a milestone waits for that no party does: the rail's answer, or a clock."""

    PAYMENT = "payment"
    CLOCK = "clock"


@dataclass(slots=True, eq=False)
class Track:
    """One milestone on its way; for acts on the contract, its first one stands for all.

    `tries` counts payments tried, `answered` submissions answered, `asked` how often an act that
    came too early was tried again.
    """

    deal: Deal
    plan: SlotPlan
    tries: int = 0
    answered: int = 0
    asked: int = 0
    submission_no: int = 0
    has_withdrawn: bool = False
    is_over: bool = False
    waiting: Waiting | None = None


@dataclass(slots=True)
class Agenda:
    """Acts by day, counted from the first day of the replay."""

    _days: dict[int, dict[Act, list[Track]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, day: int, act: Act, track: Track) -> None:
        """Have an act done on a day; on one that is over it is never done."""
        self._days[day][act].append(track)

    def take(self, day: int, act: Act) -> list[Track]:
        """The acts of this kind on this day, in the order in which they were added."""
        return self._days[day].pop(act, [])

    def carry_over(self, day: int) -> None:
        """Have done today what was added yesterday after its turn had come."""
        for act, tracks in self._days.pop(day - 1, {}).items():
            self._days[day][act] = [*tracks, *self._days[day][act]]
