"""Use cases of parties: add one, set what an operator found out about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from ledger.model import Draft
from ledger.model_parties import KycState, Party, PartyKind, SanctionState
from ledger.service import post
from ledger.store_parties import (
    add_parties,
    find_many,
    list_parties,
    list_taken,
    lock,
    lock_share,
    save_parties,
)

__all__ = [
    "BadCountry",
    "ChangeParty",
    "CreateParty",
    "KycState",
    "OperatorOnly",
    "Party",
    "PartyExists",
    "PartyKind",
    "SanctionState",
    "UnknownParty",
    "as_json",
    "change",
    "create",
    "find_many",
    "list_parties",
    "lock",
    "lock_share",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateParty(Command):
    """A new party. `reference` is the marketplace's own id of it, unique; empty for none."""

    kind: PartyKind
    country: str | None = None
    reference: str = ""
    party_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeParty(Command):
    """What an operator found out about a party; None leaves a state as it is."""

    party_id: UUID
    kyc_state: KycState | None = None
    sanction_state: SanctionState | None = None
    reason: str = ""


class UnknownParty(Refusal):
    """No party of this tenant has this id."""

    code = "party.unknown"


class PartyExists(Refusal):
    """Another party has this reference already."""

    code = "party.exists"


class BadCountry(Refusal):
    """A country is two capital letters (ISO 3166-1)."""

    code = "party.bad_country"


class OperatorOnly(Refusal):
    """Only an operator of the tenant may do this."""

    code = "party.operator_only"


def create(
    connection: Connection, commands: Sequence[CreateParty], *, at: datetime
) -> list[Outcome]:
    """Add parties; refuses `party.exists` for a taken reference and `party.bad_country`."""
    outcomes: list[Outcome | None] = [None] * len(commands)
    parties: list[tuple[int, Party]] = []
    taken = list_taken(connection, [c.reference for c in commands if c.reference])
    for i, command in enumerate(commands):
        try:
            party = _new_party(command, taken, at)
        except Refusal as refusal:
            outcomes[i] = refused(refusal)
            continue
        taken.add(party.reference)
        parties.append((i, party))
    add_parties(connection, [party for _, party in parties])
    post(
        connection,
        [
            Draft("party.created", p.subject, commands[i].actor, at, detail={"kind": p.kind.value})
            for i, p in parties
        ],
    )
    for i, party in parties:
        outcomes[i] = done(**as_json(party))
    return [outcome for outcome in outcomes if outcome is not None]


def change(
    connection: Connection, commands: Sequence[ChangeParty], *, at: datetime
) -> list[Outcome]:
    """Set KYC or sanctions states; refuses `party.unknown`, `party.operator_only`."""
    known = lock(connection, [command.party_id for command in commands])
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        party = known.get(command.party_id)
        if party is None:
            outcomes.append(refused(UnknownParty(party_id=str(command.party_id))))
            continue
        if not command.actor.is_operator:
            outcomes.append(refused(OperatorOnly(party_id=str(command.party_id))))
            continue
        party = replace(
            party,
            kyc_state=command.kyc_state or party.kyc_state,
            sanction_state=command.sanction_state or party.sanction_state,
            version=party.version + 1,
        )
        known[party.id] = party
        drafts.append(
            Draft(
                "party.changed",
                party.subject,
                command.actor,
                at,
                reason=command.reason,
                detail={"kyc_state": party.kyc_state, "sanction_state": party.sanction_state},
            )
        )
        outcomes.append(done(**as_json(party)))
    save_parties(connection, known.values())
    post(connection, drafts)
    return outcomes


def _new_party(command: CreateParty, taken: set[str], at: datetime) -> Party:
    country = command.country
    two_letters = 2
    if country is not None and not (
        len(country) == two_letters
        and country.isascii()
        and country.isalpha()
        and country.isupper()
    ):
        raise BadCountry(country=country[:40])
    if command.reference and command.reference in taken:
        raise PartyExists(reference=command.reference)
    return Party(
        command.party_id or new_id(),
        command.kind,
        KycState.NONE,
        SanctionState.CLEAR,
        country,
        command.reference,
        1,
        at,
    )


def as_json(party: Party) -> dict[str, Any]:
    """The party as the API shows it."""
    return {
        "id": str(party.id),
        "kind": party.kind.value,
        "kyc_state": party.kyc_state.value,
        "sanction_state": party.sanction_state.value,
        "country": party.country,
        "reference": party.reference,
        "version": party.version,
        "created_at": party.created_at.isoformat(),
    }
