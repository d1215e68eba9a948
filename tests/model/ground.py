"""Where every example begins: people, capital, a signed deal; and how a step picks its subject."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from escrow import service
from escrow.commands import ContractCommand, Fund, FundingCommand, Milestone, Propose, SlotCommand
from escrow.model import Method as PayMethod
from escrow.model import ReleaseRule
from escrow.model import Terms as PinnedTerms
from ledger import parties
from payouts import methods, settlement
from payouts.commands import AddMethod, OpenCapital, SetFee
from tests.model import deals, money
from tests.model.acts import amounts, any_terms
from tests.model.books import Books
from tests.model.driver import Driver, Verb, fresh_ids, money_of, name_of, principal
from tests.model.model import (
    DAY,
    DONE,
    Actor,
    Contract,
    Funding,
    Method,
    Party,
    Reasons,
    Slot,
    Terms,
)

T = TypeVar("T")

CURRENCIES: Final = ("EUR", "JPY", "KWD")

_FIRST_TERMS: Final = Terms(
    1_250, 300, 2 * DAY, 3 * DAY, "client_or_timer", DAY, 9 * DAY, 20_000, 1
)


class Ground(RuleBasedStateMachine):
    """Two clients, two freelancers, capital, payout fees, and one deal that is paid for."""

    def __init__(self, opened: AbstractContextManager[Books], tally: Counter[str]) -> None:
        super().__init__()
        self._opened = opened
        self.driver = Driver(opened.__enter__(), tally)
        self.world = self.driver.world
        self.driver.open()

    def teardown(self) -> None:
        """Hear the rail to the end and prove the books, unless a step has failed."""
        try:
            if self.world.contracts and not self.driver.has_failed:
                self.driver.finish()
        finally:
            self._opened.__exit__(None, None, None)

    @initialize(roll=st.integers(0, 2**24 - 1))
    def begin(self, roll: int) -> None:
        """A world in which everything can happen soon."""
        dice = Random(roll)
        kinds = ("client", "freelancer", "client", "freelancer")
        self.add_parties(kinds)
        self.change_parties("operator", self.world.parties, kyc="verified", sanction="clear")
        self.set_fees("operator", CURRENCIES, dice.choice((0, 1, 200)))
        self.open_capital("operator", CURRENCIES, dice.choice((1_000_000, 500, 1)))
        client, payee = self.world.parties[:2]
        self.add_method(payee, payee, "bank:0")
        terms = _FIRST_TERMS if dice.random() < 0.5 else any_terms(dice)
        prices = [amounts(dice) for _ in range(3)]
        self.propose(payee, client, payee, dice.choice(CURRENCIES), terms, prices)
        contract = self.world.contracts[0]
        self.on_contract("accept", deals.accept, client, contract)
        for slot in contract.slots[:2]:
            self.fund(client, slot, dice.choice(("card", "card", "bank_debit", "bank_transfer")))
        self.driver.run_rail(frozenset())
        if dice.random() < 0.4:
            self.fund(client, contract.slots[2], "card")
            self.driver.run_rail(frozenset({"slow"}))
            self.give_up(client, self.world.fundings[-1])
            self.driver.wait(3 * DAY)
            self.driver.run_rail(frozenset())

    # -- what a command is on both sides

    def add_parties(self, kinds: Sequence[str]) -> None:
        asked = []
        for party_id, kind in zip(fresh_ids(len(kinds)), kinds, strict=True):
            self.world.parties.append(Party(party_id, kind, f"{kind} {len(self.world.parties)}"))
            command = parties.CreateParty(
                actor=principal("operator"), kind=parties.PartyKind(kind), party_id=party_id
            )
            asked.append((command, DONE))
        self.driver.run("create_party", parties.create, asked, f"{', '.join(kinds)} join")

    def change_parties(
        self, actor: Actor, people: Sequence[Party], *, kyc: str, sanction: str
    ) -> None:
        no = DONE if actor == "operator" else frozenset({"party.operator_only"})
        asked = []
        for party in people:
            if not no:
                party.kyc, party.sanction = kyc, sanction
            command = parties.ChangeParty(
                actor=principal(actor),
                party_id=party.id,
                kyc_state=parties.KycState(kyc),
                sanction_state=parties.SanctionState(sanction),
            )
            asked.append((command, no))
        names = ", ".join(party.name for party in people)
        told = f"{name_of(actor)} finds {names} {kyc}, sanctions {sanction}"
        self.driver.run("change_party", parties.change, asked, told)

    def set_fees(self, actor: Actor, currencies: Sequence[str], fee: int) -> None:
        no = DONE if actor == "operator" else frozenset({"payouts.operator_only"})
        asked = []
        for currency in currencies:
            if not no:
                self.world.payout_fees[currency] = fee
            command = SetFee(
                actor=principal(actor), currency=currency, fee_minor=fee, valid_from=self.driver.at
            )
            asked.append((command, no))
        told = f"{name_of(actor)} sets payout fees of {fee} {', '.join(currencies)}"
        self.driver.run("set_fees", methods.set_fees, asked, told)

    def open_capital(self, actor: Actor, currencies: Sequence[str], amount: int) -> None:
        no = DONE if actor == "operator" else frozenset({"payouts.operator_only"})
        asked = []
        for currency in currencies:
            if not no:
                way = {"source": "owner", "target": "platform_bank"}
                money.ask_transfer(self.world, currency, amount=amount, **way)
            command = OpenCapital(actor=principal(actor), currency=currency, amount_minor=amount)
            asked.append((command, no))
        told = f"{name_of(actor)} promises capital of {amount} {', '.join(currencies)}"
        self.driver.run("open_capital", settlement.open_capital, asked, told)

    def add_method(self, actor: Actor, party: Party, token: str) -> None:
        (method_id,) = fresh_ids(1)
        mine = [m for m in self.world.methods if m.party is party and m.is_active]
        no: Reasons = DONE
        if actor is not party and actor != "operator":
            no = frozenset({"payouts.not_yours"})
        elif token in {m.token for m in mine}:
            no = frozenset({"payouts.method_exists"})
        if not no:
            self.world.methods.append(Method(method_id, party, token))
        command = AddMethod(
            actor=principal(actor), method_id=method_id, party_id=party.id, token=token
        )
        told = f"{name_of(actor)} names {token} for {party.name}"
        self.driver.run("add_methods", methods.add_methods, [(command, no)], told)

    def propose(
        self,
        actor: Actor,
        client: Party,
        payee: Party,
        currency: str,
        terms: Terms,
        prices: Sequence[int],
    ) -> None:
        contract_id, *slot_ids = fresh_ids(1 + len(prices))
        offered = list(zip(slot_ids, prices, strict=True))
        no = deals.propose(
            self.world,
            actor,
            contract_id,
            client=client,
            payee=payee,
            currency=currency,
            terms=terms,
            milestones=offered,
        )
        command = Propose(
            actor=principal(actor),
            contract_id=contract_id,
            client_id=client.id,
            payee_id=payee.id,
            currency=currency,
            milestones=milestones(offered),
            terms=pinned(terms),
        )
        told = f"{name_of(actor)} offers {client.name} and {payee.name} {prices} {currency}"
        self.driver.run("propose", service.propose, [(command, no)], told)

    def on_contract(
        self,
        name: str,
        act: Callable[..., Reasons],
        actor: Actor,
        contract: Contract,
    ) -> None:
        no = act(self.world, actor, contract)
        command = ContractCommand(actor=principal(actor), contract_id=contract.id)
        told = f"{name_of(actor)}: {name} contract {self.number_of(contract)} ({contract.state})"
        verb: Verb = getattr(service, name)
        self.driver.run(name, verb, [(command, no)], told)

    def on_slots(
        self,
        name: str,
        act: Callable[..., Reasons],
        chosen: Sequence[tuple[Actor, Slot]],
        **facts: Any,
    ) -> None:
        """The same command on several slots in one batch, each by its own actor."""
        asked = []
        for actor, slot in chosen:
            no = act(self.world, actor, slot, **facts)
            command = SlotCommand(actor=principal(actor), slot_id=slot.id, **facts)
            asked.append((command, no))
        verb: Verb = getattr(service, name)
        told = ", ".join(f"{name_of(actor)} at {self.told(slot)}" for actor, slot in chosen)
        self.driver.run(name, verb, asked, f"{name}: {told}")

    def fund(self, actor: Actor, slot: Slot, method: str) -> UUID:
        (funding_id,) = fresh_ids(1)
        no = money.fund(self.world, actor, slot, funding_id, method=method)
        command = Fund(
            actor=principal(actor),
            slot_id=slot.id,
            funding_id=funding_id,
            method=PayMethod(method),
        )
        told = f"{name_of(actor)} pays {self.told(slot)} by {method}"
        self.driver.run(f"fund {method}", service.fund, [(command, no)], told)
        return funding_id

    def give_up(self, actor: Actor, paid: Funding) -> None:
        no = money.cancel_funding(self.world, actor, paid)
        command = FundingCommand(actor=principal(actor), funding_id=paid.id)
        told = f"{name_of(actor)} gives up paying {paid.asked} by {paid.method}"
        self.driver.run("cancel_funding", service.cancel_funding, [(command, no)], told)

    # -- how a step picks

    def number_of(self, contract: Contract) -> int:
        return self.world.contracts.index(contract) + 1

    def told(self, slot: Slot) -> str:
        deal = slot.contract
        held = money_of(slot.held, deal.currency)
        number = f"{self.number_of(deal)}.{deal.slots.index(slot) + 1}"
        return f"slot {number} (now {slot.state}, {held})"

    def actor(self, contract: Contract, side: str, number: int) -> Actor:
        """Who has this side, but now and then somebody else."""
        right: dict[str, Actor] = {
            "client": contract.client,
            "payee": contract.payee,
            "operator": "operator",
        }
        if number % 16 != 15:
            return right[side]
        others: list[Actor] = [contract.client, contract.payee, "operator", "stranger"]
        return others[number // 16 % 4]


def pick(items: Sequence[T], likely: Callable[[T], bool], number: int) -> T:
    """One of the likely items, but now and then any."""
    good = [each for each in items if likely(each)]
    some = good if good and number % 7 != 6 else items
    return some[number // 7 % len(some)]


def milestones(offered: Sequence[tuple[UUID, int]]) -> tuple[Milestone, ...]:
    return tuple(Milestone(slot_id=slot_id, amount_minor=price) for slot_id, price in offered)


def pinned(terms: Terms) -> PinnedTerms:
    """The model's terms as the product takes them."""
    return PinnedTerms(
        commission_bps=terms.commission_bps,
        client_fee_bps=terms.client_fee_bps,
        security_hold_days=terms.security_hold // DAY,
        auto_release_after=timedelta(seconds=terms.auto_release),
        release_rule=ReleaseRule(terms.release_rule),
        refund_reply_after=timedelta(seconds=terms.refund_reply),
        dormant_after=timedelta(seconds=terms.dormant),
        dormant_limit_minor=terms.dormant_limit,
        free_change_rounds=terms.change_rounds,
    )
