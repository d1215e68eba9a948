"""The shapes of what is answered about clocks, notices, outages and reserves."""

from typing import Literal

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class MarkAnswer(Answer):
    """A reminder; `at` is null while the clock stands."""

    passed_percent: int
    at: TimeText | None
    is_told: bool


class NoticeState(Answer):
    """Whether this clock rings only after proof that its silent party was told, and has none."""

    is_required: bool
    is_missing: bool


class ClockAnswer(Answer):
    """A clock: when it rings, what then happens, whom it concerns and reminds.

    While it stands `due_at` is null, and `remaining_s` is what it has left. `late_s` is above zero
    where it should have rung already.
    """

    subject: str
    kind: str
    state: Literal["armed", "paused"]
    due_at: TimeText | None
    remaining_s: int
    late_s: int
    consequence: str
    concerns: list[IdText]
    reminders: list[MarkAnswer]
    notice: NoticeState
    was_delayed: bool
    failed_times: int


class ClockNoticeAnswer(Answer):
    """That a party was told of a clock."""

    notice_id: IdText
    subject: str
    clock: str
    party_id: IdText
    channel: str
    proof: str
    told_at: TimeText


class ClockNoticeActed(OpenAnswer):
    """What was recorded."""

    notice_id: IdText
    subject: str
    clock: str
    told_at: TimeText


class ClockRulesAnswer(OpenAnswer):
    """How clocks run from now on."""

    outage_after_s: int
    courtesy_s: int
    drain_per_s: int
    notice: Literal["assumed", "required"]


class OutageAnswer(Answer):
    """A time in which nobody fired timers, and how many clocks it moved."""

    outage_no: int
    from_at: TimeText
    until_at: TimeText
    courtesy_s: int
    delayed: int


class HoldLimitActed(OpenAnswer):
    """How long a rail account may keep client money."""

    rail_account: str
    most_days: int


class ReserveRuleActed(OpenAnswer):
    """What part of a payee's releases is kept back."""

    payee_id: IdText
    reserve_bps: int
    reserve_days: int


class ReserveAnswer(Answer):
    """A part of a release that is kept back."""

    reserve_id: IdText
    release_id: IdText
    payee_id: IdText
    amount: Money
    state: Literal["kept", "given"]
    kept_at: TimeText
    due_at: TimeText
