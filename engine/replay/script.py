"""What follows from what: after each act and each word of the engine, the next act.

Pure: it reads outcomes and writes the agenda. The acts themselves are in `engine.replay.acts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from uuid import UUID

from engine.replay.agenda import Act, Agenda, Track, Waiting
from engine.replay.behaviour import (
    NOBODY_TAKES_IT_DAYS,
    PATIENCE_DAYS,
    SLOW_DAYS,
    Answer,
    Delivery,
)
from engine.replay.deals import Deal
from engine.replay.endings import Endings
from engine.replay.terms import Form
from escrow.model import ReleaseRule, SlotState
from escrow.refusals import FundingOpen, NotCleared
from kernel.commands import Outcome

MOST_ASKED: Final = 10
"""How often an act that came too early is tried again."""

_GOES_BACK: Final = frozenset({Act.ASK_REFUND, Act.ACCEPT_REFUND, Act.GIVE_BACK})


@dataclass(slots=True)
class Script:
    """All milestones of a replay, those that wait, and what is planned.

    What others go on with is left in `accepted`, `released` and `disputed` until they take it;
    with a disputed one stands whether the payee rejects a refund by it.
    """

    agenda: Agenda = field(default_factory=Agenda)
    endings: Endings = field(default_factory=Endings)
    released: list[Track] = field(default_factory=list)
    disputed: list[tuple[Track, bool]] = field(default_factory=list)
    accepted: list[Deal] = field(default_factory=list)
    tracks: dict[UUID, tuple[Track, ...]] = field(default_factory=dict)
    waiting: dict[UUID, Track] = field(default_factory=dict)

    def begin(self, deal: Deal, day: int) -> None:
        """A posting with milestones comes in on this day."""
        tracks = tuple(Track(deal, plan) for plan in deal.slots)
        self.tracks[deal.contract_id] = tracks
        self.endings.begin(deal, 1 if deal.form is Form.MILESTONES else 2)
        self.agenda.add(day, Act.PROPOSE, tracks[0])

    def follow(self, act: Act, track: Track, outcome: Outcome, day: int) -> None:
        """What an act leads to, done or refused."""
        if outcome.is_done:
            next_step = _AFTER.get(act)
            if next_step is not None:
                next_step(self, track, outcome, day)
        elif outcome.code in _TOO_EARLY and track.asked < MOST_ASKED:
            track.asked += 1
            self.agenda.add(day + 2, act, track)
        elif act is Act.PAY:
            self.not_paid(track, day)
        elif act in _SILENCE_INSTEAD:
            # Somebody or a clock was faster: wait for how it ends.
            self.wait(track, Waiting.CLOCK)

    def look(self, track: Track, state: SlotState, day: int) -> None:
        """What the state of a milestone that waited leads to."""
        if state in (SlotState.RELEASED, SlotState.REFUNDED, SlotState.CANCELLED):
            self.over(track, day, is_released=state is SlotState.RELEASED)
        elif track.waiting is Waiting.PAYMENT and state is SlotState.FUNDED:
            self._paid(track, day)
        elif track.waiting is Waiting.PAYMENT and state is SlotState.AWAITING_FUNDING:
            self.not_paid(track, day)

    def wait(self, track: Track, what: Waiting) -> None:
        """Look at this milestone every day until the rail or a clock has moved it."""
        if not track.is_over:
            track.waiting = what
            self.waiting[track.plan.id] = track

    def not_paid(self, track: Track, day: int) -> None:
        """A payment failed: another means is tried the next day, or the client gives up."""
        self.waiting.pop(track.plan.id, None)
        track.waiting = None
        was_slow = "slow" in track.plan.conduct.tokens[track.tries]
        track.tries += 1
        if track.tries < len(track.plan.conduct.methods):
            self.agenda.add(day + (SLOW_DAYS if was_slow else 1), Act.PAY, track)
        else:
            track.is_over = True
            self._end_if_over(track, day)

    def _paid(self, track: Track, day: int) -> None:
        del self.waiting[track.plan.id]
        track.waiting = None
        conduct = track.plan.conduct
        turn = track.plan.no if track.deal.conduct.pays_all_at_once else 1
        done_on = day + conduct.work_days * turn
        if conduct.delivery is Delivery.GIVES_BACK:
            self.agenda.add(day + max(1, conduct.work_days // 2), Act.GIVE_BACK, track)
            return
        if conduct.delivery is Delivery.NEVER:
            self.agenda.add(done_on + PATIENCE_DAYS, Act.ASK_REFUND, track)
            return
        self.agenda.add(done_on, Act.SUBMIT, track)
        if conduct.raises_price and done_on > day + 1:
            self.agenda.add(day + 1, Act.OFFER_RAISE, track)

    def over(self, track: Track, day: int, *, is_released: bool) -> None:
        """A milestone came to its end; the next one begins, or the contract ends."""
        self.waiting.pop(track.plan.id, None)
        track.waiting = None
        if track.is_over:
            return
        track.is_over = True
        if is_released:
            self.released.append(track)
        deal = track.deal
        tracks = self.tracks[deal.contract_id]
        is_last = track.plan.no == len(tracks)
        if is_released and not is_last and not deal.conduct.pays_all_at_once:
            following = tracks[track.plan.no]
            self.agenda.add(day + following.plan.conduct.fund_days, Act.PAY, following)
            return
        if is_released and is_last and deal.conduct.tips:
            self.agenda.add(day + 1, Act.TIP, track)
        self._end_if_over(track, day)

    def _end_if_over(self, track: Track, day: int) -> None:
        """The contract ends when no milestone of it is under way any more."""
        tracks = self.tracks[track.deal.contract_id]
        if not track.deal.conduct.pays_all_at_once or all(each.is_over for each in tracks):
            self.endings.part_over(track.deal, day)


def _proposed(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    conduct = track.deal.conduct
    if conduct.is_taken:
        script.agenda.add(day + conduct.accept_days, Act.ACCEPT, track)
    else:
        script.endings.end_on(day + NOBODY_TAKES_IT_DAYS, track.deal)


def _accepted(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    deal = track.deal
    script.accepted.append(deal)
    if deal.conduct.client_verifies and not deal.posting.is_verified:
        script.agenda.add(day, Act.VERIFY, track)
    tracks = script.tracks[deal.contract_id]
    for each in tracks if deal.conduct.pays_all_at_once else tracks[:1]:
        script.agenda.add(day + track.plan.conduct.fund_days, Act.PAY, each)


def _pays(script: Script, track: Track, _outcome: Outcome, _day: int) -> None:
    script.wait(track, Waiting.PAYMENT)


def _raise_offered(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    script.agenda.add(day, Act.SIGN_RAISE, track)


def _raise_signed(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    script.agenda.add(day, Act.PAY_RAISE, track)


def _submitted(script: Script, track: Track, outcome: Outcome, day: int) -> None:
    track.submission_no = int(outcome.facts["submission_no"])
    conduct = track.plan.conduct
    if conduct.withdraws and not track.has_withdrawn:
        track.has_withdrawn = True
        script.agenda.add(day + 1, Act.WITHDRAW, track)
        return
    answer = conduct.answers[min(track.answered, len(conduct.answers) - 1)]
    act = _ANSWERS[answer]
    if act is None:
        if answer is Answer.DISPUTE:
            script.disputed.append((track, False))
        script.wait(track, Waiting.CLOCK)
        return
    if track.deal.conduct.release_rule is ReleaseRule.BOTH_CONFIRM:
        act = _BOTH.get(act, act)
    days = conduct.answer_days[min(track.answered, len(conduct.answer_days) - 1)]
    script.agenda.add(day + days, act, track)


def _withdrawn(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    script.agenda.add(day + 1, Act.SUBMIT, track)


def _sent_back(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    track.answered += 1
    script.agenda.add(day + track.plan.conduct.resubmit_days, Act.SUBMIT, track)


def _part_released(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    script.agenda.add(day + 3, Act.APPROVE, track)


def _approved(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    if track.plan.conduct.approves_twice:
        script.agenda.add(day, Act.APPROVE_AGAIN, track)
    script.over(track, day, is_released=True)


def _confirmed(script: Script, track: Track, outcome: Outcome, day: int) -> None:
    if outcome.facts.get("state") == SlotState.RELEASED:
        script.over(track, day, is_released=True)
    else:
        script.agenda.add(day + 1, Act.CONFIRM_TOO, track)


def _refund_asked(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    conduct = track.plan.conduct
    if conduct.accepts_refund:
        script.agenda.add(day + 2, Act.ACCEPT_REFUND, track)
        return
    if conduct.rejects_refund:
        script.disputed.append((track, True))
    script.wait(track, Waiting.CLOCK)


def _refunded(script: Script, track: Track, _outcome: Outcome, day: int) -> None:
    script.over(track, day, is_released=False)


_ANSWERS: Final[Mapping[Answer, Act | None]] = MappingProxyType(
    {
        Answer.APPROVE: Act.APPROVE,
        Answer.SILENCE: None,
        Answer.DISPUTE: None,
        Answer.ASK_CHANGES: Act.ASK_CHANGES,
        Answer.RELEASE_PART: Act.RELEASE_PART,
        Answer.ASK_REFUND: Act.ASK_REFUND,
    }
)

_BOTH: Final[Mapping[Act, Act]] = MappingProxyType(
    {Act.APPROVE: Act.CONFIRM, Act.RELEASE_PART: Act.CONFIRM}
)
"""Where both must confirm, nobody approves or releases a part by himself."""

_SILENCE_INSTEAD: Final = _GOES_BACK | {
    *(Act.APPROVE, Act.CONFIRM, Act.CONFIRM_TOO, Act.RELEASE_PART, Act.ASK_CHANGES, Act.SUBMIT),
}

_TOO_EARLY: Final = frozenset({NotCleared.code, FundingOpen.code})

_AFTER: Final[Mapping[Act, Callable[[Script, Track, Outcome, int], None]]] = MappingProxyType(
    {
        Act.PROPOSE: _proposed,
        Act.ACCEPT: _accepted,
        Act.PAY: _pays,
        Act.OFFER_RAISE: _raise_offered,
        Act.SIGN_RAISE: _raise_signed,
        Act.SUBMIT: _submitted,
        Act.WITHDRAW: _withdrawn,
        Act.ASK_CHANGES: _sent_back,
        Act.RELEASE_PART: _part_released,
        Act.APPROVE: _approved,
        Act.CONFIRM: _confirmed,
        Act.CONFIRM_TOO: _confirmed,
        Act.ASK_REFUND: _refund_asked,
        Act.ACCEPT_REFUND: _refunded,
        Act.GIVE_BACK: _refunded,
    }
)
