"""Running contracts of another system: the contracts and milestones of its file, made ours.

Pure. A milestone that holds money is one of ours from the start: its money lies in the slot's own
account, in one lot paid from the client's wallet, so that a refund goes to his wallet (how he once
paid is known to the other system alone). Clocks count from the adoption: a review that ran over
there has at least 72 hours here, or its full length if that is shorter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.machine import Timer
from escrow.model import (
    Alarm,
    Contract,
    ContractState,
    Funding,
    FundingState,
    Lot,
    Method,
    Purpose,
    ReleaseRule,
    Role,
    Slot,
    SlotState,
    Submission,
    Terms,
)
from escrow.rules import dormant_at, subject_of
from escrow.rules_deal import LONGEST_TEXT, MOST_MILESTONES, check_terms
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import EXPONENTS
from ledger.adoption import Leg, Reading, Record
from ledger.chart import account

SHORTEST_REVIEW: Final = timedelta(hours=72)
_STATES: Final = frozenset({SlotState.AWAITING_FUNDING, SlotState.FUNDED, SlotState.SUBMITTED})


@dataclass(frozen=True, slots=True)
class OpeningMilestone:
    """A milestone of a file. `held_minor` lies in it, `fee_minor` is the client's fee on that."""

    line: int
    title: str
    state: SlotState
    amount_minor: int
    held_minor: int
    fee_minor: int
    shown: str
    submitted_at: datetime | None
    due_at: datetime | None


@dataclass(slots=True)
class OpeningContract:
    """A contract of a file, its parties by their references, its milestones in order."""

    line: int
    reference: str
    client: str
    payee: str
    currency: str
    accepted_at: datetime | None
    terms: Terms
    milestones: list[OpeningMilestone] = field(default_factory=list)


@dataclass(slots=True)
class Deals:
    """The rows of all contracts of a file, and what stands on their accounts."""

    contracts: list[Contract] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    fundings: list[Funding] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)


def read_contracts(reading: Reading, records: Iterable[Record]) -> dict[str, OpeningContract]:
    """The contracts of a file by reference; faults are noted in the reading."""
    contracts: dict[str, OpeningContract] = {}
    for record in records:
        if record.kind == "contract":
            found = _contract(reading, record)
            if found.reference in contracts:
                reading.fault(record, "ref", f"{found.reference!r} stands in the file twice")
            contracts[found.reference] = found
        elif record.kind == "milestone":
            name = reading.text(record, "contract")
            contract = contracts.get(name)
            if contract is None:
                reading.fault(record, "contract", f"no contract {name[:40]!r} stands above")
                continue
            _milestone(reading, record, contract)
            if len(contract.milestones) > MOST_MILESTONES:
                reading.fault(record, "contract", f"more than {MOST_MILESTONES} milestones")
    for contract in contracts.values():
        if not contract.milestones:
            reading.fault(Record(contract.line, {}), "contract", "it has no milestone")
    return contracts


def make_deals(
    contracts: Iterable[OpeningContract],
    party_ids: Mapping[str, UUID],
    *,
    as_of: datetime,
    at: datetime,
) -> Deals:
    """The rows of the contracts, as if they had always been ours; clocks count from `at`."""
    deals = Deals()
    for opening in contracts:
        since = opening.accepted_at or as_of
        contract = Contract(
            id=new_id(),
            client_id=party_ids[opening.client],
            payee_id=party_ids[opening.payee],
            currency=opening.currency,
            state=ContractState.ACTIVE,
            version=1,
            proposed_by=Role.CLIENT,
            terms=opening.terms,
            created_at=since,
            accepted_at=since,
        )
        deals.contracts.append(contract)
        deals.references.append(opening.reference)
        for seq, milestone in enumerate(opening.milestones, start=1):
            _add_slot(deals, contract, milestone, seq, since=since, at=at)
    return deals


def _add_slot(
    deals: Deals,
    contract: Contract,
    opening: OpeningMilestone,
    seq: int,
    *,
    since: datetime,
    at: datetime,
) -> None:
    slot_id, held = new_id(), opening.held_minor
    slot = Slot(
        id=slot_id,
        term_id=slot_id,
        contract_id=contract.id,
        currency=contract.currency,
        seq=seq,
        proposed_by=Role.CLIENT,
        state=opening.state,
        version=1,
        amount_minor=opening.amount_minor,
        created_at=since,
        active_at=at,
        due_at=opening.due_at,
    )
    if held:
        slot = replace(
            slot,
            funded_minor=held,
            held_minor=held,
            fee_deferred_minor=opening.fee_minor,
            lot_count=1,
        )
        _add_money(deals, contract, slot, at)
    if opening.state is SlotState.SUBMITTED:
        shown_at = opening.submitted_at or at
        slot = replace(slot, submission_no=1, submission_count=1)
        deals.submissions.append(Submission(slot_id, 1, opening.shown, (), shown_at))
        deals.alarms += _review(slot, contract.terms, shown_at, at)
    deals.slots.append(slot)
    deals.titles.append(opening.title)


def _add_money(deals: Deals, contract: Contract, slot: Slot, at: datetime) -> None:
    held, fee, currency = slot.held_minor, slot.fee_deferred_minor, contract.currency
    funding = Funding(
        id=new_id(),
        contract_id=contract.id,
        slot_id=slot.id,
        purpose=Purpose.SLOT,
        method=Method.WALLET,
        rail_account="",
        currency=currency,
        amount_minor=held,
        client_fee_minor=fee,
        state=FundingState.SUCCEEDED,
        version=1,
        created_at=at,
        captured_minor=held + fee,
        code="adopted",
    )
    deals.fundings.append(funding)
    deals.lots.append(Lot(slot.id, 1, funding.id, held, fee, 0))
    deals.alarms.append(Alarm(subject_of(slot), Timer.DORMANT, dormant_at(slot, contract.terms), 0))
    deals.legs.append((account("custody.escrow", currency, slot.id), -held))
    if fee:
        deals.legs.append((account("platform.deferred_fees", currency), -fee))


def _review(slot: Slot, terms: Terms, shown_at: datetime, at: datetime) -> Sequence[Alarm]:
    if terms.release_rule is ReleaseRule.CLIENT_ONLY:
        return ()
    length = terms.auto_release_after
    due = max(shown_at + length, at + min(length, SHORTEST_REVIEW))
    return (Alarm(subject_of(slot), Timer.AUTO_RELEASE, due, slot.submission_no),)


def _contract(reading: Reading, record: Record) -> OpeningContract:
    reference, client = reading.text(record, "ref"), reading.text(record, "client")
    payee, currency = reading.text(record, "payee"), record.cells.get("currency", "")
    if currency not in EXPONENTS:
        reading.fault(record, "currency", f"we keep no books in {currency[:40]!r}")
    if client and client == payee:
        reading.fault(record, "payee", "client and payee are the same party")
    accepted_at = reading.time(record, "accepted_at")
    if accepted_at is not None and reading.as_of is not None and accepted_at > reading.as_of:
        reading.fault(record, "accepted_at", "lies behind the opening")
    return OpeningContract(
        *(record.line, reference, client, payee, currency, accepted_at),
        _terms(reading, record),
    )


def _terms(reading: Reading, record: Record) -> Terms:
    standard = Terms()
    rule = record.cells.get("release_rule", standard.release_rule.value)
    if rule not in set(ReleaseRule):
        reading.fault(record, "release_rule", f"{rule[:40]!r} is no rule")
        return standard
    hours = reading.number(
        record, "auto_release_hours", standard.auto_release_after // timedelta(hours=1)
    )
    terms = Terms(
        commission_bps=reading.number(record, "commission_bps", standard.commission_bps),
        client_fee_bps=reading.number(record, "client_fee_bps", standard.client_fee_bps),
        security_hold_days=reading.number(
            record, "security_hold_days", standard.security_hold_days
        ),
        auto_release_after=timedelta(hours=min(hours, 10**6)),
        release_rule=ReleaseRule(rule),
    )
    try:
        check_terms(terms)
    except Refusal as refusal:
        named = {name: str(value) for name, value in refusal.facts.items()}
        why = f"must lie between {named.get('lowest')} and {named.get('highest')}"
        reading.fault(record, named.get("field", "terms"), why)
        return standard
    return terms


def _milestone(reading: Reading, record: Record, contract: OpeningContract) -> None:
    named = record.cells.get("state", "")
    if named not in {each.value for each in _STATES}:
        reading.fault(record, "state", f"one of {', '.join(sorted(_STATES))} is wanted")
        return
    state, currency = SlotState(named), contract.currency
    amount = reading.amount(record, "amount", currency)
    held = reading.amount(record, "held", currency)
    fee = reading.amount(record, "fee", currency)
    title, shown = record.cells.get("title", ""), record.cells.get("shown", "")
    if not amount and "amount" not in record.cells:
        reading.fault(record, "amount", "is missing")
    if (held > 0) is not (state is not SlotState.AWAITING_FUNDING) and currency in EXPONENTS:
        reading.fault(record, "held", f"{'is missing' if not held else 'does not go'} for {state}")
    if held > amount:
        reading.fault(record, "held", "more is held than was agreed")
    if fee and not held:
        reading.fault(record, "fee", "a fee without money held")
    if len(title) > LONGEST_TEXT or len(shown) > LONGEST_TEXT:
        reading.fault(record, "title", f"a text has at most {LONGEST_TEXT} characters")
    if (state is SlotState.SUBMITTED) is not bool(shown):
        reading.fault(record, "shown", "names what was submitted, and only there")
    times = (reading.time(record, "submitted_at"), reading.time(record, "due_at"))
    contract.milestones.append(
        OpeningMilestone(record.line, title, state, amount, held, fee, shown, *times)
    )
