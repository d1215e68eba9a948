"""Refund after release (domain/escrow.md 2.9, P17; edge cases 5 and 24)."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from escrow.maths import remaining
from escrow.model import Contract, ContractState, Lot, Method, Role, Slot, SlotState, Terms
from escrow.model_price import Pair, Price
from escrow.rules_price import charge, flat, give_back, lines_of, take_again, with_lines
from escrow.rules_refund_later import take_released
from kernel.errors import Broken
from kernel.money import share_bps
from rails.model import RailOutcome
from tests.escrow.stage import START, Stage, check_balances
from tests.escrow.stage_claims import (
    claims,
    prove_claims,
    released,
    send_back,
    set_rules,
    take_out,
)

SLOT, OTHER = UUID(int=2), UUID(int=3)


def test_all_goes_back_and_the_commission_with_it(connection: Connection) -> None:
    """P17: of 100.00 the payee gives his 90.00 and we our 10.00; the client's fee stays ours."""
    stage = released(connection)

    answer = send_back(stage, 10_000)

    assert answer.facts["payee_pays"] == {"amount": "90.00", "currency": "EUR"}
    assert answer.facts["commission_returned"] == {"amount": "10.00", "currency": "EUR"}
    check_balances(
        connection,
        "EUR",
        "earned available 0.00 · refund in transit 100.00 · revenue.commission 0.00"
        " · revenue.client fee 3.00 · due from platform 10.00",
    )
    assert stage.slot().state == "released"
    assert stage.slot().kept_minor == 0
    paid = stage.refund_result(answer.facts["refund_ids"][0], RailOutcome.DONE)
    assert paid.facts["state"] == "succeeded"
    check_balances(connection, "EUR", "refund in transit 0.00")
    prove_claims(stage)


def test_e5_above_what_is_held_the_payee_gives_and_the_fee_on_it_alone(
    connection: Connection,
) -> None:
    """E5: 60 of 100 goes back from escrow, 40 from the payee, with the fee on these 40."""
    stage = Stage(connection).ready()
    assert stage.release_part(4_000).is_done
    stage.wait(days=5)
    assert stage.on_slot("give_back", stage.payee).is_done

    answer = send_back(stage, 4_000)

    assert answer.facts["commission_returned"] == {"amount": "4.00", "currency": "EUR"}
    check_balances(connection, "EUR", "refund in transit 100.00 · earned available 0.00")
    assert stage.slot().state == "refunded"
    prove_claims(stage)


def test_returns_in_parts_leave_our_commission_on_what_the_payee_keeps(
    connection: Connection,
) -> None:
    """E24: after each return our commission is that on what is left, and later work counts on."""
    stage = Stage(connection, terms=Terms(commission_bps=333)).ready()
    assert stage.release_part(4_999).is_done
    stage.wait(days=5)

    for amount in (1_234, 1, 777):
        assert send_back(stage, amount).is_done
        kept = stage.slot().kept_minor
        due = share_bps(kept, 333)
        check_balances(connection, "EUR", f"revenue.commission {due // 100}.{due % 100:02}")
    assert stage.approve().is_done
    due = share_bps(stage.slot().kept_minor, 333)
    check_balances(connection, "EUR", f"revenue.commission {due // 100}.{due % 100:02}")
    prove_claims(stage)


def test_from_the_wallet_it_goes_back_to_the_wallet(connection: Connection) -> None:
    """Money returns by the way it came, at once where that is the wallet."""
    stage = Stage(connection)
    stage.fill_wallet(10_300)
    stage.method = Method.WALLET
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    assert stage.approve().is_done
    stage.wait(days=5)

    answer = send_back(stage, 2_500)

    assert len(answer.facts["refund_ids"]) == 1
    check_balances(connection, "EUR", "wallet 25.00 · refund in transit 0.00")
    prove_claims(stage)


@pytest.mark.parametrize(
    ("amount", "code"),
    [(0, "escrow.amount_out_of_range"), (10_001, "escrow.amount_out_of_range")],
)
def test_no_more_than_was_released(connection: Connection, amount: int, code: str) -> None:
    """From one minor unit to what the payee kept."""
    stage = released(connection)

    assert send_back(stage, amount).code == code
    check_balances(connection, "EUR", "earned available 90.00 · refund in transit 0.00")


def test_who_may_send_it_back(connection: Connection) -> None:
    """The payee, or an operator who names the payee's agreement; neither client nor stranger."""
    stage = released(connection)

    assert send_back(stage, 100, stage.client).code == "escrow.not_yours"
    assert send_back(stage, 100, stage.stranger).code == "escrow.not_yours"
    assert send_back(stage, 100, stage.operator).code == "escrow.reason_required"
    assert send_back(stage, 100, stage.operator, ref="message:77").is_done
    prove_claims(stage)


def test_what_is_still_held_is_refunded_otherwise(connection: Connection) -> None:
    """A slot that released nothing has nothing that could come back."""
    stage = Stage(connection).ready()

    assert send_back(stage, 100).code == "escrow.nothing_released"


def test_a_hold_keeps_it_here(connection: Connection) -> None:
    """An open hold on the slot or the payee blocks this outflow like every other."""
    stage = released(connection)
    stage.hold(f"slot:{stage.slot_id}")

    assert send_back(stage, 100).code == "escrow.held"
    check_balances(connection, "EUR", "earned available 90.00")


def test_a_payee_who_is_short_is_told_so(connection: Connection) -> None:
    """Without the platform's setting the payee pays all himself, or it is refused."""
    stage = released(connection)
    take_out(stage, 4_000)

    answer = send_back(stage, 10_000)

    assert answer.code == "claim.payee_short"
    assert answer.facts["available_minor"] == 5_000
    assert stage.slot().returned_minor == 0
    check_balances(connection, "EUR", "earned available 50.00 · refund in transit 0.00")


def test_pending_money_is_not_yet_the_payees_to_give(connection: Connection) -> None:
    """In its security hold released money is not available."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done

    assert send_back(stage, 10_000).code == "claim.payee_short"


def test_the_platform_fronts_what_the_payee_lacks_and_claims_it(connection: Connection) -> None:
    """P17 with a claim: 50.00 of the payee, 40.00 of the platform, 10.00 of commission."""
    stage = released(connection)
    take_out(stage, 4_000)
    assert set_rules(stage, fronts=True).is_done

    answer = send_back(stage, 10_000)

    assert answer.facts["platform_fronts"] == {"amount": "40.00", "currency": "EUR"}
    check_balances(
        connection,
        "EUR",
        "earned available 0.00 · refund in transit 100.00 · claim on payee 40.00"
        " · due from platform 50.00",
    )
    (claim,) = claims(stage)
    assert (claim.amount_minor, claim.remaining_minor, claim.state) == (4_000, 4_000, "open")
    prove_claims(stage)


def test_no_funding_gives_back_more_than_it_brought(connection: Connection) -> None:
    """The bound of a funding's refunds is the database's own."""
    stage = released(connection)
    assert send_back(stage, 10_000).is_done

    nested = connection.begin_nested()
    with pytest.raises(IntegrityError, match="funding_refunds_within_captured"):
        connection.exec_driver_sql(
            "UPDATE funding SET refunded_minor = captured_minor + 1 WHERE id = %s",
            (stage.funding_id,),
        )
    nested.rollback()
    with (
        pytest.raises(IntegrityError, match="slot_returned_was_released"),
        connection.begin_nested(),
    ):
        connection.exec_driver_sql(
            "UPDATE slot SET returned_minor = released_minor + 1, version = version + 1"
            " WHERE id = %s",
            (stage.slot_id,),
        )


def _slot(sizes: list[int], released_minor: int) -> tuple[Slot, tuple[Lot, ...]]:
    lots = tuple(Lot(SLOT, n, UUID(int=n), size, 0, 0) for n, size in enumerate(sizes, start=1))
    held = sum(sizes) - released_minor
    slot = Slot(
        SLOT,
        SLOT,
        OTHER,
        "EUR",
        1,
        Role.CLIENT,
        SlotState.RELEASED if not held else SlotState.FUNDED,
        1,
        sum(sizes),
        START,
        START,
        held_minor=held,
        released_minor=released_minor,
    )
    return slot, lots


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), st.data())
def test_returns_take_the_newest_released_lots_and_leave_what_is_held(
    sizes: list[int], data: st.DataObject
) -> None:
    """However it is cut: a lot gives what it released at most, and what is held stays."""
    released_minor = data.draw(st.integers(1, sum(sizes)))
    slot, lots = _slot(sizes, released_minor)
    held = {part.lot.seq: part.amount_minor for part in remaining(slot, lots)}
    taken_in_all = dict.fromkeys(held, 0)

    while slot.kept_minor:
        amount = data.draw(st.integers(1, slot.kept_minor))
        parts = take_released(slot, lots, amount)
        assert sum(part.amount_minor for part in parts) == amount
        gone = {part.lot.seq: part.amount_minor for part in parts}
        assert list(gone) == sorted(gone, reverse=True)
        lots = tuple(replace(x, gone_minor=x.gone_minor + gone.get(x.seq, 0)) for x in lots)
        slot = replace(slot, returned_minor=slot.returned_minor + amount)
        for seq, given_back in gone.items():
            taken_in_all[seq] += given_back
        now = {part.lot.seq: part.amount_minor for part in remaining(slot, lots)}
        assert now == held

    assert taken_in_all == {lot.seq: lot.amount_minor - held[lot.seq] for lot in lots}


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=4), st.integers(0, 10_000), st.data())
def test_commission_unwinds_to_the_cent(amounts: list[int], bps: int, data: st.DataObject) -> None:
    """All returns together give back what the releases took, in whatever parts."""
    terms = Terms(commission_bps=bps)
    contract = Contract(
        OTHER, SLOT, OTHER, "EUR", ContractState.ACTIVE, 1, Role.CLIENT, terms, START
    )
    pair = Pair(SLOT, OTHER, "EUR", 0, date(2026, 3, 1), 0)
    tariff = flat("EUR", bps)
    price = Price(pair=pair, tariff=tariff, month=date(2026, 3, 1), tariffs={None: tariff})
    for number, amount in enumerate(amounts, start=1):
        made = charge(price, amount, fee_earned_minor=0, strict=True)
        lines = lines_of(made, price, contract, release_id=UUID(int=number), slot_id=SLOT)
        price = with_lines(price, lines)
        pair.take(lines[0])
    back, left = 0, sum(amounts)

    while left:
        part = data.draw(st.integers(max(1, left // 3), left))
        returned = give_back(price, part)
        price = with_lines(price, returned.lines)
        back, left = back + returned.commission_minor, left - part

    assert back == share_bps(sum(amounts), bps)
    assert sum(line.fee_minor for line in price.lines) == 0
    with pytest.raises(Broken):
        give_back(price, 1)
    again = take_again(price, sum(amounts))
    assert again.commission_minor == back
