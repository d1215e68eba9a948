"""The commands on fee schedules: prepare, approve, withdraw, end earlier."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from commissions.commands import DecideEnding, DecideSchedule, PrepareEnding, PrepareSchedule
from commissions.model import Band, Scope, Side, Tariff
from commissions.model_schedule import Limit, Promotion
from commissions.refusals_schedule import UnknownEnding, UnknownMove, UnknownSchedule
from commissions.rules import MOST_BANDS
from commissions.rules_schedule import MOST_TARIFFS
from engine.api.access import Scope as Right
from engine.api.answers_fees import EndingAnswer, MoveAnswer, PromotionNamedAnswer, ScheduleAnswer
from engine.api.calls import Given, Subject, Write
from engine.api.models import Amount, Currency, Id, ReasonBody, Request, Text, Time
from engine.api.refusals import Invalid
from escrow.model_fee_move import MOST_NAMED, DecideMove, PrepareMove
from escrow.refusals import UnknownContract
from escrow.service_promotion import NamePromotion
from kernel.commands import Command
from kernel.ids import new_id

SCHEDULE: Final = Subject("fee_schedule", "schedule_id", UnknownSchedule)
ENDING: Final = Subject("fee_ending", "ending_id", UnknownEnding)
MOVE: Final = Subject("fee_move", "move_id", UnknownMove)

Word = Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,80}$")]
"""A name that a schedule asks for."""


class BandBody(Request):
    """A rate in basis points up to a sum billed by the pair; the last band has no end."""

    up_to: Amount | None = None
    rate_bps: Annotated[int, Field(ge=0, le=1_000_000)]


class TariffBody(Request):
    """The prices in one currency. `budget` and `party_limit` bound what a promotion forgoes."""

    currency: Currency
    bands: Annotated[tuple[BandBody, ...], Field(min_length=1, max_length=MOST_BANDS)]
    per_transaction: Amount | None = None
    floor: Amount | None = None
    cap: Amount | None = None
    cap_month: Amount | None = None
    budget: Amount | None = None
    party_limit: Amount | None = None

    def tariff(self) -> Tariff:
        """In minor units; refuses another currency than its own."""
        return Tariff(
            self.currency,
            tuple(Band(self._minor(band.up_to), band.rate_bps) for band in self.bands),
            self._minor(self.per_transaction) or 0,
            self._minor(self.floor) or 0,
            self._minor(self.cap),
            self._minor(self.cap_month),
        )

    def limit(self) -> Limit | None:
        """What a promotion may forgo; None: any."""
        if self.budget is None and self.party_limit is None:
            return None
        return Limit(self._minor(self.budget), self._minor(self.party_limit))

    def _minor(self, amount: Amount | None) -> int | None:
        return None if amount is None else amount.minor(self.currency)


class ScopeBody(Request):
    """Which deals a schedule is for; what is left out does not matter."""

    contract_id: Id | None = None
    promotion: Word | None = None
    client_id: Id | None = None
    plan: Word | None = None
    client_plan: Word | None = None
    arm: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,80}/[A-Za-z0-9_.:-]{1,80}$")] | None = (
        None
    )
    category: Word | None = None
    origin: Word | None = None
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    basis: Annotated[str, Field(pattern="^(milestone|hourly|retainer|bonus)$")] | None = None

    def scope(self) -> Scope:
        """As schedules name it."""
        given = self.model_dump()
        ids = {name: str(given[name]) for name in ("contract_id", "client_id") if given[name]}
        return Scope(**(given | ids))


class PromotionBody(Request):
    """Who gets a promotion: all in scope, or those that name it; and until when it counts."""

    is_open: bool = False
    applies_until: Time | None = None


class ScheduleBody(Request):
    """A fee schedule. `valid_from` left out: from its approval on."""

    name: Word
    side: Side
    scope: ScopeBody = ScopeBody()
    tariffs: Annotated[tuple[TariffBody, ...], Field(min_length=1, max_length=MOST_TARIFFS)]
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    valid_from: Time | None = None
    valid_to: Time | None = None
    tax_code: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,40}$")] = "standard"
    promotion: PromotionBody | None = None
    replaces: Id | None = None
    reason: Text = ""


class EndingBody(Request):
    """When a schedule shall end, earlier than planned."""

    ends_at: Time
    reason: Text = ""


class MoveBody(Request):
    """Running contracts that shall move to a schedule: all that would get it now, unless named."""

    schedule_id: Id
    accepted_before: Time | None = None
    contract_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MOST_NAMED)] | None = (
        None
    )
    reason: Text = ""


class NamePromotionBody(Request):
    """Which promotion a deal names."""

    promotion: Word


def _prepare(given: Given[ScheduleBody]) -> Command:
    body = given.body
    promotion = None
    if body.promotion is not None:
        found = {tariff.currency: tariff.limit() for tariff in body.tariffs}
        promotion = Promotion(
            is_open=body.promotion.is_open,
            applies_until=body.promotion.applies_until,
            limits={currency: limit for currency, limit in found.items() if limit is not None},
        )
    return PrepareSchedule(
        actor=given.actor,
        schedule_id=new_id(),
        name=body.name,
        side=body.side,
        scope=body.scope.scope(),
        tariffs=tuple(tariff.tariff() for tariff in body.tariffs),
        priority=body.priority,
        valid_from=body.valid_from,
        valid_to=body.valid_to,
        tax_code=body.tax_code,
        promotion=promotion,
        replaces=body.replaces,
        reason=body.reason,
    )


def _decide(given: Given[ReasonBody]) -> Command:
    return DecideSchedule(
        actor=given.actor, schedule_id=given.ids["schedule_id"], reason=given.body.reason
    )


def _prepare_ending(given: Given[EndingBody]) -> Command:
    return PrepareEnding(
        actor=given.actor,
        ending_id=new_id(),
        schedule_id=given.ids["schedule_id"],
        ends_at=given.body.ends_at,
        reason=given.body.reason,
    )


def _decide_ending(given: Given[ReasonBody]) -> Command:
    return DecideEnding(
        actor=given.actor, ending_id=given.ids["ending_id"], reason=given.body.reason
    )


def _prepare_move(given: Given[MoveBody]) -> Command:
    body = given.body
    if body.contract_ids is not None and body.accepted_before is not None:
        raise Invalid(errors=[{"field": "contract_ids", "why": "either contracts or a time"}])
    return PrepareMove(
        actor=given.actor,
        move_id=new_id(),
        schedule_id=body.schedule_id,
        accepted_before=body.accepted_before,
        contract_ids=body.contract_ids,
        reason=body.reason,
    )


def _decide_move(given: Given[ReasonBody]) -> Command:
    return DecideMove(actor=given.actor, move_id=given.ids["move_id"], reason=given.body.reason)


def _name_promotion(given: Given[NamePromotionBody]) -> Command:
    return NamePromotion(
        actor=given.actor,
        contract_id=given.ids["contract_id"],
        promotion=given.body.promotion,
    )


def _on(
    kind: tuple[str, str, Callable[[Given[ReasonBody]], Command], type[Any], Subject],
    verb: str,
    right: Right,
    summary: str,
) -> Write[ReasonBody]:
    """A second person's word on what the first prepared."""
    path, suffix, command, answer, subject = kind
    return Write(
        path=f"{path}/{verb}",
        service=f"fees.{verb}{suffix}",
        scope=right,
        body=ReasonBody,
        command=command,
        answer=answer,
        summary=summary,
        subject=subject,
    )


_SCHEDULES: Final = ("/v1/fee_schedules/{schedule_id}", "", _decide, ScheduleAnswer, SCHEDULE)
_MOVES: Final = ("/v1/fee_moves/{move_id}", "_move", _decide_move, MoveAnswer, MOVE)
_ENDINGS: Final = ("/v1/fee_endings/{ending_id}", "_ending", _decide_ending, EndingAnswer, ENDING)
"""Path, what the service's verb ends in, command, answer and subject."""


FEES: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/fee_schedules",
        service="fees.prepare",
        scope=Right.FEES_WRITE,
        body=ScheduleBody,
        command=_prepare,
        answer=ScheduleAnswer,
        summary="Prepare a fee schedule; another person approves it",
        status=201,
    ),
    _on(_SCHEDULES, "approve", Right.FEES_APPROVE, "Put a schedule in force that another prepared"),
    _on(_SCHEDULES, "withdraw", Right.FEES_WRITE, "Give a schedule up before it is approved"),
    Write(
        path="/v1/fee_schedules/{schedule_id}/endings",
        service="fees.prepare_ending",
        scope=Right.FEES_WRITE,
        body=EndingBody,
        command=_prepare_ending,
        answer=EndingAnswer,
        summary="Propose that a schedule ends earlier; another person approves it",
        status=201,
        subject=SCHEDULE,
    ),
    Write(
        path="/v1/fee_moves",
        service="fees.prepare_move",
        scope=Right.FEES_WRITE,
        body=MoveBody,
        command=_prepare_move,
        answer=MoveAnswer,
        summary="Propose to move running contracts to a schedule that is never dearer",
        status=201,
    ),
    _on(_MOVES, "approve", Right.FEES_APPROVE, "Begin a move that another person prepared"),
    _on(_MOVES, "withdraw", Right.FEES_WRITE, "Let a proposed move go"),
    Write(
        path="/v1/contracts/{contract_id}/promotion",
        service="fees.name_promotion",
        scope=Right.CONTRACTS_WRITE,
        body=NamePromotionBody,
        command=_name_promotion,
        answer=PromotionNamedAnswer,
        summary="Name a promotion, before the deal is accepted",
        subject=Subject("contract", "contract_id", UnknownContract),
    ),
    _on(_ENDINGS, "approve", Right.FEES_APPROVE, "End a schedule as another person proposed"),
    _on(_ENDINGS, "withdraw", Right.FEES_WRITE, "Let a proposed end go"),
)
"""Every command on fee schedules."""
