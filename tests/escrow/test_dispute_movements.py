"""Postings P12, P13 and P45 of domain/escrow.md 2.10, to the cent; splits that lose no cent."""

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from escrow import movements_more as m
from escrow.model import Terms
from kernel.money import share_bps
from ledger.entries import Entries
from tests.escrow.stage import Stage, check_balances, prove_books, shown_minor
from tests.escrow.stage_dispute import Court

SLOT, CLIENT, PAYEE, REFUND = (UUID(int=n) for n in range(2, 6))

# The figures of 2.10, debit positive, in minor units: one tuple for each entry.
P12 = {"custody": {"escrow": 10_000, "escrow_disputed": -10_000}}
P13 = {
    "custody": {
        "escrow_disputed": 10_000,
        "earned_pending": -6_300,
        "due_to_platform": -700,
        "refund_in_transit": -3_000,
    },
    "platform": {"due_from_custody": 700, "commission": -700},
}
P45 = {
    "custody": {"wallet": 5_000, "earned_available": 5_000, "due_to_platform": -10_000},
    "platform": {"due_from_custody": 10_000, "arbitration_fees_held": -10_000},
}
P45_BACK = {
    "custody": {"due_from_platform": 5_000, "earned_available": -5_000},
    "platform": {"arbitration_fees_held": 5_000, "due_to_custody": -5_000},
}


def as_table(entries: Entries) -> dict[str, dict[str, int]]:
    """By book the last word of each account's kind, with its amount; every entry balances."""
    assert all(sum(line.amount_minor for line in entry.lines) == 0 for entry in entries)
    return {
        entry.book.value: {
            line.account.kind.rpartition(".")[2]: line.amount_minor for line in entry.lines
        }
        for entry in entries
    }


def test_p12_and_back() -> None:
    """P12: what is disputed is frozen; withdrawn, it is thawed line by line."""
    frozen = m.p12_freeze(slot_id=SLOT, currency="EUR", amount_minor=10_000)
    thawed = m.p12_thaw(slot_id=SLOT, currency="EUR", amount_minor=10_000)

    assert as_table(frozen) == P12
    assert as_table(thawed)["custody"] == {k: -v for k, v in P12["custody"].items()}


def test_p13() -> None:
    """P13: 70 : 30 of 100 at 10 %."""
    entries = m.p13_split(
        slot_id=SLOT,
        client_id=CLIENT,
        payee_id=PAYEE,
        currency="EUR",
        payee_minor=7_000,
        commission_minor=700,
        fee_earned_minor=0,
        refunds=((REFUND, 3_000),),
        to_wallet_minor=0,
        fee_returned_minor=0,
    )

    assert as_table(entries) == P13


def test_p45() -> None:
    """P45: both pay 50; the winner gets his 50 back."""
    ids = {"client_id": CLIENT, "payee_id": PAYEE, "currency": "EUR"}

    paid = m.p45_arbitration_fee(**ids, client_minor=5_000, payee_minor=5_000)  # type: ignore[arg-type]
    back = m.p45_fee_back(**ids, client_minor=0, payee_minor=5_000)  # type: ignore[arg-type]

    assert as_table(paid) == P45
    assert as_table(back) == P45_BACK


@pytest.mark.parametrize("winner", ["payee", "client", "nobody"])
def test_p45_in_an_arbitration(connection: Connection, winner: str) -> None:
    """P45: each side pays 50 on a claim of 1,000; the winner's comes back, the rest is kept."""
    stage = Stage(connection, terms=Terms(client_fee_bps=0), amounts=(110_000,)).ready()
    assert stage.release_part(10_000).is_done
    stage.wait(days=6)
    stage.fill_wallet(5_000)
    court = Court(stage).in_arbitration()
    check_balances(connection, "EUR", "wallet 0.00 · earned available 40.00")
    check_balances(connection, "EUR", "arbitration fees held 100.00 · escrow disputed 1000.00")
    to_payee = {"payee": 70_000, "client": 30_000, "nobody": 50_000}[winner]

    assert court.propose(to_payee).is_done
    assert court.approve().is_done

    kept = "100.00" if winner == "nobody" else "50.00"
    wallet = "50.00" if winner == "client" else "0.00"
    earned = "90.00" if winner == "payee" else "40.00"
    check_balances(
        connection,
        "EUR",
        f"arbitration fees held {kept} · wallet {wallet} · earned available {earned}",
    )
    assert shown_minor(connection, "earned_pending", "EUR") == to_payee * 9 // 10
    assert shown_minor(connection, "refund_in_transit", "EUR") == 100_000 - to_payee
    assert stage.slot().held_minor == 0
    prove_books(connection)


def test_p45_cannot_be_paid_with_what_is_not_there(connection: Connection) -> None:
    """Without money in wallet or balance nobody elects; nothing is written."""
    court = Court(Stage(connection, amounts=(100_000,)).ready()).in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    court.stage.wait(days=31)
    before = court.dispute

    refused = court.act("elect_arbitration", court.stage.client)

    assert refused.code == "ledger.insufficient_funds"
    assert court.dispute == before
    prove_books(connection)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    parts=st.tuples(st.integers(1, 5_000), st.integers(1, 5_000), st.integers(0, 5_000)),
    share=st.integers(0, 100_000),
    rates=st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)),
    released=st.integers(0, 3_000),
    by_wallet=st.booleans(),
)
def test_any_split_of_any_part_keeps_every_cent(
    connection: Connection,
    parts: tuple[int, int, int],
    share: int,
    rates: tuple[int, int],
    released: int,
    by_wallet: bool,  # noqa: FBT001  hypothesis draws it
) -> None:
    """P13: shares sum to what was frozen, commission to that of all released, nothing stays."""
    frozen, odd, rest = parts
    nested = connection.begin_nested()
    price = frozen + odd + rest + released
    terms = Terms(commission_bps=rates[0], client_fee_bps=rates[1])
    stage = Stage(connection, "JPY", terms, (price,)).ready()
    if released and not by_wallet:
        assert stage.release_part(released).is_done
    gone = stage.slot().released_minor
    court = Court(stage)
    claim = frozen + odd
    assert court.open(amount_minor=claim).is_done
    to_payee = share % (claim + 1)
    assert court.offer(stage.payee, to_payee, is_reply=True).is_done

    answer = court.accept(stage.client, 1)

    assert answer.is_done
    slot = stage.slot()
    assert (slot.held_minor, slot.disputed_minor) == (price - gone - claim, 0)
    assert slot.released_minor == gone + to_payee
    assert slot.refunded_minor == claim - to_payee
    assert shown_minor(connection, "escrow_disputed", "JPY") == 0
    ours = shown_minor(connection, "revenue.commission", "JPY")
    assert ours == share_bps(gone + to_payee, rates[0])
    assert shown_minor(connection, "earned_pending", "JPY") == gone + to_payee - ours
    fee = share_bps(price, rates[1])
    back = shown_minor(connection, "refund_in_transit", "JPY") - (claim - to_payee)
    earned = shown_minor(connection, "revenue.client_fee", "JPY")
    assert earned + back + slot.fee_deferred_minor == fee
    prove_books(connection)
    nested.rollback()
