"""Decisions on contracts and on slots before there is money: propose, accept, cancel, end."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from escrow.commands import AddMilestones, ContractCommand, Milestone, Propose, SlotCommand
from escrow.machine import CONTRACTS, Trigger
from escrow.machine_slot import SLOTS, WORKING
from escrow.model import (
    Alarm,
    Contract,
    ContractState,
    ConvertAt,
    Plan,
    Role,
    Slot,
    SlotState,
    Terms,
)
from escrow.refusals import (
    BadMilestones,
    BadTerms,
    ContractNotRunning,
    FundingOpen,
    NotSettled,
    OtherPartyMustSign,
    SameParty,
    WrongState,
)
from escrow.rules import Deal, check_amount, check_text, clocks, roles, slot_step, step, subject_of
from kernel.commands import Command
from kernel.money import exponent, to_json
from ledger.model import Draft, Entry

MOST_MILESTONES: Final = 100
LONGEST_TEXT: Final = 500
LONGEST_REASON: Final = 2_000
CLOSE_CONTRACT: Final = "close_contract"
"""The timer that looks, once a day, whether an ending contract has settled all."""
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_CATEGORY: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}", re.ASCII)


def event(
    command: Command,
    at: datetime,
    *,
    kind: str,
    subject: str,
    entries: tuple[Entry, ...] = (),
    detail: Mapping[str, Any] | None = None,
) -> Draft:
    """The event of a command, with its reason where the command carries one."""
    reason = getattr(command, "reason", "")
    if reason:
        check_text(reason, field="reason", longest=LONGEST_REASON)
    return Draft(kind, subject, command.actor, at, entries, reason, detail or {})


def moved(slot: Slot, **changes: Any) -> Slot:  # noqa: ANN401  fields of Slot
    """The slot one version on, by the engine or a rail: its parties did nothing."""
    return replace(slot, version=slot.version + 1, **changes)


def acted(slot: Slot, at: datetime, **changes: Any) -> Slot:  # noqa: ANN401  fields of Slot
    """The slot one version on, by one of its parties: dormancy counts anew."""
    return replace(slot, version=slot.version + 1, active_at=at, notices=0, **changes)


def slot_facts(slot: Slot, **more: object) -> dict[str, Any]:
    """What an answer says of a slot."""
    return {
        "slot_id": str(slot.id),
        "contract_id": str(slot.contract_id),
        "state": slot.state.value,
        "version": slot.version,
        "submission_no": slot.submission_no,
        "held": to_json(slot.held_minor, slot.currency),
        **more,
    }


def contract_facts(contract: Contract, **more: object) -> dict[str, Any]:
    """What an answer says of a contract."""
    return {
        "contract_id": str(contract.id),
        "state": contract.state.value,
        "version": contract.version,
        **more,
    }


def propose(command: Propose, at: datetime) -> Plan:
    """A new contract in draft with its milestones (domain/escrow.md 2.4, row 1).

    Refuses: `escrow.same_party`, `escrow.not_yours`, `escrow.bad_terms`, `escrow.bad_milestones`,
    `escrow.amount_out_of_range`, `money.unknown_currency`.
    """
    if command.client_id == command.payee_id:
        raise SameParty(party_id=str(command.client_id))
    exponent(command.currency)
    check_terms(command.terms)
    check_price_terms(command.terms, command.currency)
    contract = Contract(
        command.contract_id,
        command.client_id,
        command.payee_id,
        command.currency,
        ContractState.DRAFT,
        1,
        Role.CLIENT,
        command.terms,
        at,
    )
    _, role = step(CONTRACTS, None, Trigger.PROPOSE, roles(command.actor, contract))
    contract = replace(contract, proposed_by=role)
    slots = _new_slots(contract, command.milestones, role, at, first_seq=1)
    facts = contract_facts(contract, slot_ids=[str(slot.id) for slot in slots])
    detail = {
        "client_id": str(command.client_id),
        "payee_id": str(command.payee_id),
        "currency": command.currency,
        "terms": _terms_detail(command.terms),
    }
    subject = f"contract:{contract.id}"
    return Plan(
        drafts=(
            event(command, at, kind="contract.proposed", subject=subject, detail=detail),
            *(_proposed(slot, command, at) for slot in slots),
        ),
        facts=facts,
        contracts=(contract,),
        slots=slots,
        titles=tuple(each.title for each in command.milestones),
    )


def add_milestones(
    contract: Contract, known: Sequence[Slot], command: AddMilestones, at: datetime
) -> Plan:
    """Further milestones under a running contract, for the other party to accept.

    Weeks and periods have slots of the same row of numbers, but take no milestone's place.
    """
    _, role = step(SLOTS, None, Trigger.PROPOSE, roles(command.actor, contract))
    if contract.state is not ContractState.ACTIVE:
        raise ContractNotRunning(contract_id=str(contract.id), state=contract.state)
    taken = sum(slot.term_id == slot.id for slot in known)
    slots = _new_slots(
        contract, command.milestones, role, at, first_seq=len(known) + 1, taken=taken
    )
    return Plan(
        drafts=tuple(_proposed(slot, command, at) for slot in slots),
        facts=contract_facts(contract, slot_ids=[str(slot.id) for slot in slots]),
        slots=slots,
        titles=tuple(each.title for each in command.milestones),
    )


def accept(
    contract: Contract, slots: Sequence[Slot], command: ContractCommand, at: datetime
) -> Plan:
    """The other party signs: all it was offered now awaits funding, the terms are pinned (row 2).

    Refuses: `escrow.other_party_must_sign`, `escrow.wrong_state`, `escrow.not_yours`.
    """
    row, role = step(CONTRACTS, contract.state, Trigger.ACCEPT, roles(command.actor, contract))
    offered = [slot for slot in slots if slot.state is SlotState.PROPOSED]
    mine = [slot for slot in offered if slot.proposed_by is not role]
    if offered and not mine:
        raise OtherPartyMustSign(contract_id=str(contract.id))
    if not offered:
        raise WrongState(contract_id=str(contract.id), state=contract.state, trigger="accept")
    is_first = contract.state is ContractState.DRAFT
    after = replace(
        contract,
        state=ContractState(row.to),
        version=contract.version + 1,
        accepted_at=at if is_first else contract.accepted_at,
    )
    moves = tuple((slot, acted(slot, at, state=SlotState.AWAITING_FUNDING)) for slot in mine)
    return Plan(
        drafts=(
            event(command, at, kind="contract.accepted", subject=f"contract:{contract.id}"),
            *(
                event(command, at, kind="slot.accepted", subject=subject_of(new))
                for _, new in moves
            ),
        ),
        facts=contract_facts(after, slot_ids=[str(new.id) for _, new in moves]),
        moved_contracts=((contract, after),),
        moved_slots=moves,
    )


def cancel(deal: Deal, command: SlotCommand, at: datetime) -> Plan:
    """Either party drops a slot that holds no money (row 19)."""
    slot_step(SLOTS, deal, Trigger.CANCEL, command, at)
    after = acted(deal.slot, at, state=SlotState.CANCELLED)
    return Plan(
        drafts=(event(command, at, kind="slot.cancelled", subject=subject_of(after)),),
        facts=slot_facts(after),
        moved_slots=((deal.slot, after),),
    )


def pause(contract: Contract, command: ContractCommand, at: datetime) -> Plan:
    """Stop what a contract would start by itself; a running review goes on."""
    return move_contract(contract, Trigger.PAUSE, "contract.paused", command, at)


def resume(contract: Contract, command: ContractCommand, at: datetime) -> Plan:
    """Let a paused contract go on."""
    return move_contract(contract, Trigger.RESUME, "contract.resumed", command, at)


def end(
    contract: Contract,
    slots: Sequence[Slot],
    *,
    is_unsettled: bool,
    is_disputed: bool = False,
    command: ContractCommand,
    at: datetime,
) -> Plan:
    """End a contract: money still held is asked back (row 9), the rest is cancelled.

    While a dispute runs it is `closed_disputed`, and ends when that is over.
    Slots of weeks and periods are their own machines' to end. Refuses: `escrow.funding_open` while
    a milestone's payment is under way.
    """
    slots = [slot for slot in slots if slot.term_id == slot.id]
    trigger = Trigger.END_DISPUTED if is_disputed else Trigger.END
    row, _ = step(CONTRACTS, contract.state, trigger, roles(command.actor, contract))
    if any(slot.state is SlotState.FUNDING for slot in slots):
        raise FundingOpen(contract_id=str(contract.id))
    to = ContractState(row.to) if is_unsettled else ContractState.ENDED
    after = replace(contract, state=to, version=contract.version + 1)
    subject = f"contract:{contract.id}"
    plans = [end_slot(slot, after, command, at) for slot in slots]
    ending = to is ContractState.ENDING
    due = at + contract.terms.refund_reply_after + timedelta(minutes=1)
    return Plan(
        drafts=(
            event(command, at, kind=f"contract.{to.value}", subject=subject),
            *(draft for plan in plans for draft in plan.drafts),
        ),
        facts=contract_facts(after),
        moved_contracts=((contract, after),),
        moved_slots=tuple(move for plan in plans for move in plan.moved_slots),
        alarms=(
            *((Alarm(subject, CLOSE_CONTRACT, due, 0),) if ending else ()),
            *(alarm for plan in plans for alarm in plan.alarms),
        ),
        cancelled=tuple(each for plan in plans for each in plan.cancelled),
        paused=tuple(each for plan in plans for each in plan.paused),
    )


def close(
    contract: Contract, *, is_unsettled: bool, command: ContractCommand, at: datetime
) -> Plan:
    """An ending contract without money and without payments under way is ended."""
    plan = move_contract(contract, Trigger.CLOSE, "contract.ended", command, at)
    if is_unsettled:
        raise NotSettled(contract_id=str(contract.id))
    return replace(plan, cancelled=((f"contract:{contract.id}", CLOSE_CONTRACT),))


def check_terms(terms: Terms) -> None:
    """Refuse terms outside their ranges (domain/escrow.md 0.9 and 2.2)."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    ranges: Mapping[str, tuple[Any, Any, Any]] = {
        "commission_bps": (terms.commission_bps, 0, 10_000),
        "client_fee_bps": (terms.client_fee_bps, 0, 10_000),
        "security_hold_days": (terms.security_hold_days, 0, 90),
        "auto_release_after": (terms.auto_release_after, hour, 30 * day),
        "refund_reply_after": (terms.refund_reply_after, hour, 90 * day),
        "dormant_after": (terms.dormant_after, day, 3_650 * day),
        "dormant_limit_minor": (terms.dormant_limit_minor, 0, 10**15),
        "free_change_rounds": (terms.free_change_rounds, 0, 1_000),
    }
    for name, (value, lowest, highest) in ranges.items():
        if not lowest <= value <= highest:
            raise BadTerms(field=name, lowest=str(lowest), highest=str(highest))


def check_price_terms(terms: Terms, currency: str) -> None:
    """Refuse words that no fee schedule asks for, and a payee's currency that is not paid.

    Money is converted at its release, or by the payee himself when he is paid out. Refuses
    `escrow.bad_terms` and `money.unknown_currency`.
    """
    if not _ORIGIN.fullmatch(terms.origin):
        raise BadTerms(field="origin", why="a word of small letters, digits and _")
    if terms.category is not None and not _CATEGORY.fullmatch(terms.category):
        raise BadTerms(field="category", why="a word of small letters, digits, _ . and -")
    if terms.payee_currency is not None:
        exponent(terms.payee_currency)
        if terms.payee_currency == currency:
            raise BadTerms(field="payee_currency", why="another than the contract's, or none")
        if terms.convert_at is ConvertAt.FUNDING:
            raise BadTerms(field="convert_at", why="release or payout")


def _new_slots(
    contract: Contract,
    milestones: Sequence[Milestone],
    role: Role,
    at: datetime,
    *,
    first_seq: int,
    taken: int = 0,
) -> tuple[Slot, ...]:
    ids = {each.slot_id for each in milestones}
    count = taken + len(milestones)
    if not milestones or len(ids) < len(milestones) or count > MOST_MILESTONES:
        raise BadMilestones(count=len(milestones), most=MOST_MILESTONES)
    for each in milestones:
        check_amount(each.amount_minor)
        check_text(each.title, field="title", longest=LONGEST_TEXT)
    return tuple(
        Slot(
            id=each.slot_id,
            term_id=each.slot_id,
            contract_id=contract.id,
            currency=contract.currency,
            seq=seq,
            proposed_by=role,
            state=SlotState.PROPOSED,
            version=1,
            amount_minor=each.amount_minor,
            created_at=at,
            active_at=at,
            due_at=each.due_at,
        )
        for seq, each in enumerate(milestones, start=first_seq)
    )


def _proposed(slot: Slot, command: Command, at: datetime) -> Draft:
    detail = {"contract_id": str(slot.contract_id), "amount_minor": slot.amount_minor}
    return event(command, at, kind="slot.proposed", subject=subject_of(slot), detail=detail)


def _terms_detail(terms: Terms) -> dict[str, Any]:
    return {
        "commission_bps": terms.commission_bps,
        "client_fee_bps": terms.client_fee_bps,
        "security_hold_days": terms.security_hold_days,
        "auto_release_after_s": terms.auto_release_after // timedelta(seconds=1),
        "release_rule": terms.release_rule.value,
        "refund_reply_after_s": terms.refund_reply_after // timedelta(seconds=1),
        "dormant_after_s": terms.dormant_after // timedelta(seconds=1),
        "dormant_limit_minor": terms.dormant_limit_minor,
        "free_change_rounds": terms.free_change_rounds,
    }


def move_contract(
    contract: Contract, trigger: Trigger, kind: str, command: Command, at: datetime
) -> Plan:
    """A step of the contract alone."""
    row, _ = step(CONTRACTS, contract.state, trigger, roles(command.actor, contract))
    after = replace(contract, state=ContractState(row.to), version=contract.version + 1)
    return Plan(
        drafts=(event(command, at, kind=kind, subject=f"contract:{contract.id}"),),
        facts=contract_facts(after),
        moved_contracts=((contract, after),),
    )


def end_slot(slot: Slot, contract: Contract, command: Command, at: datetime) -> Plan:
    """What the end of its contract does to one slot; the table lets SYSTEM do both."""
    if slot.state in WORKING:
        row, _ = step(SLOTS, slot.state, Trigger.ASK_REFUND, (Role.SYSTEM,))
        after = acted(slot, at, state=SlotState(row.to))
        set_to, cancelled, paused = clocks(row, after, contract, at)
        return Plan(
            drafts=(event(command, at, kind="slot.refund_requested", subject=subject_of(slot)),),
            moved_slots=((slot, after),),
            alarms=set_to,
            cancelled=cancelled,
            paused=paused,
        )
    if slot.state in {SlotState.PROPOSED, SlotState.AWAITING_FUNDING}:
        after = acted(slot, at, state=SlotState.CANCELLED)
        return Plan(
            drafts=(event(command, at, kind="slot.cancelled", subject=subject_of(slot)),),
            moved_slots=((slot, after),),
        )
    return Plan(drafts=())
