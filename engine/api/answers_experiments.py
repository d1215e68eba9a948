"""The shapes of answers about experiments on fees."""

from commissions.model_experiments import State, UnitKind
from engine.api.answers import Answer, IdText, TimeText


class ArmAnswer(Answer):
    """One arm and its share of the units, in basis points; `holdout` is charged as ever."""

    name: str
    share_bps: int


class ExperimentAnswer(Answer):
    """An experiment with its arms, and who did what with it."""

    id: IdText
    name: str
    state: State
    unit: UnitKind
    arms: list[ArmAnswer]
    stop_after_units: int
    harm_bps: int
    quiet_days: int
    reason: str
    prepared_by: IdText
    prepared_at: TimeText
    withdrawn_by: IdText | None
    withdrawn_at: TimeText | None
    started_by: IdText | None
    started_at: TimeText | None
    stopped_by: IdText | None
    stopped_at: TimeText | None
    stop_why: str | None
    decided_by: IdText | None
    decided_at: TimeText | None
    decided_arm: str | None
    decision: str | None


class IntervalAnswer(Answer):
    """A figure, and where it lies with 95 % confidence."""

    value: str
    low: str
    high: str


class ComparedAnswer(Answer):
    """A figure, and how far it lies above the control's; null where there are too few units."""

    figure: IntervalAnswer | None
    above_control: IntervalAnswer | None


class RevenueAnswer(ComparedAnswer):
    """Fees less what came back of them, without tax, per unit with a contract in the currency."""

    currency: str


class ArmReadAnswer(Answer):
    """What one arm came to; shares are of one."""

    arm: str
    units: int
    repeat_share: ComparedAnswer
    dispute_share: ComparedAnswer
    quiet_share: ComparedAnswer
    net_revenue_per_unit: list[RevenueAnswer]


class ReadoutAnswer(Answer):
    """An experiment's arms beside its control; `would_stop` is what its rule says today."""

    id: IdText
    name: str
    state: State
    would_stop: str | None
    arms: list[ArmReadAnswer]
