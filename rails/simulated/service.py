"""The simulated rail as a Rail: its own transactions on its own connections, never the tenant's."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Engine

from rails.capabilities import SIMULATED
from rails.model import (
    Capabilities,
    LogLine,
    Notice,
    NoticePage,
    RailAccount,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.simulated import store, store_chargebacks
from rails.simulated.model import Behaviour, Story
from rails.simulated.rules import announce, refuse_for_funds, source, tell

RAIL_ACCOUNT: Final = "simulated"
"""Subject of `custody.processor_*` in the books for the platform's account at this rail."""

CAPABILITIES: Final = SIMULATED


@dataclass(frozen=True, slots=True)
class SimulatedRail:
    """One platform's account at the simulated rail.

    `engine` logs in as the app; each call takes a connection of its own and commits by itself.
    `platform` is the tenant's name. Operations keep their story once executed: another Behaviour
    later does not change what was already decided.
    """

    engine: Engine
    platform: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    name: str = "simulated"
    capabilities: Capabilities = CAPABILITIES

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Move the money once per id; UNKNOWN where the reply is lost though the effect stands.

        Called again with the same id it answers with what is true by now.
        """
        if not operations:
            return []
        with self.engine.begin() as connection:
            store.lock_platform(connection, self.platform)
            known = store.list_known(connection, self.platform, operations)
            first = {o.id: o for o in operations if o.id not in known}
            stories = [tell(self.behaviour, operation, at) for operation in first.values()]
            payers = sorted({s for story in stories if (s := source(story.operation))})
            purse = store.list_spendable(connection, self.platform, payers, at)
            stories = [_paid_from(purse, story, at) for story in stories]
            if stories:
                store.add_stories(connection, self.platform, stories, at)
            announcements = announce(stories)
            if announcements:
                store.add_announcements(connection, self.platform, announcements)
            results = store.list_latest(connection, self.platform, operations, at)
        lost = {story.operation.id for story in stories if story.reply_is_lost}
        return [_lost(result) if result.operation_id in lost else result for result in results]

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """What is true of operations by now; never an effect."""
        with self.engine.begin() as connection:
            return store.list_latest(connection, self.platform, operations, at)

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        """Send what is due and give what was sent after a position."""
        with self.engine.begin() as connection:
            sent = store.lock_platform(connection, self.platform)
            store.send_notices(connection, self.platform, sent=sent, at=at)
            numbered = store.list_notices(
                connection, self.platform, rail=self.name, after=int(after or 0), limit=limit
            )
        position = str(numbered[-1][0]) if numbered else after
        return NoticePage(tuple(notice for _, notice in numbered), position)

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        """What the client's bank has said and done by now; acts are in `simulated.chargebacks`."""
        with self.engine.begin() as connection:
            return store_chargebacks.list_words(
                connection, self.platform, operation_ids, rail=self.name, at=at
            )

    def balances(self, *, at: datetime) -> list[RailBalance]:
        """What processor and banks hold at a time, from the log."""
        with self.engine.begin() as connection:
            return store.list_balances(connection, self.platform, at)

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:
        """Movements in the order of writing; a movement of the future is left out."""
        with self.engine.begin() as connection:
            return store.list_log(connection, self.platform, after=after, limit=limit, at=at)


def _paid_from(purse: dict[tuple[RailAccount, str], int], story: Story, at: datetime) -> Story:
    """The story, or its refusal where the source is short; carries the purse through the batch."""
    payer = source(story.operation)
    if payer is not None:
        there = purse.get((payer, story.operation.currency), 0)
        leaving = -sum(min(m.amount_minor, 0) for m in story.movements if m.account == payer)
        if leaving > there:
            return refuse_for_funds(story, at)
    for movement in story.movements:
        if movement.effective_at <= at or movement.amount_minor < 0:
            key = (movement.account, story.operation.currency)
            purse[key] = purse.get(key, 0) + movement.amount_minor
    return story


def _lost(result: RailResult) -> RailResult:
    return replace(
        result, outcome=RailOutcome.UNKNOWN, fee_minor=0, rail_ref="", code="", cleared=False
    )
