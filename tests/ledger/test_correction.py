"""Reversal: a mistake is undone by a new event that mirrors it, once."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import Connection

from kernel.principals import SYSTEM
from ledger import correction, service
from ledger.chart import account
from ledger.commands import PostDraft, Reverse
from ledger.model import Book, Draft, Entry, Line
from ledger.proof import prove

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTY = UUID(int=7)
BANK = account("custody.bank", "EUR")
WALLET = account("custody.wallet", "EUR", PARTY)


def deposit(amount_minor: int) -> Draft:
    entry = Entry(Book.CUSTODY, "EUR", (Line(BANK, amount_minor), Line(WALLET, -amount_minor)))
    return Draft("test.deposit", "", SYSTEM, AT, (entry,))


def posted(connection: Connection, draft: Draft) -> int:
    (outcome,) = correction.post_drafts(connection, [PostDraft(actor=SYSTEM, draft=draft)], at=AT)
    assert outcome.is_done, outcome
    return int(outcome.facts["event_id"])


def reverse(connection: Connection, *event_ids: int, reason: str = "typed twice") -> list[str]:
    commands = [Reverse(actor=SYSTEM, event_id=i, reason=reason) for i in event_ids]
    return [outcome.code for outcome in correction.reverse(connection, commands, at=AT)]


def test_a_reversal_puts_every_touched_account_back(connection: Connection) -> None:
    """After a reversal each account stands where it stood before the original."""
    event_id = posted(connection, deposit(10_000))

    codes = reverse(connection, event_id)

    assert codes == ["done"]
    assert service.balances(connection, [BANK, WALLET]) == {BANK: 0, WALLET: 0}
    assert prove(connection).findings == ()


def test_an_event_is_reversed_at_most_once(connection: Connection) -> None:
    """A second reversal is refused, in the same list and in a later one."""
    event_id = posted(connection, deposit(500))

    codes = reverse(connection, event_id, event_id)
    later = reverse(connection, event_id)

    assert codes == ["done", "ledger.already_reversed"]
    assert later == ["ledger.already_reversed"]


def test_a_reversal_is_not_reversed(connection: Connection) -> None:
    """What was undone by mistake is posted anew; a reversal of a reversal is refused."""
    event_id = posted(connection, deposit(500))
    commands = [Reverse(actor=SYSTEM, event_id=event_id, reason="wrong client")]
    (outcome,) = correction.reverse(connection, commands, at=AT)

    codes = reverse(connection, int(outcome.facts["event_id"]))

    assert codes == ["ledger.reversal_of_reversal"]


def test_a_reversal_that_would_overdraw_is_refused(connection: Connection) -> None:
    """Money that was spent meanwhile cannot be taken back: nothing is written."""
    event_id = posted(connection, deposit(500))
    escrow = account("custody.escrow", "EUR", UUID(int=8))
    spend = Entry(Book.CUSTODY, "EUR", (Line(WALLET, 400), Line(escrow, -400)))
    posted(connection, Draft("test.spend", "", SYSTEM, AT, (spend,)))

    codes = reverse(connection, event_id)

    assert codes == ["ledger.insufficient_funds"]
    assert service.balances(connection, [BANK, WALLET]) == {BANK: 500, WALLET: -100}


@pytest.mark.parametrize(
    ("event_id", "reason", "code"),
    [(1, "why", "ledger.unknown_event"), (0, "  ", "ledger.reason_missing")],
)
def test_a_reversal_names_a_known_event_and_says_why(
    connection: Connection, event_id: int, reason: str, code: str
) -> None:
    """An unknown number and an empty reason are refused with their own codes."""
    known = posted(connection, deposit(500))

    codes = reverse(connection, event_id or known, reason=reason)

    assert codes == [code]


def test_an_event_without_entries_is_not_reversed(connection: Connection) -> None:
    """What moved no money needs no reversal."""
    event_id = posted(connection, Draft("test.note", "", SYSTEM, AT))

    codes = reverse(connection, event_id)

    assert codes == ["ledger.nothing_to_reverse"]
