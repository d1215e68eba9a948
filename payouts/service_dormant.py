"""Money whose owner is silent: clocks, letters of due diligence, and what becomes unclaimed (P42).

A clock per party runs from its last word: any command of its own, or what an operator noted. It
rings for the letter, and again for the money. It stands still while a hold or a sanctions match
is on the party.

Source: domain/escrow.md 2.2 (`escheat`), 2.10 P42, 2.11 edge cases 12, 39, 47; section 5.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel import timers
from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import to_json
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer
from ledger import holds, parties
from ledger.chart import account
from ledger.model import Draft
from ledger.model_parties import Party, SanctionState
from ledger.service import lock
from payouts import store_dormant
from payouts.desk import post_facts
from payouts.model_dormant import (
    Purse,
    Reactivate,
    Unclaimed,
    UnclaimedState,
    unclaimed_facts,
)
from payouts.movements_dormant import p42_reactivate, p42_reclassify
from payouts.refusals import SubjectTwice
from payouts.refusals_treasury import (
    NothingUnclaimed,
    OwnerBlocked,
    UnknownOwner,
)
from payouts.rules_dormant import (
    Rules,
    Silence,
    by_place,
    next_ring,
    parties_of,
    silence_of,
)
from payouts.service_blocked import DORMANT

AGAIN: Final = timedelta(days=1)
_NOTICE, _MONEY = 1, 2
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Heard:
    """When owners were last heard of, and when they were last written to."""

    contacts: Mapping[UUID, datetime]
    notices: Mapping[UUID, datetime]


def watch(connection: Connection, *, at: datetime, limit: int = 1_000) -> int:
    """Set the clocks of owners whose money has none yet; how many were set.

    Run it each day. Parties of whom we know no place, or of whose place no rule, have no clock.
    """
    purses = store_dormant.list_unwatched(connection, timer=DORMANT, on=at.date(), limit=limit)
    owners = parties_of(purses)
    found = _silences(connection, owners, _heard(connection, owners), at)
    arms = [
        Arm(f"party:{party_id}", DORMANT, max(rings_at, at), _NOTICE)
        for party_id, silences in sorted(found.items())
        if (rings_at := next_ring(silences, is_noticed=False)) is not None
    ]
    timers.arm(connection, arms, at=at)
    return len(arms)


def ring(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Clocks of silence that fell due: the letter first, then the money; or the clock again."""
    ids = [UUID(each.subject.partition(":")[2]) for each in due]
    known = parties.lock(connection, ids)
    claimed = timers.claim(connection, due)
    stopped = _stopped(connection, known)
    subjects = {UUID(each.subject.partition(":")[2]): each for each in claimed}
    free = [party_id for party_id in subjects if party_id in known and party_id not in stopped]
    purses = parties_of(store_dormant.list_purses(connection, free, on=at.date()))
    heard = _heard(connection, purses)
    silences = _silences(connection, purses, heard, at)
    contacts = heard.contacts
    arms = [Arm(f"party:{each}", DORMANT, at + AGAIN, _NOTICE) for each in sorted(stopped)]
    moving: list[tuple[Silence, datetime]] = []
    noticed: list[UUID] = []
    for party_id, some in silences.items():
        was_told = heard.notices.get(party_id, _NEVER) > contacts[party_id]
        if not was_told and min(each.notice_at for each in some) <= at:
            noticed.append(party_id)
            continue
        gone = [each for each in some if was_told and each.move_at <= at]
        moving += [(each, contacts[party_id]) for each in gone]
        rings_at = next_ring([s for s in some if s not in gone], is_noticed=was_told)
        if rings_at is not None:
            stage = _MONEY if was_told else _NOTICE
            arms.append(Arm(f"party:{party_id}", DORMANT, max(rings_at, at), stage))
    arms += _write_to(connection, noticed, silences, contacts, at)
    _move(connection, moving, at)
    timers.arm(connection, arms, at=at)
    return len(claimed)


def reactivate(
    connection: Connection, commands: Sequence[Reactivate], *, at: datetime
) -> list[Outcome]:
    """Give owners back what no state has yet; by the owner himself, or an operator for him.

    Refuses `unclaimed.unknown_owner`, `unclaimed.owner_blocked`, `unclaimed.nothing_held`,
    `payouts.subject_twice`.
    """
    counted = Counter(command.party_id for command in commands)
    known = parties.lock(connection, list(counted))
    held = store_dormant.lock_held_of(connection, list(counted))
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    back: list[Unclaimed] = []
    for command in commands:
        try:
            _check_owner(command, known, counted)
            some = [each for each in held if each.party_id == command.party_id]
            if not some:
                raise NothingUnclaimed(party_id=str(command.party_id))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        back += some
        drafts += [_given_back(each, command, at) for each in some]
        store_dormant.add_contact(
            connection,
            command.party_id,
            command.how[:200],
            at=at,
            noted_by=command.actor.principal_id,
        )
        outcomes.append(
            done(party_id=str(command.party_id), back=[unclaimed_facts(each) for each in some])
        )
    post_facts(connection, drafts)
    if back:
        ids = [each.id for each in back]
        store_dormant.move(connection, ids, UnclaimedState.REACTIVATED, ended_at=at)
    return outcomes


HANDLERS: Final = MappingProxyType({DORMANT: ring})
"""The clock of an owner's silence, for the table of timers."""


def _heard(connection: Connection, ids: Collection[UUID]) -> _Heard:
    if not ids:
        return _Heard({}, {})
    return _Heard(
        store_dormant.list_contacts(connection, ids), store_dormant.list_notices(connection, ids)
    )


def _silences(
    connection: Connection,
    purses: Mapping[UUID, Sequence[Purse]],
    heard: _Heard,
    at: datetime,
) -> dict[UUID, list[Silence]]:
    """What is due of each party by the rules of the day; one without a rule is missing."""
    if not purses:
        return {}
    rules: Rules = by_place(store_dormant.list_rules(connection))
    contacts, notices = heard.contacts, heard.notices
    found = {
        party_id: [
            silence
            for purse in some
            if (
                silence := silence_of(
                    purse, rules, contacts[party_id], noticed_at=notices.get(party_id), at=at
                )
            )
        ]
        for party_id, some in purses.items()
    }
    return {party_id: some for party_id, some in found.items() if some}


def _stopped(connection: Connection, known: Mapping[UUID, Party]) -> set[UUID]:
    """Parties on which a sanctions match or a hold is: their clocks look again tomorrow."""
    open_holds = holds.list_open(connection, [each.subject for each in known.values()])
    return {
        each.id
        for each in known.values()
        if each.sanction_state is not SanctionState.CLEAR or open_holds.get(each.subject)
    }


def _write_to(
    connection: Connection,
    ids: Sequence[UUID],
    silences: Mapping[UUID, Sequence[Silence]],
    contacts: Mapping[UUID, datetime],
    at: datetime,
) -> list[Arm]:
    """Note that letters are due, tell so, and set the clocks of the money."""
    drafts: list[Draft] = []
    arms: list[Arm] = []
    for party_id in ids:
        some = silences[party_id]
        notice = max(timedelta(days=each.rule.notice_days) for each in some)
        moves_at = max(at + notice, min(each.move_at for each in some))
        detail = {
            "last_contact_at": contacts[party_id].isoformat(),
            "moves_at": moves_at.isoformat(),
            "jurisdiction": some[0].purse.jurisdiction,
            "amounts": [to_json(each.purse.amount_minor, each.purse.currency) for each in some],
            "source": some[0].rule.source,
        }
        drafts.append(Draft("dormancy.letter_due", f"party:{party_id}", SYSTEM, at, detail=detail))
        arms.append(Arm(f"party:{party_id}", DORMANT, moves_at, _MONEY))
    store_dormant.add_notices(
        connection,
        [(each, at, contacts[each], silences[each][0].purse.jurisdiction) for each in ids],
    )
    post_facts(connection, drafts)
    return arms


def _move(connection: Connection, moving: Sequence[tuple[Silence, datetime]], at: datetime) -> None:
    """Reclassify dormant money (P42, first half): what is there under the accounts' locks."""
    if not moving:
        return
    keys = [account(s.purse.kind, s.purse.currency, s.purse.party_id) for s, _ in moving]
    states = {
        account("custody.unclaimed", s.purse.currency, s.purse.jurisdiction) for s, _ in moving
    }
    standings = lock(connection, {*keys, *states})
    moved = [
        Unclaimed(
            id=new_id(),
            party_id=silence.purse.party_id,
            kind=silence.purse.kind,
            currency=silence.purse.currency,
            amount_minor=-standings[key.code].balance_minor,
            jurisdiction=silence.purse.jurisdiction,
            last_contact_at=contact_at,
            noticed_at=silence.notice_at,
            moved_at=at,
        )
        for (silence, contact_at), key in zip(moving, keys, strict=True)
        if standings[key.code].balance_minor < 0
    ]
    drafts = [
        Draft(
            kind="dormancy.unclaimed",
            subject=f"party:{each.party_id}",
            actor=SYSTEM,
            effective_at=at,
            entries=p42_reclassify(
                party_id=each.party_id,
                kind=each.kind,
                jurisdiction=each.jurisdiction,
                currency=each.currency,
                amount_minor=each.amount_minor,
            ),
            detail={"unclaimed_id": str(each.id), "jurisdiction": each.jurisdiction},
        )
        for each in moved
    ]
    post_facts(connection, drafts)
    store_dormant.add_unclaimed(connection, moved)


def _check_owner(
    command: Reactivate, known: Mapping[UUID, Party], counted: Mapping[UUID, int]
) -> None:
    facts = {"party_id": str(command.party_id)}
    if counted[command.party_id] > 1:
        raise SubjectTwice(**facts)
    is_his = command.actor.party_id == command.party_id
    party = known.get(command.party_id)
    if party is None or not (is_his or command.actor.is_operator):
        raise UnknownOwner(**facts)
    if party.sanction_state is not SanctionState.CLEAR:
        raise OwnerBlocked(**facts)


def _given_back(each: Unclaimed, command: Reactivate, at: datetime) -> Draft:
    return Draft(
        kind="dormancy.reactivated",
        subject=f"party:{each.party_id}",
        actor=command.actor,
        effective_at=at,
        entries=p42_reactivate(
            party_id=each.party_id,
            kind=each.kind,
            jurisdiction=each.jurisdiction,
            currency=each.currency,
            amount_minor=each.amount_minor,
        ),
        detail={"unclaimed_id": str(each.id), "how": command.how[:200]},
    )
