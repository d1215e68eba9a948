"""What a tenant asks for before money leaves: prepared by one person, approved by another.

The engine itself, which sets a tenant up, needs no second person.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, exponent
from kernel.principals import Actor, PrincipalKind
from ledger.model import Draft
from payouts import store_policy
from payouts.commands import ApprovePolicy, PreparePolicy
from payouts.desk import post_facts, twice_in
from payouts.model_policy import Policy, as_json
from payouts.refusals import BadPolicy, OperatorOnly, SecondPerson, SubjectTwice, UnknownPolicy

_MOST_DAYS: Final = 365
_C = TypeVar("_C", bound=Command)


def prepare_policy(
    connection: Connection, commands: Sequence[PreparePolicy], *, at: datetime
) -> list[Outcome]:
    """Write versions that wait for their second person; the engine's own count at once.

    Refuses with `payouts.operator_only`, `bad_policy`, `subject_twice`, `money.unknown_currency`.
    """
    ids = [command.policy_id for command in commands]
    known = store_policy.find_policies(connection, ids)
    twice = twice_in(ids)

    def decide(command: PreparePolicy) -> Policy:
        if command.policy_id in twice or command.policy_id in known:
            raise SubjectTwice(policy_id=str(command.policy_id))
        _check(command)
        return _new(command, at)

    outcomes, policies = _run(connection, commands, decide, "payout_policy.prepared", at)
    store_policy.add_policies(connection, policies)
    return outcomes


def approve_policy(
    connection: Connection, commands: Sequence[ApprovePolicy], *, at: datetime
) -> list[Outcome]:
    """Let versions count: from now on, or from their own later time.

    Refuses with `payouts.operator_only`, `unknown_policy`, `second_person`, `subject_twice`.
    """
    ids = [command.policy_id for command in commands]
    waiting = store_policy.lock_policies(connection, ids)
    twice = twice_in(ids)

    def decide(command: ApprovePolicy) -> Policy:
        facts = {"policy_id": str(command.policy_id)}
        if command.policy_id in twice:
            raise SubjectTwice(**facts)
        if not command.actor.is_operator:
            raise OperatorOnly(**facts)
        policy = waiting.get(command.policy_id)
        if policy is None or policy.approved_by is not None:
            raise UnknownPolicy(**facts)
        actor = command.actor
        if actor.principal_id == policy.prepared_by or actor.kind is not PrincipalKind.PERSON:
            raise SecondPerson(**facts)
        return replace(policy, approved_by=actor.principal_id, approved_at=at)

    outcomes, policies = _run(connection, commands, decide, "payout_policy.approved", at)
    store_policy.save_approved(connection, policies)
    return outcomes


def _run(
    connection: Connection,
    commands: Sequence[_C],
    decide: Callable[[_C], Policy],
    kind: str,
    at: datetime,
) -> tuple[list[Outcome], list[Policy]]:
    outcomes: list[Outcome] = []
    policies: list[Policy] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            policy = decide(command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = as_json(policy)
        policies.append(policy)
        drafts.append(Draft(kind, "", command.actor, at, reason=policy.reason, detail=told))
        outcomes.append(done(**told))
    post_facts(connection, drafts)
    return outcomes, policies


def _new(command: PreparePolicy, at: datetime) -> Policy:
    by_engine = _is_engine(command.actor)
    return Policy(
        id=command.policy_id,
        currency=command.currency,
        valid_from=command.valid_from,
        cooling_days=command.cooling_days,
        needs_verifying=command.needs_verifying,
        approval_above_minor=command.approval_above_minor,
        minimum_minor=command.minimum_minor,
        reason=command.reason,
        prepared_by=command.actor.principal_id,
        prepared_at=at,
        approved_by=command.actor.principal_id if by_engine else None,
        approved_at=at if by_engine else None,
    )


def _check(command: PreparePolicy) -> None:
    if not (command.actor.is_operator or _is_engine(command.actor)):
        raise OperatorOnly(policy_id=str(command.policy_id))
    of_methods = (command.cooling_days, command.needs_verifying)
    of_currency = (command.approval_above_minor, command.minimum_minor)
    if command.currency is None:
        if None in of_methods or of_currency != (None, None):
            raise BadPolicy(policy_id=str(command.policy_id))
    else:
        exponent(command.currency)
        if of_methods != (None, None) or command.minimum_minor is None:
            raise BadPolicy(policy_id=str(command.policy_id))
    amounts = [minor for minor in of_currency if minor is not None]
    days = command.cooling_days or 0
    if not 0 <= days <= _MOST_DAYS or any(not 0 <= minor <= MAX_MINOR for minor in amounts):
        raise BadPolicy(policy_id=str(command.policy_id))


def _is_engine(actor: Actor) -> bool:
    return actor.kind is PrincipalKind.SYSTEM
