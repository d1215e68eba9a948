"""The run of a replay: a tenant's own clock walks day by day, and everybody acts when it is time.

A day has three moments. At noon clocks fire and clients and freelancers act, each kind of act as
one batch; in the evening hours are logged and payees are paid; at midnight the rail is heard to its
end, the books are settled, and both are checked. All of it goes through the services that the API
calls.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from engine.replay.acts import DEEDS
from engine.replay.agenda import Act
from engine.replay.bank import Bank
from engine.replay.deals import Deal
from engine.replay.exchange import Exchange
from engine.replay.givebacks import GiveBacks
from engine.replay.hours import Hours
from engine.replay.lines import Lines
from engine.replay.midnight import Midnights
from engine.replay.people import People
from engine.replay.prices import open_prices
from engine.replay.quarrels import Quarrels
from engine.replay.retainers import Retainers
from engine.replay.script import Script
from engine.replay.stage import Stage, Stopped
from engine.replay.store import list_states
from engine.replay.taxes import Taxes
from engine.replay.treasury import Treasury
from escrow.model import SlotState
from kernel import clock
from kernel.database import transaction
from payouts import settlement
from rails.rates.model import Source

NOON: Final = timedelta(hours=12)
EVENING: Final = timedelta(hours=20)
MIDNIGHT: Final = timedelta(hours=24)

MONDAY: Final = 0
"""On Mondays clocks ring in the evening, too: at noon the week before is invoiced."""

Left = TypeVar("Left")
OnDay = Callable[[int, datetime], None]


@dataclass(slots=True)
class Replay:
    """One run: deals by the day on which they are posted, and everything that follows."""

    stage: Stage
    seed: int
    starts_on: datetime
    days: int
    by_day: dict[int, list[Deal]]
    source: Source | None = None
    treasury: Treasury = field(init=False)
    people: People = field(init=False)
    script: Script = field(default_factory=Script)
    hours: Hours = field(init=False)
    retainers: Retainers = field(init=False)
    quarrels: Quarrels = field(init=False)
    bank: Bank = field(init=False)
    exchange: Exchange = field(init=False)
    taxes: Taxes = field(init=False)
    lines: Lines = field(default_factory=Lines)
    give_backs: GiveBacks = field(default_factory=GiveBacks)
    midnights: Midnights = field(default_factory=Midnights)
    days_done: int = 0

    def __post_init__(self) -> None:
        """Nobody is known yet."""
        self.treasury = Treasury(self.source)
        self.people = People(self.seed)
        self.hours = Hours(self.script.endings)
        self.retainers = Retainers(self.script.endings)
        self.quarrels = Quarrels(self.seed)
        self.bank = Bank(self.seed)
        self.exchange = Exchange(self.seed, self.source)
        self.taxes = Taxes(self.seed, self.source)

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
        deals = [deal for deals in self.by_day.values() for deal in deals]
        self.treasury.open(self.stage, deals, self.starts_on)
        self.give_backs.open(self.stage, self.treasury.currencies)
        if self.source is not None:
            self.exchange.open(self.stage, self.starts_on)
            open_prices(self.stage, self.seed, self.treasury.locals, self.starts_on)
            self.taxes.open(self.stage)
        self.stage.hear_rail()

    def _live(self, day: int) -> None:
        noon, evening = self._at(day, NOON), self._at(day, EVENING)
        self.stage.move_clock(noon)
        self.exchange.take_rates(self.stage, noon)
        self.exchange.revalue(self.stage, noon)
        self.exchange.fill(self.stage, noon)
        self.stage.fire_timers(reminds=True)
        self._look(day)
        self._welcome(day, noon)
        self.script.agenda.carry_over(day)
        for act in Act:
            self._act(day, act)
        self.retainers.noon(self.stage, day, noon)
        self.hours.noon(self.stage, day, noon)
        self._go_on(day, noon)
        self.bank.noon(self.stage, day, noon)
        self.script.endings.live(self.stage, day)
        if self.stage.has_acted:
            self.stage.hear_rail_once()
            self._look(day)
        self.stage.move_clock(evening)
        if evening.weekday() == MONDAY:
            self.stage.fire_timers()
        self.hours.evening(self.stage, day, evening)
        least = self.treasury.least_payouts
        self.exchange.convert_earned(self.stage, self.people.payees, least, evening)
        self.people.pay_out(self.stage, day, evening, least)
        if self.source is not None:
            self.taxes.issue(self.stage)
        self._end(day)

    def _welcome(self, day: int, at: datetime) -> None:
        """The deals that are posted today begin."""
        deals = self.by_day.get(day, [])
        fresh = self.people.welcome(self.stage, deals) if deals else []
        if self.source is not None:
            self.taxes.welcome(self.stage, fresh, at)
        for deal in deals:
            if deal.slots:
                self.script.begin(deal, day)
            else:
                self._begin_parts(deal, day)

    def _begin_parts(self, deal: Deal, day: int) -> None:
        """Hours and retainers begin with their contract, or once its milestones are signed."""
        if deal.hours is not None:
            self.hours.begin(deal, day)
        if deal.retainer is not None:
            self.retainers.begin(deal, day)

    def _go_on(self, day: int, at: datetime) -> None:
        """What follows from today's acts: further parts, disputes, released money given back."""
        for deal in _taken(self.script.accepted):
            self._begin_parts(deal, day + 1)
        self.quarrels.over_milestones(_taken(self.script.disputed), day)
        self.quarrels.over_periods([(t.deal, p) for t, p in self.retainers.active], day)
        self.quarrels.noon(self.stage, day, at)
        self.lines.noon(self.stage, self._deal_of_term, day, at)
        self.give_backs.of_milestones(_taken(self.script.released), day)
        self.give_backs.of_weeks(self.stage, self._deal_of_term, day, at)
        self.give_backs.noon(self.stage, day, at)

    def _deal_of_term(self, term_id: UUID) -> Deal:
        return self.hours.by_term[term_id].deal

    def _end(self, day: int) -> None:
        """Midnight: the rail has its word, the books are settled, and all of it is checked."""
        midnight = self._at(day, MIDNIGHT)
        self.stage.move_clock(midnight)
        self.stage.hear_rail_once()
        if self.stage.call(settlement.settle):
            self.stage.hear_rail_once()
        self._look(day)
        self.midnights.check(self.stage, midnight)

    def _act(self, day: int, act: Act) -> None:
        """Have everybody do this act whose day it is."""
        tracks = self.script.agenda.take(day, act)
        if not tracks:
            return
        deed, at = DEEDS[act], self._at(day, NOON)
        outcomes = self.stage.serve(deed.service, [deed.command(track, at) for track in tracks])
        for track, outcome in zip(tracks, outcomes, strict=True):
            self.script.follow(act, track, outcome, day)

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
        """Have the rail quiet and the books settled; twice, because refunds may need the first.

        What was converted is filled as far as it can be, and every fee has its document.
        """
        at = self.stage.read(clock.now)
        for _ in range(2):
            self.stage.call(settlement.settle)
            self.stage.hear_rail()
            self.exchange.fill(self.stage, at, everything=True)
        self.stage.call(settlement.settle)
        self.stage.hear_rail()
        if self.source is not None:
            self.taxes.issue(self.stage)


def _taken(some: list[Left]) -> list[Left]:
    """What was left there, which is empty from now on."""
    found = list(some)
    some.clear()
    return found


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
