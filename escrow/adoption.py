"""Taking over another system: its file is prepared by one person and approved by another.

The approval posts one event with every opening entry, adds the file's parties and its running
contracts, and notes both people. One file is taken over once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection

from escrow.adoption_rules import Deals, OpeningContract, make_deals, read_contracts
from escrow.model import Plan
from escrow.service_batch import run
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import to_json
from kernel.principals import PrincipalKind
from ledger import adoption as opening
from ledger.adoption import Fault, Leg, OpeningParty, Reading
from ledger.adoption_file import Sheet
from ledger.chart import CHART
from ledger.model import Draft, Entry
from ledger.model_parties import Party, SanctionState
from ledger.service import post
from ledger.store_adoption import Adoption, add_adoption, lock_adoption, save_approved
from ledger.store_parties import add_parties, find_references

EVENT_KIND: Final = "books.adopted"


class FaultyFile(Refusal):
    """The file has faults; a dry run lists them all."""

    code = "adoption.faulty"


class PreparedAlready(Refusal):
    """This very file was prepared before, or its books were taken over."""

    code = "adoption.prepared_already"


class NotPrepared(Refusal):
    """Nobody has prepared this very file: one byte more or less is another file."""

    code = "adoption.not_prepared"


class ApprovedAlready(Refusal):
    """The books of this file were taken over before."""

    code = "adoption.approved_already"


class SamePerson(Refusal):
    """Who prepared a file does not approve it."""

    code = "adoption.same_person"


class PeopleOnly(Refusal):
    """Books are taken over by people who are operators, not by programs."""

    code = "adoption.people_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionCommand(Command):
    """Prepare, or approve, the file that was read into this sheet."""

    sheet: Sheet


@dataclass(frozen=True, slots=True)
class Taken:
    """A file understood against the tenant's books: its faults, or what would be posted."""

    reading: Reading
    parties: Sequence[Party]
    deals: Deals
    entries: tuple[Entry, ...]
    legs: Sequence[Leg]

    @property
    def faults(self) -> Sequence[Fault]:
        """Every fault, in the order of the lines."""
        return sorted(self.reading.faults, key=lambda fault: fault.line)

    def summary(self) -> dict[str, Any]:
        """What is posted, in figures: the same for the dry run and for both people."""
        sums: dict[tuple[str, str], list[int]] = {}
        for entry in self.entries:
            both = sums.setdefault((entry.book.value, entry.currency), [0, 0])
            for line in entry.lines:
                both[line.amount_minor < 0] += abs(line.amount_minor)
        return {
            "source": self.reading.source,
            "as_of": None if self.reading.as_of is None else self.reading.as_of.isoformat(),
            "parties": len(self.parties),
            "contracts": len(self.deals.contracts),
            "milestones": len(self.deals.slots),
            "entries": len(self.entries),
            "lines": sum(len(entry.lines) for entry in self.entries),
            "totals": [
                {
                    "book": book,
                    "debit": to_json(debit, currency),
                    "credit": to_json(credit, currency),
                }
                for (book, currency), (debit, credit) in sorted(sums.items())
            ],
        }


def take(connection: Connection, sheet: Sheet, *, at: datetime) -> Taken:
    """Read a sheet against the tenant's parties; nothing is written. This is the dry run."""
    reading = opening.read(sheet.records, sheet.faults, at=at)
    contracts = read_contracts(reading, sheet.records)
    ids, parties = _parties(connection, reading, contracts, at)
    if reading.faults or reading.as_of is None:
        return Taken(reading, parties, Deals(), (), ())
    deals = make_deals(contracts.values(), ids, as_of=reading.as_of, at=at)
    names = {reference: str(party_id) for reference, party_id in ids.items()}
    legs = [*opening.legs_of(reading.balances.values(), names), *deals.legs]
    opening.check(reading, legs)
    entries = () if reading.faults else opening.entries_of(legs)
    return Taken(reading, parties, deals, entries, legs)


def prepare(
    connection: Connection, commands: Sequence[AdoptionCommand], *, at: datetime
) -> list[Outcome]:
    """Check files and note who prepared them; `adoption.faulty`, `adoption.prepared_already`."""
    return [_one(_prepare, connection, command, at) for command in commands]


def approve(
    connection: Connection, commands: Sequence[AdoptionCommand], *, at: datetime
) -> list[Outcome]:
    """Take over prepared files, by somebody else than who prepared them.

    Refuses `adoption.not_prepared`, `adoption.approved_already`, `adoption.same_person`,
    `adoption.people_only`, `adoption.faulty`, `ledger.period_not_open`.
    """
    return [_one(_approve, connection, command, at) for command in commands]


def _one(act: Any, connection: Connection, command: AdoptionCommand, at: datetime) -> Outcome:  # noqa: ANN401  one of the two below
    try:
        if command.actor.kind is not PrincipalKind.PERSON or not command.actor.is_operator:
            raise PeopleOnly
        outcome: Outcome = act(connection, command, at)
    except Refusal as refusal:
        return refused(refusal)
    return outcome


def _prepare(connection: Connection, command: AdoptionCommand, at: datetime) -> Outcome:
    known = lock_adoption(connection, command.sheet.file_hash)
    if known is not None:
        raise PreparedAlready(prepared_at=known.prepared_at.isoformat())
    taken = _sound(connection, command.sheet, at)
    assert taken.reading.as_of is not None
    summary = taken.summary()
    adoption = Adoption(
        *(new_id(), command.sheet.file_hash, taken.reading.source, taken.reading.as_of),
        *(orjson.dumps(summary).decode(), command.actor.principal_id, at),
    )
    add_adoption(connection, adoption)
    detail = {"file_hash": adoption.file_hash.hex(), **summary}
    subject = f"adoption:{adoption.id}"
    post(connection, [Draft("adoption.prepared", subject, command.actor, at, detail=detail)])
    return done(adoption_id=str(adoption.id), file_hash=adoption.file_hash.hex(), **summary)


def _approve(connection: Connection, command: AdoptionCommand, at: datetime) -> Outcome:
    known = lock_adoption(connection, command.sheet.file_hash)
    if known is None:
        raise NotPrepared(file_hash=command.sheet.file_hash.hex())
    if known.event_id is not None:
        raise ApprovedAlready(event_id=str(known.event_id))
    if known.prepared_by == command.actor.principal_id:
        raise SamePerson
    taken = _sound(connection, command.sheet, at)
    subject, summary = f"adoption:{known.id}", taken.summary()
    detail = {"file_hash": known.file_hash.hex(), "prepared_by": str(known.prepared_by), **summary}
    opened = Draft(
        *(EVENT_KIND, subject, command.actor, known.as_of, taken.entries),
        detail=detail,
    )
    (answer,) = post(connection, [opened])
    if isinstance(answer, Refusal):
        raise answer
    add_parties(connection, taken.parties)
    plan = _plan(command, taken, at)
    if plan.drafts:
        (outcome,) = run(connection, [command], lambda _: plan, at=at)
        assert outcome.is_done
    save_approved(
        connection,
        known.id,
        by=command.actor.principal_id,
        at=at,
        event_id=answer.event_id,
    )
    return done(adoption_id=str(known.id), event_id=str(answer.event_id), **summary)


def _sound(connection: Connection, sheet: Sheet, at: datetime) -> Taken:
    taken = take(connection, sheet, at=at)
    if taken.faults:
        first = taken.faults[0]
        raise FaultyFile(faults=len(taken.faults), first=str(first))
    return taken


def _plan(command: AdoptionCommand, taken: Taken, at: datetime) -> Plan:
    """Parties and contracts, each with an event of its own: the money is in the opening."""
    deals, actor = taken.deals, command.actor
    return Plan(
        drafts=(
            *(
                Draft("party.created", p.subject, actor, at, detail={"kind": p.kind.value})
                for p in taken.parties
            ),
            *(
                Draft(
                    *("contract.adopted", f"contract:{contract.id}", actor, at),
                    detail={"reference": reference, "source": taken.reading.source},
                )
                for contract, reference in zip(deals.contracts, deals.references, strict=True)
            ),
            *(
                Draft(
                    *("slot.adopted", f"slot:{slot.id}", actor, at),
                    detail={"state": slot.state.value, "held_minor": slot.held_minor},
                )
                for slot in deals.slots
            ),
        ),
        contracts=tuple(deals.contracts),
        slots=tuple(deals.slots),
        titles=tuple(deals.titles),
        submissions=tuple(deals.submissions),
        fundings=tuple(deals.fundings),
        lots=tuple(deals.lots),
        alarms=tuple(deals.alarms),
    )


def _parties(
    connection: Connection,
    reading: Reading,
    contracts: Mapping[str, OpeningContract],
    at: datetime,
) -> tuple[dict[str, UUID], list[Party]]:
    """The ids of all parties that the file names, and those of them that are new."""
    wanted: dict[str, int] = {}
    for balance in reading.balances.values():
        if CHART[balance.kind].subject and balance.of_party:
            wanted.setdefault(balance.subject, balance.line)
    for contract in contracts.values():
        for reference in (contract.client, contract.payee):
            wanted.setdefault(reference, contract.line)
    known = find_references(connection, {*wanted, *reading.parties})
    for reference, party in reading.parties.items():
        if reference in known:
            why = f"a party has the reference {reference!r} already"
            reading.faults.append(Fault(party.line, "ref", why))
    new = {reference: _party(party, at) for reference, party in reading.parties.items()}
    ids = known | {reference: party.id for reference, party in new.items()}
    for reference, line in wanted.items():
        if reference and reference not in ids:
            why = f"no party has the reference {reference[:40]!r}"
            reading.faults.append(Fault(line, "party", why))
    return ids, list(new.values())


def _party(party: OpeningParty, at: datetime) -> Party:
    return Party(
        *(new_id(), party.kind, party.kyc_state, SanctionState.CLEAR, party.country),
        *(party.reference, 1, at),
    )
