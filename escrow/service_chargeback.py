"""Use cases of chargebacks: what a rail says of them, and what people do about them.

They are few, and each word is a case of its own: all that a list touches is locked first, in
order; then its words are followed one after the other, each on what the one before left.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_chargeback_evidence as evidence
from escrow import store, store_chargeback, store_contest, store_dispute, store_price
from escrow.model import Contract, Funding, FundingState, Plan
from escrow.model_chargeback import (
    Chargeback,
    ChargebackCommand,
    ChargebackState,
    Direction,
    FileStatement,
    Movement,
    TellPayee,
    Word,
)
from escrow.model_price import Price
from escrow.refusals import UnknownFunding
from escrow.refusals_chargeback import PaymentOpen, UnknownChargeback
from escrow.rules_chargeback import Standing, first_heard
from escrow.rules_chargeback_evidence import Filed
from escrow.rules_chargeback_plan import Moves, chargeback_facts, hear
from escrow.rules_dispute import Moves as DisputeMoves
from escrow.service_batch import lock_deals, run
from escrow.service_clocks import pause_clocks, resume_clocks
from escrow.service_dispute_contract import follow_contract
from escrow.service_price import price_contracts
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import RAIL, SYSTEM
from ledger import holds, parties
from ledger.model import Draft
from ledger.service import post
from rails import service as rails
from rails.capabilities import rail_of
from rails.model import OperationKind, RailOperation, RailOutcome, RailResult

EVIDENCE_HANDLER: Final = "escrow.evidence"
"""The name under which rails report what became of evidence."""

_HOUSE: Final = replace(SYSTEM, is_operator=True)
"""Who places and lifts the holds that stand beside a chargeback."""

_BEFORE_MONEY: Final = frozenset(
    {
        FundingState.CREATED,
        FundingState.REQUIRES_ACTION,
        FundingState.PROCESSING,
        FundingState.UNKNOWN,
    }
)

C = TypeVar("C", bound=ChargebackCommand)


def hear_chargebacks(
    connection: Connection, words: Sequence[Word], *, at: datetime
) -> list[Outcome]:
    """Take in what a rail says of chargebacks, in the order given; one outcome each.

    A word may come twice, late or out of order: what is no news is done with `is_news` false and
    writes nothing. Refuses `escrow.unknown_funding`, and `chargeback.payment_open` while we have
    not heard that the payment was made at all.
    """
    _lock_all(connection, [word.funding_id for word in words])
    return [_hear(connection, word, at) for word in words]


def return_payment(connection: Connection, result: RailResult, *, at: datetime) -> Outcome:
    """A bank took a debit back: P18 or P20 and P21, without a contest; the rail's fee is ours."""
    (funding,) = store.find_fundings(connection, [result.operation_id])
    ref = f"return:{funding.id}"
    movement = Movement(
        funding.rail_account,
        ref,
        UUID(int=0),
        Direction.WITHDRAWN,
        funding.captured_minor,
        funding.captured_minor,
        result.fee_minor,
        result.occurred_at,
        at,
    )
    word = Word(
        actor=RAIL,
        rail=funding.rail_account,
        rail_ref=ref,
        funding_id=funding.id,
        currency=funding.currency,
        amount_minor=funding.captured_minor,
        occurred_at=result.occurred_at,
        state=ChargebackState.LOST,
        reason=result.code,
        movement=movement,
        is_return=True,
    )
    (outcome,) = hear_chargebacks(connection, [word], at=at)
    return outcome


def tell_payee(
    connection: Connection, commands: Sequence[TellPayee], *, at: datetime
) -> list[Outcome]:
    """Record, with proof, that the payee was told; by an operator. His time to answer runs."""

    def decide(chargeback: Chargeback, contract: Contract, command: TellPayee) -> Filed:
        number = len(store_contest.list_notices(connection, chargeback.id)) + 1
        return evidence.tell(chargeback, contract, command, number, at)

    return _on_chargebacks(connection, commands, decide, at=at)


def file_statement(
    connection: Connection, commands: Sequence[FileStatement], *, at: datetime
) -> list[Outcome]:
    """File a document for the evidence: the payee's answer, or an operator's addition."""

    def decide(chargeback: Chargeback, contract: Contract, command: FileStatement) -> Filed:
        number = len(store_contest.list_statements(connection, chargeback.id)) + 1
        return evidence.file(chargeback, contract, command, number, at)

    return _on_chargebacks(connection, commands, decide, at=at)


def submit_evidence(
    connection: Connection, commands: Sequence[ChargebackCommand], *, at: datetime
) -> list[Outcome]:
    """Send the evidence to the rail; by an operator, once the payee was heard, before `due_by`."""
    outcomes = _on_chargebacks(
        connection, commands, lambda cb, contract, c: evidence.submit(cb, contract, c, at), at=at
    )
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            (chargeback,) = store_contest.find_chargebacks(connection, [command.chargeback_id])
            rails.intend(connection, [_operation(connection, chargeback)], at=at)
    return outcomes


def evidence_results(
    connection: Connection, results: Sequence[RailResult], *, at: datetime
) -> list[Outcome]:
    """Note what a rail refused of our evidence, so that people look; all else needs no act."""
    drafts = [
        Draft("chargeback.evidence_refused", each.subject, RAIL, at, detail={"code": each.code})
        for each in results
        if each.outcome is RailOutcome.REFUSED
    ]
    post(connection, drafts)
    return []


def _operation(connection: Connection, chargeback: Chargeback) -> RailOperation:
    filed = store_contest.list_statements(connection, chargeback.id)
    (paid,) = store.find_fundings(connection, [chargeback.funding_id])
    return RailOperation(
        id=new_id(),
        kind=OperationKind.EVIDENCE,
        handler=EVIDENCE_HANDLER,
        subject=chargeback.subject,
        amount_minor=chargeback.amount_minor,
        currency=chargeback.currency,
        method="evidence",
        rail=rail_of(paid.rail_account),
        facts={
            "funding_id": str(paid.id),
            "chargeback": chargeback.rail_ref,
            "statements": [{"reference": s.reference, "sha256": s.sha256} for s in filed],
        },
    )


def _lock_all(connection: Connection, funding_ids: Sequence[UUID]) -> None:
    """Parties, contracts, slots and payments of all that is named, each kind once and in order."""
    known = store.find_fundings(connection, funding_ids)
    contracts = store.find_contracts(connection, [each.contract_id for each in known])
    people = {each for c in contracts for each in (c.client_id, c.payee_id)}
    parties.lock(connection, people)
    slot_ids = [s for each in known for s in store_contest.find_lot_slots(connection, each.id)]
    deals = lock_deals(connection, sorted(set(slot_ids)))
    lots = store.list_lots(connection, list(deals))
    paid = {lot.funding_id for some in lots.values() for lot in some}
    store.lock_fundings(connection, sorted(paid | {each.id for each in known}))


def _hear(connection: Connection, word: Word, at: datetime) -> Outcome:
    known_id = store_contest.find_by_ref(connection, rail=word.rail, rail_ref=word.rail_ref)
    held: dict[UUID, UUID] = store_contest.list_holds(connection, known_id) if known_id else {}
    seen: list[tuple[Standing, Moves]] = []

    def plan(given: Word) -> Plan:
        funding = _get_payment(connection, given.funding_id)
        movement = given.movement
        if movement and store_contest.is_moved(
            connection, rail=movement.rail, rail_ref=movement.rail_ref
        ):
            assert known_id is not None
            (chargeback,) = store_contest.find_chargebacks(connection, [known_id])
            return Plan(drafts=(), facts=chargeback_facts(chargeback, is_news=False))
        if known_id is None:
            chargeback = first_heard(given, funding, new_id(), at)
        else:
            (chargeback,) = store_contest.lock_chargebacks(connection, [known_id])
        if movement is not None:
            movement = replace(movement, chargeback_id=chargeback.id, recorded_at=at)
        standing = _standing(connection, chargeback, funding, at)
        moves = hear(
            standing,
            replace(given, movement=movement),
            is_new=known_id is None,
            held=frozenset(held),
            at=at,
            new_id=new_id,
        )
        seen.append((standing, moves))
        return moves.plan

    (outcome,) = run(connection, [word], plan, at=at)
    if outcome.is_done and seen and seen[0][1].plan.drafts:
        _save(connection, *seen[0], held=held, at=at)
    return outcome


def _get_payment(connection: Connection, funding_id: UUID) -> Funding:
    found = store.lock_fundings(connection, [funding_id])
    if not found:
        raise UnknownFunding(funding_id=str(funding_id))
    if found[0].state in _BEFORE_MONEY:
        raise PaymentOpen(funding_id=str(funding_id), state=found[0].state)
    return found[0]


def _standing(
    connection: Connection, chargeback: Chargeback, funding: Funding, at: datetime
) -> Standing:
    """The payment with all that its money touches, read under the locks."""
    slot_ids = store_contest.find_lot_slots(connection, funding.id)
    slots = {each.id: each for each in store.lock_slots(connection, slot_ids)}
    lots = store.list_lots(connection, slot_ids)
    (contract,) = store.find_contracts(connection, [funding.contract_id])
    tips = [funding.release_id] if funding.release_id else []
    pieces = store_contest.list_pieces(connection, chargeback.id)
    reserves = store_contest.list_reserves(connection, chargeback.id)
    dispute_ids = store_contest.find_open_disputes(connection, slot_ids)
    disputes = store_dispute.find_disputes(connection, dispute_ids)
    named = {each.release_id for each in reserves if each.release_id is not None}
    named |= {each.release_id for each in disputes if each.release_id is not None}
    release_ids = store_contest.find_releases(connection, slot_ids, named.union(tips))
    releases = {each.id: each for each in store.lock_releases(connection, release_ids)}
    disputes = store_dispute.lock_disputes(connection, dispute_ids)
    claim_ids = sorted({each.claim_id for each in pieces if each.claim_id is not None})
    others = [
        each
        for each in store_contest.list_of_funding(connection, funding.id)
        if each.id != chargeback.id
    ]
    price = _price(connection, contract, slot_ids, tips, at)
    return Standing(
        chargeback,
        funding,
        contract,
        slots,
        {slot_id: tuple(lots.get(slot_id, ())) for slot_id in slots},
        releases,
        price,
        tuple(pieces),
        tuple(reserves),
        tuple(
            store_contest.list_other_pieces(
                connection, chargeback.id, slot_ids=slot_ids, release_ids=tips
            )
        ),
        claims=store_chargeback.lock_claims(connection, claim_ids),
        recovered_minor=store_contest.sum_recovered(connection, claim_ids),
        disputes={each.slot_id: each for each in disputes},
        available_minor=store_chargeback.find_available_minor(
            connection, contract.payee_id, funding.currency
        ),
        in_other_dispute=any(not each.is_settled for each in others),
    )


def _price(
    connection: Connection,
    contract: Contract,
    slot_ids: Sequence[UUID],
    tips: Sequence[UUID],
    at: datetime,
) -> Price:
    """The contract's price with all fee lines of these slots and tips, under the pair's lock.

    Tax is credited under that lock alone: what it protects is read after it.
    """
    pair = (contract.client_id, contract.payee_id, contract.currency)
    store_price.lock_pairs(connection, [pair])
    lines = store_price.list_lines(connection, slot_ids=slot_ids, release_ids=tips)
    prices = price_contracts(connection, [contract], at=at, lines=lines)
    return replace(prices[contract.id], lines=tuple(lines))


def _save(
    connection: Connection,
    first: Standing,
    moves: Moves,
    *,
    held: dict[UUID, UUID],
    at: datetime,
) -> None:
    """The chargeback's own rows; then holds are placed or lifted, and clocks stop or run on."""
    after = moves.after
    if moves.before is None:
        store_contest.add(connection, [after])
    else:
        store_contest.save_chargeback(connection, moves.before, after=after)
    if moves.movement is not None:
        store_contest.add(connection, [moves.movement])
    store_contest.save_parts(connection, known=first.pieces, wanted=moves.pieces, number="piece_no")
    store_contest.save_parts(
        connection, known=first.reserves, wanted=moves.reserves, number="reserve_no"
    )
    for before, mooted in moves.mooted:
        store_dispute.save_moves(
            connection, DisputeMoves(plan=moves.plan, before=before, after=mooted)
        )
        _lift(connection, mooted.hold_id, "charged_back", at)
    for slot_id in moves.held_slots:
        _place(connection, after, slot_id, at)
    for slot_id in moves.freed_slots:
        store_contest.lift_hold(connection, held[slot_id])
        _lift(connection, held[slot_id], after.state.value, at)
    pause_clocks(connection, [f"slot:{each}" for each in moves.held_slots], at=at)
    if after.is_settled:
        resume_clocks(connection, [f"slot:{each}" for each in first.slots], at=at)
    for _, mooted in moves.mooted:
        follow_contract(connection, mooted, at)


def _place(connection: Connection, chargeback: Chargeback, slot_id: UUID, at: datetime) -> None:
    reason = f"The client's bank looks at a payment: {chargeback.reason or 'no reason given'}."
    place = holds.PlaceHold(
        actor=_HOUSE,
        subject=f"slot:{slot_id}",
        kind=holds.HoldKind.CHARGEBACK,
        reason=reason,
    )
    (placed,) = holds.place(connection, [place], at=at)
    assert placed.is_done
    store_contest.add_hold(
        connection,
        chargeback_id=chargeback.id,
        slot_id=slot_id,
        hold_id=UUID(placed.facts["id"]),
    )


def _lift(connection: Connection, hold_id: UUID | None, reason: str, at: datetime) -> None:
    """An operator may have lifted it by hand."""
    if hold_id is not None:
        lift = holds.LiftHold(actor=_HOUSE, hold_id=hold_id, reason=reason)
        holds.lift(connection, [lift], at=at)


def _on_chargebacks(
    connection: Connection,
    commands: Sequence[C],
    decide: Callable[[Chargeback, Contract, C], Filed],
    *,
    at: datetime,
) -> list[Outcome]:
    """Steps of people: nothing of them moves money, so the chargeback's own lock is enough."""
    ids = [command.chargeback_id for command in commands]
    store_contest.lock_chargebacks(connection, ids)
    outcomes = []
    for command in commands:
        filed: list[tuple[Chargeback, Filed]] = []

        def plan(given: C, filed: list[tuple[Chargeback, Filed]] = filed) -> Plan:
            found = store_contest.lock_chargebacks(connection, [given.chargeback_id])
            if not found:
                raise UnknownChargeback(chargeback_id=str(given.chargeback_id))
            (contract,) = store.find_contracts(connection, [found[0].contract_id])
            filed.append((found[0], decide(found[0], contract, given)))
            return filed[0][1].plan

        outcomes += run(connection, [command], plan, at=at)
        if outcomes[-1].is_done:
            before, result = filed[0]
            store_contest.save_chargeback(connection, before, after=result.after)
            store_contest.add(connection, result.rows)
    return outcomes
