"""Disputes in a replay: over submitted work, refused refunds and running periods.

Each takes one of the stated ways; its steps are planned by the day, and what a clock has decided
meanwhile is left alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Final
from uuid import UUID

from engine.replay.acts import APPROVER, OPERATOR, Service, person
from engine.replay.agenda import Track
from engine.replay.behaviour import RATES
from engine.replay.deals import Deal
from engine.replay.dice import Dice
from engine.replay.stage import Stage
from engine.replay.store_parts import PeriodNow, list_disputes
from escrow import service_dispute as disputes
from escrow.model_dispute import (
    AcceptOffer,
    DisputeCommand,
    FileEvidence,
    MakeOffer,
    OpenDispute,
    ProposeDecision,
    Recommend,
    Serve,
)
from kernel.commands import Command
from kernel.money import parse_minor
from kernel.principals import Actor

WHOLE_BPS: Final = 7_000
"""Disputes over all that the slot holds; the others are over half of its price."""


class Way(StrEnum):
    """How a dispute goes; one whose claim is small is decided where others are mediated."""

    CONCEDED = "conceded"
    SETTLED = "settled"
    CONTINUED = "continued"
    WITHDRAWN = "withdrawn"
    DEFAULTED = "defaulted"
    MEDIATED = "mediated"
    ARBITRATED = "arbitrated"


WAYS: Final = MappingProxyType(
    {
        Way.CONCEDED: 18,
        Way.SETTLED: 30,
        Way.CONTINUED: 6,
        Way.WITHDRAWN: 10,
        Way.DEFAULTED: 8,
        Way.MEDIATED: 16,
        Way.ARBITRATED: 12,
    }
)
"""Out of a hundred disputes."""


class Step(StrEnum):
    """What is done in a dispute, in the order of a day."""

    OPEN = "open"
    SERVE = "serve"
    CONCEDE = "concede"
    REPLY = "reply"
    ACCEPT = "accept"
    FILE = "file"
    FILE_TOO = "file_too"
    WITHDRAW = "withdraw"
    MEDIATE = "mediate"
    RECOMMEND = "recommend"
    ELECT = "elect"
    ELECT_TOO = "elect_too"
    PROPOSE = "propose"
    APPROVE = "approve"


_S = Step
_JUDGED: Final = ((0, _S.SERVE), (2, _S.REPLY), (2, _S.FILE), (2, _S.FILE_TOO), (4, _S.MEDIATE))
_DECIDED: Final = ((9, _S.PROPOSE), (10, _S.APPROVE))
STEPS: Final[Mapping[Way, tuple[tuple[int, Step], ...]]] = MappingProxyType(
    {
        Way.CONCEDED: ((0, _S.SERVE), (2, _S.CONCEDE)),
        Way.SETTLED: ((0, _S.SERVE), (2, _S.REPLY), (4, _S.ACCEPT)),
        Way.CONTINUED: ((0, _S.SERVE), (2, _S.REPLY), (3, _S.ACCEPT)),
        Way.WITHDRAWN: ((0, _S.SERVE), (3, _S.WITHDRAW)),
        Way.DEFAULTED: ((0, _S.SERVE),),
        Way.MEDIATED: (*_JUDGED, (8, _S.RECOMMEND), *_DECIDED),
        Way.ARBITRATED: (
            *(*_JUDGED, (8, _S.RECOMMEND), *_DECIDED),
            *((11, _S.ELECT), (11, _S.ELECT_TOO), (20, _S.PROPOSE), (21, _S.APPROVE)),
        ),
    }
)
"""Steps of each way by days since the opening; what the state does not allow is left out."""

_ONLY_IN: Final[Mapping[Step, frozenset[str]]] = MappingProxyType(
    {
        _S.SERVE: frozenset({"opened"}),
        _S.CONCEDE: frozenset({"opened", "awaiting_reply"}),
        _S.REPLY: frozenset({"opened", "awaiting_reply"}),
        _S.ACCEPT: frozenset({"negotiation"}),
        _S.FILE: frozenset({"negotiation"}),
        _S.FILE_TOO: frozenset({"negotiation"}),
        _S.WITHDRAW: frozenset({"opened", "awaiting_reply", "negotiation"}),
        _S.MEDIATE: frozenset({"negotiation"}),
        _S.RECOMMEND: frozenset({"mediation"}),
        _S.ELECT: frozenset({"recommendation", "arbitration_elect"}),
        _S.ELECT_TOO: frozenset({"recommendation", "arbitration_elect"}),
        _S.PROPOSE: frozenset({"arbitration"}),
        _S.APPROVE: frozenset({"arbitration"}),
    }
)


@dataclass(slots=True, eq=False)
class Quarrel:
    """One dispute on its way: over which slot, by whom, and which way it takes."""

    deal: Deal
    slot_id: UUID
    dice: Dice
    dispute_id: UUID
    by_payee: bool
    rejects_refund: bool
    way: Way
    part_percent: int
    most_minor: int | None = None
    frozen_minor: int = 0
    version: int = 0

    @property
    def opener(self) -> Actor:
        """Who opened it, acting for himself."""
        return person(self.deal.payee_id if self.by_payee else self.deal.client_id)

    @property
    def respondent(self) -> Actor:
        """The other side."""
        return person(self.deal.client_id if self.by_payee else self.deal.payee_id)

    @property
    def payee_minor(self) -> int:
        """The payee's share where it is split: a fifth to four fifths, drawn once."""
        return self.frozen_minor * self.dice.between("split", lowest=20, highest=80) // 100


@dataclass(slots=True)
class Quarrels:
    """All disputes of a replay, and their steps by day."""

    seed: int
    _days: dict[int, dict[Step, list[Quarrel]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def over_milestones(self, disputed: Iterable[tuple[Track, bool]], day: int) -> None:
        """Submitted work that the client disputes; refused refunds, by the payee."""
        for track, rejects_refund in disputed:
            name = f"slot{track.plan.no}"
            quarrel = self._begin(track.deal, track.plan.id, name, track.plan.amount_minor)
            quarrel.by_payee = quarrel.rejects_refund = rejects_refund
            self._days[day + 1][Step.OPEN].append(quarrel)

    def over_periods(self, active: Iterable[tuple[Deal, PeriodNow]], day: int) -> None:
        """Some clients dispute a running period, half-way."""
        for deal, period in active:
            name = f"period{period.number}"
            if deal.dice.happens(f"dispute|{name}", RATES.dispute_period):
                half = max(1, (period.ends_at - period.starts_at).days // 2)
                self._days[day + half][Step.OPEN].append(self._begin(deal, period.id, name, None))

    def noon(self, stage: Stage, day: int, at: datetime) -> None:
        """Take today's steps, each kind as one batch."""
        for step in Step:
            quarrels = self._days[day].pop(step, [])
            if not quarrels:
                continue
            if step is not Step.OPEN:
                quarrels = self._still_open(stage, quarrels, step)
            service, command = _DEEDS[step]
            outcomes = stage.serve(service, [command(each, at) for each in quarrels])
            for quarrel, outcome in zip(quarrels, outcomes, strict=True):
                if step is Step.OPEN and outcome.is_done:
                    frozen = outcome.facts["frozen"]
                    quarrel.frozen_minor = parse_minor(frozen["amount"], frozen["currency"])
                    for wait, following in STEPS[quarrel.way]:
                        self._days[day + wait][following].append(quarrel)

    def _begin(self, deal: Deal, slot_id: UUID, name: str, most_minor: int | None) -> Quarrel:
        dice = Dice(self.seed, f"{deal.dice.subject}|dispute|{name}")
        return Quarrel(
            deal,
            slot_id,
            dice,
            dice.new_id("dispute", deal.posting.posted_at),
            by_payee=False,
            rejects_refund=False,
            way=dice.weigh("way", WAYS),
            part_percent=100 if dice.happens("whole", WHOLE_BPS) else 50,
            most_minor=most_minor,
        )

    def _still_open(self, stage: Stage, quarrels: list[Quarrel], step: Step) -> list[Quarrel]:
        """Those whose state allows the step; a clock may have been faster."""
        known = stage.read(
            lambda connection: list_disputes(connection, [each.dispute_id for each in quarrels])
        )
        able = []
        for quarrel in quarrels:
            state, quarrel.version = known[quarrel.dispute_id]
            if state in _ONLY_IN[step]:
                able.append(quarrel)
        return able


def _open(quarrel: Quarrel, _at: datetime) -> Command:
    amount = None
    if quarrel.part_percent < 100 and quarrel.most_minor:
        amount = max(1, quarrel.most_minor * quarrel.part_percent // 100)
    return OpenDispute(
        actor=quarrel.opener,
        dispute_id=quarrel.dispute_id,
        slot_id=quarrel.slot_id,
        amount_minor=amount,
        rejects_refund=quarrel.rejects_refund,
        reason="it is not what was agreed",
    )


def _serve(quarrel: Quarrel, _at: datetime) -> Command:
    return Serve(
        actor=OPERATOR,
        dispute_id=quarrel.dispute_id,
        channel="email",
        proof=f"message:{quarrel.dispute_id}",
    )


def _plain(actor: Callable[[Quarrel], Actor]) -> Callable[[Quarrel, datetime], Command]:
    return lambda quarrel, _at: DisputeCommand(
        actor=actor(quarrel), dispute_id=quarrel.dispute_id, reason="as agreed"
    )


def _reply(quarrel: Quarrel, _at: datetime) -> Command:
    goes_on = quarrel.way is Way.CONTINUED
    return MakeOffer(
        actor=quarrel.respondent,
        dispute_id=quarrel.dispute_id,
        payee_minor=None if goes_on else quarrel.payee_minor,
        is_reply=True,
    )


def _accept(quarrel: Quarrel, _at: datetime) -> Command:
    return AcceptOffer(actor=quarrel.opener, dispute_id=quarrel.dispute_id, offer_no=1)


def _file(actor: Callable[[Quarrel], Actor]) -> Callable[[Quarrel, datetime], Command]:
    return lambda quarrel, _at: FileEvidence(
        actor=actor(quarrel),
        dispute_id=quarrel.dispute_id,
        sha256=sha256(quarrel.dispute_id.bytes).hexdigest(),
        reference="the messages of both",
    )


def _recommend(quarrel: Quarrel, _at: datetime) -> Command:
    return Recommend(actor=OPERATOR, dispute_id=quarrel.dispute_id, payee_minor=quarrel.payee_minor)


def _propose(quarrel: Quarrel, _at: datetime) -> Command:
    return ProposeDecision(
        actor=OPERATOR,
        dispute_id=quarrel.dispute_id,
        version=quarrel.version,
        payee_minor=quarrel.payee_minor,
        client_minor=quarrel.frozen_minor - quarrel.payee_minor,
        award_ref=f"award:{quarrel.dispute_id}",
    )


def _approve(quarrel: Quarrel, _at: datetime) -> Command:
    return DisputeCommand(actor=APPROVER, dispute_id=quarrel.dispute_id, version=quarrel.version)


def _opener(quarrel: Quarrel) -> Actor:
    return quarrel.opener


def _respondent(quarrel: Quarrel) -> Actor:
    return quarrel.respondent


_DEEDS: Final[Mapping[Step, tuple[Service, Callable[[Quarrel, datetime], Command]]]] = (
    MappingProxyType(
        {
            _S.OPEN: (disputes.open_dispute, _open),
            _S.SERVE: (disputes.serve_dispute, _serve),
            _S.CONCEDE: (disputes.concede_dispute, _plain(_respondent)),
            _S.REPLY: (disputes.offer_in_dispute, _reply),
            _S.ACCEPT: (disputes.accept_dispute_offer, _accept),
            _S.FILE: (disputes.file_evidence, _file(_opener)),
            _S.FILE_TOO: (disputes.file_evidence, _file(_respondent)),
            _S.WITHDRAW: (disputes.withdraw_dispute, _plain(_opener)),
            _S.MEDIATE: (disputes.mediate_dispute, _plain(_opener)),
            _S.RECOMMEND: (disputes.recommend_in_dispute, _recommend),
            _S.ELECT: (disputes.elect_arbitration, _plain(_opener)),
            _S.ELECT_TOO: (disputes.elect_arbitration, _plain(_respondent)),
            _S.PROPOSE: (disputes.propose_decision, _propose),
            _S.APPROVE: (disputes.approve_decision, _approve),
        }
    )
)
