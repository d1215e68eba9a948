"""The parties of a tenant: clients, freelancers, agencies and operators, as ids and states.

No names, addresses or tax numbers here: personal data lives outside the books (design.md 7).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.database import driver
from kernel.errors import Refusal
from kernel.ids import new_id
from ledger.model import Draft
from ledger.service import post


class PartyKind(StrEnum):
    """What a party is in the marketplace."""

    CLIENT = "client"
    FREELANCER = "freelancer"
    AGENCY = "agency"
    OPERATOR = "operator"


class KycState(StrEnum):
    """How far the check of a party's identity has come; money leaves only to VERIFIED."""

    NONE = "none"
    PENDING = "pending"
    VERIFIED = "verified"
    REJECTED = "rejected"


class SanctionState(StrEnum):
    """Whether a sanctions list names the party."""

    CLEAR = "clear"
    HIT = "hit"


@dataclass(frozen=True, slots=True)
class Party:
    """One party as the database shows it."""

    id: UUID
    kind: PartyKind
    kyc_state: KycState
    sanction_state: SanctionState
    country: str | None
    reference: str
    version: int
    created_at: datetime

    @property
    def subject(self) -> str:
        """The party as events and holds name it."""
        return f"party:{self.id}"


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


_COLUMNS: Final = "id, kind, kyc_state, sanction_state, country, reference, version, created_at"


def find_many(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Party]:
    """The parties with these ids; unknown ids are missing."""
    return _fetch(connection, f"SELECT {_COLUMNS} FROM party WHERE id = ANY(%s)", list(ids))


def lock_share(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Party]:
    """The same, locked FOR SHARE in the order of their ids: no hold is placed meanwhile."""
    statement = f"SELECT {_COLUMNS} FROM party WHERE id = ANY(%s) ORDER BY id FOR SHARE"
    return _fetch(connection, statement, sorted(set(ids)))


def lock(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Party]:
    """The same, locked FOR UPDATE in the order of their ids, to change them or place a hold."""
    statement = f"SELECT {_COLUMNS} FROM party WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
    return _fetch(connection, statement, sorted(set(ids)))


def list_parties(
    connection: Connection, *, after: UUID | None, limit: int, kind: PartyKind | None = None
) -> list[Party]:
    """Parties in the order of their ids, from the one behind `after` on."""
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM party WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
        " AND (%(kind)s::text IS NULL OR kind = %(kind)s) ORDER BY id LIMIT %(limit)s",
        {"after": after, "kind": kind, "limit": limit},
    )
    return [_party(row) for row in rows]


def create(
    connection: Connection, commands: Sequence[CreateParty], *, at: datetime
) -> list[Outcome]:
    """Add parties; refuses `party.exists` for a taken reference and `party.bad_country`."""
    outcomes: list[Outcome | None] = [None] * len(commands)
    parties: list[tuple[int, Party]] = []
    taken = _taken(connection, [c.reference for c in commands if c.reference])
    for i, command in enumerate(commands):
        try:
            party = _new_party(command, taken, at)
        except Refusal as refusal:
            outcomes[i] = refused(refusal)
            continue
        taken.add(party.reference)
        parties.append((i, party))
    driver(connection).cursor().executemany(
        f"INSERT INTO party ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (p.id, p.kind, p.kyc_state, p.sanction_state, p.country, p.reference, p.version, at)
            for _, p in parties
        ],
    )
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
    _save(connection, known.values())
    post(connection, drafts)
    return outcomes


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


def _taken(connection: Connection, references: Sequence[str]) -> set[str]:
    rows = driver(connection).execute(
        "SELECT reference FROM party WHERE reference = ANY(%s)", (list(references),)
    )
    return {reference for (reference,) in rows}


def _save(connection: Connection, parties: Iterable[Party]) -> None:
    driver(connection).cursor().executemany(
        "UPDATE party SET kyc_state = %s, sanction_state = %s, version = %s WHERE id = %s",
        [(p.kyc_state, p.sanction_state, p.version, p.id) for p in parties],
    )


def _fetch(connection: Connection, statement: str, ids: Sequence[UUID]) -> dict[UUID, Party]:
    rows = driver(connection).execute(statement.encode(), (list(ids),))
    return {row[0]: _party(row) for row in rows}


def _party(row: tuple[Any, ...]) -> Party:
    return Party(row[0], PartyKind(row[1]), KycState(row[2]), SanctionState(row[3]), *row[4:])
