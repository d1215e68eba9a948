"""Unclaimed money on its way to a state: prepared by one person, sent by another, then booked.

All that is held for the state in a currency goes at once, but what a sanctions match stands
against. The bank rail moves it; it is booked when it has left the custody bank (P42, second
half), and is held again where it comes back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.money import exponent, format_minor
from kernel.principals import RAIL, PrincipalKind
from ledger.model import Draft
from payouts import store_dormant
from payouts.desk import post_facts
from payouts.model_dormant import (
    EndRemittance,
    PrepareRemittance,
    Remittance,
    Unclaimed,
    UnclaimedState,
    remittance_facts,
)
from payouts.movements_dormant import p42_remit, p42_remittance_returned
from payouts.refusals import BankShort, OperatorOnly
from payouts.refusals_treasury import (
    NothingUnclaimed,
    RemittanceExists,
    RemittanceTakesTwo,
    UnknownRemittance,
)
from payouts.rules import check_token
from payouts.rules_dormant import check_jurisdiction
from payouts.settlement import BANK_RAIL, free_in_bank
from rails import service as rails
from rails.model import (
    PAYOUT_RETURNED,
    OperationKind,
    RailOperation,
    RailOutcome,
    RailResult,
)
from tax.service_profile import find_people

HANDLER: Final = "payouts.remittance"
"""The name under which rails report remittances to `hear_remittances`."""

_MOST: Final = 1_000_000


def prepare_remittance(
    connection: Connection, commands: Sequence[PrepareRemittance], *, at: datetime
) -> list[Outcome]:
    """Put together all that is held for a state in a currency; by an operator in person.

    Refuses `payouts.operator_only`, `payouts.bad_method`, `unclaimed.bad_rule`,
    `unclaimed.nothing_held`, `unclaimed.remittance_exists`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            _check_person(command.actor.is_operator, command.actor.kind, command.remittance_id)
            check_jurisdiction(command.jurisdiction)
            check_token(command.method)
            exponent(command.currency)
            some = store_dormant.lock_held_for(
                connection, command.jurisdiction, currency=command.currency
            )
            if not some:
                raise NothingUnclaimed(jurisdiction=command.jurisdiction)
            made = Remittance(
                id=command.remittance_id,
                jurisdiction=command.jurisdiction,
                currency=command.currency,
                amount_minor=sum(each.amount_minor for each in some),
                state="prepared",
                method=command.method,
                reason=command.reason[:500],
                prepared_by=command.actor.principal_id,
                prepared_at=at,
            )
            if not store_dormant.add_remittance(connection, made):
                raise RemittanceExists(remittance_id=str(made.id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        ids = [each.id for each in some]
        store_dormant.move(connection, ids, UnclaimedState.REMITTING, remittance_id=made.id)
        facts = remittance_facts(made)
        drafts.append(Draft("remittance.prepared", _subject(made), command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    return outcomes


def approve_remittance(
    connection: Connection,
    commands: Sequence[EndRemittance],
    *,
    at: datetime,
    bank_rail: str = BANK_RAIL,
) -> list[Outcome]:
    """Send prepared remittances; by a second operator in person.

    Refuses `payouts.operator_only`, `payouts.bank_short`, `unclaimed.unknown_remittance`,
    `unclaimed.second_person`.
    """
    purse = free_in_bank(connection)
    operations: list[RailOperation] = []

    def send(command: EndRemittance, found: Remittance) -> Remittance:
        if command.actor.principal_id == found.prepared_by:
            raise RemittanceTakesTwo(remittance_id=str(found.id))
        if found.amount_minor > purse[found.currency]:
            raise BankShort(remittance_id=str(found.id), net_minor=found.amount_minor)
        purse[found.currency] -= found.amount_minor
        operations.append(
            RailOperation(
                id=found.id,
                kind=OperationKind.PAYOUT,
                handler=HANDLER,
                subject=_subject(found),
                amount_minor=found.amount_minor,
                currency=found.currency,
                method=found.method,
                rail=bank_rail,
            )
        )
        return replace(
            found,
            state="submitted",
            approved_by=command.actor.principal_id,
            approved_at=at,
        )

    outcomes = _ended(connection, commands, send, "remittance.sent", at)
    rails.intend(connection, operations, at=at)
    return outcomes


def withdraw_remittance(
    connection: Connection, commands: Sequence[EndRemittance], *, at: datetime
) -> list[Outcome]:
    """Take prepared remittances back; the money is held as before. By an operator in person.

    Refuses `payouts.operator_only`, `unclaimed.unknown_remittance`.
    """

    def withdraw(command: EndRemittance, found: Remittance) -> Remittance:
        del command
        ids = [each.id for each in _of(connection, found)]
        store_dormant.move(connection, ids, UnclaimedState.HELD)
        return replace(found, state="withdrawn", ended_at=at)

    return _ended(connection, commands, withdraw, "remittance.withdrawn", at)


def hear_remittances(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book what the bank says: gone to the state (P42), never left, or come back."""
    found = store_dormant.lock_remittances(connection, [each.operation_id for each in results])
    drafts: list[Draft] = []
    for result in results:
        remittance = found.get(result.operation_id)
        if remittance is None:
            raise Broken("a bank paid what we did not remit", id=str(result.operation_id))
        if result.outcome not in (RailOutcome.DONE, RailOutcome.REFUSED):
            continue
        drafts.append(_heard(connection, remittance, result, at))
    post_facts(connection, drafts)


def report_of(
    connection: Connection, remittance: Remittance, *, at: datetime, with_names: bool = False
) -> list[dict[str, Any]]:
    """Who, what and since when, as a state asks for it with its money.

    Names and addresses only where asked for: they are opened from what is sealed, and are empty
    where they were erased or never known.
    """
    some = store_dormant.list_unclaimed(connection, remittance_id=remittance.id, limit=_MOST)
    people = find_people(connection, [each.party_id for each in some], at=at) if with_names else {}
    rows = []
    for each in some:
        row: dict[str, Any] = {
            "party_id": str(each.party_id),
            "from": each.kind,
            "amount": format_minor(each.amount_minor, each.currency),
            "currency": each.currency,
            "jurisdiction": each.jurisdiction,
            "last_contact_on": each.last_contact_at.date().isoformat(),
            "noticed_on": each.noticed_at.date().isoformat(),
            "unclaimed_since": each.moved_at.date().isoformat(),
        }
        if each.party_id in people:
            row |= {"name": people[each.party_id].name, "address": people[each.party_id].address}
        rows.append(row)
    return rows


def _heard(
    connection: Connection, remittance: Remittance, result: RailResult, at: datetime
) -> Draft:
    went = result.outcome is RailOutcome.DONE
    left_before = remittance.state == "paid"
    comes_back = not went and (left_before or result.code == PAYOUT_RETURNED)
    ids = [each.id for each in _of(connection, remittance)]
    if went:
        store_dormant.move(
            connection,
            ids,
            UnclaimedState.REMITTED,
            remittance_id=remittance.id,
            ended_at=at,
        )
    else:
        store_dormant.move(connection, ids, UnclaimedState.HELD)
    moved = replace(remittance, state="paid" if went else "refused", ended_at=at)
    store_dormant.save_remittance(connection, moved)
    named: dict[str, Any] = {
        "jurisdiction": remittance.jurisdiction,
        "currency": remittance.currency,
        "amount_minor": remittance.amount_minor,
    }
    leaves = p42_remit(**named) if went or (comes_back and not left_before) else ()
    back = p42_remittance_returned(**named, charge_minor=result.fee_minor) if comes_back else ()
    return Draft(
        kind=f"remittance.{moved.state}",
        subject=_subject(moved),
        actor=RAIL,
        effective_at=at,
        entries=(*leaves, *back),
        detail={**remittance_facts(moved), "rail_ref": result.rail_ref, "code": result.code},
    )


def _ended(
    connection: Connection,
    commands: Sequence[EndRemittance],
    decide: Callable[[EndRemittance, Remittance], Remittance],
    kind: str,
    at: datetime,
) -> list[Outcome]:
    found = store_dormant.lock_remittances(connection, [each.remittance_id for each in commands])
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            _check_person(command.actor.is_operator, command.actor.kind, command.remittance_id)
            remittance = found.get(command.remittance_id)
            if remittance is None or remittance.state != "prepared":
                raise UnknownRemittance(remittance_id=str(command.remittance_id))
            moved = decide(command, remittance)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        found[moved.id] = moved
        store_dormant.save_remittance(connection, moved)
        facts = remittance_facts(moved)
        drafts.append(Draft(kind, _subject(moved), command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    return outcomes


def _of(connection: Connection, remittance: Remittance) -> list[Unclaimed]:
    return store_dormant.list_unclaimed(connection, remittance_id=remittance.id, limit=_MOST)


def _check_person(is_operator: bool, kind: PrincipalKind, about: UUID) -> None:  # noqa: FBT001
    if not (is_operator and kind is PrincipalKind.PERSON):
        raise OperatorOnly(remittance_id=str(about))


def _subject(remittance: Remittance) -> str:
    return f"remittance:{remittance.id}"
