"""What operators write down on dormancy: rules, where owners live, words that came by post."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from ledger import parties
from ledger.model import Draft
from payouts import store_dormant
from payouts.desk import post_facts
from payouts.model_dormant import NoteContact, SetDormancyRule, SetResidence, rule_facts
from payouts.refusals import OperatorOnly
from payouts.refusals_treasury import BadRule, UnknownOwner
from payouts.rules_dormant import check_jurisdiction, check_rule

_C = TypeVar("_C", bound=Command)


def set_rules(
    connection: Connection, commands: Sequence[SetDormancyRule], *, at: datetime
) -> list[Outcome]:
    """Write rules of dormancy; by an operator. Refuses `payouts.operator_only`, `unclaimed.*`."""

    def write(command: SetDormancyRule) -> tuple[str, dict[str, object]]:
        rule = check_rule(command.rule)
        if not store_dormant.add_rule(connection, rule, set_by=command.actor.principal_id):
            raise BadRule(jurisdiction=rule.jurisdiction, why="another rule counts from that day")
        return "", rule_facts(rule)

    return _written(connection, commands, write, kind="dormancy.rule_set", at=at)


def set_residence(
    connection: Connection, commands: Sequence[SetResidence], *, at: datetime
) -> list[Outcome]:
    """Write where parties live; by an operator. Refuses `payouts.operator_only`, `unclaimed.*`."""
    known = parties.lock_share(connection, {command.party_id for command in commands})

    def write(command: SetResidence) -> tuple[str, dict[str, object]]:
        check_jurisdiction(command.jurisdiction)
        if command.party_id not in known:
            raise UnknownOwner(party_id=str(command.party_id))
        if not store_dormant.add_residence(
            connection,
            command.party_id,
            command.jurisdiction,
            since=command.since,
            set_by=command.actor.principal_id,
        ):
            raise BadRule(party_id=str(command.party_id), why="a place from that day is known")
        detail = {"jurisdiction": command.jurisdiction, "since": command.since.isoformat()}
        return f"party:{command.party_id}", {"party_id": str(command.party_id), **detail}

    return _written(connection, commands, write, kind="party.resides", at=at)


def note_contact(
    connection: Connection, commands: Sequence[NoteContact], *, at: datetime
) -> list[Outcome]:
    """Note words of owners that came by letter or telephone; by an operator.

    Their clocks begin anew. Refuses `payouts.operator_only`, `unclaimed.unknown_owner`.
    """
    known = parties.lock_share(connection, {command.party_id for command in commands})

    def write(command: NoteContact) -> tuple[str, dict[str, object]]:
        if command.party_id not in known:
            raise UnknownOwner(party_id=str(command.party_id))
        if not command.how.strip():
            raise BadRule(party_id=str(command.party_id), why="say how the owner was heard of")
        store_dormant.add_contact(
            connection,
            command.party_id,
            command.how.strip()[:200],
            at=at,
            noted_by=command.actor.principal_id,
        )
        facts = {"party_id": str(command.party_id), "contact_at": at.isoformat()}
        return f"party:{command.party_id}", {**facts, "how": command.how.strip()[:200]}

    return _written(connection, commands, write, kind="party.contacted", at=at)


def _written(
    connection: Connection,
    commands: Sequence[_C],
    write: Callable[[_C], tuple[str, dict[str, object]]],
    *,
    kind: str,
    at: datetime,
) -> list[Outcome]:
    """Write what operators say, each with its event."""
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            if not command.actor.is_operator:
                raise OperatorOnly(what=kind)
            subject, facts = write(command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        drafts.append(Draft(kind, subject, command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    return outcomes
