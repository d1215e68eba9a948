"""Contracts on hours in a replay: offered, signed, logged every Sunday, paid late or not at all.

The engine itself closes, invoices, charges and releases each week. What is left to people is here:
the freelancer logs, the client raises the rate, pays by another card or never, and two operators
give up what was advanced for nothing.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from engine.replay.acts import APPROVER, OPERATOR, person
from engine.replay.behaviour import RATES
from engine.replay.calendar import Calendar
from engine.replay.deals import Deal
from engine.replay.dice import Dice
from engine.replay.endings import Endings
from engine.replay.stage import Stage
from engine.replay.store_parts import UnpaidWeek, list_unpaid_weeks
from engine.replay.terms import HoursPlan
from escrow import service as escrow
from escrow.commands import Fund
from escrow.commands_hourly import (
    AddHours,
    ChangeHours,
    HourlyOffer,
    Interval,
    LogTime,
    ProposeHours,
    TermCommand,
    WeekCommand,
)
from escrow.model import Method
from escrow.model_hourly import Source

SUNDAY: Final = 6
SATURDAY: Final = 5
TUESDAY: Final = 1

END_DAYS: Final = 7
"""Days from the last logged Sunday to the end of the contract: its week is released by then."""

END_UNPAID_DAYS: Final = 45
"""The same where charges fail: late payments have come by then, or never will."""

GIVE_UP_DAYS: Final = 40
"""Days after an advance until two operators write off what the client still owes."""

MOST_UNPAID: Final = 2
"""Weeks without money after which a freelancer stops working."""

_DAILY_MINUTES: Final = 7 * 60


@dataclass(slots=True, eq=False)
class Track:
    """One hourly term on its way; `week_no` is the number of Sundays on which it was logged."""

    deal: Deal
    plan: HoursPlan
    signed_at: datetime | None = None
    week_no: int = 0
    is_over: bool = False
    unpaid: set[UUID] = field(default_factory=set)


@dataclass(slots=True)
class Hours:
    """All hourly terms of a replay, and what is planned for them by day."""

    endings: Endings
    calendar: Calendar = field(default_factory=Calendar)
    by_term: dict[UUID, Track] = field(default_factory=dict)
    _offers: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))
    _answers: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))
    _payments: dict[int, list[tuple[Track, UUID, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _given_up: dict[int, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    _endings: dict[int, list[Track]] = field(default_factory=lambda: defaultdict(list))

    def begin(self, deal: Deal, day: int) -> None:
        """A deal on hours begins today: as a contract of its own, or beside milestones."""
        assert deal.hours is not None
        if not deal.slots:
            self.endings.begin(deal, 1)
        self._offers[day].append(Track(deal, deal.hours))

    def noon(self, stage: Stage, day: int, at: datetime) -> None:
        """Offer, sign, pay late, give up; on Tuesdays and Saturdays see what was not paid."""
        self._offer(stage, day)
        self._sign(stage, day, at)
        if at.weekday() in {TUESDAY, SATURDAY}:
            self._see_unpaid(stage, day)
        self._pay(stage, day, at)
        self._write_off(stage, day)
        for track in self._endings.pop(day, []):
            self.endings.part_over(track.deal, day)

    def evening(self, stage: Stage, day: int, at: datetime) -> None:
        """On Sundays everybody logs the hours of the week; some find that the rate has risen."""
        if at.weekday() != SUNDAY:
            return
        working = [t for t in self.by_term.values() if t.signed_at and not t.is_over]
        self._raise(stage, working)
        logs = [(track, log) for track in working if (log := self._log(track, at)) is not None]
        stage.serve(escrow.log_time, [log for _, log in logs])
        twice = [log for track, log in logs if self._dice(track).happens("twice", _TWICE_BPS)]
        stage.serve(escrow.log_time, [_again(log, at) for log in twice])
        for track in working:
            track.week_no += 1
            if track.week_no >= track.plan.weeks:
                self._stop(track, day)

    def _offer(self, stage: Stage, day: int) -> None:
        tracks = self._offers.pop(day, [])
        alone = [track for track in tracks if not track.deal.slots]
        beside = [track for track in tracks if track.deal.slots]
        proposed = stage.serve(
            escrow.propose_hours,
            [
                ProposeHours(
                    actor=person(track.deal.client_id),
                    contract_id=track.deal.contract_id,
                    client_id=track.deal.client_id,
                    payee_id=track.deal.payee_id,
                    currency=track.deal.currency,
                    offer=_offer_of(track),
                    terms=track.deal.terms_of_parts,
                )
                for track in alone
            ],
        )
        added = stage.serve(
            escrow.add_hours,
            [
                AddHours(
                    actor=person(track.deal.client_id),
                    contract_id=track.deal.contract_id,
                    offer=_offer_of(track),
                )
                for track in beside
            ],
        )
        for track, outcome in zip([*alone, *beside], [*proposed, *added], strict=True):
            if not outcome.is_done:
                self._over(track, day)
            elif track.deal.slots or track.deal.conduct.is_taken:
                self._answers[day + track.deal.conduct.accept_days].append(track)
            else:
                self.endings.end_on(day + END_DAYS, track.deal)

    def _sign(self, stage: Stage, day: int, at: datetime) -> None:
        tracks = self._answers.pop(day, [])
        outcomes = stage.serve(
            escrow.accept_hours,
            [
                TermCommand(actor=person(track.deal.payee_id), term_id=track.plan.term_id)
                for track in tracks
            ],
        )
        for track, outcome in zip(tracks, outcomes, strict=True):
            if outcome.is_done:
                track.signed_at = at
                self.by_term[track.plan.term_id] = track
            else:
                self._over(track, day)

    def _raise(self, stage: Stage, working: list[Track]) -> None:
        raised = [track for track in working if track.plan.raised_after == track.week_no]
        stage.serve(
            escrow.change_hours,
            [
                ChangeHours(
                    actor=person(track.deal.client_id),
                    term_id=track.plan.term_id,
                    rate_minor=track.plan.rate_minor * 11 // 10 + 1,
                )
                for track in raised
            ],
        )

    def _log(self, track: Track, at: datetime) -> LogTime | None:
        """The hours since Monday, or since the contract was signed; None for a week off."""
        dice = self._dice(track)
        assert track.signed_at is not None
        if dice.happens("off", RATES.week_off):
            return None
        left = track.plan.minutes * dice.between("part", lowest=70, highest=100) // 100
        if dice.happens("over", RATES.over_limit):
            left = left * 13 // 10
        entries: list[Interval] = []
        share = max(_DAILY_MINUTES, -(-left // 5))
        for back in range(SUNDAY, -1, -1):
            on = at - timedelta(days=back)
            if left <= 0 or on.date() <= track.signed_at.date():
                continue
            span = self.calendar.book(track.deal.payee_id, on, min(left, share))
            if span is not None:
                entries.append(_interval(dice, len(entries), *span))
                left -= int((span[1] - span[0]).total_seconds()) // 60
        if not entries:
            return None
        return LogTime(
            actor=person(track.deal.payee_id), term_id=track.plan.term_id, entries=tuple(entries)
        )

    def _see_unpaid(self, stage: Stage, day: int) -> None:
        """Weeks whose charge failed: the client pays late, or the freelancer has enough."""
        for week in stage.read(list_unpaid_weeks):
            track = self.by_term.get(week.term_id)
            if track is None or week.id in track.unpaid:
                continue
            track.unpaid.add(week.id)
            self._plan_payment(track, week, day)

    def _plan_payment(self, track: Track, week: UnpaidWeek, day: int) -> None:
        paying = track.plan.paying
        name = f"late|{week.starts_at:%Y%m%d}"
        if paying.pays_late:
            self._payments[day + paying.late_days].append((track, week.slot_id, name))
            return
        self._given_up[day + GIVE_UP_DAYS].append(week.id)
        if len(track.unpaid) >= MOST_UNPAID:
            self._stop(track, day)

    def _pay(self, stage: Stage, day: int, at: datetime) -> None:
        stage.serve(
            escrow.fund,
            [
                Fund(
                    actor=person(track.deal.client_id),
                    slot_id=slot_id,
                    funding_id=track.deal.dice.new_id(name, at),
                    method=Method.CARD,
                    method_token="card",  # noqa: S106  a token of the simulated rail
                )
                for track, slot_id, name in self._payments.pop(day, [])
            ],
        )

    def _write_off(self, stage: Stage, day: int) -> None:
        """Two operators give up what was advanced; where nothing was, they are refused."""
        weeks = self._given_up.pop(day, [])
        for actor in (OPERATOR, APPROVER):
            stage.serve(
                escrow.write_off,
                [
                    WeekCommand(actor=actor, week_id=each, reason="the client does not pay")
                    for each in weeks
                ],
            )

    def _stop(self, track: Track, day: int) -> None:
        if track.is_over:
            return
        track.is_over = True
        wait = END_UNPAID_DAYS if track.plan.paying.charge_fails else END_DAYS
        self._endings[day + wait].append(track)

    def _over(self, track: Track, day: int) -> None:
        track.is_over = True
        self.endings.part_over(track.deal, day)

    def _dice(self, track: Track) -> Dice:
        return Dice(track.deal.dice.seed, f"{track.deal.dice.subject}|week{track.week_no}")


_TWICE_BPS: Final = RATES.logged_twice


def _offer_of(track: Track) -> HourlyOffer:
    token = "card:declined" if track.plan.paying.charge_fails else "card"
    return HourlyOffer(
        term_id=track.plan.term_id,
        rate_minor=track.plan.rate_minor,
        limit_minutes=track.plan.minutes,
        method=Method.CARD,
        method_token=token,
        title=track.deal.posting.title[:500],
        collect=track.plan.collect,
        unused=track.plan.unused,
    )


def _interval(dice: Dice, number: int, started_at: datetime, ended_at: datetime) -> Interval:
    own = f"entry{number}"
    by_hand = dice.happens(f"{own}by_hand", RATES.by_hand)
    return Interval(
        entry_id=dice.new_id(own, started_at),
        started_at=started_at,
        ended_at=ended_at,
        source=Source.MANUAL if by_hand else Source.TRACKED,
        memo="" if dice.happens(f"{own}no_memo", RATES.no_memo) else "worked as agreed",
        activity=dice.between(f"{own}activity", lowest=8, highest=95),
    )


def _again(log: LogTime, at: datetime) -> LogTime:
    """The same hours under other names."""
    seed = int(at.timestamp())
    return LogTime(
        actor=log.actor,
        term_id=log.term_id,
        entries=tuple(
            Interval(
                entry_id=Dice(seed, str(each.entry_id)).new_id("again", at),
                started_at=each.started_at,
                ended_at=each.ended_at,
            )
            for each in log.entries
        ),
    )
