"""Use cases of plans and products: subscribe, cancel, buy, give back.

Whoever charges a party locks it, so that two charges at once see each other. Clocks renew and earn:
`escrow.service_plans_clocks`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from commissions import rules_plans as rules
from commissions import store_plans
from commissions.machine_plans import PURCHASES, SUBSCRIPTIONS, Trigger, step
from commissions.model_plans import (
    Every,
    Offering,
    OfferingKind,
    Purchase,
    Subscription,
    TaxOn,
)
from commissions.refusals_plans import (
    OnHold,
    Running,
    StaleVersion,
    Subscribed,
    UnknownPlanParty,
    UnknownPurchase,
    UnknownSubscription,
)
from escrow import rules_plans
from escrow import store_plans as fee_lines
from escrow.commands_plans import (
    BuyProduct,
    CancelSubscription,
    ReturnProduct,
    Subscribe,
)
from escrow.refusals import IdTaken
from escrow.rules_plans import Step
from escrow.service_batch import once_each
from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.timers import Arm
from ledger import holds, parties
from ledger.model_parties import Party, SanctionState
from ledger.service import post
from tax.service_vat import decide_for

C = TypeVar("C", bound=Command)


def subscribe(
    connection: Connection, commands: Sequence[Subscribe], *, at: datetime
) -> list[Outcome]:
    """Take plans and pay their first period (P44).

    Refuses `plans.*`, and `ledger.insufficient_funds` where the party has less than price and tax.
    """

    def serve(alone: Sequence[Subscribe]) -> list[Outcome]:
        people = _lock_people(connection, [each.party_id for each in alone])
        names = {each.plan for each in alone}
        sold = store_plans.list_sold(connection, OfferingKind.PLAN, names)
        live = store_plans.list_live(connection, people)
        taken = store_plans.find_subscriptions(connection, [each.subscription_id for each in alone])
        taxes, held = taxes_of(connection, people, at), list_held(connection, people)

        def decide(command: Subscribe) -> Step:
            role = rules.role_of(command.actor, command.party_id)
            step(SUBSCRIPTIONS, None, Trigger.SUBSCRIBE, role)
            _check_party(command.party_id, people)
            new = _begun(command, rules.on_sale(sold, OfferingKind.PLAN, command.plan, at), at)
            if command.party_id in live:
                raise Subscribed(subscription_id=str(live[command.party_id].id))
            if command.subscription_id in {each.id for each in taken}:
                raise IdTaken(id=str(command.subscription_id))
            check_held(held, command.party_id)
            paid = rules.paid_for(new, new_id(), tax=taxes[command.party_id], at=at)
            return rules_plans.charged(None, new, paid, command.actor, at)

        return run_steps(connection, alone, decide, at=at)

    return once_each(commands, lambda each: (each.party_id, each.subscription_id), serve)


def cancel_subscription(
    connection: Connection, commands: Sequence[CancelSubscription], *, at: datetime
) -> list[Outcome]:
    """End plans, as their terms say: what is paid runs out, or the days not begun go back."""

    def serve(alone: Sequence[CancelSubscription]) -> list[Outcome]:
        ids = [each.subscription_id for each in alone]
        found = store_plans.find_subscriptions(connection, ids)
        parties.lock_share(connection, [each.party_id for each in found])
        known = store_plans.lock_subscriptions(connection, ids)
        paid = store_plans.lock_paid(connection, ids)

        def decide(command: CancelSubscription) -> Step:
            old = known.get(command.subscription_id)
            if old is None:
                raise UnknownSubscription(subscription_id=str(command.subscription_id))
            role = rules.role_of(command.actor, old.party_id)
            _check_version(command.version, old.version)
            period = paid.get(old.id)
            new, back = rules.cancelled(old, period, role, at)
            given = (period, rules.given_back(period, back, role)) if period and back else None
            return rules_plans.cancelled(given, command.actor, at, before=old, after=new)

        return run_steps(connection, alone, decide, at=at)

    return once_each(commands, lambda each: (each.subscription_id,), serve)


def buy_product(
    connection: Connection, commands: Sequence[BuyProduct], *, at: datetime
) -> list[Outcome]:
    """Buy products for their days (P44); refuses like `subscribe`, and `plans.running`."""

    def serve(alone: Sequence[BuyProduct]) -> list[Outcome]:
        people = _lock_people(connection, [each.party_id for each in alone])
        names = {each.product for each in alone}
        sold = store_plans.list_sold(connection, OfferingKind.PRODUCT, names)
        running = store_plans.list_running(connection, people, at)
        taken = store_plans.find_purchases(connection, [each.purchase_id for each in alone])
        taxes, held = taxes_of(connection, people, at), list_held(connection, people)

        def decide(command: BuyProduct) -> Step:
            role = rules.role_of(command.actor, command.party_id)
            step(PURCHASES, None, Trigger.BUY, role)
            _check_party(command.party_id, people)
            paid = _bought(command, sold, taxes[command.party_id], at)
            if command.purchase_id in {each.id for each in taken}:
                raise IdTaken(id=str(command.purchase_id))
            if (command.party_id, command.product, command.about) in running:
                raise Running(product=command.product, about=command.about)
            check_held(held, command.party_id)
            return rules_plans.bought(paid, command.actor, at)

        return run_steps(connection, alone, decide, at=at)

    return once_each(commands, lambda each: (each.party_id, each.purchase_id), serve)


def return_product(
    connection: Connection, commands: Sequence[ReturnProduct], *, at: datetime
) -> list[Outcome]:
    """Give products back: the days not begun, with their tax, go where they came from."""

    def serve(alone: Sequence[ReturnProduct]) -> list[Outcome]:
        ids = [each.purchase_id for each in alone]
        found = store_plans.find_purchases(connection, ids)
        parties.lock_share(connection, [each.party_id for each in found])
        known = store_plans.lock_purchases(connection, ids)

        def decide(command: ReturnProduct) -> Step:
            old = known.get(command.purchase_id)
            if old is None:
                raise UnknownPurchase(purchase_id=str(command.purchase_id))
            role = rules.role_of(command.actor, old.party_id)
            _check_version(command.version, old.version)
            new = rules.returned(old, role, at)
            return rules_plans.returned(command.actor, at, before=old, after=new)

        return run_steps(connection, alone, decide, at=at)

    return once_each(commands, lambda each: (each.purchase_id,), serve)


def run_steps(
    connection: Connection,
    commands: Sequence[C],
    decide: Callable[[C], Step],
    *,
    at: datetime,
) -> list[Outcome]:
    """Decide each command by itself, post all that is left once, and save what was accepted."""
    outcomes: list[Outcome | None] = [None] * len(commands)
    steps: list[tuple[int, Step]] = []
    for number, command in enumerate(commands):
        try:
            steps.append((number, decide(command)))
        except Refusal as refusal:
            outcomes[number] = refused(refusal)
    answers = post(connection, [step.draft for _, step in steps]) if steps else []
    accepted: list[Step] = []
    fees = []
    for (number, taken), answer in zip(steps, answers, strict=True):
        if isinstance(answer, Refusal):
            outcomes[number] = refused(answer)
            continue
        accepted.append(taken)
        outcomes[number] = done(**taken.facts)
        if taken.fee is not None:
            fees.append((taken.fee, answer.event_id, answer.recorded_at))
    _save(connection, accepted, at)
    fee_lines.add_fees(connection, fees, at)
    return [outcome for outcome in outcomes if outcome is not None]


def taxes_of(connection: Connection, party_ids: Iterable[UUID], at: datetime) -> dict[UUID, TaxOn]:
    """The tax that each of these parties bears on what it buys; none without a supplier profile."""
    found = decide_for(connection, party_ids, at)
    return {
        party_id: TaxOn(
            decision.rate_bps,
            decision.country,
            decision.treatment.value,
            decision.note or None,
        )
        if decision is not None
        else TaxOn()
        for party_id, decision in found.items()
    }


def list_held(connection: Connection, people: Mapping[UUID, Party]) -> dict[UUID, list[str]]:
    """What stops charges of these parties: open holds, and sanctions that are not clear."""
    found = holds.list_open(connection, [each.subject for each in people.values()])
    stopped: dict[UUID, list[str]] = {}
    for party in people.values():
        named = [hold.kind.value for hold in found.get(party.subject, ())]
        if party.sanction_state is not SanctionState.CLEAR:
            named.append("sanctions")
        if named:
            stopped[party.id] = sorted(named)
    return stopped


def check_held(held: Mapping[UUID, list[str]], party_id: UUID) -> None:
    """Refuses `plans.on_hold`: an open hold, or a sanctions match, stops every charge."""
    if party_id in held:
        raise OnHold(party_id=str(party_id), holds=held[party_id])


def _lock_people(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Party]:
    return parties.lock(connection, ids)


def _check_party(party_id: UUID, people: dict[UUID, Party]) -> None:
    if party_id not in people:
        raise UnknownPlanParty(party_id=str(party_id))


def _check_version(given: int | None, there: int) -> None:
    if given not in {None, there}:
        raise StaleVersion(version=there)


def _begun(command: Subscribe, version: Offering, at: datetime) -> Subscription:
    price = rules.price_of(
        version, command.currency, command.every, version=command.offering_version
    )
    first = rules.period(at, command.every, 1)
    return Subscription(
        id=command.subscription_id,
        party_id=command.party_id,
        offering_id=version.id,
        plan=version.name,
        side=version.side,
        refund=version.refund,
        currency=command.currency,
        every=command.every,
        price_minor=price,
        anchor_at=at,
        period_no=1,
        period_from=first.from_at,
        period_to=first.to_at,
    )


def _bought(command: BuyProduct, sold: Sequence[Offering], tax: TaxOn, at: datetime) -> Purchase:
    version = rules.on_sale(sold, OfferingKind.PRODUCT, command.product, at)
    price = rules.price_of(version, command.currency, Every.ONCE, version=command.offering_version)
    return rules.bought(
        version,
        purchase_id=command.purchase_id,
        party_id=command.party_id,
        about=command.about,
        currency=command.currency,
        price_minor=price,
        tax=tax,
        at=at,
    )


def _save(connection: Connection, steps: Sequence[Step], at: datetime) -> None:
    """Write all rows of the accepted steps, in lock order."""
    subscriptions = [step.subscription for step in steps if step.subscription]
    purchases = [step.purchase for step in steps if step.purchase]
    store_plans.add_subscriptions(connection, [new for old, new in subscriptions if old is None])
    store_plans.save_subscriptions(connection, [(old, new) for old, new in subscriptions if old])
    store_plans.add_purchases(connection, [new for old, new in purchases if old is None])
    store_plans.save_purchases(connection, [(old, new) for old, new in purchases if old])
    timers.cancel(connection, [each for step in steps for each in step.cancels])
    alarms = [each for step in steps for each in step.alarms]
    arms = [Arm(each.subject, each.kind, each.due_at, each.subject_version) for each in alarms]
    timers.arm(connection, arms, at=at)
