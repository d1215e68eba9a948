"""`python -m tests.scenarios.permutations --count 10000 --seed 1`: one deal's news in any order.

The deal is paid, partly released, contested and won, its rest refunded, and what was earned paid
out, sent back by the bank and called home. What Stripe says of all this comes late, twice, in any
order, or never until the gaps are filled; what people do happens at the same points each time, as
soon as what it stands on is known. In the end the books are those of the news in their order.

Each history is played in a transaction that is rolled back. Exit 0: all end the same; 1: not.
"""

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from engine.handlers import RAIL_NOTICES, RAIL_RESULTS, TIMERS
from escrow import service as escrow
from escrow.commands import (
    ContractCommand,
    Fund,
    Milestone,
    Propose,
    ReleasePart,
    SlotCommand,
    Submit,
)
from escrow.model import Method, Terms
from kernel import clock
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.database import Tenant, connect, transaction
from kernel.embedded import EmbeddedServer
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.chart import account
from ledger.model import Book, Entry, Line
from payouts import methods, service_payees
from payouts import service as payouts
from payouts.commands import AddMethod, OpenPayeeAccount, RequestPayout
from rails import service as rails
from rails import store_transactions, transactions
from rails.model import (
    PAYEE_CHANGED,
    TRANSACTIONS_BOOKED,
    Notice,
)
from rails.model_events import RailTransaction
from rails.telling import tell_news, tell_results
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.payouts.builders import post_entries
from tests.scenarios import truths
from tests.scenarios.truths import (
    ACCOUNT,
    CASH,
    CURRENCY,
    DONE,
    FUNDING,
    PART,
    PAYOUT,
    PRICE,
    START,
    STRIPE,
    Truth,
    named,
    word,
)

TELL: Final[Callable[[str], None]] = print
DUES: Final = {
    "custody.due_to_platform": "custody owes",
    "custody.due_from_platform": "custody owes",
    "platform.due_to_custody": "platform owes",
    "platform.due_from_custody": "platform owes",
}
"""What the books owe each other is set off each day, so only the sum of it counts."""


CLIENT: Final = Actor(named("client's"), PrincipalKind.PERSON, named("client"))
PAYEE: Final = Actor(named("payee's"), PrincipalKind.PERSON, named("payee"))
OPERATOR: Final = Actor(UUID(int=9), PrincipalKind.PERSON, is_operator=True)


@dataclass
class Story:
    """One telling of the history, in one transaction."""

    connection: Connection
    now: datetime = START
    told: set[str] = field(default_factory=set)
    known: dict[str, Any] = field(default_factory=dict)

    # ---- what people do

    def do(self, service: Callable[..., list[Outcome]], command: object) -> Outcome:
        """A use case that nothing may stand in the way of; what it asks of rails is sent."""
        (outcome,) = service(self.connection, [command], at=self.now)
        assert outcome.is_done, (command, outcome)
        rails.take(self.connection, 100, self.now, rail=STRIPE)
        return outcome

    def submit(self) -> None:
        """The payee hands in."""
        self.do(escrow.submit, Submit(actor=PAYEE, slot_id=named("slot"), message_ref="done"))

    def release(self) -> None:
        """The client lets a part of it go."""
        part = ReleasePart(actor=CLIENT, slot_id=named("slot"), amount_minor=PART)
        self.do(escrow.release_part, part)

    def give_back(self) -> None:
        """The payee gives the rest back; the rail is asked to."""
        self.do(escrow.give_back, SlotCommand(actor=PAYEE, slot_id=named("slot")))
        (refund,) = self.connection.exec_driver_sql(
            "SELECT id, amount_minor FROM rail_operation WHERE kind = 'refund'"
        )
        self.known |= {"refund": refund.id, "refund_minor": refund.amount_minor}

    def cash(self) -> None:
        """After the holds the payee has some of it paid out."""
        wish = RequestPayout(
            actor=PAYEE,
            payout_id=PAYOUT,
            payee_id=named("payee"),
            method_id=named("method"),
            amount_minor=CASH,
            currency=CURRENCY,
        )
        self.do(payouts.request, wish)
        (sent,) = payouts.submit_due(self.connection, at=self.now)
        assert sent.is_done, sent
        rails.take(self.connection, 100, self.now, rail=STRIPE)

    def look(self) -> None:
        """Nobody does anything; the worker goes round."""
        rails.take(self.connection, 100, self.now, rail=STRIPE)

    def wait(self, length: timedelta) -> None:
        """Let time pass, and fire what falls due on the way."""
        until = self.now + length
        while due := clock_rows.list_due(self.connection, at=until, limit=1, grace=timedelta()):
            self.now = max(self.now, due[0].due_at)
            TIMERS[due[0].kind](self.connection, due, self.now)
        self.now = until

    # ---- what is heard

    def hear(self, news: Sequence[Notice | RailTransaction]) -> None:
        """Take words and lines in as the worker does, each once."""
        notices = [each for each in news if isinstance(each, Notice)]
        lines = [each for each in news if isinstance(each, RailTransaction)]
        if lines:
            store_transactions.add_transactions(self.connection, lines, self.now)
        self._tell(rails.receive(self.connection, notices, at=self.now))
        grown = Notice(
            rail=STRIPE,
            notice_id="transactions",
            kind=TRANSACTIONS_BOOKED,
            currency="",
            occurred_at=self.now,
        )
        if transactions.has_work(self.connection, STRIPE, self.now):
            tell_news(self.connection, [grown], RAIL_NOTICES, self.now)
        rails.take(self.connection, 100, self.now, rail=STRIPE)

    def _tell(self, fresh: Sequence[Notice]) -> None:
        piles = rails.sort(self.connection, fresh, RAIL_NOTICES)
        tell_results(self.connection, piles.results, RAIL_RESULTS, self.now)
        tell_news(self.connection, piles.others, RAIL_NOTICES, self.now)
        rails.park(self.connection, piles.parked, at=self.now)

    def end(self) -> None:
        """What waited is looked at again, and all that is available by now is."""
        for _ in range(3):
            self.wait(timedelta(hours=1))
            self._tell(rails.take_parked(self.connection, at=self.now))
        self.hear([])
        left = self.connection.exec_driver_sql(
            "SELECT notice_id FROM notice WHERE state <> 'applied'"
            " UNION ALL SELECT transaction_ref FROM rail_transaction WHERE state = 'open'"
        )
        assert not [row[0] for row in left], "something was never heard"

    def books(self) -> dict[str, int]:
        """What stands in each account, and how far each thing has come."""
        found: Counter[str] = Counter()
        for row in self.connection.exec_driver_sql(
            "SELECT kind, subject, balance_minor FROM account WHERE balance_minor <> 0"
        ):
            name = DUES.get(row.kind, f"{row.kind}[{row.subject}]")
            found[name] += row.balance_minor
        for row in self.connection.exec_driver_sql(_STATES):
            found[f"{row.thing} is {row.state}"] = 1
        return {name: minor for name, minor in found.items() if minor}

    def postings(self) -> dict[str, int]:
        """The kinds of what was posted, but for those of what is over again."""
        return {
            row.kind: row.minor
            for row in self.connection.exec_driver_sql(_KINDS, (list(ON_THE_WAY),))
        }


_STATES: Final = """
SELECT 'funding' AS thing, state FROM funding
UNION ALL SELECT 'slot', state FROM slot
UNION ALL SELECT 'refund', state FROM refund
UNION ALL SELECT 'payout', state FROM payout
UNION ALL SELECT 'chargeback', state FROM chargeback
"""

_KINDS: Final = "SELECT DISTINCT kind, 1 AS minor FROM event WHERE kind <> ALL (%s)"

ON_THE_WAY: Final = (
    *("chargeback.warning", "chargeback.needs_response", "chargeback.under_review"),
    *("funding.processing", "funding.cleared", "slot.cleared", "refund.submitted"),
    *("slot.contested", "slot.reinstated", "hold.placed", "hold.lifted"),
    *("payout.in_transit", "payout.paid"),
)
"""Events of what is over again in the end: heard late they are no news, and never written."""


@dataclass(frozen=True, slots=True)
class Part:
    """After some days somebody acts, once `needs` is known; then `truths` come about."""

    days: int
    act: Callable[[Story], None]
    needs: frozenset[str]
    truths: Mapping[str, Truth]


CONTEST_IS_OVER: Final = frozenset({"won", "money reinstated", "money withdrawn"})

PARTS: Final = (
    Part(0, Story.look, frozenset(), truths.payment()),
    Part(0, Story.submit, frozenset({"payment cleared"}), {}),
    Part(1, Story.release, frozenset(), truths.contest()),
    Part(
        1,
        Story.give_back,
        frozenset({"won", "money reinstated", "money withdrawn"}),
        truths.refund(),
    ),
    Part(10, Story.cash, frozenset({"payment's line", "refund done"}), truths.transfer()),
    Part(1, Story.look, frozenset({"transfer done"}), truths.payout()),
    Part(14, Story.look, frozenset({"payout returned"}), truths.home()),
)


@dataclass(frozen=True, slots=True)
class Played:
    """How a history ended."""

    books: Mapping[str, int]
    postings: Mapping[str, int]
    heard: tuple[str, ...]


def serial() -> list[list[str]]:
    """The news of each part in their order, once."""
    return [list(part.truths) for part in PARTS]


def shuffled(dice: random.Random) -> list[list[str]]:
    """The news of each part at that time or later, some twice, some not before the end."""
    heard: list[list[str]] = [[] for _ in PARTS]
    for number, part in enumerate(PARTS):
        for name in part.truths:
            last = next((i - 1 for i, each in enumerate(PARTS) if name in each.needs), len(PARTS))
            if dice.random() >= 0.15:
                at = number if dice.random() < 0.6 else dice.randint(number, len(PARTS) - 1)
                heard[min(at, last)].append(name)
            while dice.random() < 0.3:
                heard[dice.randint(number, len(PARTS) - 1)].append(name)
    for names in heard:
        dice.shuffle(names)
    return heard


def play(
    engine: Engine,
    tenant: Tenant,
    order: Sequence[Sequence[str]],
    size: int = 1,
    *,
    never: frozenset[str] = frozenset(),
) -> Played:
    """One history from the first word to the last, taken in by so many; nothing of it stays.

    What is in `never` no gap is filled with.
    """
    with undone(engine, tenant) as connection:
        story, heard = Story(connection), list[str]()
        known: dict[str, Truth] = {}

        def tell(names: Sequence[str]) -> None:
            for start in range(0, len(names), size):
                some = names[start : start + size]
                story.hear([known[name](story) for name in some])
                heard.extend(some)
                story.told.update(some)

        for part, names in zip(PARTS, order, strict=True):
            story.wait(timedelta(days=part.days))
            tell(sorted(part.needs - story.told))
            part.act(story)
            known |= part.truths
            tell(names)
        tell([name for name in known if name not in story.told | never])
        story.end()
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        return Played(story.books(), story.postings(), tuple(heard))


class _EnoughError(Exception):
    """Ends a transaction whose work shall not stay."""


@contextmanager
def undone(engine: Engine, tenant: Tenant) -> Iterator[Connection]:
    """A transaction that is rolled back at its end."""
    try:
        with transaction(engine, tenant) as connection:
            yield connection
            raise _EnoughError  # noqa: TRY301  # the transaction must end by an error
    except _EnoughError:
        return


def begin(engine: Engine, tenant: Tenant) -> None:
    """The deal, accepted and about to be paid; the platform has money of its own."""
    with transaction(engine, tenant) as connection:
        clock.make_sandbox(connection, at=START)
        story = Story(connection)
        for kind, actor in (("client", CLIENT), ("freelancer", PAYEE)):
            assert actor.party_id is not None
            create = parties.CreateParty(
                actor=OPERATOR,
                kind=parties.PartyKind(kind),
                party_id=actor.party_id,
                country="DE",
            )
            story.do(parties.create, create)
            known = parties.KycState.VERIFIED
            change = parties.ChangeParty(actor=OPERATOR, party_id=actor.party_id, kyc_state=known)
            story.do(parties.change, change)
        own = (
            Line(account("platform.bank", CURRENCY), 10_000_000),
            Line(account("platform.capital", CURRENCY), -10_000_000),
        )
        post_entries(connection, Entry(Book.PLATFORM, CURRENCY, own))
        _agree(story)
        _open_account(story)


def _agree(story: Story) -> None:
    propose = Propose(
        actor=PAYEE,
        contract_id=named("contract"),
        client_id=named("client"),
        payee_id=named("payee"),
        currency=CURRENCY,
        milestones=(Milestone(slot_id=named("slot"), amount_minor=PRICE),),
        terms=Terms(),
    )
    story.do(escrow.propose, propose)
    story.do(escrow.accept, ContractCommand(actor=CLIENT, contract_id=named("contract")))
    fund = Fund(
        actor=CLIENT,
        slot_id=named("slot"),
        funding_id=FUNDING,
        method=Method.CARD,
        method_token="pm_card_visa",
        rail_account=STRIPE,
    )
    story.do(escrow.fund, fund)


def _open_account(story: Story) -> None:
    add = AddMethod(
        actor=PAYEE,
        method_id=named("method"),
        party_id=named("payee"),
        token="default",
        rail=STRIPE,
    )
    story.do(methods.add_methods, add)
    wish = OpenPayeeAccount(
        actor=PAYEE, account_id=named("account"), party_id=named("payee"), rail=STRIPE
    )
    story.do(service_payees.open_accounts, wish)
    opened = word(named("account"), "a:1", DONE, 0, rail_ref=ACCOUNT)
    may = replace(
        opened,
        notice_id="a:2",
        kind=PAYEE_CHANGED,
        operation_id=None,
        outcome=None,
        facts={
            "account": ACCOUNT,
            "may_receive": True,
            "may_be_paid_out": True,
            "requirements": [],
            "deadline": None,
            "disabled_reason": "",
            "as_of": START.isoformat(),
        },
    )
    (asked_for,) = rails.list_operations(story.connection, [named("account")])
    story.hear([replace(opened, currency=asked_for.currency), may])


def differences(first: Mapping[str, int], other: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """What is not the same in both."""
    return {
        name: (first.get(name, 0), other.get(name, 0))
        for name in sorted(first.keys() | other.keys())
        if first.get(name, 0) != other.get(name, 0)
    }


def play_many(
    engine: Engine, tenant: Tenant, *, count: int, seed: int, tell: Callable[[int], None]
) -> list[tuple[int, dict[str, tuple[int, int]], Played]]:
    """So many histories by their seeds; those that did not end as the serial one."""
    first = play(engine, tenant, serial())
    wrong = []
    for number in range(seed, seed + count):
        dice = random.Random(number)
        played = play(engine, tenant, shuffled(dice), dice.randint(1, 4))
        different = differences(first.books, played.books) | differences(
            first.postings, played.postings
        )
        if different:
            wrong.append((number, different, played))
        tell(number)
    return wrong


def main() -> int:
    """Play them, say how far it is, and what did not end the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios.permutations")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()

    def tell(number: int) -> None:
        done = number - given.seed + 1
        if done % 250 == 0 or done == given.count:
            TELL(f"{done:,} of {given.count:,} after {time.monotonic() - began:,.0f} s")
            sys.stdout.flush()

    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        cloned_database(server) as database,
    ):
        engine = connect(database.app_url)
        begin(engine, TENANT)
        wrong = play_many(engine, TENANT, count=given.count, seed=given.seed, tell=tell)
        engine.dispose()
    sorts: dict[str, list[int]] = defaultdict(list)
    for number, different, _ in wrong:
        sorts[str(different)].append(number)
    for what, numbers in sorts.items():
        TELL(f"{len(numbers)} such as seed {numbers[0]}: {what}")
    TELL(f"{given.count - len(wrong):,} of {given.count:,} end in the books of the serial order")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
