"""How every use case of escrow runs: lock, decide each command, post once, save with arrays.

A refused command writes nothing and does not touch its neighbours. Nothing here commits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from commissions.model_fx import ConversionKind
from commissions.service_fx import use_quotes
from commissions.store_fx import add_conversions
from escrow import store, store_chargeback, store_price, store_writes
from escrow.clocks import REMINDED, STOPPED
from escrow.model import Contract, Plan, Slot
from escrow.refusals import SubjectTwice, UnknownSlot
from escrow.rules import Deal
from escrow.service_pins import pin_first, save_pinned
from escrow.service_price import put_client_tariffs
from escrow.service_retainer_follow import follow_slots
from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.timers import Arm
from ledger import holds, parties
from ledger.model import Posted
from ledger.model_parties import KycState, Party, SanctionState
from ledger.service import post
from rails import service as rails
from rails.capabilities import SIMULATED, rail_of
from rails.model import OperationKind, RailOperation

C = TypeVar("C", bound=Command)

TIMER_ROOM: Final = "escrow."
CLOCK_KINDS: Final = STOPPED
"""The timers that a hold stops, and that stand from the start if they are set under one."""

FUNDING_HANDLER: Final = "escrow.funding"
REFUND_HANDLER: Final = "escrow.refund"
CANCEL_HANDLER: Final = "escrow.cancel"


def run(
    connection: Connection,
    commands: Sequence[C],
    decide: Callable[[C], Plan],
    *,
    at: datetime,
) -> list[Outcome]:
    """Decide each command by itself, post all that is left once, and save what was accepted.

    A contract that is accepted for the first time pins its fees here, whatever its kind.
    """
    outcomes: list[Outcome | None] = [None] * len(commands)
    plans: list[tuple[int, Plan]] = []
    for number, command in enumerate(commands):
        try:
            plan = decide(command)
        except Refusal as refusal:
            outcomes[number] = refused(refusal)
            continue
        plans.append((number, plan))
        for pair, line in plan.billed:
            pair.take(line)
    made, pinned = pin_first(connection, [plan for _, plan in plans], at)
    plans = [(number, plan) for (number, _), plan in zip(plans, made, strict=True)]
    accepted = []
    for (number, plan), verdict in zip(plans, _post(connection, plans), strict=True):
        if isinstance(verdict, Refusal):
            outcomes[number] = refused(verdict)
            continue
        outcomes[number] = done(**plan.facts)
        accepted.append((plan, verdict))
    _check_carried(plans, accepted)
    _save(connection, [plan for plan, _ in accepted], at)
    _save_prices(connection, accepted, at)
    save_pinned(connection, [plan for plan, _ in accepted], pinned, at)
    return [outcome for outcome in outcomes if outcome is not None]


def once_each(
    commands: Sequence[C],
    subjects: Callable[[C], Iterable[UUID]],
    serve: Callable[[Sequence[C]], list[Outcome]],
) -> list[Outcome]:
    """Serve the commands whose subjects no other command of the list names; refuse the others.

    Refuses: `escrow.subject_twice`, before anything is locked.
    """
    named = Counter(chain.from_iterable(set(subjects(command)) for command in commands))
    alone = [all(named[each] == 1 for each in set(subjects(command))) for command in commands]
    served = iter(serve([c for c, is_alone in zip(commands, alone, strict=True) if is_alone]))
    return [
        next(served)
        if is_alone
        else refused(SubjectTwice(subjects=sorted(str(each) for each in subjects(command))))
        for command, is_alone in zip(commands, alone, strict=True)
    ]


def lock_deals(
    connection: Connection, slot_ids: Sequence[UUID], *, skip_locked: bool = False
) -> dict[UUID, Deal]:
    """The slots with contract, parties and holds, locked in order; unknown ids are missing.

    Parties and contracts are locked FOR SHARE: no hold can be placed on them meanwhile.
    """
    parents = store.find_parents(connection, slot_ids)
    people = parties.lock_share(connection, {each for row in parents for each in row[2:]})
    contracts = {
        contract.id: contract
        for contract in store.share_contracts(connection, [row[1] for row in parents])
    }
    slots = store.lock_slots(connection, [row[0] for row in parents], skip_locked=skip_locked)
    open_holds = list_holds(connection, contracts.values(), [f"slot:{slot.id}" for slot in slots])
    unclear = {each.id for each in people.values() if not _is_clear(each)}
    deals = {
        slot.id: look_at_slot(slot, contracts[slot.contract_id], open_holds, unclear)
        for slot in slots
    }
    put_client_tariffs(connection, [(deal.contract, deal.pricing) for deal in deals.values()])
    return deals


def look_at_slot(
    slot: Slot,
    contract: Contract,
    open_holds: Mapping[str, tuple[str, ...]],
    unclear: set[UUID],
) -> Deal:
    """One slot with what its guards look at."""
    if not open_holds and not unclear:
        return Deal(slot, contract)
    return Deal(
        slot,
        contract,
        held_by=held_by(open_holds, contract, f"slot:{slot.id}"),
        unclear_parties=unclear_of(contract, unclear),
    )


def list_holds(
    connection: Connection, contracts: Iterable[Contract], subjects: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Kinds of the open holds on contracts, their parties and further subjects, by subject."""
    named = set(subjects)
    for contract in contracts:
        named.update(_held_subjects(contract))
    found = holds.list_open(connection, list(named))
    return {
        subject: tuple(f"{subject.partition(':')[0]}:{hold.kind.value}" for hold in some)
        for subject, some in found.items()
    }


def held_by(
    open_holds: Mapping[str, tuple[str, ...]], contract: Contract, *subjects: str
) -> tuple[str, ...]:
    """The open holds that block this contract's money, as `<whose>:<kind>`."""
    if not open_holds:
        return ()
    named = (*subjects, *_held_subjects(contract))
    return tuple(chain.from_iterable(open_holds.get(subject, ()) for subject in named))


def unclear_of(contract: Contract, unclear: set[UUID]) -> tuple[UUID, ...]:
    """Those of the contract's parties whose money may not come in."""
    return tuple(each for each in (contract.client_id, contract.payee_id) if each in unclear)


def share_people(connection: Connection, contracts: Iterable[Contract]) -> set[UUID]:
    """Lock the contracts' parties FOR SHARE; those of them whose money may not come in."""
    ids = {each for contract in contracts for each in (contract.client_id, contract.payee_id)}
    people = parties.lock_share(connection, ids)
    return {each.id for each in people.values() if not _is_clear(each)}


def list_unclear(connection: Connection, contracts: Iterable[Contract]) -> set[UUID]:
    """The same without a lock, to be shown."""
    ids = {each for contract in contracts for each in (contract.client_id, contract.payee_id)}
    return {each.id for each in parties.find_many(connection, ids).values() if not _is_clear(each)}


def get_deal(deals: Mapping[UUID, Deal], slot_id: UUID) -> Deal:
    """The slot's deal; refuses `escrow.unknown_slot`."""
    deal = deals.get(slot_id)
    if deal is None:
        raise UnknownSlot(slot_id=str(slot_id))
    return deal


def _held_subjects(contract: Contract) -> tuple[str, str, str]:
    return (
        f"contract:{contract.id}",
        f"party:{contract.client_id}",
        f"party:{contract.payee_id}",
    )


def _is_clear(party: Party) -> bool:
    return party.kyc_state is KycState.VERIFIED and party.sanction_state is SanctionState.CLEAR


def _post(
    connection: Connection, plans: Sequence[tuple[int, Plan]]
) -> list[Refusal | Posted | None]:
    """One call of the ledger for all plans; for each its refusal, or its first event."""
    drafts = [draft for _, plan in plans for draft in plan.drafts]
    answers = iter(post(connection, drafts) if drafts else ())
    verdicts: list[Refusal | Posted | None] = []
    for _, plan in plans:
        own = [next(answers) for _ in plan.drafts]
        refusals = [answer for answer in own if isinstance(answer, Refusal)]
        if refusals and len(refusals) != len(plan.drafts):
            raise Broken("half a command was refused", codes=[each.code for each in refusals])
        verdicts.append(own[0] if own else None)
    return verdicts


def _check_carried(
    plans: Sequence[tuple[int, Plan]], accepted: Sequence[tuple[Plan, Posted | None]]
) -> None:
    """What a pair was billed is carried through the batch: nobody may build on a refused plan.

    Broken then, and the batch runs again one command at a time.
    """
    if len(plans) == len(accepted):
        return
    kept = {id(plan) for plan, _ in accepted}
    lost = {id(pair) for _, plan in plans if id(plan) not in kept for pair, _ in plan.billed}
    if any(id(pair) in lost for plan, _ in accepted for pair, _ in plan.billed):
        raise Broken("a fee was built on a release that the ledger refused")


def _save_prices(
    connection: Connection, accepted: Sequence[tuple[Plan, Posted | None]], at: datetime
) -> None:
    """Write every fee as a line with its event, and what was converted; its quote is used up."""
    lines = []
    for plan, posted in accepted:
        if plan.billed:
            assert posted is not None
            lines += [(line, posted.event_id, posted.recorded_at) for _, line in plan.billed]
    store_price.add_lines(connection, lines)
    made = [each for plan, _ in accepted for each in plan.conversions]
    add_conversions(connection, made)
    released = [each for each in made if each.kind is ConversionKind.RELEASE]
    use_quotes(connection, {e.quote_id: e.subject for e in released if e.quote_id}, at=at)


def _save(connection: Connection, plans: Sequence[Plan], at: datetime) -> None:
    """Write all rows of the accepted plans: per kind of row one statement, in lock order."""

    def all_of(name: str) -> list[Any]:
        return [row for plan in plans for row in getattr(plan, name)]

    store_writes.add_contracts(connection, all_of("contracts"))
    store_writes.save_contracts(connection, all_of("moved_contracts"))
    store_writes.add_slots(connection, all_of("slots"), all_of("titles"))
    store_writes.save_slots(connection, all_of("moved_slots"))
    store_writes.add_submissions(connection, all_of("submissions"))
    store_writes.add_releases(connection, all_of("releases"))
    store_writes.save_releases(connection, all_of("moved_releases"))
    store_writes.add_fundings(connection, all_of("fundings"))
    store_writes.save_fundings(connection, all_of("moved_fundings"))
    store_writes.add_lots(connection, all_of("lots"))
    store_writes.save_lots(connection, all_of("moved_lots"))
    store_writes.add_refunds(connection, all_of("refunds"))
    store_writes.save_refunds(connection, all_of("moved_refunds"))
    store_writes.add_amendments(connection, all_of("amendments"))
    store_writes.save_amendments(connection, all_of("moved_amendments"))
    store_chargeback.add_claims(connection, all_of("claims"))
    store_chargeback.save_claims(connection, all_of("moved_claims"))
    store_chargeback.add_recoveries(connection, all_of("recoveries"))
    _set_clocks(connection, plans, at)
    _ask_rails(connection, plans, at)
    led = set(all_of("led"))
    moves = [move for move in all_of("moved_slots") if move[1].term_id != move[1].id]
    follow_slots(connection, [move for move in moves if move[1].id not in led], at=at)


def _set_clocks(connection: Connection, plans: Sequence[Plan], at: datetime) -> None:
    cancelled = [(s, TIMER_ROOM + kind) for plan in plans for s, kind in plan.cancelled]
    timers.cancel(connection, cancelled)
    paused: dict[str, list[str]] = {}
    for plan in plans:
        for subject, kind in plan.paused:
            paused.setdefault(TIMER_ROOM + kind, []).append(subject)
    for kind, subjects in paused.items():
        timers.pause(connection, subjects, at=at, kinds=[kind])
    alarms = [alarm for plan in plans for alarm in plan.alarms]
    arms = [Arm(a.subject, TIMER_ROOM + a.kind, a.due_at, a.subject_version) for a in alarms]
    timers.arm(connection, arms, at=at, reminded=REMINDED)
    _stop_held(connection, arms, at)


def _stop_held(connection: Connection, arms: Sequence[Arm], at: datetime) -> None:
    """Stop what was just set on a subject that is held: it has its whole length when lifted."""
    stoppable = sorted({arm.subject for arm in arms if arm.kind in CLOCK_KINDS})
    held = store.list_held_subjects(connection, stoppable) if stoppable else set()
    for kind in CLOCK_KINDS if held else ():
        subjects = [arm.subject for arm in arms if arm.kind == kind and arm.subject in held]
        timers.pause(connection, subjects, at=at, kinds=[kind])


def _ask_rails(connection: Connection, plans: Sequence[Plan], at: datetime) -> None:
    handlers = {"fund": FUNDING_HANDLER, "refund": REFUND_HANDLER}
    operations = [
        RailOperation(
            id=ask.id,
            kind=OperationKind(ask.kind),
            handler=handlers[ask.kind],
            subject=ask.subject,
            amount_minor=ask.amount_minor,
            currency=ask.currency,
            method=ask.method,
            facts=ask.facts,
            rail=rail_of(ask.facts.get("rail_account", SIMULATED.rail_account)),
        )
        for plan in plans
        for ask in plan.asks
    ]
    rails.intend(connection, operations, at=at)
