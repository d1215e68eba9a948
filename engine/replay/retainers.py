"""Retainers in a replay: offered, signed, drawn from, answered, paid late, cancelled with notice.

The engine itself charges, starts, closes and settles each period. What is left to people is here.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from engine.replay.acts import OPERATOR, person
from engine.replay.behaviour import RATES
from engine.replay.deals import Deal
from engine.replay.dice import Dice
from engine.replay.endings import Endings
from engine.replay.stage import Stage
from engine.replay.store_parts import PeriodNow, list_ended, list_periods
from engine.replay.terms import RetainerPlan
from escrow import service as escrow
from escrow import service_retainer as retainers
from escrow.commands import ContractCommand, Fund
from escrow.model import Method
from escrow.model_retainer import (
    Draw,
    DrawdownCommand,
    NewContract,
    OfferRetainer,
    RetainerCommand,
    RetainerKind,
    RetainerTerms,
    Unused,
)
from kernel.commands import Outcome

NOBODY_DAYS: Final = 14
"""Days until a client gives up an offer that no freelancer took."""

START_DAYS: Final = (4, 10)
"""Days from the signature to the first period: it is charged three days ahead."""

LOOK_BACK: Final = timedelta(days=8)
"""How far back a day looks for what began or ended: a late payment may begin a period late."""

_MOST_DRAWS: Final = 4


@dataclass(slots=True, eq=False)
class Track:
    """One retainer on its way; `periods` are those that have been seen."""

    deal: Deal
    plan: RetainerPlan
    periods: set[UUID] = field(default_factory=set)
    unpaid: set[UUID] = field(default_factory=set)
    has_notice: bool = False
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Work to be charged against a period: minutes or pieces."""

    track: Track
    period_id: UUID
    name: str
    units: int

    def id_at(self, at: datetime) -> UUID:
        return self.track.deal.dice.new_id(self.name, at)


@dataclass(slots=True)
class Retainers:
    """All retainers of a replay, and what is planned for them by day."""

    endings: Endings
    by_id: dict[UUID, Track] = field(default_factory=dict)
    active: list[tuple[Track, PeriodNow]] = field(default_factory=list)
    _offers: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))
    _answers: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))
    _draws: dict[int, list[_Drawing]] = field(default_factory=lambda: defaultdict(list))
    _replies: dict[int, list[tuple[str, _Drawing, UUID]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _payments: dict[int, list[tuple[Track, UUID]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _notices: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))
    _lapsed: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))

    def begin(self, deal: Deal, day: int) -> None:
        """A deal with a retainer begins today: a contract of its own, or beside milestones."""
        assert deal.retainer is not None
        if not deal.slots:
            self.endings.begin(deal, 1)
        self._offers[day].append(Track(deal, deal.retainer))

    def noon(self, stage: Stage, day: int, at: datetime) -> None:
        """See what began, lapsed or ended; then offer, sign, pay, draw, answer, give notice.

        `active` holds the periods that were first seen to run today.
        """
        self._see(stage, day, at)
        self._offer(stage, day, at)
        self._sign(stage, day)
        self._pay(stage, day, at)
        self._draw(stage, day, at)
        self._reply(stage, day)
        self._give_notice(stage, day)
        self._give_up(stage, day)

    def _offer(self, stage: Stage, day: int, at: datetime) -> None:
        tracks = self._offers.pop(day, [])
        outcomes = stage.serve(
            retainers.offer_retainer, [offer_of(each.deal, at) for each in tracks]
        )
        for track, outcome in zip(tracks, outcomes, strict=True):
            if not outcome.is_done:
                self._over(track, day)
            elif track.deal.slots or track.deal.conduct.is_taken:
                self._answers[day + track.deal.conduct.accept_days].append(track)
            else:
                self.endings.end_on(day + NOBODY_DAYS, track.deal)

    def _sign(self, stage: Stage, day: int) -> None:
        tracks = self._answers.pop(day, [])
        outcomes = stage.serve(
            retainers.accept_retainer,
            [
                RetainerCommand(
                    actor=person(track.deal.payee_id), retainer_id=track.plan.retainer_id
                )
                for track in tracks
            ],
        )
        for track, outcome in zip(tracks, outcomes, strict=True):
            if outcome.is_done:
                self.by_id[track.plan.retainer_id] = track
            else:
                self._over(track, day)

    def _see(self, stage: Stage, day: int, at: datetime) -> None:
        since = at - LOOK_BACK
        self.active = []
        for period in stage.read(lambda connection: list_periods(connection, since=since)):
            track = self.by_id.get(period.retainer_id)
            if track is None or track.is_over:
                continue
            if period.state == "funding":
                self._see_unpaid(track, period, day)
            elif period.id not in track.periods:
                track.periods.add(period.id)
                self._see_period(track, period, day)
        for retainer_id in stage.read(lambda connection: list_ended(connection, since=since)):
            track = self.by_id.get(retainer_id)
            if track is not None and not track.is_over:
                self._over(track, day)

    def _see_unpaid(self, track: Track, period: PeriodNow, day: int) -> None:
        """A charge failed: who pays late does so by another card, within the grace."""
        if period.id not in track.unpaid and track.plan.paying.pays_late:
            track.unpaid.add(period.id)
            self._payments[day + min(3, track.plan.paying.late_days)].append((track, period.id))

    def _see_period(self, track: Track, period: PeriodNow, day: int) -> None:
        if period.state == "lapsed":
            self._lapsed[day + 1].append(track)
            return
        self.active.append((track, period))
        self._plan_draws(track, period, day)
        if period.number >= track.plan.periods and not track.has_notice:
            track.has_notice = True
            wait = track.deal.dice.between("notice", lowest=0, highest=track.plan.days // 2)
            self._notices[day + wait].append(track)

    def _plan_draws(self, track: Track, period: PeriodNow, day: int) -> None:
        """One to four drawdowns over the period, of some 60 to 105 % of it in all."""
        plan = track.plan
        if plan.kind is RetainerKind.ACCESS_FEE:
            return
        dice = Dice(track.deal.dice.seed, f"{track.deal.dice.subject}|period{period.number}")
        share = dice.between("share", lowest=60, highest=105)
        if plan.kind is RetainerKind.HOURS_DRAWDOWN:
            units = plan.amount_minor * 60 * share // (plan.hourly_minor * 100)
        else:
            units = max(1, plan.quota * share // 100)
        days = (period.ends_at - period.starts_at).days
        count = min(_MOST_DRAWS, max(1, days // 7), units)
        for number in range(count):
            part = units // count + (number < units % count)
            on = day + max(1, days * (number + 1) // (count + 1))
            name = f"draw{period.number}.{number}"
            self._draws[on].append(_Drawing(track, period.id, name, part))

    def _draw(self, stage: Stage, day: int, at: datetime) -> None:
        draws = self._draws.pop(day, [])
        outcomes = stage.serve(
            retainers.draw_down,
            [
                Draw(
                    actor=person(each.track.deal.payee_id),
                    period_id=each.period_id,
                    drawdown_id=each.id_at(at),
                    units=each.units,
                    message_ref=f"message:{each.name}",
                )
                for each in draws
            ],
        )
        for each, outcome in zip(draws, outcomes, strict=True):
            if outcome.is_done:
                self._plan_reply(each, outcome, day)

    def _plan_reply(self, drawing: _Drawing, outcome: Outcome, day: int) -> None:
        dice = Dice(
            drawing.track.deal.dice.seed, f"{drawing.track.deal.dice.subject}{drawing.name}"
        )
        drawn = dice.below("reply", 10_000)
        answer = "approve"
        for name, rate in (
            ("", RATES.drawdown_silence),
            ("reject", RATES.drawdown_rejected),
            ("withdraw", RATES.drawdown_withdrawn),
        ):
            drawn -= rate
            if drawn < 0:
                answer = name
                break
        if answer:
            on = day + dice.between("reply_days", lowest=1, highest=5)
            drawdown_id = UUID(outcome.facts["drawdown_id"])
            self._replies[on].append((answer, drawing, drawdown_id))

    def _reply(self, stage: Stage, day: int) -> None:
        replies = self._replies.pop(day, [])
        services = {
            "approve": retainers.approve_drawdown,
            "reject": retainers.reject_drawdown,
            "withdraw": retainers.withdraw_drawdown,
        }
        for name, service in services.items():
            stage.serve(
                service,
                [
                    DrawdownCommand(
                        actor=person(
                            drawing.track.deal.payee_id
                            if name == "withdraw"
                            else drawing.track.deal.client_id
                        ),
                        drawdown_id=drawdown_id,
                        reason="not as agreed",
                    )
                    for answer, drawing, drawdown_id in replies
                    if answer == name
                ],
            )

    def _pay(self, stage: Stage, day: int, at: datetime) -> None:
        stage.serve(
            escrow.fund,
            [
                Fund(
                    actor=person(track.deal.client_id),
                    slot_id=period_id,
                    funding_id=track.deal.dice.new_id(f"late{len(track.unpaid)}", at),
                    method=Method.CARD,
                    method_token="card",  # noqa: S106  a token of the simulated rail
                )
                for track, period_id in self._payments.pop(day, [])
            ],
        )

    def _give_notice(self, stage: Stage, day: int) -> None:
        stage.serve(
            retainers.cancel_retainer,
            [
                RetainerCommand(
                    actor=person(track.deal.client_id), retainer_id=track.plan.retainer_id
                )
                for track in self._notices.pop(day, [])
            ],
        )

    def _give_up(self, stage: Stage, day: int) -> None:
        """A period lapsed and the contract is paused: it goes on, without the retainer."""
        tracks = [track for track in self._lapsed.pop(day, []) if not track.is_over]
        stage.serve(
            escrow.resume,
            [
                ContractCommand(actor=OPERATOR, contract_id=track.deal.contract_id)
                for track in tracks
            ],
        )
        stage.serve(
            retainers.cancel_retainer,
            [
                RetainerCommand(
                    actor=OPERATOR, retainer_id=track.plan.retainer_id, reason="nobody paid"
                )
                for track in tracks
            ],
        )

    def _over(self, track: Track, day: int) -> None:
        track.is_over = True
        self.endings.part_over(track.deal, day)


def offer_of(deal: Deal, at: datetime) -> OfferRetainer:
    """The retainer of a deal as it is offered, with its contract or under one that runs."""
    plan = deal.retainer
    assert plan is not None
    lowest, highest = START_DAYS
    wait = deal.conduct.accept_days + deal.dice.between("starts", lowest=lowest, highest=highest)
    rolls = plan.unused is Unused.ROLL
    new = NewContract(
        client_id=deal.client_id,
        payee_id=deal.payee_id,
        currency=deal.currency,
        terms=deal.terms_of_parts,
    )
    return OfferRetainer(
        actor=person(deal.client_id),
        contract_id=deal.contract_id,
        retainer_id=plan.retainer_id,
        terms=RetainerTerms(
            kind=plan.kind,
            amount_minor=plan.amount_minor,
            every=plan.every,
            anchor_on=(at + timedelta(days=wait)).date(),
            unused=plan.unused,
            rest=plan.rest,
            roll_cap_minor=plan.amount_minor // 2 if rolls else 0,
            hourly_minor=plan.hourly_minor,
            quota=plan.quota,
            notice_days=plan.notice_days,
            method=Method.CARD,
            method_token="card:declined" if plan.paying.charge_fails else "card",
        ),
        new=None if deal.slots else new,
    )
