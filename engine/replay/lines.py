"""Disputed lines of weekly invoices in a replay: conceded, decided, silent, withdrawn."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from engine.replay.acts import APPROVER, OPERATOR, person
from engine.replay.behaviour import RATES
from engine.replay.deals import Deal
from engine.replay.stage import Stage
from engine.replay.store_parts import PaidWeek, list_weeks
from escrow import service_hourly_lines as lines
from escrow.model_lines import DisputeLine, LineCommand, ProposeLine, ServeLine
from kernel.commands import Outcome
from kernel.money import parse_minor

THURSDAY: Final = 3
_WEEK: Final = timedelta(days=7)
_DECIDED_DAYS: Final = 3


class LineWay(StrEnum):
    """How the dispute over a line goes."""

    CONCEDED = "conceded"
    DECIDED = "decided"
    SILENT = "silent"
    WITHDRAWN = "withdrawn"


LINE_WAYS: Final = MappingProxyType(
    {LineWay.CONCEDED: 30, LineWay.DECIDED: 30, LineWay.SILENT: 25, LineWay.WITHDRAWN: 15}
)
"""Out of a hundred disputed lines."""


@dataclass(frozen=True, slots=True)
class _Line:
    deal: Deal
    week: PaidWeek
    id: UUID
    way: LineWay
    percent: int
    frozen_minor: int = 0


@dataclass(slots=True)
class Lines:
    """Disputed lines, and what is done about them by day."""

    _answers: dict[int, list[_Line]] = field(default_factory=lambda: defaultdict(list))
    _decisions: dict[int, list[_Line]] = field(default_factory=lambda: defaultdict(list))

    def noon(self, stage: Stage, deal_of: Callable[[UUID], Deal], day: int, at: datetime) -> None:
        """Answer and decide; on Thursdays some clients dispute the first line of a week."""
        self._answer(stage, day)
        self._decide(stage, day)
        if at.weekday() == THURSDAY:
            self._open(stage, deal_of, day, at)

    def _open(self, stage: Stage, deal_of: Callable[[UUID], Deal], day: int, at: datetime) -> None:
        disputed = []
        for week in stage.read(lambda c: list_weeks(c, "in_review", since=at - _WEEK)):
            deal, name = deal_of(week.term_id), f"line|{week.starts_at:%Y%m%d}"
            if deal.dice.happens(name, RATES.dispute_line):
                way = deal.dice.weigh(f"{name}|way", LINE_WAYS)
                percent = deal.dice.between(f"{name}|part", lowest=0, highest=100)
                disputed.append(_Line(deal, week, deal.dice.new_id(name, at), way, percent))
        opened = stage.serve(
            lines.dispute_line,
            [
                DisputeLine(
                    actor=person(line.deal.client_id),
                    line_dispute_id=line.id,
                    week_id=line.week.id,
                    line_no=1,
                    reason="these hours were not agreed",
                )
                for line in disputed
            ],
        )
        done = [
            _frozen(line, outcome)
            for line, outcome in zip(disputed, opened, strict=True)
            if outcome.is_done
        ]
        stage.serve(
            lines.serve_line,
            [
                ServeLine(
                    actor=OPERATOR,
                    line_dispute_id=line.id,
                    channel="email",
                    proof=f"message:{line.id}",
                )
                for line in done
            ],
        )
        self._answers[day + 1] += [line for line in done if line.way is not LineWay.SILENT]

    def _answer(self, stage: Stage, day: int) -> None:
        answers = self._answers.pop(day, [])
        services = {
            LineWay.CONCEDED: lines.concede_line,
            LineWay.DECIDED: lines.reply_line,
            LineWay.WITHDRAWN: lines.withdraw_line,
        }
        for way, service in services.items():
            by_client = way is LineWay.WITHDRAWN
            stage.serve(
                service,
                [
                    LineCommand(
                        actor=person(line.deal.client_id if by_client else line.deal.payee_id),
                        line_dispute_id=line.id,
                        reason="see the messages of that week",
                    )
                    for line in answers
                    if line.way is way
                ],
            )
        decided = [line for line in answers if line.way is LineWay.DECIDED]
        self._decisions[day + _DECIDED_DAYS] += decided

    def _decide(self, stage: Stage, day: int) -> None:
        """Two operators: one proposes what goes back, the other approves it."""
        decided = self._decisions.pop(day, [])
        stage.serve(
            lines.propose_line,
            [
                ProposeLine(
                    actor=OPERATOR,
                    line_dispute_id=line.id,
                    refund_minor=line.frozen_minor * line.percent // 100,
                )
                for line in decided
            ],
        )
        stage.serve(
            lines.approve_line,
            [LineCommand(actor=APPROVER, line_dispute_id=line.id) for line in decided],
        )


def _frozen(line: _Line, outcome: Outcome) -> _Line:
    frozen = outcome.facts["frozen"]
    minor = parse_minor(frozen["amount"], frozen["currency"])
    return _Line(line.deal, line.week, line.id, line.way, line.percent, minor)
