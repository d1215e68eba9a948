"""Use cases of profiles: set the supplier, set what is known of a buyer, store a check.

Each leaves an event without personal data; what it says of a person is sealed in its row.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from ledger import parties, personal
from ledger.model import Draft
from ledger.model_personal import PersonalKey
from ledger.service import post
from tax import rules_profile, store_profile
from tax.model_profile import Person, SetBuyer, SetSupplier, StoreCheck, Supplier
from tax.refusals import NoNumber


def set_supplier(
    connection: Connection, commands: Sequence[SetSupplier], *, at: datetime
) -> list[Outcome]:
    """Add versions of the supplier's profile; by an operator. Refuses `tax.*`."""
    store_profile.lock_supplier(connection)
    outcomes = []
    for command in commands:
        known = store_profile.list_suppliers(connection)
        try:
            made = rules_profile.supplier(command, known[-1] if known else None, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        store_profile.add_supplier(connection, made, by=command.actor.principal_id, at=at)
        shown = supplier_facts(made)
        post(connection, [Draft("tax.supplier_set", "", command.actor, at, detail=shown)])
        outcomes.append(done(**shown))
    return outcomes


def set_buyer(
    connection: Connection, commands: Sequence[SetBuyer], *, at: datetime
) -> list[Outcome]:
    """Set what is known of parties that pay our fees, from now on; by an operator.

    Refuses `party.unknown`, `tax.*`.
    """
    known = parties.lock(connection, {command.party_id for command in commands})
    keys = personal.get_keys(connection, known, at=at)
    before = store_profile.find_buyers(connection, known, at=at)
    versions = {party_id: row.version for party_id, row in before.items()}
    rows: list[tuple[Any, ...]] = []
    drafts: list[Draft] = []
    outcomes = []
    for command in commands:
        try:
            if command.party_id not in known:
                raise parties.UnknownParty(party_id=str(command.party_id))
            country, person = rules_profile.buyer(command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        version = versions.get(command.party_id, 0) + 1
        versions[command.party_id] = version
        rows.append(_buyer_row(command, version, country, person, keys[command.party_id], at))
        facts = _buyer_facts(command, version, country)
        subject = f"party:{command.party_id}"
        drafts.append(Draft("tax.buyer_set", subject, command.actor, at, detail=facts))
        outcomes.append(done(party_id=str(command.party_id), **facts))
    store_profile.add_buyers(connection, rows)
    post(connection, drafts)
    return outcomes


def store_check(
    connection: Connection, commands: Sequence[StoreCheck], *, at: datetime
) -> list[Outcome]:
    """Store what a register said of the number that a party has now; by an operator.

    Refuses `tax.no_number`, `tax.bad_check`, `tax.operator_only`.
    """
    party_ids = {command.party_id for command in commands}
    buyers = store_profile.find_buyers(connection, party_ids, at=at)
    keys = personal.get_keys(connection, buyers, at=at)
    rows: list[tuple[Any, ...]] = []
    drafts: list[Draft] = []
    outcomes = []
    for command in commands:
        buyer = buyers.get(command.party_id)
        try:
            answer = rules_profile.check(command, at)
            if buyer is None or buyer.number_print is None:
                raise NoNumber(party_id=str(command.party_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        check_id = new_id()
        number = _person_of(connection, buyer).tax_number
        sealed = keys[command.party_id].seal(number, bound_to=f"tax_check:{check_id}")
        facts = {
            "check_id": str(check_id),
            "country": buyer.tax_country,
            "source": answer.register,
            "reference": answer.reference,
            "is_valid": answer.is_valid,
            "checked_at": answer.checked_at.isoformat(),
            "valid_since": answer.valid_since.isoformat() if answer.valid_since else None,
        }
        rows.append(
            (
                *(check_id, command.party_id, buyer.tax_country, buyer.number_print, sealed),
                *(answer.register, answer.reference, answer.is_valid, answer.valid_since),
                *(answer.checked_at, command.actor.principal_id, at),
            )
        )
        subject = f"party:{command.party_id}"
        drafts.append(Draft("tax.number_checked", subject, command.actor, at, detail=facts))
        outcomes.append(done(party_id=str(command.party_id), **facts))
    store_profile.add_checks(connection, rows)
    post(connection, drafts)
    return outcomes


def find_people(
    connection: Connection, party_ids: Sequence[UUID], *, at: datetime
) -> dict[UUID, Person]:
    """Names, addresses and numbers as they are known at an instant; empty where nothing is."""
    buyers = store_profile.find_buyers(connection, party_ids, at=at)
    rows = list(buyers.values())
    texts = personal.opened(connection, [(row.sealed, _bound(row.party_id)) for row in rows])
    found = dict.fromkeys(party_ids, Person())
    for row, text in zip(rows, texts, strict=True):
        if text is not None:
            found[row.party_id] = Person(**json.loads(text))
    return found


def supplier_facts(made: Supplier) -> dict[str, Any]:
    """A supplier's profile as the API shows it."""
    return {
        "version": made.version,
        "in_force_from": made.in_force_from.isoformat(),
        "country": made.country,
        "name": made.name,
        "address": made.address,
        "tax_numbers": rules_profile.numbers_as_json(made.tax_numbers),
        "service": made.service.value,
        "when_unsure": made.when_unsure.value,
        "check_days": made.check_days,
    }


def _person_of(connection: Connection, buyer: Any) -> Person:  # noqa: ANN401  a row of the driver
    text = personal.opened(connection, [(buyer.sealed, _bound(buyer.party_id))])[0]
    if text is None:
        raise NoNumber(party_id=str(buyer.party_id))
    return Person(**json.loads(text))


def _buyer_row(
    command: SetBuyer,
    version: int,
    country: str | None,
    person: Person,
    key: PersonalKey,
    at: datetime,
) -> tuple[Any, ...]:
    evidence = [{"kind": each.kind, "country": each.country} for each in command.evidence]
    return (
        *(command.party_id, version, at, json.dumps(evidence), command.is_business, country),
        key.print_of(person.tax_number) if person.tax_number else None,
        key.seal(json.dumps(asdict(person)), bound_to=_bound(command.party_id)),
        *(command.actor.principal_id, at),
    )


def _buyer_facts(command: SetBuyer, version: int, country: str | None) -> dict[str, Any]:
    return {
        "version": version,
        "evidence": [{"kind": each.kind, "country": each.country} for each in command.evidence],
        "is_business": command.is_business,
        "tax_country": country,
    }


def _bound(party_id: UUID) -> str:
    return f"tax_buyer:{party_id}"
