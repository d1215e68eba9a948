"""The shapes of answers about fee schedules and about what contracts pinned of them."""

from typing import Literal

from engine.api.answers import Answer, IdText, Money, TimeText

State = Literal["prepared", "approved", "withdrawn"]


class BandAnswer(Answer):
    """A rate up to a sum billed by the pair; the last band has no end."""

    up_to: Money | None
    rate_bps: int


class TariffAnswer(Answer):
    """The prices in one currency. `budget` and `party_limit` are a promotion's."""

    currency: str
    bands: list[BandAnswer]
    per_transaction: Money | None
    floor: Money | None
    cap: Money | None
    cap_month: Money | None
    budget: Money | None
    party_limit: Money | None


class PromotionAnswer(Answer):
    """Who gets a promotion, and until when it counts."""

    is_open: bool
    applies_until: TimeText | None


class ScheduleAnswer(Answer):
    """A version of a fee schedule. `valid_from` null: from its approval on."""

    schedule_id: IdText
    name: str
    version: int
    side: Literal["payee", "client"]
    mode: Literal["marginal", "whole_amount"]
    state: State
    level: str
    scope: dict[str, str]
    priority: int
    valid_from: TimeText | None
    valid_to: TimeText | None
    tax_code: str
    tariffs: list[TariffAnswer]
    promotion: PromotionAnswer | None
    replaces: IdText | None
    reason: str
    recorded_at: TimeText
    prepared_by: IdText
    approved_by: IdText | None
    decided_at: TimeText | None


class EndingAnswer(Answer):
    """That a schedule shall end earlier than planned."""

    ending_id: IdText
    schedule_id: IdText
    ends_at: TimeText
    reason: str
    state: State
    prepared_by: IdText
    approved_by: IdText | None
    decided_at: TimeText | None


class StepAnswer(Answer):
    """A schedule that fitted the deal, and how it stood."""

    schedule_id: IdText
    level: str
    dimensions: list[str]
    priority: int
    valid_from: TimeText
    result: str


class ChoiceAnswer(Answer):
    """A choice of schedule for one part of the price, with its reasons; the newest holds."""

    part: Literal["payee", "client", "promotion"]
    schedule_id: IdText | None
    name: str | None
    version: int | None
    why: Literal["acceptance", "migration"]
    chosen_at: TimeText
    promotion_until: TimeText | None
    prices: list[str]
    trace: list[StepAnswer]
    words: list[str]


class ContractFeesAnswer(Answer):
    """What a contract pinned. Without a schedule the flat rates of its terms hold."""

    contract_id: IdText
    currency: str
    payee_schedule_id: IdText | None
    client_schedule_id: IdText | None
    promotion_schedule_id: IdText | None
    promotion_until: TimeText | None
    promotion_named: str | None
    fx_margin_bps: int
    commission_bps: int
    client_fee_bps: int
    choices: list[ChoiceAnswer]


class PromotionNamedAnswer(Answer):
    """A deal that names a promotion."""

    contract_id: IdText
    state: str
    version: int
    promotion: str


class MoveAnswer(Answer):
    """A move of running contracts. It goes on by itself once approved, until it is `done`."""

    move_id: IdText
    schedule_id: IdText
    which: Literal["all", "accepted_before", "named"]
    accepted_before: TimeText | None
    contract_ids: list[IdText] | None
    reason: str
    state: Literal["prepared", "approved", "withdrawn", "done"]
    prepared_by: IdText
    approved_by: IdText | None
    decided_at: TimeText | None
    moved_count: int
    skipped_count: int


class MovingAnswer(Answer):
    """What would become of one contract. `why_not` null: it moves."""

    contract_id: IdText
    from_schedule_id: IdText | None
    moves: bool
    why_not: str | None
