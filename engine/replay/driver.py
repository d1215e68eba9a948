"""The run of a replay: a tenant's own clock walks day by day, and everybody acts when it is time.

A day has two moments. At noon clocks fire and clients and freelancers act, each kind of act as one
batch; in the evening payees are paid, the books are settled, and the rail is heard to its end. All
of it goes through the services that the API calls.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from engine.replay.acts import DEEDS
from engine.replay.agenda import Act
from engine.replay.deals import Deal
from engine.replay.people import People
from engine.replay.postings import CURRENCY
from engine.replay.script import Script
from engine.replay.stage import Stage, Stopped
from engine.replay.store import list_states
from escrow.model import SlotState
from kernel import clock
from kernel.database import transaction
from kernel.principals import SYSTEM
from payouts import methods, settlement
from payouts.commands import OpenCapital, SetFee

PAYOUT_FEE_MINOR: Final = 100
CAPITAL_BPS: Final = 1_000
"""The owner's capital for each replay, as a share of all budgets: rails take their fees first."""

LEAST_CAPITAL_MINOR: Final = 1_000_000

NOON: Final = timedelta(hours=12)
EVENING: Final = timedelta(hours=20)

_ASKS_RAIL: Final = frozenset(
    {Act.PAY, Act.PAY_RAISE, Act.TIP, Act.ACCEPT_REFUND, Act.GIVE_BACK, Act.END}
)

OnDay = Callable[[int, datetime], None]


@dataclass(slots=True)
class Replay:
    """One run: deals by the day on which they are posted, and everything that follows."""

    stage: Stage
    seed: int
    starts_on: datetime
    days: int
    by_day: dict[int, list[Deal]]
    people: People = field(init=False)
    script: Script = field(default_factory=Script)
    days_done: int = 0

    def __post_init__(self) -> None:
        """Nobody is known yet."""
        self.people = People(self.seed)

    def run(self, on_day: OnDay) -> bool:
        """Walk through all days; False if it was stopped before the last of them.

        Either way the day is closed: the rail is quiet and the books are settled.
        """
        is_complete = True
        try:
            self._open()
            for day in range(self.days):
                self._live(day)
                self.days_done = day + 1
                on_day(day + 1, self._at(day, EVENING))
        except Stopped:
            self.stage.stop.clear()
            is_complete = False
        self._close()
        return is_complete

    def _at(self, day: int, moment: timedelta) -> datetime:
        return self.starts_on + timedelta(days=day) + moment

    def _open(self) -> None:
        """Make the tenant a sandbox at midnight of the first day, and pay the capital in."""
        with transaction(self.stage.engine, self.stage.tenant) as connection:
            clock.make_sandbox(connection, at=self.starts_on)
        budgets = sum(
            plan.amount_minor
            for deals in self.by_day.values()
            for deal in deals
            for plan in deal.slots
        )
        capital = max(LEAST_CAPITAL_MINOR, budgets * CAPITAL_BPS // 10_000)
        self.stage.serve(
            settlement.open_capital,
            [OpenCapital(actor=SYSTEM, currency=CURRENCY, amount_minor=capital)],
        )
        self.stage.serve(
            methods.set_fees,
            [
                SetFee(
                    actor=SYSTEM,
                    currency=CURRENCY,
                    fee_minor=PAYOUT_FEE_MINOR,
                    valid_from=self.starts_on,
                )
            ],
        )
        self.stage.hear_rail()

    def _live(self, day: int) -> None:
        self.stage.move_clock(self._at(day, NOON))
        self.stage.fire_timers()
        self._look(day)
        deals = self.by_day.get(day, [])
        if deals:
            self.people.welcome(self.stage, deals)
        for deal in deals:
            self.script.begin(deal, day)
        done = [act for act in Act if self._act(day, act)]
        if not _ASKS_RAIL.isdisjoint(done):
            self.stage.hear_rail_once()
            self._look(day)
        evening = self._at(day, EVENING)
        self.stage.move_clock(evening)
        self.people.pay_out(self.stage, day, evening, CURRENCY)
        self.stage.call(settlement.settle)
        self.stage.hear_rail()
        self._look(day)

    def _act(self, day: int, act: Act) -> bool:
        """Have everybody do this act whose day it is; whether there was anybody."""
        tracks = self.script.agenda.take(day, act)
        if not tracks:
            return False
        deed, at = DEEDS[act], self._at(day, NOON)
        outcomes = self.stage.serve(deed.service, [deed.command(track, at) for track in tracks])
        for track, outcome in zip(tracks, outcomes, strict=True):
            self.script.follow(act, track, outcome, day)
        return True

    def _look(self, day: int) -> None:
        """See what became of the milestones that wait for the rail or for a clock."""
        waiting = self.script.waiting
        if not waiting:
            return
        with transaction(self.stage.engine, self.stage.tenant) as connection:
            states = list_states(connection, list(waiting))
        for slot_id, state in states:
            self.script.look(waiting[slot_id], SlotState(state), day)

    def _close(self) -> None:
        """Have the rail quiet and the books settled; twice, because refunds may need the first."""
        for _ in range(2):
            self.stage.call(settlement.settle)
            self.stage.hear_rail()


def group_by_day(deals: Sequence[Deal]) -> tuple[datetime, dict[int, list[Deal]]]:
    """Midnight of the first posting, and the deals by days from there; each day by posting id."""
    first = min(deal.posting.posted_at for deal in deals)
    starts_on = first.replace(hour=0, minute=0, second=0, microsecond=0)
    by_day: dict[int, list[Deal]] = defaultdict(list)
    for deal in sorted(deals, key=_in_order):
        by_day[(deal.posting.posted_at - starts_on).days].append(deal)
    return starts_on, dict(by_day)


def _in_order(deal: Deal) -> tuple[datetime, UUID]:
    return deal.posting.posted_at, deal.contract_id
