"""What Stripe's objects mean, on the package's own objects: no dicts, and enums that stay open."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from kernel.ids import new_id
from rails.model import KEY_SPENT, NOT_NOW, PAYOUT_RETURNED, OperationKind, RailOutcome
from rails.stripe import answers, chargebacks
from rails.stripe.errors import verdict_of
from rails.stripe.model import Fields, operation_of, settings_of
from rails.stripe.wire import Pace, plain

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def _moved(amount: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"txn_{amount}",
        "object": "balance_transaction",
        "amount": amount,
        "fee": 0,
        "currency": "eur",
        "created": 1_772_000_000,
        "status": "available",
        "reporting_category": "charge",
        **more,
    }


def _payment(**more: Any) -> Fields:
    """A payment intent as the package gives it."""
    charge = {
        "id": "ch_1",
        "object": "charge",
        "amount": 10_300,
        "amount_captured": 10_300,
        "captured": True,
        "currency": "eur",
        "payment_method_details": {"type": "card"},
        "balance_transaction": _moved(10_300, fee=329),
        "failure_balance_transaction": None,
        **more.pop("charge", {}),
    }
    said = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 10_300,
        "currency": "eur",
        "created": 1_772_000_000,
        "metadata": {},
        "latest_charge": charge,
        **more,
    }
    return plain(stripe.PaymentIntent.construct_from(said, "sk_test_1"))


def _payout(status: str, **more: Any) -> Fields:
    said = {
        "id": "po_1",
        "object": "payout",
        "status": status,
        "amount": 5_000,
        "currency": "eur",
        "created": 1_772_000_000,
        "balance_transaction": _moved(-5_000),
        "failure_balance_transaction": None,
        **more,
    }
    return plain(stripe.Payout.construct_from(said, "sk_test_1"))


def _raised(error: Any, *said: str, **more: Any) -> stripe.StripeError:
    """An error of the package; some of its constructors have no types."""
    made: stripe.StripeError = error(*said, **more)
    return made


def test_objects_of_the_package_are_no_dicts() -> None:
    """What works on a dict dies on a real object, so every object is made plain first."""
    found = stripe.PaymentIntent.construct_from({"id": "pi_1", "status": "canceled"}, "sk_test_1")

    with pytest.raises(AttributeError):
        found.get("status")  # type: ignore[attr-defined]
    assert plain(found).get("status") == "canceled"
    assert type(_payment()["latest_charge"]) is dict


def test_a_payment_without_its_transaction_is_not_done() -> None:
    """Stripe may tell of success before it tells of the money: that is still pending."""
    answer = answers.of_payment(_payment(charge={"balance_transaction": None}))

    assert (answer.outcome, answer.transaction_ref) == (RailOutcome.PENDING, "")


def test_an_exchanged_payment_names_the_money_that_came() -> None:
    """A charge that settled in another currency is never taken for what was asked."""
    moved = _moved(11_100, currency="usd", fee=300)

    answer = answers.of_payment(_payment(charge={"balance_transaction": moved}))

    assert (answer.outcome, answer.amount_minor, answer.currency) == (
        RailOutcome.DONE,
        11_100,
        "USD",
    )


def test_a_part_is_only_done_with_all_its_transactions() -> None:
    """Less was captured: the charge's own transaction alone says too much."""
    payment = _payment(charge={"amount_captured": 4_000})
    back = _moved(-6_300, reporting_category="partial_capture_reversal", fee=0)
    whole = _moved(10_300, fee=150)

    assert answers.is_in_parts(payment)
    assert answers.of_payment(payment).outcome is RailOutcome.PENDING
    answer = answers.of_payment(payment, [whole, back, _moved(-1, reporting_category="refund")])
    assert (answer.outcome, answer.amount_minor, answer.fee_minor) == (
        RailOutcome.DONE,
        4_000,
        150,
    )


@pytest.mark.parametrize("status", ["a_new_status", ""])
def test_a_status_that_stripe_adds_one_day_is_unknown(status: str) -> None:
    """Enums of answers are open: what we do not know is asked again, not taken for a yes or no."""
    refund = {**_payout(status), "id": "re_1"}

    assert answers.of_payment(_payment(status=status)).outcome is RailOutcome.UNKNOWN
    assert answers.of_payout(_payout(status)).outcome is RailOutcome.UNKNOWN
    assert answers.of_refund(refund).outcome is RailOutcome.UNKNOWN
    assert answers.of_top_up({**_payout(status), "id": "tu_1"}).outcome is RailOutcome.UNKNOWN


def test_a_failed_payout_waits_for_its_money() -> None:
    """Failed but not back: nothing is told until the transaction that brings it home."""
    waiting = answers.of_payout(_payout("failed"))
    back = answers.of_payout(_payout("failed", failure_balance_transaction=_moved(4_500)))
    never_left = answers.of_payout(_payout("canceled", balance_transaction=None))

    assert waiting.outcome is RailOutcome.UNKNOWN
    assert (back.outcome, back.code, back.fee_minor) == (
        RailOutcome.REFUSED,
        PAYOUT_RETURNED,
        500,
    )
    assert (never_left.outcome, never_left.code) == (RailOutcome.REFUSED, "payout.failed")


def test_a_bare_id_is_no_transaction() -> None:
    """A transaction that was not asked for says nothing of the money."""
    answer = answers.of_payout(_payout("paid", balance_transaction="txn_1"))

    assert (answer.outcome, answer.has_left) == (RailOutcome.PENDING, False)


@pytest.mark.parametrize(
    ("status", "appeal", "word"),
    [
        ("warning_needs_response", None, "warning"),
        ("warning_closed", None, "closed"),
        ("prevented", None, "prevented"),
        ("appeal_needs_response", None, "appeal_open"),
        ("won", {"reason": "x"}, "appeal_won"),
        ("lost", {"reason": "x"}, "appeal_lost"),
        ("lost", {"reason": None}, "lost"),
        ("a_new_status", None, "a_new_status"),
    ],
)
def test_a_disputes_status_is_one_of_our_words(status: str, appeal: Any, word: str) -> None:
    """Ten statuses, and the end of an appeal; a new one stays, so that people look."""
    assert chargebacks.status_of({"status": status, "evidence": {"appeal": appeal}}) == word


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (_raised(stripe.APIConnectionError, "x"), "unknown", ""),
        (stripe.APIError("x", http_status=502), "unknown", ""),
        (stripe.APIError("x", http_status=200), "unknown", ""),
        (stripe.RateLimitError("x", http_status=429), "unknown", NOT_NOW),
        (stripe.AuthenticationError("x", http_status=401), "unknown", NOT_NOW),
        (stripe.PermissionError("x", http_status=403), "unknown", NOT_NOW),
        (
            stripe.PermissionError(
                "x", http_status=403, json_body={"error": {"code": "account_invalid"}}
            ),
            "refused",
            "stripe.account_invalid",
        ),
        (
            stripe.IdempotencyError(
                "x", http_status=409, json_body={"error": {"code": "idempotency_key_in_use"}}
            ),
            "unknown",
            NOT_NOW,
        ),
        (stripe.IdempotencyError("x", http_status=400), "unknown", KEY_SPENT),
        (
            stripe.APIError("x", http_status=500, headers={"idempotent-replayed": "true"}),
            "unknown",
            KEY_SPENT,
        ),
        (
            _raised(stripe.InvalidRequestError, "x", "amount", http_status=400),
            "refused",
            "stripe.refused",
        ),
        (
            _raised(stripe.CardError, "x", "", "card_declined", http_status=402),
            "refused",
            "card.declined",
        ),
    ],
)
def test_an_error_is_judged_by_its_status_and_code(
    error: stripe.StripeError, outcome: str, code: str
) -> None:
    """4xx is no, 429 is not now, and all that may have had an effect stays unknown."""
    verdict = verdict_of(error, kind=OperationKind.PAYOUT, operation_id=new_id(), at=NOW)

    assert (verdict.outcome, verdict.code) == (RailOutcome(outcome), code)
    assert (verdict.retry_at is not None) == (code == NOT_NOW)


def test_an_operation_is_ours_by_name_and_tenant() -> None:
    """Metadata that anyone may have written is believed only where both fit."""
    operation_id = new_id()
    ours = {"metadata": {"op_id": str(operation_id), "tenant": "a"}}

    assert operation_of(ours, "a") == operation_id
    assert operation_of(ours, "b") is None
    assert operation_of({"metadata": {"op_id": "x", "tenant": "a"}}, "a") is None
    assert operation_of({"metadata": None}, "a") is None


def test_turns_are_given_at_a_pace() -> None:
    """At once while there are turns left, then each later; too long a wait takes no turn."""
    pace = Pace(1)

    waits = [pace.wait_for("") for _ in range(50)]

    assert waits[0] == 0
    assert sum(waits) > 0
    assert max(waits) <= 3


def test_without_a_key_there_is_no_stripe() -> None:
    """The environment decides; a live key says so by its beginning."""
    assert settings_of({}, "a") is None
    live = settings_of({"STRIPE_API_KEY": "rk_live_1"}, "a")
    sandbox = settings_of({"STRIPE_API_KEY": "sk_test_1"}, "a")

    assert live is not None
    assert sandbox is not None
    assert (live.is_live, sandbox.is_live, sandbox.tenant) == (True, False, "a")
    assert sandbox.api_base == stripe.DEFAULT_API_BASE
