"""Payees' accounts at rails: open one, learn its name, and follow what the rail lets it do.

What a rail says is applied by the rail's own time, never by the order in which it comes in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.principals import RAIL
from ledger import holds, parties
from ledger.model import Draft
from ledger.model_parties import HoldKind, Party
from payouts import store, store_payees
from payouts.commands import OpenPayeeAccount
from payouts.desk import post_facts, twice_in
from payouts.model import MethodState
from payouts.model_payees import AccountState, PayeeAccount, PayeeWord, as_json, word_of
from payouts.refusals import PayeeAccountExists, SubjectTwice, UnknownPayee
from payouts.rules import role_of
from rails import service as rails
from rails.capabilities import capabilities_of
from rails.model import Notice, OperationKind, RailOperation, RailOutcome, RailResult
from rails.refusals import NotOffered

HANDLER: Final = "payouts.payee"
"""The name under which rails report accounts that they were asked to open."""

_CURRENCY: Final = "EUR"
"""An operation names one; an account that is opened has none."""


def open_accounts(
    connection: Connection, commands: Sequence[OpenPayeeAccount], *, at: datetime
) -> list[Outcome]:
    """Ask rails to open accounts for payees.

    Refuses with `payouts.unknown_payee`, `not_yours`, `subject_twice`, `payee_account_exists`
    (open already and not to be replaced, or being opened), `rail.unknown`, `rail.not_offered`.
    """
    known = parties.lock(connection, {command.party_id for command in commands})
    found = store_payees.lock_accounts(
        connection, [command.account_id for command in commands], parties=known
    )
    there = {(each.party_id, each.rail, each.state) for each in found.values()}
    twice = twice_in([command.party_id for command in commands])
    outcomes: list[Outcome] = []
    accounts: list[PayeeAccount] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            _check_opening(command, known, twice)
            if command.account_id in found or _is_taken(command, there):
                raise PayeeAccountExists(party_id=str(command.party_id), rail=command.rail)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        account = PayeeAccount(
            id=command.account_id, party_id=command.party_id, rail=command.rail, opened_at=at
        )
        accounts.append(account)
        subject = known[command.party_id].subject
        told = as_json(account)
        drafts.append(Draft("payee_account.asked", subject, command.actor, at, detail=told))
        outcomes.append(done(**told))
    post_facts(connection, drafts)
    if accounts:
        store_payees.add_accounts(connection, accounts, at)
        intents = [_operation(account, known[account.party_id]) for account in accounts]
        rails.intend(connection, intents, at=at)
    return outcomes


def hear_opened(connection: Connection, results: Sequence[RailResult], at: datetime) -> list[str]:
    """Learn the rail's names of accounts; the new one takes the place of the payee's older one.

    Gives the subjects whose holds have changed. What the rail lets the account do is not known
    yet: it is read, or told by a notice.
    """
    answers = {
        result.operation_id: result
        for result in results
        if result.outcome in (RailOutcome.DONE, RailOutcome.REFUSED)
    }
    seen = store_payees.find_accounts(connection, answers)
    payees = {account.party_id for account in seen.values()}
    parties.lock(connection, payees)
    locked = store_payees.lock_accounts(connection, answers, parties=payees)
    moved: dict[UUID, PayeeAccount] = {}
    for id_, result in answers.items():
        account = locked.get(id_)
        if account is None:
            raise Broken("a rail opened an account of no payee of ours", id=str(id_))
        if account.state is not AccountState.OPENING:
            continue
        if result.outcome is RailOutcome.REFUSED:
            moved[id_] = replace(account, state=AccountState.REFUSED, code=result.code)
            continue
        for old in locked.values():
            if _is_followed(old, account):
                moved[old.id] = replace(old, state=AccountState.REPLACED)
        moved[id_] = replace(account, state=AccountState.OPEN, account_ref=result.rail_ref)
    lifted = [account for account in moved.values() if account.state is AccountState.REPLACED]
    subjects = _lift(connection, lifted, at)
    freed = [replace(each, hold_id=None) for each in moved.values()]
    store_payees.save_accounts(connection, freed, at)
    post_facts(connection, [_told(account, at) for account in freed])
    return subjects


def hear_payees(connection: Connection, notices: Sequence[Notice], at: datetime) -> list[str]:
    """Apply what rails say of accounts, newer words only; hold whoever may not be paid out.

    While an open account may not be paid out its payee is held (compliance, with the rail's
    words), in the same transaction. Methods that waited for the rail's check are verified by it.
    An account that is not linked yet is left alone: it is read from the rail once it is. Gives
    the subjects whose holds have changed.

    Source: domain/rails.md 1.5, rule 5.
    """
    words = [word_of(notice.rail, notice.facts) for notice in notices]
    newest: dict[tuple[str, str], PayeeWord] = {}
    for word in words:
        key = (word.rail, word.account_ref)
        if key not in newest or word.as_of > newest[key].as_of:
            newest[key] = word
    seen = [
        account
        for rail in sorted({rail for rail, _ in newest})
        for account in store_payees.list_by_ref(
            connection, rail, [ref for other, ref in newest if other == rail]
        )
    ]
    parties.lock(connection, {account.party_id for account in seen})
    locked = store_payees.lock_accounts(connection, [account.id for account in seen])
    moved = [
        _after(account, newest[account.rail, account.account_ref])
        for account in locked.values()
        if _is_newer(newest[account.rail, account.account_ref], account)
    ]
    subjects: list[str] = []
    changed: list[PayeeAccount] = []
    for account in moved:
        held = _hold(connection, account, newest[account.rail, account.account_ref], at)
        changed.append(held)
        if held.hold_id != account.hold_id:
            subjects.append(f"party:{account.party_id}")
    store_payees.save_accounts(connection, changed, at)
    post_facts(connection, [_told(account, at) for account in changed])
    _verify(connection, changed, at)
    return subjects


def _check_opening(
    command: OpenPayeeAccount, known: Mapping[UUID, Party], twice: frozenset[UUID]
) -> None:
    facts = {"payee_id": str(command.party_id)}
    if command.party_id in twice:
        raise SubjectTwice(**facts)
    if command.party_id not in known:
        raise UnknownPayee(**facts)
    role_of(command.actor, command.party_id)
    if not capabilities_of(command.rail).payee_accounts:
        raise NotOffered(rail=command.rail, what="payee accounts")


def _is_taken(command: OpenPayeeAccount, there: set[tuple[UUID, str, AccountState]]) -> bool:
    here = (command.party_id, command.rail)
    is_open = (*here, AccountState.OPEN) in there
    return (*here, AccountState.OPENING) in there or (is_open and not command.replaces)


def _is_followed(old: PayeeAccount, new: PayeeAccount) -> bool:
    return old.state is AccountState.OPEN and (old.party_id, old.rail) == (new.party_id, new.rail)


def _is_newer(word: PayeeWord, account: PayeeAccount) -> bool:
    return account.as_of is None or word.as_of > account.as_of


def _after(account: PayeeAccount, word: PayeeWord) -> PayeeAccount:
    return replace(
        account,
        may_receive=word.may_receive,
        may_be_paid_out=word.may_be_paid_out,
        requirements=word.requirements,
        deadline=word.deadline,
        disabled_reason=word.disabled_reason,
        as_of=word.as_of,
        is_live=word.is_live,
    )


def _hold(
    connection: Connection, account: PayeeAccount, word: PayeeWord, at: datetime
) -> PayeeAccount:
    """The account with its hold placed or lifted, as the rail's word asks for."""
    if account.state is not AccountState.OPEN:
        return account
    if word.may_be_paid_out:
        _lift(connection, [account], at)
        return replace(account, hold_id=None)
    if account.hold_id is not None:
        return account
    place = holds.PlaceHold(
        actor=RAIL,
        subject=f"party:{account.party_id}",
        kind=HoldKind.COMPLIANCE,
        reason=word.why_not,
    )
    (outcome,) = holds.place(connection, [place], at=at)
    if not outcome.is_done:
        raise Broken("a rail's hold was refused", code=outcome.code)
    return replace(account, hold_id=UUID(outcome.facts["id"]))


def _lift(connection: Connection, accounts: Sequence[PayeeAccount], at: datetime) -> list[str]:
    """Lift what we placed for these; an operator may have lifted it before, which is well."""
    commands = [
        holds.LiftHold(actor=RAIL, hold_id=account.hold_id, reason=f"{account.rail} allows it")
        for account in accounts
        if account.hold_id is not None
    ]
    outcomes = holds.lift(connection, commands, at=at) if commands else []
    return [outcome.facts["subject"] for outcome in outcomes if outcome.is_done]


def _verify(connection: Connection, accounts: Sequence[PayeeAccount], at: datetime) -> None:
    """A rail that checks its payees has checked where it pays them to."""
    able = {
        (account.party_id, account.rail)
        for account in accounts
        if account.may_be_paid_out and capabilities_of(account.rail).payee_onboarding
    }
    if not able:
        return
    waiting = [
        method
        for method in store.list_methods(connection, {party_id for party_id, _ in able})
        if (method.party_id, method.rail) in able and method.state is MethodState.UNVERIFIED
    ]
    store.save_verified(connection, [method.id for method in waiting], at)
    drafts = [
        Draft(
            "payout_method.verified",
            f"party:{method.party_id}",
            RAIL,
            at,
            detail={"method_id": str(method.id), "rail": method.rail},
        )
        for method in waiting
    ]
    post_facts(connection, drafts)


def _told(account: PayeeAccount, at: datetime) -> Draft:
    kind = "payee_account.changed" if account.as_of else f"payee_account.{account.state}"
    return Draft(kind, f"party:{account.party_id}", RAIL, at, detail=as_json(account))


def _operation(account: PayeeAccount, party: Party) -> RailOperation:
    return RailOperation(
        id=account.id,
        kind=OperationKind.PAYEE,
        handler=HANDLER,
        subject=party.subject,
        amount_minor=0,
        currency=_CURRENCY,
        method=account.rail,
        facts={"country": party.country},
        rail=account.rail,
    )
