"""The promises of domain/escrow.md as plain numbers: what there is, and what it comes to.

Nothing here knows the product's code. Amounts are whole minor units, times whole seconds since
1970. What the books should show is worked out from the things themselves: escrow from the lots of
slots, pending earnings from releases, and only cash, debts between the books and results are
counters. A command of the model answers with the set of reasons against it; empty: it was done.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from tests.model.rail import RailWorld

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

WORKING: Final = frozenset({"funded", "submitted", "changes_requested"})
HOLDING: Final = WORKING | {"refund_requested", "dormant"}
OPEN_FUNDING: Final = frozenset({"created", "processing"})
OPEN_REFUND: Final = frozenset({"approved", "submitted"})
STOPPED_BY_HOLDS: Final = ("auto_release", "refund_reply", "dormant", "security_hold")

Reasons = frozenset[str]
DONE: Final[Reasons] = frozenset()


@dataclass(frozen=True)
class Terms:
    """What acceptance pins: basis points, seconds, minor units."""

    commission_bps: int
    client_fee_bps: int
    security_hold: int
    auto_release: int
    release_rule: str
    refund_reply: int
    dormant: int
    dormant_limit: int
    change_rounds: int


@dataclass(eq=False)
class Party:
    """Someone with a wallet and earnings. `paused` means that his payouts wait for an operator."""

    id: UUID
    kind: str
    name: str
    kyc: str = "none"
    sanction: str = "clear"
    paused: bool = False

    @property
    def is_clear(self) -> bool:
        return self.kyc == "verified" and self.sanction == "clear"


Actor = Party | Literal["operator", "stranger"]


@dataclass(eq=False)
class Contract:
    """A deal between two parties; `proposed_by` is the side that made the offer."""

    id: UUID
    client: Party
    payee: Party
    currency: str
    terms: Terms
    state: str = "draft"
    was_accepted: bool = False
    slots: list["Slot"] = field(default_factory=list)

    def side_of(self, actor: Actor) -> str:
        """`client`, `payee`, `operator`, or nothing for a stranger."""
        if actor is self.client:
            return "client"
        if actor is self.payee:
            return "payee"
        return "operator" if actor == "operator" else ""


@dataclass(eq=False)
class Funding:
    """A payment by the client, by a rail or from his wallet; for a tip `slot` is None."""

    id: UUID
    contract: Contract
    slot: "Slot | None"
    purpose: str
    method: str
    amount: int
    fee: int
    state: str
    rail_fee: int = 0
    tip: "Release | None" = None

    @property
    def asked(self) -> int:
        return self.amount + self.fee


@dataclass(eq=False)
class Lot:
    """What is left in a slot of one funding, with the part of its fee that is not earned yet."""

    funding: Funding
    left: int
    fee: int


@dataclass(eq=False)
class Slot:
    """A milestone with its money, oldest lot first."""

    id: UUID
    contract: Contract
    proposed_by: str
    price: int
    active_at: int
    due_at: int | None = None
    state: str = "proposed"
    version: int = 1
    lots: list[Lot] = field(default_factory=list)
    funded: int = 0
    rolled_in: int = 0
    rolled_out: int = 0
    released: int = 0
    refunded: int = 0
    uncleared: int = 0
    submission: int = 0
    submissions: int = 0
    rounds: int = 0
    confirmed_by: str = ""
    notices: int = 0

    @property
    def held(self) -> int:
        return sum(lot.left for lot in self.lots)

    @property
    def fee_deferred(self) -> int:
        return sum(lot.fee for lot in self.lots)

    @property
    def unpaid(self) -> int:
        """What is missing of the agreed price."""
        return max(0, self.price - self.held - self.released)

    @property
    def subject(self) -> str:
        return f"slot:{self.id}"


@dataclass(eq=False)
class Release:
    """Money that was let go to the payee; `slot` is None for a tip."""

    number: int
    contract: Contract
    slot: Slot | None
    gross: int
    commission: int
    state: str = "pending"

    @property
    def subject(self) -> str:
        return f"release:{self.number}"

    @property
    def label(self) -> str:
        """How a line names it: the model cannot know its id."""
        whose = self.slot.id if self.slot else self.contract.id
        return f"release of {whose} {self.gross}"


@dataclass(eq=False)
class Refund:
    """Money on its way back to the client by a rail, or credited to his wallet."""

    slot: Slot
    funding: Funding
    amount: int
    fee: int
    state: str


@dataclass(eq=False)
class Amendment:
    """What one side offered for a slot as it stood at `version`."""

    id: UUID
    slot: Slot
    offered_by: str
    version: int
    price: int | None = None
    target: Slot | None = None
    state: str = "proposed"


@dataclass(eq=False)
class Method:
    """A place to be paid to."""

    id: UUID
    party: Party
    token: str
    is_active: bool = True


@dataclass(eq=False)
class Payout:
    """Money that leaves to a payee."""

    id: UUID
    payee: Party
    method: Method
    currency: str
    amount: int
    fee: int
    state: str = "requested"

    @property
    def net(self) -> int:
        return self.amount - self.fee


@dataclass
class Clock:
    """A running timer by its due time, or a stopped one by what is left of it."""

    due: int
    left: int | None = None


def share(amount: int, bps: int) -> int:
    """Basis points of an amount, half up (domain/escrow.md 3.3, rule 2)."""
    whole, rest = divmod(amount * bps, 10_000)
    return whole + (rest >= 5_000)


@dataclass
class World:
    """Everything there is, and what it comes to."""

    now: int
    parties: list[Party] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    fundings: list[Funding] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    holds: dict[UUID, str] = field(default_factory=dict)
    clocks: dict[tuple[str, str], Clock] = field(default_factory=dict)
    payout_fees: dict[str, int] = field(default_factory=dict)
    wallets: Counter[tuple[Party, str]] = field(default_factory=Counter)
    available: Counter[tuple[Party, str]] = field(default_factory=Counter)
    billed: Counter[tuple[Party, Party, str]] = field(default_factory=Counter)
    pots: Counter[tuple[str, str]] = field(default_factory=Counter)
    rail: RailWorld = field(default_factory=RailWorld)
    by_subject: dict[str, object] = field(default_factory=dict)

    def add(self, pot: str, currency: str, amount: int) -> None:
        """Put more (or less) into a counter."""
        self.pots[pot, currency] += amount

    def arm(self, subject: str, kind: str, due: int, concerned: object) -> None:
        """Set a clock, or set it anew; even a stopped one then runs, but none under a hold."""
        self.by_subject[subject] = concerned
        stands = kind in STOPPED_BY_HOLDS and self.holds_on(*self.deal_of(subject))
        self.clocks[subject, kind] = Clock(due, max(0, due - self.now) if stands else None)

    def deal_of(self, subject: str) -> tuple[Contract, Slot | None]:
        """Whose holds stop the clocks of a slot or a release; a tip has no slot."""
        found = self.by_subject[subject]
        assert isinstance(found, Slot | Release)
        return found.contract, found if isinstance(found, Slot) else found.slot

    def charge(self, contract: Contract, amount: int) -> int:
        """Our commission on what is billed now, after all that the pair was billed before."""
        pair = (contract.client, contract.payee, contract.currency)
        before = share(self.billed[pair], contract.terms.commission_bps)
        self.billed[pair] += amount
        return share(self.billed[pair], contract.terms.commission_bps) - before

    def new_release(
        self, contract: Contract, slot: Slot | None, gross: int, commission: int
    ) -> Release:
        """Money let go to the payee, in its security hold."""
        release = Release(len(self.releases), contract, slot, gross, commission)
        self.releases.append(release)
        return release

    def cancel(self, subject: str, *kinds: str) -> None:
        for kind in kinds:
            self.clocks.pop((subject, kind), None)

    def holds_on(self, contract: Contract, slot: Slot | None = None) -> bool:
        """Whether an open hold blocks money of this deal (domain/escrow.md 0.2)."""
        names = {f"contract:{contract.id}"}
        names |= {f"party:{contract.client.id}", f"party:{contract.payee.id}"}
        if slot is not None:
            names.add(slot.subject)
        return not names.isdisjoint(self.holds.values())

    def acted(self, slot: Slot, state: str | None = None) -> None:
        """One of its parties did something with the slot: dormancy counts anew."""
        slot.version += 1
        slot.active_at = self.now
        slot.notices = 0
        slot.state = state or slot.state

    def has_open_funding(self, slot: Slot) -> bool:
        return any(f.slot is slot and f.state in OPEN_FUNDING for f in self.fundings)

    def is_unsettled(self, contract: Contract) -> bool:
        """Whether a contract holds money or has money on its way."""
        return (
            any(slot.held or slot.state == "funding" for slot in contract.slots)
            or any(
                f.contract is contract and f.state in OPEN_FUNDING | {"mismatch"}
                for f in self.fundings
            )
            or any(r.slot.contract is contract and r.state in OPEN_REFUND for r in self.refunds)
        )

    def accounts(self) -> dict[tuple[str, str, str], int]:
        """Kind, subject and currency of every account that is not at zero; debit positive."""
        found: dict[tuple[str, str, str], int] = defaultdict(int)
        for (pot, currency), amount in self.pots.items():
            for kind, sign in COUNTERS[pot]:
                found[kind, "", currency] += sign * amount
        for kind, subject, currency, owed in self._owed():
            found[kind, subject, currency] -= owed
        return {key: amount for key, amount in found.items() if amount}

    def _owed(self) -> Iterator[tuple[str, str, str, int]]:
        """What is owed: by slots, to people, and on its way."""
        for slot in self.slots:
            currency = slot.contract.currency
            yield "custody.escrow", str(slot.id), currency, slot.held
            yield "platform.deferred_fees", "", currency, slot.fee_deferred
        for (party, currency), amount in self.wallets.items():
            yield "custody.wallet", str(party.id), currency, amount
        for (party, currency), amount in self.available.items():
            yield "custody.earned_available", str(party.id), currency, amount
        for release in self.releases:
            if release.state == "pending":
                deal = release.contract
                net = release.gross - release.commission
                yield "custody.earned_pending", str(deal.payee.id), deal.currency, net
        yield from self._owed_on_its_way()

    def _owed_on_its_way(self) -> Iterator[tuple[str, str, str, int]]:
        for back in self.refunds:
            if back.state in OPEN_REFUND:
                whose = f"{back.slot.id}/{back.funding.id}"
                currency = back.slot.contract.currency
                yield "custody.refund_in_transit", whose, currency, back.amount + back.fee
        for payout in self.payouts:
            if payout.state in {"requested", "submitted"}:
                yield "custody.payout_in_transit", str(payout.id), payout.currency, payout.net
        for funding in self.fundings:
            if funding.state == "mismatch":
                yield "custody.suspense", "", funding.contract.currency, funding.asked

    def check(self) -> None:
        """The invariants of domain/escrow.md 2.1, on the model's own figures."""
        books: Counter[tuple[str, str]] = Counter()
        for (kind, _, currency), amount in self.accounts().items():
            books[kind.partition(".")[0], currency] += amount
            assert kind not in NEVER_OVERDRAWN or amount < 0, (kind, amount)
        assert not +books, books
        assert not -books, books
        for slot in self.slots:
            came = slot.funded + slot.rolled_in
            assert slot.held == came - slot.released - slot.refunded - slot.rolled_out, slot


COUNTERS: Final[dict[str, tuple[tuple[str, int], ...]]] = {
    "processor_pending": (("custody.processor_pending", 1),),
    "processor_available": (("custody.processor_available", 1),),
    "bank": (("custody.bank", 1),),
    "platform_bank": (("platform.bank", 1),),
    "due_to_platform": (("custody.due_to_platform", -1), ("platform.due_from_custody", 1)),
    "due_from_platform": (("custody.due_from_platform", 1), ("platform.due_to_custody", -1)),
    "commission": (("platform.revenue.commission", -1),),
    "client_fee": (("platform.revenue.client_fee", -1),),
    "payout_fee": (("platform.revenue.payout_fee", -1),),
    "processor_cost": (("platform.expense.processor", 1),),
    "payout_cost": (("platform.expense.payout", 1),),
    "capital": (("platform.capital", -1),),
}
"""Each counter with the accounts that show it: a debt between the books stands in both."""

NEVER_OVERDRAWN: Final = frozenset(
    {"custody.escrow", "custody.wallet", "custody.earned_pending", "custody.earned_available"}
    | {"custody.refund_in_transit", "custody.payout_in_transit", "custody.suspense"}
    | {"platform.deferred_fees"}
)
