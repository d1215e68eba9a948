"""How a currency is settled, with one processor and with several: pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.model_settlement import Mode, Position, ProcessorPosition, Settlement, Transfer
from payouts.rules_settlement import default_mode, settle_currency
from rails.capabilities import CAPABILITIES

ONE = "simulated"


def position_of(*, processor: int = 0, refunds: int = 0, **named: Any) -> Position:
    """A position with one processor whose money lands."""
    there = ProcessorPosition(rail_account=ONE, available_minor=processor, refunds_minor=refunds)
    ways = {
        (*way, ONE if "processor_available" in way else ""): minor
        for way, minor in named.pop("under_way", {}).items()
    }
    minors = {f"{name}_minor": minor for name, minor in named.items()}
    return Position(currency="EUR", processors=(there,), under_way=ways, **minors)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        # P03: 3.00 is set off, the platform tops up 0.29.
        (
            {"due_to_platform": 300, "due_from_platform": 329, "platform_bank": 1_000},
            "set off 300; platform_bank > custody_bank 29",
        ),
        # P04: earned fees are swept from the bank.
        ({"due_to_platform": 1_000, "bank": 9_971}, "set off 0; custody_bank > platform_bank 1000"),
        # What lands in the bank today can be swept today.
        (
            {"due_to_platform": 1_000, "processor": 9_971},
            "set off 0; processor_available > custody_bank 9971; custody_bank > platform_bank 1000",
        ),
        # The processor keeps what promised refunds need.
        (
            {"processor": 20_000, "refunds": 10_300},
            "set off 0; processor_available > custody_bank 9700",
        ),
        # It is topped up where that is not there, as far as the bank goes.
        (
            {"bank": 50_000, "refunds": 10_300},
            "set off 0; custody_bank > processor_available 10300",
        ),
        ({"bank": 300, "processor": -10_300}, "set off 0; custody_bank > processor_available 300"),
        # Promised payouts are not swept away with the fees.
        (
            {"due_to_platform": 1_000, "bank": 10_500, "payouts": 10_000},
            "set off 0; custody_bank > platform_bank 500; postponed 500",
        ),
        # The platform's bank is empty: what it owes is said.
        (
            {"due_from_platform": 500, "platform_bank": 200},
            "set off 0; platform_bank > custody_bank 200; short 300",
        ),
        ({"due_from_platform": 500, "platform_bank": -10}, "set off 0; short 500"),
        ({}, "set off 0"),
    ],
)
def test_a_currency_is_settled(position: dict[str, int], expected: str) -> None:
    """Set off, top up, give refunds what they need, land the rest in the bank, sweep fees last."""
    assert _text(settle_currency(position_of(**position))) == expected


def test_what_is_under_way_is_not_moved_twice() -> None:
    """The same settlement before the rail has answered asks for nothing more."""
    before = position_of(
        due_to_platform=1_000,
        processor=9_971,
        bank=5_000,
    )
    first = settle_currency(before)

    again = settle_currency(
        position_of(
            due_to_platform=1_000,
            processor=9_971,
            bank=5_000,
            under_way={(t.source, t.target): t.amount_minor for t in first.transfers},
        )
    )

    assert len(first.transfers) == 2
    assert again.is_empty


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        # Of 1,000 in the bank 800 are leaving: 200 are there to be swept.
        (("custody_bank", "processor_available"), "custody_bank > platform_bank 200"),
        # What is coming is not there yet.
        (("processor_available", "custody_bank"), "custody_bank > platform_bank 1000"),
    ],
)
def test_what_is_under_way_is_not_there(way: tuple[str, str], expected: str) -> None:
    """Money that is leaving an account cannot leave it again, and money that comes has not come."""
    position = position_of(
        due_to_platform=5_000,
        bank=1_000,
        processor=800 if way[0] == "processor_available" else 0,
        refunds=800 if way[1] == "processor_available" else 0,
        under_way={way: 800},
    )

    assert [_way(transfer) for transfer in settle_currency(position).transfers] == [expected]


@pytest.mark.parametrize(
    ("own_minor", "expected", "short_minor"),
    [
        (1_000, "platform_bank > custody_bank 300", 0),
        (700, "platform_bank > custody_bank 100", 200),
    ],
)
def test_the_platforms_bank_pays_once(own_minor: int, expected: str, short_minor: int) -> None:
    """A top-up that is under way is neither owed again nor there to be paid again."""
    position = position_of(
        due_from_platform=900,
        platform_bank=own_minor,
        under_way={("platform_bank", "custody_bank"): 600},
    )

    settlement = settle_currency(position)

    assert [_way(transfer) for transfer in settlement.transfers] == [expected]
    assert settlement.shortfall_minor == short_minor


def test_what_comes_to_the_processor_is_not_sent_back_before_it_is_there() -> None:
    """Of 100 at the processor and 800 on their way there, 100 can go to the bank."""
    position = position_of(
        processor=100,
        bank=800,
        under_way={("custody_bank", "processor_available"): 800},
    )

    assert [_way(transfer) for transfer in settle_currency(position).transfers] == [
        "processor_available > custody_bank 100"
    ]


MINOR = st.integers(0, 10**9)


@given(
    due_to=MINOR,
    due_from=MINOR,
    processor=st.integers(-(10**6), 10**9),
    bank=MINOR,
    own=MINOR,
    refunds=MINOR,
    payouts=MINOR,
)
def test_a_settlement_never_spends_what_is_not_there(
    due_to: int, due_from: int, processor: int, bank: int, own: int, refunds: int, payouts: int
) -> None:
    """Applied in order, no transfer takes an account below zero, and a second run is empty.

    Nothing is due from the platform afterwards but the shortfall, and refunds find their money
    where it exists at all.
    """
    position = position_of(
        due_to_platform=due_to,
        due_from_platform=due_from,
        processor=processor,
        bank=bank,
        platform_bank=own,
        refunds=refunds,
        payouts=payouts,
    )
    settlement = settle_currency(position)

    after = _apply(position, settlement)

    assert after.due_from_platform_minor == settlement.shortfall_minor
    assert after.due_to_platform_minor == settlement.postponed_minor
    assert settlement.shortfall_minor == 0 or after.platform_bank_minor == 0
    enough = processor + bank >= refunds
    assert not enough or after.processors[0].available_minor >= refunds
    assert settle_currency(after).is_empty


def _apply(position: Position, settlement: Settlement) -> Position:
    there = {
        "processor_available": position.processors[0].available_minor,
        "custody_bank": position.bank_minor,
        "platform_bank": position.platform_bank_minor,
    }
    owed = position.due_from_platform_minor - settlement.set_off_minor
    earned = position.due_to_platform_minor - settlement.set_off_minor
    for transfer in settlement.transfers:
        assert 0 < transfer.amount_minor <= there[transfer.source]
        there[transfer.source] -= transfer.amount_minor
        there[transfer.target] += transfer.amount_minor
        way = (transfer.source, transfer.target)
        owed -= transfer.amount_minor * (way == ("platform_bank", "custody_bank"))
        earned -= transfer.amount_minor * (way == ("custody_bank", "platform_bank"))
    return position_of(
        due_to_platform=earned,
        due_from_platform=owed,
        processor=there["processor_available"],
        bank=there["custody_bank"],
        platform_bank=there["platform_bank"],
        refunds=position.processors[0].refunds_minor,
        payouts=position.payouts_minor,
    )


def _text(settlement: Settlement) -> str:
    parts = [f"set off {settlement.set_off_minor}"]
    parts += [_way(transfer) for transfer in settlement.transfers]
    if settlement.shortfall_minor:
        parts.append(f"short {settlement.shortfall_minor}")
    if settlement.postponed_minor:
        parts.append(f"postponed {settlement.postponed_minor}")
    return "; ".join(parts)


def _way(transfer: Transfer) -> str:
    return f"{transfer.source} > {transfer.target} {transfer.amount_minor}"


def settled(*processors: ProcessorPosition, must_land: str = "", **named: Any) -> str:
    """What comes of several processors, with their names."""
    position = Position(currency="EUR", processors=processors, **named)
    settlement = settle_currency(position, must_land=frozenset({must_land} - {""}))
    moves = [
        f"{t.rail_account or 'banks'}: {_way(t).replace('processor_available', 'rail')}"
        for t in settlement.transfers
    ]
    return "; ".join(moves + [f"{name} lacks {m}" for name, m in settlement.short_at.items()])


def at(name: str, minor: int, *, mode: Mode = Mode.STAY, **named: int) -> ProcessorPosition:
    return ProcessorPosition(rail_account=name, available_minor=minor, mode=mode, **named)


def test_money_stays_where_payees_are_paid_from_it() -> None:
    """Decision 0013, Treasury: `land` where payouts are made from our bank, else `stay`."""
    landing = {name for name, able in CAPABILITIES.items() if default_mode(able) is Mode.LAND}

    assert landing == {"simulated", "bank"}


def test_each_account_is_settled_by_itself() -> None:
    """One account's money lands; another's stays; what a third lacks for refunds is brought."""
    found = settled(
        at("paypal", 5_000, mode=Mode.LAND, payouts_minor=1_000),
        at("stripe", 90_000),
        at("simulated", 200, mode=Mode.LAND, refunds_minor=1_000),
        bank_minor=10_000,
    )

    assert found == "paypal: rail > custody_bank 4000; simulated: custody_bank > rail 800"


def test_money_that_may_stay_is_called_for_by_the_banks_promises() -> None:
    """The bank owes payouts of 500.00 and fees of 20.00 and has 100.00: 420.00 come in for them."""
    found = settled(
        at("stripe", 90_000, floor_minor=1_000, refunds_minor=2_000),
        bank_minor=10_000,
        payouts_minor=50_000,
        due_to_platform_minor=2_000,
    )

    assert found == "stripe: rail > custody_bank 42000; banks: custody_bank > platform_bank 2000"


@pytest.mark.parametrize(("landing_minor", "more"), [(42_000, ""), (40_000, "2000"), (60_000, "")])
def test_what_is_landing_is_not_called_for_again(landing_minor: int, more: str) -> None:
    """Stripe's money is days on its way; a settlement each day calls only for what still lacks."""
    found = settled(
        at("stripe", 90_000),
        bank_minor=10_000,
        payouts_minor=52_000,
        under_way={("processor_available", "custody_bank", "stripe"): landing_minor},
    )

    assert found == (f"stripe: rail > custody_bank {more}" if more else "")


def test_a_floor_is_kept_and_never_brought() -> None:
    """1,000 of 1,200 stay as the floor; where less than the floor is there, nothing comes."""
    assert settled(at("paypal", 1_200, mode=Mode.LAND, floor_minor=1_000)) == (
        "paypal: rail > custody_bank 200"
    )
    assert not settled(at("paypal", 300, mode=Mode.LAND, floor_minor=1_000), bank_minor=9_000)


def test_at_the_end_of_its_time_all_that_is_not_promised_lands() -> None:
    """Money stays until the rail's limit; then it lands beyond promises, whatever its row says."""
    found = settled(at("stripe", 90_000, refunds_minor=2_000), must_land="stripe")

    assert found == "stripe: rail > custody_bank 88000"


def test_what_no_bank_can_bring_is_told() -> None:
    """Edge case 45: 103.00 below zero and 3.00 in the bank: 100.00 are lacking."""
    found = settled(at("stripe", -10_300), bank_minor=300)

    assert found == "stripe: custody_bank > rail 300; stripe lacks 10000"
