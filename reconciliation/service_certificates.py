"""Certificates: made of what is known, kept as they were made, and signed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import exponent
from kernel.principals import PrincipalKind
from ledger.chart import CHART, Nature
from payouts.safeguarding import CLIENT_LIABILITIES
from reconciliation import store_breaks
from reconciliation import store_certificates as store
from reconciliation.certificate import (
    BRIDGE,
    FROM_PLATFORM,
    SUSPENSE,
    TO_PLATFORM,
    Between,
    Certificate,
    Held,
)
from reconciliation.commands_breaks import MakeCertificate, SignCertificate
from reconciliation.leftovers import list_left, without_opening
from reconciliation.model_breaks import Kind
from reconciliation.model_matching import VERSION, business_days
from reconciliation.refusals_breaks import (
    DayNotOver,
    NeedsAnother,
    PeopleSign,
    SignedAlready,
    UnknownCertificate,
)
from reconciliation.service import check_operator
from reconciliation.store_items import Place

_OWED: Final = tuple(kind for kind in CLIENT_LIABILITIES if kind != SUSPENSE)
_PLACES: Final = {
    "custody.processor_pending": "processor",
    "custody.processor_available": "processor",
    "custody.processor_reserved": "processor",
    "custody.bank": "custody_bank",
}
assert all(CHART[kind].nature is Nature.ASSET for kind in _PLACES), "money lies on assets"


def draw_up(connection: Connection, currency: str, on: date) -> Certificate:
    """The certificate of one currency and day by what is known now; nothing is written.

    Read it in one snapshot, when statements of the day were taken and matched.
    """
    booked = store.list_booked(connection, currency, on)
    stated = {
        (each.place, each.rail_account): each
        for each in store.list_stated(connection, currency, on)
    }
    there: dict[tuple[str, str], int] = dict.fromkeys(stated, 0)
    for (kind, subject), minor in booked.items():
        if kind in _PLACES:
            key = (_PLACES[kind], subject)
            there[key] = there.get(key, 0) + minor
    held: list[Held] = []
    between: list[Between] = []
    adopted = store.list_adopted(connection)
    for key, booked_minor in sorted(there.items()):
        told = stated.get(key)
        held.append(
            Held(
                place=key[0],
                rail_account=key[1],
                stated_minor=told.minor if told else None,
                booked_minor=booked_minor,
                source=told.source if told else "no statement: as the books say",
            )
        )
        if told is not None:
            place = Place(*key, currency)
            between += _between(connection, place, on, adopted, told.opening_minor)
    sums = {kind: minor for (kind, subject), minor in booked.items() if not subject}
    return Certificate(
        tenant=store.tenant_name(connection),
        currency=currency,
        on=on,
        rules_version=VERSION,
        liabilities=tuple((kind, -sums[kind]) for kind in _OWED if sums.get(kind)),
        suspense_minor=-sums.get(SUSPENSE, 0),
        due_to_platform_minor=-sums.get(TO_PLATFORM, 0),
        due_from_platform_minor=sums.get(FROM_PLATFORM, 0),
        bridge_minor=sums.get(BRIDGE, 0),
        held=tuple(held),
        between=tuple(between),
    )


def make(
    connection: Connection, commands: Sequence[MakeCertificate], *, at: datetime
) -> list[Outcome]:
    """Make and keep certificates; made again of the same figures, it is the one that is there.

    Refuses `reconciliation.operator_only`, `money.unknown_currency`, `certificate.day_not_over`.
    """
    store.lock_certificates(connection)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            exponent(command.currency)
            if command.on > at.date():
                raise DayNotOver(on=command.on.isoformat())
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        certificate = draw_up(connection, command.currency, command.on)
        newest = store.find_newest(connection, command.currency, command.on)
        if newest is not None and newest[2] == certificate.digest():
            certificate_id, version = newest[:2]
        else:
            certificate_id, version = new_id(), newest[1] + 1 if newest else 1
            store.add_certificate(
                connection,
                certificate,
                certificate_id=certificate_id,
                version=version,
                by=command.actor.principal_id,
                at=at,
            )
        outcomes.append(done(**_facts(certificate_id, version, certificate)))
    return outcomes


def sign(
    connection: Connection, commands: Sequence[SignCertificate], *, at: datetime
) -> list[Outcome]:
    """Sign certificates: one with breaks by another than made it, and with a remark.

    Refuses `reconciliation.operator_only`, `certificate.people_sign`, `certificate.unknown`,
    `certificate.needs_another`, `certificate.signed_already`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            check_operator(command.actor)
            if command.actor.kind is not PrincipalKind.PERSON:
                raise PeopleSign
            found = store.find_certificate(connection, command.certificate_id)
            if found is None:
                raise UnknownCertificate(certificate_id=str(command.certificate_id))
            is_makers = found["made_by"] == command.actor.principal_id
            if found["state"] != "clean" and (is_makers or not command.remark.strip()):
                raise NeedsAnother(state=found["state"])
            is_new = store.sign(
                connection,
                signature_id=new_id(),
                certificate_id=command.certificate_id,
                digest=found["digest"],
                by=command.actor.principal_id,
                at=at,
                remark=command.remark.strip()[:2000],
            )
            if not is_new:
                raise SignedAlready(certificate_id=str(command.certificate_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        outcomes.append(
            done(
                certificate_id=str(command.certificate_id),
                digest=found["digest"],
                state=found["state"],
            )
        )
    return outcomes


def _facts(certificate_id: UUID, version: int, certificate: Certificate) -> dict[str, Any]:
    return {
        "certificate_id": str(certificate_id),
        "version": version,
        "digest": certificate.digest().hex(),
        "certificate": certificate.as_json(),
    }


def _between(
    connection: Connection, place: Place, on: date, adopted: frozenset[int], opening_minor: int
) -> list[Between]:
    """What is on one side alone at the end of a day: parts of later matches, and what is left."""
    parts = [
        Between(
            place=place.place,
            rail_account=place.rail_account,
            kind=Kind.TIMING,
            on=each.first_on,
            gap_minor=each.gap_minor,
            told=f"{'on the statement' if each.is_booked_first else 'in the books'} of"
            f" {each.later_on}",
            key=f"match:{each.match_id}",
            age_days=business_days(each.first_on, on),
        )
        for each in store.list_straddling(connection, place, on)
    ]
    left = without_opening(list_left(connection, place, on), adopted, opening_minor)
    states = store_breaks.list_states(connection, [each.id for each in left])
    return parts + [
        Between(
            place=place.place,
            rail_account=place.rail_account,
            kind=each.kind,
            on=each.on,
            gap_minor=each.gap_minor,
            told=each.told,
            key=f"break:{each.id}",
            age_days=business_days(each.on, on),
            break_state=states.get(each.id, "") if each.kind is not Kind.TIMING else "",
        )
        for each in left
    ]
