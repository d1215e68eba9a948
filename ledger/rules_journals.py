"""Manual journals: what one may say, who may prepare and approve it, and what is refused.

A journal is prepared by one person, posted when another approves it, and moves no money before.
It corrects the books where no machine does: what the machines own is not to be touched by hand.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from kernel.errors import Refusal
from kernel.money import format_minor
from kernel.principals import Actor, PrincipalKind
from ledger.chart import CHART, MIRRORS
from ledger.model import Draft, Entry, EntryRef, Line
from ledger.model_journals import Journal, Role, State
from ledger.rules import UnknownKind, check_draft
from ledger.rules_periods import MANUAL_JOURNAL

PREPARED: Final = "journal.prepared"
REJECTED: Final = "journal.rejected"
EXPIRED: Final = "journal.expired"
AUTO_REVERSED: Final = "journal.auto_reversed"

EXPIRES_AFTER: Final = timedelta(days=7)
"""How long a journal waits for its approver, unless its preparer says otherwise."""

LONGEST_WAIT: Final = timedelta(days=90)
MOST_ENTRIES: Final = 100

MACHINES_OWN: Final = frozenset(
    {
        "custody.escrow",
        "custody.escrow_disputed",
        "custody.earned_pending",
        "custody.earned_reserved",
        "custody.payout_in_transit",
        "custody.refund_in_transit",
    }
)
"""Kinds whose every account belongs to a slot, release, payout or refund and follows its state."""

PARTIES: Final = frozenset({"party", "payee", "client"})
"""What the chart calls the subject of an account that is kept per party."""

_RESERVED: Final = "reserved"
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_.:-]{1,80}", re.ASCII)


class FinanceOnly(Refusal):
    """Manual journals are prepared and approved by people with the finance right."""

    code = "journal.finance_only"


class UnknownJournal(Refusal):
    """No manual journal of this tenant has this id."""

    code = "journal.unknown"


class WrongState(Refusal):
    """The journal was posted, rejected or has expired: it is not decided again."""

    code = "journal.wrong_state"


class SamePerson(Refusal):
    """Who prepared a journal does not approve it."""

    code = "journal.same_person"


class JournalExpired(Refusal):
    """The journal waited too long for its approver."""

    code = "journal.expired"


class ReasonMissing(Refusal):
    """A manual journal says why, and so does who rejects one."""

    code = "journal.reason_missing"


class BadEntries(Refusal):
    """A manual journal has one to a hundred entries."""

    code = "journal.bad_entries"


class BadDates(Refusal):
    """A journal counts now or earlier, is reversed later than that, and expires within 90 days."""

    code = "journal.bad_dates"


class MachineOwned(Refusal):
    """Accounts of this kind follow the state of a slot, a payout or a refund: use its machine."""

    code = "journal.machine_owned"


class SubaccountMissing(Refusal):
    """This kind is kept per party or thing: name whose account is meant."""

    code = "journal.subaccount_missing"


class UnknownSubaccount(Refusal):
    """There is no such party, or the name could not be one of a sub-account."""

    code = "journal.unknown_subaccount"


class MirrorMissing(Refusal):
    """A debt between the books is booked in both, with the same amount."""

    code = "journal.mirror_missing"


class AboveLimit(Refusal):
    """The journal is larger than this role may prepare or approve."""

    code = "journal.above_limit"


class LimitJustSet(Refusal):
    """A limit of this role and currency counts from this very instant already."""

    code = "journal.limit_just_set"


def check_person(actor: Actor) -> None:
    """Refuse anyone but a person with the finance right who speaks for no party."""
    if actor.kind is not PrincipalKind.PERSON or not actor.is_operator or actor.party_id:
        raise FinanceOnly(principal_kind=actor.kind.value)


def check_journal(journal: Journal, at: datetime) -> None:
    """Refuse what a journal may not say; what needs the books to be seen is not asked here."""
    if not journal.reason.strip():
        raise ReasonMissing
    if not 1 <= len(journal.entries) <= MOST_ENTRIES:
        raise BadEntries(entries=len(journal.entries))
    _check_dates(journal, at)
    for entry in journal.entries:
        for key, _ in entry.lines:
            _check_account(key.kind, key.subject)
    check_draft(drafted(journal, Actor(journal.prepared_by, PrincipalKind.PERSON)))
    _check_mirrors(journal.entries)


def _check_dates(journal: Journal, at: datetime) -> None:
    original = journal.original_effective_on
    is_sound = (
        journal.effective_at <= at
        and (journal.reverse_at is None or journal.reverse_at > journal.effective_at)
        and at < journal.expires_at <= at + LONGEST_WAIT
        and (original is None or original <= journal.effective_at.astimezone(UTC).date())
    )
    if not is_sound:
        raise BadDates(effective_at=journal.effective_at.isoformat(), now=at.isoformat())


def _check_account(kind: str, subject: str) -> None:
    row = CHART.get(kind)
    if row is None or (subject and not row.subject and subject != _RESERVED):
        raise UnknownKind(kind=kind[:80], subject=subject[:80])
    if kind in MACHINES_OWN or subject.rpartition(":")[2] == _RESERVED:
        raise MachineOwned(kind=kind, subject=subject[:80])
    if row.subject and not subject:
        raise SubaccountMissing(kind=kind, kept_per=row.subject)
    if subject and _SUBJECT.fullmatch(subject) is None:
        raise UnknownSubaccount(kind=kind, subject=subject[:80])


def _check_mirrors(entries: Sequence[Entry]) -> None:
    """One debt, two books: the database refuses an event that moves it in one of them only."""
    pairs = {kind: pair for pair in MIRRORS for kind in pair}
    off: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        for key, amount_minor in entry.lines:
            if key.kind in pairs:
                place = (*pairs[key.kind], key.currency)
                off[place] = off.get(place, 0) + amount_minor
    for (custody, platform, currency), minor in off.items():
        if minor != 0:
            raise MirrorMissing(kinds=[custody, platform], currency=currency, off_by_minor=minor)


def parties_named(entries: Sequence[Entry]) -> set[UUID]:
    """The parties whose accounts the entries move; refuses a name that is no id as we write it.

    Another spelling of an id would be another account, which nobody looks at.
    """
    found = set()
    for entry in entries:
        for key, _ in entry.lines:
            if CHART[key.kind].subject in PARTIES:
                try:
                    party_id = UUID(key.subject)
                except ValueError:
                    raise UnknownSubaccount(kind=key.kind, subject=key.subject) from None
                if str(party_id) != key.subject:
                    raise UnknownSubaccount(kind=key.kind, subject=key.subject)
                found.add(party_id)
    return found


def check_limit(
    entries: Sequence[Entry], limits: Mapping[tuple[Role, str], int], role: Role
) -> None:
    """Refuse a journal whose debits in a currency are above the role's limit; no limit: any."""
    debits: dict[str, int] = {}
    for entry in entries:
        debit = sum(max(amount_minor, 0) for _, amount_minor in entry.lines)
        debits[entry.currency] = debits.get(entry.currency, 0) + debit
    for currency, debit in debits.items():
        highest = limits.get((role, currency))
        if highest is not None and debit > highest:
            raise AboveLimit(
                role=role.value, currency=currency, highest=format_minor(highest, currency)
            )


def check_decision(journal: Journal, at: datetime) -> None:
    """Refuse what was decided already, or waited too long."""
    if journal.state is not State.PREPARED:
        raise WrongState(journal_id=str(journal.id), state=journal.state.value)
    if at >= journal.expires_at:
        raise JournalExpired(journal_id=str(journal.id), expired_at=journal.expires_at.isoformat())


def drafted(journal: Journal, approver: Actor) -> Draft:
    """The event that posts the journal: by its approver, with its preparer in the detail."""
    original = journal.original_effective_on
    detail = {
        "preparer": str(journal.prepared_by),
        "prepared_at": journal.prepared_at.isoformat(),
        "attachment_sha256": journal.attachment_sha256.hex(),
        "reverse_at": journal.reverse_at.isoformat() if journal.reverse_at else None,
    }
    if original is not None:
        detail["original_effective_on"] = original.isoformat()
    return Draft(
        MANUAL_JOURNAL,
        journal.subject,
        approver,
        journal.effective_at,
        journal.entries,
        journal.reason,
        detail,
    )


def mirrored(journal: Journal, actor: Actor, effective_at: datetime) -> Draft:
    """The event that reverses a posted journal, line by line."""
    assert journal.event_id is not None
    entries = tuple(
        Entry(
            entry.book,
            entry.currency,
            tuple(Line(line.account, -line.amount_minor) for line in entry.lines),
            EntryRef(journal.event_id, number),
        )
        for number, entry in enumerate(journal.entries, 1)
    )
    detail = {"reverses": str(journal.event_id)}
    return Draft(
        AUTO_REVERSED, journal.subject, actor, effective_at, entries, journal.reason, detail
    )
