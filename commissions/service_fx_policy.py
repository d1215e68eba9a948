"""How a tenant exchanges, decided by two people: prepared by one, approved by another."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from commissions import rules_fx, store_fx_quotes
from commissions.commands_fx import ApprovePolicy, PreparePolicy
from commissions.model_fx import Prepared
from commissions.refusals_fx import BadPolicy, PolicyApproved, UnknownPolicy
from commissions.service_fx_batch import run
from kernel.commands import Outcome
from kernel.errors import Broken
from kernel.money import to_json
from ledger.model import Draft


def prepare_policy(
    connection: Connection, commands: Sequence[PreparePolicy], *, at: datetime
) -> list[Outcome]:
    """Write down a policy that a second person has to approve.

    Refuses with `fx.not_operator`, `fx.second_person` (not a person), `fx.bad_policy`.
    """

    def prepare(command: PreparePolicy) -> tuple[Draft, dict[str, Any]]:
        rules_fx.check_person(command.actor)
        rules_fx.check_policy(command.policy)
        if not 1 <= len(command.reason) <= 2_000:
            raise BadPolicy(why="reason")
        prepared = Prepared(
            command.policy_id, command.policy, command.reason, command.actor.principal_id, at
        )
        store_fx_quotes.add_policy(connection, prepared)
        facts = policy_facts(prepared)
        subject = f"fx_policy:{prepared.id}"
        draft = Draft(
            "fx.policy_prepared",
            subject,
            command.actor,
            at,
            reason=command.reason,
            detail={key: value for key, value in facts.items() if key != "policy_id"},
        )
        return draft, facts

    return run(connection, commands, prepare)


def approve_policy(
    connection: Connection, commands: Sequence[ApprovePolicy], *, at: datetime
) -> list[Outcome]:
    """Let prepared policies hold from now on; contracts keep the margin that they pinned.

    Refuses with `fx.unknown_policy`, `fx.policy_approved`, `fx.second_person`, `fx.not_operator`.
    """
    known = store_fx_quotes.lock_policies(connection)

    def approve(command: ApprovePolicy) -> tuple[Draft, dict[str, Any]]:
        rules_fx.check_person(command.actor)
        prepared = known.get(command.policy_id)
        if prepared is None:
            raise UnknownPolicy(policy_id=str(command.policy_id))
        if prepared.approved_by is not None:
            raise PolicyApproved(policy_id=str(command.policy_id))
        rules_fx.check_person(command.actor, not_by=prepared.prepared_by)
        who = command.actor.principal_id
        store_fx_quotes.save_approval(connection, prepared.id, approved_by=who, at=at)
        known[prepared.id] = replace(prepared, approved_by=who, approved_at=at)
        held = store_fx_quotes.find_policy(connection)
        if held is None:
            raise Broken("an approved policy is not there", policy_id=str(prepared.id))
        subject = f"fx_policy:{prepared.id}"
        draft = Draft(
            "fx.policy_approved",
            subject,
            command.actor,
            at,
            detail={"version": held.policy.version},
        )
        return draft, policy_facts(held)

    return run(connection, commands, approve)


def policy_facts(prepared: Prepared) -> dict[str, Any]:
    """What people are told of a policy; its version is null until it is approved."""
    policy = prepared.policy
    return {
        "policy_id": str(prepared.id),
        "version": policy.version or None,
        "source": policy.source,
        "margin_bps": policy.margin_bps,
        "margins": {f"{sold}/{bought}": bps for (sold, bought), bps in policy.margins.items()},
        "lifetime_s": int(policy.lifetime.total_seconds()),
        "reporting": policy.reporting,
        "tolerance_bps": policy.tolerance_bps,
        "limits": [to_json(minor, currency) for currency, minor in policy.limits.items()],
        "reason": prepared.reason,
        "prepared_by": str(prepared.prepared_by),
        "approved_by": str(prepared.approved_by) if prepared.approved_by else None,
    }
