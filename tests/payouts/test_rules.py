"""Who may be paid, and what a rail's word means: pure."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from kernel.errors import Refusal
from kernel.principals import RAIL, SYSTEM, Actor, PrincipalKind
from payouts.machine import Trigger
from payouts.model import (
    MethodState,
    PayeeStanding,
    Payout,
    PayoutMethod,
    PayoutState,
    Role,
)
from payouts.refusals import BadMethod, NotYours, SecondPerson
from payouts.rules import (
    check_approver,
    check_method,
    check_payee,
    check_token,
    is_methods_fault,
    role_of,
    trigger_of,
)
from rails.model import OperationKind, RailOutcome, RailResult

PAYEE, OTHER = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
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


def test_money_goes_to_the_payees_own_usable_method() -> None:
    """Another's method is unknown to him; disabled, unverified and cooling ones say so."""
    method = PayoutMethod(id=OTHER, party_id=PAYEE, token="payout", usable_from=NOON)
    disabled = replace(method, state=MethodState.DISABLED)
    unverified = replace(method, state=MethodState.UNVERIFIED)
    cooling = replace(method, usable_from=NOON + timedelta(microseconds=1))

    assert check_method(method, method_id=OTHER, payee_id=PAYEE, at=NOON) is method
    for found, payee, code in (
        (None, PAYEE, "payouts.unknown_method"),
        (method, OTHER, "payouts.unknown_method"),
        (disabled, PAYEE, "payouts.method_disabled"),
        (unverified, PAYEE, "payouts.method_unverified"),
        (cooling, PAYEE, "payouts.method_cooling"),
    ):
        with pytest.raises(Refusal) as refusal:
            check_method(found, method_id=OTHER, payee_id=payee, at=NOON)
        assert refusal.value.code == code


@pytest.mark.parametrize(
    ("asked_by", "actor", "is_right"),
    [
        (PAYEE, Actor(OTHER, PrincipalKind.PERSON, is_operator=True), True),
        (OTHER, Actor(OTHER, PrincipalKind.PERSON, is_operator=True), False),
        (None, Actor(OTHER, PrincipalKind.PERSON, is_operator=True), False),
        (PAYEE, Actor(OTHER, PrincipalKind.KEY, is_operator=True), False),
        (PAYEE, SYSTEM, False),
    ],
)
def test_an_approval_is_another_persons_word(
    asked_by: UUID | None, actor: Actor, *, is_right: bool
) -> None:
    """Not who asked, not a program, and not where nobody knows who asked (E14)."""
    payout = Payout(
        id=OTHER,
        payee_id=PAYEE,
        method_id=OTHER,
        amount_minor=100,
        fee_minor=0,
        currency="JPY",
        requested_at=NOON,
        requested_by=asked_by,
    )

    with nullcontext() if is_right else pytest.raises(SecondPerson):
        check_approver(payout, actor)


@pytest.mark.parametrize("token", ["", " ", "a b", "x" * 201, "né", "a\n", "\x00"])
def test_a_token_is_visible_ascii(token: str) -> None:
    """A token that no rail would know is refused before it is kept."""
    with pytest.raises(BadMethod):
        check_token(token)


@pytest.mark.parametrize(
    ("outcome", "code", "left", "state", "trigger"),
    [
        ("done", "", False, PayoutState.SUBMITTED, Trigger.CONFIRM),
        ("done", "", False, PayoutState.IN_TRANSIT, Trigger.CONFIRM),
        ("pending", "", False, PayoutState.SUBMITTED, None),
        ("pending", "", True, PayoutState.SUBMITTED, Trigger.LEAVE),
        ("pending", "", True, PayoutState.IN_TRANSIT, None),
        ("pending", "payout.unclaimed", True, PayoutState.SUBMITTED, Trigger.UNCLAIM),
        ("pending", "payout.unclaimed", True, PayoutState.IN_TRANSIT, Trigger.UNCLAIM),
        ("pending", "payout.unclaimed", True, PayoutState.UNCLAIMED, None),
        ("unknown", "", False, PayoutState.SUBMITTED, None),
        ("refused", "payout.failed", False, PayoutState.SUBMITTED, Trigger.FAIL),
        ("refused", "payout.failed", True, PayoutState.SUBMITTED, Trigger.RETURN),
        ("refused", "payout.failed", False, PayoutState.IN_TRANSIT, Trigger.RETURN),
        ("refused", "payout.returned", False, PayoutState.UNCLAIMED, Trigger.RETURN),
        ("refused", "payout.returned", False, PayoutState.SUBMITTED, Trigger.RETURN),
        ("refused", "payout.returned", False, PayoutState.PAID, Trigger.RETURN),
        ("refused", "account_closed", False, PayoutState.PAID, Trigger.RETURN),
    ],
)
def test_a_rails_word_is_a_trigger(
    outcome: str, code: str, *, left: bool, state: PayoutState, trigger: Trigger | None
) -> None:
    """Done confirms; a refusal before the money left is a failure, afterwards a return."""
    result = replace(_result(outcome, code), has_left=left)

    assert trigger_of(result, state) is trigger


def test_our_empty_bank_is_not_the_methods_fault() -> None:
    """A payout refused because our bank was short leaves the payee's method alone."""
    assert not is_methods_fault(_result("refused", "rail.insufficient_funds"))
    assert is_methods_fault(_result("refused", "payout.failed"))


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
