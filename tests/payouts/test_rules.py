"""Who may be paid, what a rail's word means, and how a currency is settled: pure."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Refusal
from kernel.principals import RAIL, SYSTEM, Actor, PrincipalKind
from payouts.machine import Trigger
from payouts.model import (
    MethodState,
    PayeeStanding,
    PayoutMethod,
    PayoutState,
    Position,
    Role,
    Settlement,
    Transfer,
)
from payouts.refusals import BadMethod, NotYours
from payouts.rules import (
    check_method,
    check_payee,
    check_token,
    is_methods_fault,
    role_of,
    settle_currency,
    trigger_of,
)
from rails.model import OperationKind, RailOutcome, RailResult

PAYEE, OTHER = UUID(int=1), UUID(int=2)
CLEAR = PayeeStanding(kyc_state="verified", sanction_state="clear")


@pytest.mark.parametrize(
    ("actor", "role"),
    [
        (SYSTEM, Role.SYSTEM),
        (RAIL, Role.RAIL),
        (Actor(OTHER, PrincipalKind.PERSON, party_id=PAYEE), Role.PAYEE),
        (Actor(OTHER, PrincipalKind.KEY, party_id=PAYEE, is_operator=True), Role.PAYEE),
        (Actor(OTHER, PrincipalKind.PERSON, party_id=OTHER, is_operator=True), Role.OPERATOR),
    ],
)
def test_everyone_acts_in_one_role(actor: Actor, role: Role) -> None:
    """The payee himself, the operator for others, the rail and the engine each have their role."""
    assert role_of(actor, PAYEE) is role


def test_a_stranger_has_no_role() -> None:
    """Another party's person cannot act on this payee's payouts."""
    with pytest.raises(NotYours):
        role_of(Actor(OTHER, PrincipalKind.PERSON, party_id=OTHER), PAYEE)


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        (PayeeStanding(kyc_state="none", sanction_state="hit"), "payouts.not_verified"),
        (PayeeStanding(kyc_state="pending", sanction_state="clear"), "payouts.not_verified"),
        (PayeeStanding(kyc_state="rejected", sanction_state="clear"), "payouts.not_verified"),
        (
            PayeeStanding(kyc_state="verified", sanction_state="hit", holds=("tax",)),
            "payouts.sanctions_hit",
        ),
        (
            PayeeStanding(
                kyc_state="verified", sanction_state="clear", holds=("tax",), paused_for="x"
            ),
            "payouts.on_hold",
        ),
        (
            PayeeStanding(kyc_state="verified", sanction_state="clear", paused_for="x"),
            "payouts.paused",
        ),
    ],
)
def test_money_leaves_only_to_the_clear(standing: PayeeStanding, code: str) -> None:
    """Unverified, sanctioned, held and paused payees are refused, the first reason first."""
    check_payee(PAYEE, CLEAR)

    with pytest.raises(Refusal) as refusal:
        check_payee(PAYEE, standing)

    assert refusal.value.code == code


def test_money_goes_to_the_payees_own_active_method() -> None:
    """Another's method is unknown to him; a disabled one says so."""
    method = PayoutMethod(id=OTHER, party_id=PAYEE, token="payout")
    disabled = PayoutMethod(id=OTHER, party_id=PAYEE, token="payout", state=MethodState.DISABLED)

    assert check_method(method, method_id=OTHER, payee_id=PAYEE) is method
    for found, payee, code in (
        (None, PAYEE, "payouts.unknown_method"),
        (method, OTHER, "payouts.unknown_method"),
        (disabled, PAYEE, "payouts.method_disabled"),
    ):
        with pytest.raises(Refusal) as refusal:
            check_method(found, method_id=OTHER, payee_id=payee)
        assert refusal.value.code == code


@pytest.mark.parametrize("token", ["", " ", "a b", "x" * 201, "né", "a\n", "\x00"])
def test_a_token_is_visible_ascii(token: str) -> None:
    """A token that no rail would know is refused before it is kept."""
    with pytest.raises(BadMethod):
        check_token(token)


@pytest.mark.parametrize(
    ("outcome", "code", "state", "trigger"),
    [
        ("done", "", PayoutState.SUBMITTED, Trigger.CONFIRM),
        ("pending", "", PayoutState.SUBMITTED, None),
        ("unknown", "", PayoutState.SUBMITTED, None),
        ("refused", "payout.failed", PayoutState.SUBMITTED, Trigger.FAIL),
        ("refused", "payout.returned", PayoutState.SUBMITTED, Trigger.RETURN),
        ("refused", "payout.returned", PayoutState.PAID, Trigger.RETURN),
        ("refused", "account_closed", PayoutState.PAID, Trigger.RETURN),
    ],
)
def test_a_rails_word_is_a_trigger(
    outcome: str, code: str, state: PayoutState, trigger: Trigger | None
) -> None:
    """Done confirms; a refusal before the money left is a failure, afterwards a return."""
    assert trigger_of(_result(outcome, code), state) is trigger


def test_our_empty_bank_is_not_the_methods_fault() -> None:
    """A payout refused because our bank was short leaves the payee's method alone."""
    assert not is_methods_fault(_result("refused", "rail.insufficient_funds"))
    assert is_methods_fault(_result("refused", "payout.failed"))


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
    named: dict[str, Any] = {f"{name}_minor": minor for name, minor in position.items()}

    assert _text(settle_currency(Position(currency="EUR", **named))) == expected


def test_what_is_under_way_is_not_moved_twice() -> None:
    """The same settlement before the rail has answered asks for nothing more."""
    before = Position(
        currency="EUR",
        due_to_platform_minor=1_000,
        processor_minor=9_971,
        bank_minor=5_000,
    )
    first = settle_currency(before)

    again = settle_currency(
        Position(
            currency="EUR",
            due_to_platform_minor=1_000,
            processor_minor=9_971,
            bank_minor=5_000,
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
    position = Position(
        currency="EUR",
        due_to_platform_minor=5_000,
        bank_minor=1_000,
        processor_minor=800 if way[0] == "processor_available" else 0,
        refunds_minor=800 if way[1] == "processor_available" else 0,
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
    position = Position(
        currency="EUR",
        due_from_platform_minor=900,
        platform_bank_minor=own_minor,
        under_way={("platform_bank", "custody_bank"): 600},
    )

    settlement = settle_currency(position)

    assert [_way(transfer) for transfer in settlement.transfers] == [expected]
    assert settlement.shortfall_minor == short_minor


def test_what_comes_to_the_processor_is_not_sent_back_before_it_is_there() -> None:
    """Of 100 at the processor and 800 on their way there, 100 can go to the bank."""
    position = Position(
        currency="EUR",
        processor_minor=100,
        bank_minor=800,
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
    position = Position(
        currency="EUR",
        due_to_platform_minor=due_to,
        due_from_platform_minor=due_from,
        processor_minor=processor,
        bank_minor=bank,
        platform_bank_minor=own,
        refunds_minor=refunds,
        payouts_minor=payouts,
    )
    settlement = settle_currency(position)

    after = _apply(position, settlement)

    assert after.due_from_platform_minor == settlement.shortfall_minor
    assert after.due_to_platform_minor == settlement.postponed_minor
    assert settlement.shortfall_minor == 0 or after.platform_bank_minor == 0
    enough = processor + bank >= refunds
    assert not enough or after.processor_minor >= refunds
    assert settle_currency(after).is_empty


def _apply(position: Position, settlement: Settlement) -> Position:
    there = {
        "processor_available": position.processor_minor,
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
    return Position(
        currency="EUR",
        due_to_platform_minor=earned,
        due_from_platform_minor=owed,
        processor_minor=there["processor_available"],
        bank_minor=there["custody_bank"],
        platform_bank_minor=there["platform_bank"],
        refunds_minor=position.refunds_minor,
        payouts_minor=position.payouts_minor,
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


def _result(outcome: str, code: str) -> RailResult:
    return RailResult(
        operation_id=OTHER,
        kind=OperationKind.PAYOUT,
        subject="payout:x",
        outcome=RailOutcome(outcome),
        amount_minor=100,
        currency="EUR",
        code=code,
        occurred_at=datetime(2026, 3, 2, tzinfo=UTC),
    )
