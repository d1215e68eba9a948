"""Released money given back in a replay, and what payees owe until it is recovered."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from engine.replay.acts import APPROVER, OPERATOR, person
from engine.replay.agenda import Track
from engine.replay.behaviour import RATES
from engine.replay.deals import Deal
from engine.replay.stage import Stage
from engine.replay.store_parts import list_claims, list_weeks
from escrow import service_claims as claims
from escrow.model_chargeback import RefundLater
from escrow.model_claim import ApproveWriteOff, ProposeWriteOff, SetClaimRules
from kernel.ids import new_id

SATURDAY: Final = 5
WAIT_DAYS: Final = (3, 40)
"""Days from a release until the payee gives some of it back."""

CLAIM_AGE: Final = timedelta(days=75)
"""How long a claim on a payee stays open until two operators write off what remains."""

RECOVERY_BPS: Final = 2_500
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class _GiveBack:
    deal: Deal
    slot_id: UUID
    amount_minor: int


@dataclass(slots=True)
class GiveBacks:
    """What will be given back, by day."""

    _days: dict[int, list[_GiveBack]] = field(default_factory=lambda: defaultdict(list))

    def open(self, stage: Stage, currencies: Iterable[str]) -> None:
        """The platform fronts refunds, and claims what it fronted from the payees."""
        stage.serve(
            claims.set_claim_rules,
            [
                SetClaimRules(
                    actor=OPERATOR,
                    currency=currency,
                    fronts_refunds=True,
                    recovery_bps=RECOVERY_BPS,
                )
                for currency in currencies
            ],
        )

    def of_milestones(self, released: Iterable[Track], day: int) -> None:
        """Some of the milestones that were just released."""
        for track in released:
            name = f"slot{track.plan.no}"
            self._plan(track.deal, track.plan.id, name, track.plan.amount_minor, day)

    def of_weeks(
        self, stage: Stage, deal_of: Callable[[UUID], Deal], day: int, at: datetime
    ) -> None:
        """Some of the weeks that were released last night."""
        if at.weekday() != SATURDAY:
            return
        for week in stage.read(
            lambda connection: list_weeks(connection, "released", since=at - _WEEK)
        ):
            name = f"week{week.starts_at:%Y%m%d}"
            self._plan(deal_of(week.term_id), week.slot_id, name, week.released_minor, day)

    def noon(self, stage: Stage, day: int, at: datetime) -> None:
        """Give back what is planned for today; on Saturdays look at old claims."""
        stage.serve(
            claims.refund_later,
            [
                RefundLater(
                    actor=person(each.deal.payee_id),
                    slot_id=each.slot_id,
                    amount_minor=each.amount_minor,
                    reason="the client found a fault",
                )
                for each in self._days.pop(day, [])
            ],
        )
        if at.weekday() == SATURDAY:
            self._write_off(stage, at)

    def _plan(self, deal: Deal, slot_id: UUID, name: str, amount_minor: int, day: int) -> None:
        if not deal.dice.happens(f"later|{name}", RATES.refund_later):
            return
        is_whole = deal.dice.happens(f"whole|{name}", RATES.refund_later_whole)
        lowest, highest = WAIT_DAYS
        on = day + deal.dice.between(f"wait|{name}", lowest=lowest, highest=highest)
        amount = amount_minor if is_whole else max(1, amount_minor // 4)
        self._days[on].append(_GiveBack(deal, slot_id, amount))

    def _write_off(self, stage: Stage, at: datetime) -> None:
        old = stage.read(lambda connection: list_claims(connection, until=at - CLAIM_AGE))
        stage.serve(
            claims.propose_write_off,
            [
                ProposeWriteOff(
                    actor=OPERATOR, claim_id=each, write_off_id=new_id(), reason="no more work"
                )
                for each in old
            ],
        )
        stage.serve(
            claims.approve_write_off,
            [ApproveWriteOff(actor=APPROVER, claim_id=each) for each in old],
        )
