"""Blocking what a sanctioned party has with us, and giving it back with a licence (P43).

What is set aside for disputes and chargebacks stays where it is, since it may be others'; when
they end, it is blocked as well. Report dates are rows: ten business days after the blocking, and
what was held on 30 June of each year.

Source: domain/escrow.md 2.10 P43, 2.11 edge case 39, section 5 (OFAC).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import to_json
from kernel.principals import Actor, PrincipalKind
from ledger import holds, parties
from ledger.chart import account
from ledger.model import AccountKey, Draft
from ledger.model_parties import HoldKind, SanctionState
from ledger.service import lock
from payouts import store_blocked
from payouts.desk import post_facts
from payouts.model_blocked import (
    ApproveRelease,
    PrepareRelease,
    RecordReport,
    SanctionBlock,
    SanctionRelease,
    block_facts,
    release_facts,
    report_due_on,
)
from payouts.movements_blocked import BLOCKABLE, p43_block, p43_release
from payouts.refusals import OperatorOnly
from payouts.refusals_treasury import (
    BadLicence,
    NothingBlocked,
    ReleaseExists,
    ReleaseOver,
    SecondPerson,
    UnknownBlock,
    UnknownRelease,
)

DORMANT: Final = "payouts.dormant"
"""The clock of a party's silence; it stands still while its money is blocked."""

HOLD_REASON: Final = "sanctions match: "

_RESERVED: Final = "custody.earned_reserved"


def block(
    connection: Connection,
    party_ids: Collection[UUID],
    *,
    actor: Actor,
    list_name: str,
    at: datetime,
) -> list[SanctionBlock]:
    """Block all that these parties have (P43), stop their clocks, and hold what comes later.

    Their rows must be locked, for share at least. Run again it blocks what came in meanwhile.
    """
    if not party_ids:
        return []
    ids = sorted(set(party_ids))
    places = store_blocked.list_places(connection, BLOCKABLE, ids)
    keys = {place: account(place[1], place[2], place[0]) for place in places}
    _hold(connection, ids, actor=actor, list_name=list_name, at=at)
    timers.pause(connection, [f"party:{each}" for each in ids], at=at, kinds=[DORMANT])
    blocked = {account("custody.blocked", currency, party) for party, _, currency in places}
    standings = lock(connection, {*keys.values(), *blocked}) if places else {}
    kept = store_blocked.sum_kept(connection, ids)
    there = {place: -_balance(standings, keys[place]) for place in places}
    blocks = [
        SanctionBlock(
            id=new_id(),
            party_id=party_id,
            kind=kind,
            currency=currency,
            amount_minor=minor,
            list_name=list_name,
            blocked_at=at,
            report_due_on=report_due_on(at.astimezone(UTC).date()),
        )
        for (party_id, kind, currency), all_minor in there.items()
        for minor in (
            min(all_minor, max(0, kept.get((party_id, currency), 0)))
            if kind == _RESERVED
            else all_minor,
        )
        if minor > 0
    ]
    post_facts(connection, [_drafted(each, actor, at) for each in _by_purse(blocks)])
    store_blocked.add_blocks(connection, blocks)
    return blocks


def prepare_release(
    connection: Connection, commands: Sequence[PrepareRelease], *, at: datetime
) -> list[Outcome]:
    """Ask that a party's blocked money goes back; by an operator in person, with the licence.

    Refuses with `payouts.operator_only`, `sanctions.bad_licence`, `sanctions.nothing_blocked`,
    `sanctions.release_exists`.
    """
    parties.lock(connection, [command.party_id for command in commands])
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            _check_person(command, command.party_id)
            release = _prepared(command, at)
            if not store_blocked.lock_standing(connection, [command.party_id]):
                raise NothingBlocked(party_id=str(command.party_id))
            if not store_blocked.add_release(connection, release):
                raise ReleaseExists(party_id=str(command.party_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        drafts.append(_told("sanctions.release_prepared", release, command, at))
        outcomes.append(done(**release_facts(release)))
    post_facts(connection, drafts)
    return outcomes


def approve_release(
    connection: Connection, commands: Sequence[ApproveRelease], *, at: datetime
) -> list[Outcome]:
    """Give all blocked money of parties back where it came from; by a second operator in person.

    The party is clear again, its clocks run on. Refuses with `payouts.operator_only`,
    `sanctions.unknown_release`, `release_over`, `second_person`, `nothing_blocked`.
    """
    found = {
        command.release_id: store_blocked.find_release(connection, command.release_id)
        for command in commands
    }
    ids = {release.party_id for release in found.values() if release}
    parties.lock(connection, ids)
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            release = _checked(connection, command, at)
            blocks = store_blocked.lock_standing(connection, [release.party_id])
            if not blocks:
                raise NothingBlocked(party_id=str(release.party_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        _give_back(connection, release, blocks, command.actor, at)
        outcomes.append(
            done(**release_facts(release), released=[block_facts(each) for each in blocks])
        )
    return outcomes


def record_report(
    connection: Connection, commands: Sequence[RecordReport], *, at: datetime
) -> list[Outcome]:
    """Note that blockings were reported, under the authority's reference; by an operator.

    Refuses with `payouts.operator_only`, `sanctions.unknown_block`, `sanctions.bad_licence`.
    """
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        facts = {
            "block_id": str(command.block_id),
            "reported_on": command.reported_on.isoformat(),
            "report_ref": command.report_ref,
        }
        try:
            if not command.actor.is_operator:
                raise OperatorOnly(block_id=str(command.block_id))
            if not command.report_ref.strip():
                raise BadLicence(report_ref=command.report_ref)
            if not store_blocked.save_report(
                connection,
                command.block_id,
                reported_on=command.reported_on,
                report_ref=command.report_ref,
            ):
                raise UnknownBlock(block_id=str(command.block_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        subject = f"sanction_block:{command.block_id}"
        drafts.append(Draft("sanctions.reported", subject, command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    return outcomes


def held_on_30_june(connection: Connection, year: int) -> list[SanctionBlock]:
    """What was blocked when 30 June of a year ended, in UTC: the annual report, by 30 September."""
    return store_blocked.list_held(connection, datetime(year, 7, 1, tzinfo=UTC))


def annual_report_due(year: int) -> date:
    """By when what was held on 30 June is reported."""
    return date(year, 9, 30)


def _hold(
    connection: Connection, ids: Sequence[UUID], *, actor: Actor, list_name: str, at: datetime
) -> None:
    """One compliance hold per party, so that nothing is released to it meanwhile."""
    subjects = [f"party:{each}" for each in ids]
    standing = holds.list_open(connection, subjects)
    in_force = replace(actor, is_operator=True)
    missing = [
        holds.PlaceHold(
            actor=in_force,
            subject=subject,
            kind=HoldKind.COMPLIANCE,
            reason=HOLD_REASON + list_name,
        )
        for subject in subjects
        if not any(each.reason.startswith(HOLD_REASON) for each in standing.get(subject, ()))
    ]
    if missing:
        holds.place(connection, missing, at=at)


def lift_hold(connection: Connection, party_id: UUID, *, actor: Actor, at: datetime) -> None:
    """Lift the hold of a match, and let the clock of the party's silence run on."""
    subject = f"party:{party_id}"
    ours = [
        holds.LiftHold(actor=replace(actor, is_operator=True), hold_id=each.id)
        for each in holds.list_open(connection, [subject]).get(subject, ())
        if each.reason.startswith(HOLD_REASON)
    ]
    if ours:
        holds.lift(connection, ours, at=at)
    timers.resume(connection, [subject], at=at, kinds=[DORMANT])


def _balance(standings: Mapping[str, object], key: AccountKey) -> int:
    standing = standings.get(key.code)
    return int(getattr(standing, "balance_minor", 0))


def _by_purse(blocks: Sequence[SanctionBlock]) -> list[list[SanctionBlock]]:
    purses: dict[tuple[UUID, str], list[SanctionBlock]] = defaultdict(list)
    for each in blocks:
        purses[each.party_id, each.currency].append(each)
    return list(purses.values())


def _drafted(blocks: Sequence[SanctionBlock], actor: Actor, at: datetime) -> Draft:
    first = blocks[0]
    parts = [(each.kind, each.amount_minor) for each in blocks]
    total = sum(each.amount_minor for each in blocks)
    return Draft(
        kind="sanctions.blocked",
        subject=f"party:{first.party_id}",
        actor=actor,
        effective_at=at,
        entries=p43_block(party_id=first.party_id, currency=first.currency, parts=parts),
        detail={
            "list": first.list_name,
            "amount": to_json(total, first.currency),
            "report_due_on": first.report_due_on.isoformat(),
        },
    )


def _give_back(
    connection: Connection,
    release: SanctionRelease,
    blocks: Sequence[SanctionBlock],
    actor: Actor,
    at: datetime,
) -> None:
    assert release.approved_by is not None
    approved_by, party_id = release.approved_by, release.party_id
    store_blocked.approve_release(connection, release.id, approved_by=approved_by, at=at)
    store_blocked.free_blocks(connection, release.id, count=len(blocks))
    clear = parties.ChangeParty(
        actor=actor,
        party_id=party_id,
        sanction_state=SanctionState.CLEAR,
        reason=f"released under {release.licence_ref}",
    )
    parties.change(connection, [clear], at=at)
    lift_hold(connection, party_id, actor=actor, at=at)
    drafts = [
        Draft(
            kind="sanctions.released",
            subject=f"party:{party_id}",
            actor=actor,
            effective_at=at,
            entries=p43_release(
                party_id=party_id,
                currency=some[0].currency,
                parts=[(each.kind, each.amount_minor) for each in some],
            ),
            reason=release.reason,
            detail={"release_id": str(release.id), "licence_ref": release.licence_ref},
        )
        for some in _by_purse(blocks)
    ]
    post_facts(connection, drafts)


def _check_person(command: Command, about: UUID) -> None:
    if not (command.actor.is_operator and command.actor.kind is PrincipalKind.PERSON):
        raise OperatorOnly(id=str(about))


def _prepared(command: PrepareRelease, at: datetime) -> SanctionRelease:
    licence, reason = command.licence_ref.strip(), command.reason.strip()
    is_visible = licence.isascii() and licence.isprintable()
    if not (licence and reason and is_visible and len(licence) <= 200 and len(reason) <= 2000):
        raise BadLicence(licence_ref=licence[:40])
    return SanctionRelease(
        id=command.release_id,
        party_id=command.party_id,
        licence_ref=licence,
        reason=reason,
        prepared_by=command.actor.principal_id,
        prepared_at=at,
    )


def _checked(connection: Connection, command: ApproveRelease, at: datetime) -> SanctionRelease:
    """The release under its party's lock, with the word of the second person."""
    release = store_blocked.find_release(connection, command.release_id)
    if release is None:
        raise UnknownRelease(release_id=str(command.release_id))
    _check_person(command, release.id)
    if release.approved_by is not None:
        raise ReleaseOver(release_id=str(release.id))
    if command.actor.principal_id == release.prepared_by:
        raise SecondPerson(release_id=str(release.id))
    return replace(release, approved_by=command.actor.principal_id, approved_at=at)


def _told(kind: str, release: SanctionRelease, command: Command, at: datetime) -> Draft:
    detail = {"release_id": str(release.id), "licence_ref": release.licence_ref}
    subject = f"party:{release.party_id}"
    return Draft(kind, subject, command.actor, at, reason=release.reason, detail=detail)
