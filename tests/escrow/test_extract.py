"""Account extracts tie to the lines of the books, to the cent, in any order of questions."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import Connection

from escrow.model import Terms
from escrow.model_extract import Movement
from escrow.rules_extract import BadMonth, Kind, account_of, month_of, words_for
from escrow.service_extract import Book, movements, open_book, page_of_kinds, summaries
from ledger.known import resolve
from ledger.reports import Span
from ledger.seal import seal
from tests.escrow.every_scene import SCENES
from tests.escrow.stage import Stage

ALWAYS = Span()


def book_of(connection: Connection, party_id: UUID, span: Span = ALWAYS) -> Book:
    return open_book(connection, party_id, known=resolve(connection, None), span=span)


def _people(connection: Connection) -> Sequence[UUID]:
    return list(connection.exec_driver_sql("SELECT id FROM party ORDER BY id").scalars())


def _standing(connection: Connection, party_id: UUID) -> dict[tuple[str, str], int]:
    """What the accounts of a party say by themselves, with the signs of the party."""
    rows = connection.exec_driver_sql(
        "SELECT kind, subject, currency, balance_minor FROM account WHERE line_count > 0 AND ("
        " (starts_with(subject, %(id)s) AND kind <> 'custody.payout_in_transit')"
        " OR (kind LIKE 'custody.escrow%%' AND split_part(subject, ':', 1) IN (SELECT slot.id::text"
        " FROM slot JOIN contract ON contract.id = contract_id WHERE client_id = %(id)s::uuid)))",
        {"id": str(party_id)},
    )
    found: dict[tuple[str, str], int] = {}
    for kind, subject, currency, balance in rows:
        key = currency, account_of(kind, subject=subject)
        found[key] = found.get(key, 0) - balance
    return found


@pytest.mark.parametrize("name", SCENES)
def test_an_extract_ties_to_the_lines_in_every_scene(connection: Connection, name: str) -> None:
    """Per account and currency closing = balance = opening + lines, and the last line says so."""
    SCENES[name](connection)

    for party_id in _people(connection):
        lines = list(movements(connection, book := book_of(connection, party_id)))
        told = summaries(connection, book)
        standing = {
            (each.currency, each.account): each.closing_minor
            for summary in told
            for each in summary.standings
        }

        assert standing == _standing(connection, party_id)
        assert all(each.opening_minor == 0 for each in told)
        for summary in told:
            mine = [line for line in lines if line.currency == summary.currency]
            assert len(mine) == sum(each.line_count for each in summary.standings)
            assert sum(line.credit_minor for line in mine) == summary.credits_minor
            assert sum(line.debit_minor for line in mine) == summary.debits_minor
            if mine:
                assert mine[-1].balance_minor == summary.closing_minor
        assert all(line.what and "_" not in line.what for line in lines)


def test_pages_are_the_whole_list_cut_anywhere(connection: Connection) -> None:
    """However long the pages, a list read behind each page's last spot is the list read at once."""
    stage = Stage(connection, amounts=(10_000, 20_000)).ready()
    stage.submit()
    assert stage.approve().is_done
    stage.wait(days=6)
    for party_id in (stage.payee.party_id, stage.client.party_id):
        assert party_id is not None
        whole = list(movements(connection, book_of(connection, party_id)))
        assert len(whole) >= 2

        for limit in (1, 2, 3):
            shown: list[Movement] = []
            spot = None
            while True:
                book = open_book(
                    connection, party_id, known=resolve(connection, None), span=ALWAYS, after=spot
                )
                page, spot = page_of_kinds(connection, book, (), limit=limit)
                shown += page
                if spot is None:
                    break
            assert shown == whole


def test_a_filter_by_sort_keeps_the_running_balance_of_all(connection: Connection) -> None:
    """What is left out of a list still counts in the balance that the list shows."""
    stage = Stage(connection, terms=Terms(client_fee_bps=0)).ready()
    stage.submit()
    assert stage.approve().is_done
    stage.wait(days=6)
    assert stage.payee.party_id is not None
    whole = list(movements(connection, book_of(connection, stage.payee.party_id)))

    book = book_of(connection, stage.payee.party_id)
    shown, spot = page_of_kinds(connection, book, (Kind.AVAILABLE,), limit=10)

    assert spot is None
    assert [line.event_kind for line in shown] == ["release.available", "release.available"]
    assert [line for line in whole if line.event_kind == "release.available"] == shown
    assert shown[-1].balance_minor == 9_000


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 10_001), ("EUR", 10_001), ("KWD", 9_999)])
def test_months_join_without_a_gap(connection: Connection, currency: str, amount: int) -> None:
    """Each month opens with what the one before it closed with, account by account."""
    stage = Stage(connection, currency=currency, amounts=(amount,)).ready()
    stage.submit()
    stage.wait(days=27)
    assert stage.payee.party_id is not None
    for party_id in (stage.payee.party_id, stage.client.party_id):
        assert party_id is not None
        months = [
            summaries(connection, book_of(connection, party_id, Span(*month_of(f"2026-0{month}"))))
            for month in (2, 3, 4)
        ]

        for before, after in pairwise(months):
            closed = {e.account: e.closing_minor for each in before for e in each.standings}
            opened = {e.account: e.opening_minor for each in after for e in each.standings}
            for account in closed | opened:
                assert closed.get(account, 0) == opened.get(account, 0)
        (whole,) = summaries(connection, book_of(connection, party_id))
        assert sum(each.closing_minor for each in months[-1]) == whole.closing_minor


def test_an_extract_as_it_was_known_does_not_change(connection: Connection) -> None:
    """What is posted later is in no extract of an earlier journal number."""
    stage = Stage(connection).ready()
    party_id = stage.client.party_id
    assert party_id is not None
    assert seal(connection, at=stage.now).size > 0
    lines = list(movements(connection, book_of(connection, party_id)))
    assert [line.balance_minor for line in lines] == [10_000]

    stage.submit()
    assert stage.approve().is_done
    seal(connection, at=stage.now)

    known = resolve(connection, lines[-1].journal_no)
    book = open_book(connection, party_id, known=known, span=ALWAYS)
    assert list(movements(connection, book)) == lines
    assert [each.closing_minor for each in summaries(connection, book)] == [10_000]
    assert [e.closing_minor for e in summaries(connection, book_of(connection, party_id))] == [0]


def test_a_stranger_has_an_empty_extract(connection: Connection) -> None:
    """Without accounts there are no lines and no currencies, and nothing breaks."""
    stage = Stage(connection).ready()
    assert stage.stranger.party_id is not None
    book = book_of(connection, stage.stranger.party_id)

    assert list(movements(connection, book)) == []
    assert summaries(connection, book) == []


@pytest.mark.parametrize(
    "text",
    ["2026", "2026-13", "2026-00", "26-1", "2026-1", "2026/10", "1969-12", "2200-01", "२०२६-१०"],
)
def test_a_month_that_is_none_is_refused(text: str) -> None:
    """Only four digits, a hyphen and 01 to 12 name a month."""
    with pytest.raises(BadMonth):
        month_of(text)


def test_a_month_is_half_open_in_utc() -> None:
    """December ends where January begins."""
    assert month_of("2026-12") == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_an_event_without_words_is_told_by_its_name() -> None:
    """No line of an extract is without words, whatever a later version posts."""
    assert words_for("payout.sent_by_pigeon", is_credit=True) == "Payout: sent by pigeon"
    assert words_for("moon.phase", is_credit=False) == "Moon phase"
