"""Plans and products on the real database: two operators, a payee, a client, and their money."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_plans
from commissions.model import Side
from commissions.model_plans import (
    Every,
    OfferingKind,
    PriceOf,
    Purchase,
    RefundRule,
    Subscription,
)
from escrow import service_offerings, service_plans, service_plans_clocks
from escrow.commands_plans import (
    BuyProduct,
    CancelSubscription,
    DecideOffering,
    PrepareOffering,
    ReturnProduct,
    Subscribe,
)
from escrow.movements_plans import purse
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger.chart import CHART, Nature, account
from ledger.entries import custody
from ledger.model import Draft, Posted
from ledger.service import balances, kind_balances, post
from tests.escrow.stage import START, add_party, person
from tests.tax.stage import add_buyer, set_supplier


@dataclass
class Shop:
    """What is sold, and to whom; the acts answer with their outcome."""

    connection: Connection
    currency: str = "EUR"
    now: datetime = START
    side: Side = Side.PAYEE
    party: Actor = field(init=False)

    def __post_init__(self) -> None:
        kind = "freelancer" if self.side is Side.PAYEE else "client"
        self.party = person(add_party(self.connection, kind))
        self.stranger = person(add_party(self.connection, "client"))
        self.preparer = person(None, is_operator=True)
        self.approver = person(None, is_operator=True)

    @property
    def party_id(self) -> UUID:
        assert self.party.party_id is not None
        return self.party.party_id

    def tax(self, country: str = "FR") -> None:
        """A supplier in Ireland, and a buyer whose country is known: 20 % in FR."""
        set_supplier(self.connection, country="IE", at=START - timedelta(days=1))
        add_buyer(self.connection, self.party_id, country, at=START - timedelta(days=1))

    def earn(self, amount_minor: int) -> None:
        """Money that the party may spend: as if it had been released, or refunded to a wallet."""
        entries = custody(
            self.currency,
            (account("custody.bank", self.currency), amount_minor),
            (purse(self.side, self.party_id, self.currency), -amount_minor),
        )
        draft = Draft("test.earned", f"party:{self.party_id}", SYSTEM, self.now, entries)
        (answer,) = post(self.connection, [draft])
        assert isinstance(answer, Posted)

    def prepare(self, name: str = "pro", amount_minor: int = 1_499, **fields: object) -> Outcome:
        given = {
            "kind": OfferingKind.PLAN,
            "side": self.side,
            "refund": RefundRule.KEEPS,
            "prices": (
                PriceOf(self.currency, Every.MONTH, amount_minor),
                PriceOf(self.currency, Every.YEAR, amount_minor * 10),
            ),
            "reason": "a plan for tests",
            "offering_id": new_id(),
            "actor": self.preparer,
            **fields,
        }
        command = PrepareOffering(name=name, **given)  # type: ignore[arg-type]
        return service_offerings.prepare_offering(self.connection, [command], at=self.now)[0]

    def decide(self, verb: str, outcome: Outcome, actor: Actor | None = None) -> Outcome:
        command = DecideOffering(
            actor=actor or self.approver, offering_id=UUID(outcome.facts["offering_id"])
        )
        return getattr(service_offerings, f"{verb}_offering")(  # type: ignore[no-any-return]
            self.connection, [command], at=self.now
        )[0]

    def sell(self, name: str = "pro", amount_minor: int = 1_499, **fields: object) -> Outcome:
        """Prepared by one, approved by another."""
        prepared = self.prepare(name, amount_minor, **fields)
        assert prepared.is_done, prepared
        approved = self.decide("approve", prepared)
        assert approved.is_done, approved
        return approved

    def sell_product(
        self,
        name: str = "boost",
        amount_minor: int = 990,
        *,
        days: int = 7,
        refund: RefundRule = RefundRule.KEEPS,
    ) -> Outcome:
        prices = (PriceOf(self.currency, Every.ONCE, amount_minor),)
        kind = OfferingKind.PRODUCT
        return self.sell(name, kind=kind, prices=prices, days=days, refund=refund)

    def subscribe(
        self, plan: str = "pro", *, every: Every = Every.MONTH, actor: Actor | None = None
    ) -> Outcome:
        command = Subscribe(
            actor=actor or self.party,
            subscription_id=new_id(),
            party_id=self.party_id,
            plan=plan,
            currency=self.currency,
            every=every,
        )
        return service_plans.subscribe(self.connection, [command], at=self.now)[0]

    def cancel(self, subscription: Outcome, actor: Actor | None = None) -> Outcome:
        command = CancelSubscription(
            actor=actor or self.party,
            subscription_id=UUID(subscription.facts["subscription_id"]),
        )
        return service_plans.cancel_subscription(self.connection, [command], at=self.now)[0]

    def buy(
        self, product: str = "boost", about: str = "profile:1", actor: Actor | None = None
    ) -> Outcome:
        command = BuyProduct(
            actor=actor or self.party,
            purchase_id=new_id(),
            party_id=self.party_id,
            product=product,
            currency=self.currency,
            about=about,
        )
        return service_plans.buy_product(self.connection, [command], at=self.now)[0]

    def give_back(self, purchase: Outcome, actor: Actor | None = None) -> Outcome:
        command = ReturnProduct(
            actor=actor or self.party, purchase_id=UUID(purchase.facts["purchase_id"])
        )
        return service_plans.return_product(self.connection, [command], at=self.now)[0]

    def until(self, at: datetime) -> int:
        """Let time pass, and fire what falls due, in due order; how many clocks rang."""
        rang = 0
        while due := clock_rows.list_due(self.connection, at=at, limit=1, grace=timedelta()):
            self.now = max(self.now, due[0].due_at)
            handler = service_plans_clocks.HANDLERS[due[0].kind]
            rang += handler(self.connection, due, self.now)
        self.now = at
        return rang

    def pass_days(self, days: int) -> int:
        return self.until(self.now + timedelta(days=days))

    def subscription(self, outcome: Outcome) -> Subscription:
        ids = [UUID(outcome.facts["subscription_id"])]
        return store_plans.find_subscriptions(self.connection, ids)[0]

    def purchases(self) -> list[Purchase]:
        return store_plans.list_purchases(
            self.connection, party_id=self.party_id, after=None, limit=1_000
        )

    def left(self) -> int:
        """What the party has left to spend."""
        key = purse(self.side, self.party_id, self.currency)
        return -balances(self.connection, [key])[key]

    def shown(self, kind: str) -> int:
        """The balance of a kind as people read it: what is owed or earned is positive."""
        signed = kind_balances(self.connection, kind).get(self.currency, 0)
        return signed if CHART[kind].nature is Nature.ASSET else -signed

    def sums(self) -> tuple[int, int, int]:
        """Deferred, earned by plans and products, and the tax that is payable."""
        revenue = self.shown("platform.revenue.subscription")
        revenue += self.shown("platform.revenue.product")
        deferred = self.shown("platform.deferred_fees")
        return deferred, revenue, self.shown("platform.vat_payable")
