"""Use cases of what is sold: a version is prepared by one person and approved by another."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from commissions import rules_plans as rules
from commissions import store_plans
from commissions.model_plans import Offering, offering_json
from commissions.refusals_plans import UnknownOffering
from escrow.commands_plans import DecideOffering, PrepareOffering
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from ledger.model import Draft
from ledger.service import post


def prepare_offering(
    connection: Connection, commands: Sequence[PrepareOffering], *, at: datetime
) -> list[Outcome]:
    """Write versions down for their approver; nothing is sold yet.

    Refuses `plans.not_yours`, `plans.in_person_only`, `plans.bad_offering`, `plans.too_late`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            rules.check_person(command.actor)
            offering = _prepared(connection, command, at)
            rules.check_offering(offering, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        store_plans.add_offering(connection, offering)
        _tell(connection, "offering.prepared", offering, command, at)
        outcomes.append(done(**offering_json(offering)))
    return outcomes


def approve_offering(
    connection: Connection, commands: Sequence[DecideOffering], *, at: datetime
) -> list[Outcome]:
    """Sell versions that another person prepared, from their time on.

    Refuses `plans.unknown_offering`, `plans.wrong_state`, `plans.second_person`,
    `plans.too_late`, and who is no operator in person.
    """
    return _decide(connection, commands, at, "offering.approved", is_approval=True)


def reject_offering(
    connection: Connection, commands: Sequence[DecideOffering], *, at: datetime
) -> list[Outcome]:
    """Give versions up before they are sold; also their preparer may."""
    return _decide(connection, commands, at, "offering.rejected", is_approval=False)


def _decide(
    connection: Connection,
    commands: Sequence[DecideOffering],
    at: datetime,
    kind: str,
    *,
    is_approval: bool,
) -> list[Outcome]:
    known = store_plans.lock_offerings(connection, [each.offering_id for each in commands])
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            rules.check_person(command.actor)
            old = known.get(command.offering_id)
            if old is None:
                raise UnknownOffering(offering_id=str(command.offering_id))
            if is_approval:
                new = rules.approve(
                    old, command.actor, newest_from=_newest_from(old, known.values()), at=at
                )
            else:
                new = rules.reject(old, command.actor, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        known[new.id] = new
        store_plans.save_offering(connection, new)
        _tell(connection, kind, new, command, at)
        outcomes.append(done(**offering_json(new)))
    return outcomes


def _prepared(connection: Connection, command: PrepareOffering, at: datetime) -> Offering:
    known = store_plans.lock_names(connection, command.kind, {command.name})
    return Offering(
        id=command.offering_id,
        kind=command.kind,
        name=command.name,
        version=max((each.version for each in known), default=0) + 1,
        side=command.side,
        refund=command.refund,
        prices=command.prices,
        days=command.days,
        reason=command.reason,
        wanted_from=command.wanted_from,
        prepared_by=command.actor.principal_id,
        prepared_at=at,
    )


def _newest_from(offering: Offering, known: Iterable[Offering]) -> datetime | None:
    """When the newest approved version of the same name begins; None: there is none."""
    name = (offering.kind, offering.name)
    begun = [e.valid_from for e in known if (e.kind, e.name) == name and e.valid_from is not None]
    return max(begun, default=None)


def _tell(
    connection: Connection, kind: str, offering: Offering, command: Command, at: datetime
) -> None:
    detail: dict[str, Any] = offering_json(offering)
    draft = Draft(kind, offering.subject, command.actor, at, detail=detail)
    (answer,) = post(connection, [draft])
    if isinstance(answer, Refusal):
        raise Broken("an event without entries was refused", code=answer.code)
