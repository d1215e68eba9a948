"""How contracts end: when no part of them is under way any more, or when it comes to nothing."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from engine.replay.acts import person
from engine.replay.deals import Deal
from engine.replay.stage import Stage
from escrow import service as escrow
from escrow.commands import ContractCommand
from escrow.refusals import FundingOpen

WAIT_DAYS: Final = 2
"""Days from the last part's end until the client ends the contract, and until he tries again."""

MOST_TRIES: Final = 30


@dataclass(slots=True)
class Endings:
    """The parts of each contract that are under way, and the contracts to be ended by day."""

    _parts: Counter[UUID] = field(default_factory=Counter)
    _days: dict[int, list[Deal]] = field(default_factory=lambda: defaultdict(list))
    _tries: Counter[UUID] = field(default_factory=Counter)

    def begin(self, deal: Deal, parts: int) -> None:
        """A contract with so many parts: its milestones, its hours, its retainer."""
        self._parts[deal.contract_id] = parts

    def part_over(self, deal: Deal, day: int) -> None:
        """One part came to its end."""
        self._parts[deal.contract_id] -= 1
        if self._parts[deal.contract_id] == 0:
            self.end_on(day + WAIT_DAYS, deal)

    def end_on(self, day: int, deal: Deal) -> None:
        """The client ends the contract on this day, whatever is under way."""
        self._days[day].append(deal)

    def live(self, stage: Stage, day: int) -> None:
        """End what is to be ended today; what has a payment under way is tried again."""
        deals = list({deal.contract_id: deal for deal in self._days.pop(day, [])}.values())
        outcomes = stage.serve(
            escrow.end,
            [
                ContractCommand(actor=person(deal.client_id), contract_id=deal.contract_id)
                for deal in deals
            ],
        )
        for deal, outcome in zip(deals, outcomes, strict=True):
            tries = self._tries[deal.contract_id]
            if outcome.code == FundingOpen.code and tries < MOST_TRIES:
                self._tries[deal.contract_id] += 1
                self.end_on(day + WAIT_DAYS, deal)
