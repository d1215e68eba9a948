"""What PayPal is sent and what its answers mean, without a call."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.database import Tenant
from kernel.errors import RailTrouble
from kernel.settings import CannotStart
from rails.capabilities import PAYPAL
from rails.model_events import TransactionKind
from rails.paypal.bodies import recipient_type, value_of
from rails.paypal.rules import code_of, minor_of, twin_of
from rails.paypal.settings import LIVE, SANDBOX, PaypalSettings
from rails.paypal.statement import kind_of, lines_of, window_after

KEYS = {"PAYPAL_CLIENT_ID": "a", "PAYPAL_CLIENT_SECRET": "b"}
TENANT = Tenant("test")


@given(st.sampled_from(sorted(PAYPAL.currencies)), st.integers(1, 10**12))
def test_an_amount_is_read_as_it_was_written(currency: str, units: int) -> None:
    """Decimal strings are exact both ways, in every currency that PayPal takes."""
    minor = units * PAYPAL.amount_steps.get(currency, 1)

    value = value_of(minor, currency)

    assert minor_of({"currency_code": currency, "value": value}) == (minor, currency)
    assert minor_of({"currency": currency, "value": f"-{value}"}) == (-minor, currency)


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("0.00", "EUR", 0), (".5", "EUR", 50), ("7.10", "EUR", 710), ("100.00", "JPY", 100)],
)
def test_amounts_are_read_in_all_the_ways_they_come(value: str, currency: str, minor: int) -> None:
    """With or without zeros before and behind, as PayPal's pattern lets them be."""
    assert minor_of({"currency_code": currency, "value": value}) == (minor, currency)


@pytest.mark.parametrize(
    "money",
    [
        None,
        {"value": "1.00"},
        {"currency_code": "EUR", "value": 1.0},
        {"currency_code": "EUR", "value": "1.001"},
        {"currency_code": "EUR", "value": ""},
        {"currency_code": "EUR", "value": "1e2"},
        {"currency_code": "???", "value": "1.00"},
    ],
)
def test_an_amount_that_would_be_guessed_is_trouble(money: object) -> None:
    """No number, no rounding, no currency that we do not know."""
    with pytest.raises(RailTrouble):
        minor_of(money)


def test_payees_are_known_by_address_number_or_id() -> None:
    """The kind of a payee's name is seen from it."""
    names = ["a@b.test", "+254708374149", "91-734-234-1234", "G83JXTJ5EHCQ2"]

    assert [recipient_type(name) for name in names] == ["EMAIL", "PHONE", "PHONE", "PAYPAL_ID"]


def test_a_second_batch_names_the_first_or_is_trouble() -> None:
    """Where a duplicate is told without a link we do not take it for a refusal."""
    href = "https://api-m.paypal.com/v1/payments/payouts/5UXD2E8A7EBQJ?page=1"
    linked = {"name": "USER_BUSINESS_ERROR", "links": [{"href": href, "rel": "self"}]}
    inside = {"details": [{"issue": "already exists", "link": [{"href": href}]}]}

    assert twin_of(linked) == twin_of(inside) == "5UXD2E8A7EBQJ"
    assert twin_of({"name": "VALIDATION_ERROR", "links": [{"href": "https://docs"}]}) == ""
    for bare in ({"name": "DUPLICATE_REQUEST_ID"}, {"details": [{"issue": "already exists"}]}):
        with pytest.raises(RailTrouble):
            twin_of(bare)
    assert code_of("X" * 90) == f"paypal.{'x' * 60}"


@pytest.mark.parametrize(
    ("code", "came", "went"),
    [
        ("T0006", TransactionKind.FUNDING, TransactionKind.OTHER),
        ("T0001", TransactionKind.PAYOUT_BACK, TransactionKind.PAYOUT),
        ("T0104", TransactionKind.FEE, TransactionKind.FEE),
        ("T1107", TransactionKind.REFUND_BACK, TransactionKind.REFUND),
        ("T1201", TransactionKind.CHARGEBACK_BACK, TransactionKind.CHARGEBACK),
        ("T2103", TransactionKind.RESERVE_BACK, TransactionKind.RESERVE),
        ("T9900", TransactionKind.OTHER, TransactionKind.OTHER),
        ("", TransactionKind.OTHER, TransactionKind.OTHER),
    ],
)
def test_event_codes_are_kinds_of_ours(
    code: str, came: TransactionKind, went: TransactionKind
) -> None:
    """By the code, else by its group; what we do not know must be looked at."""
    assert kind_of(code, is_credit=True) is came
    assert kind_of(code, is_credit=False) is went


def test_what_is_not_settled_is_no_line() -> None:
    """Pending and denied movements are left out; a line that cannot be read is trouble."""
    info = {
        "transaction_status": "P",
        "transaction_amount": {"currency_code": "EUR", "value": "1.00"},
    }

    assert lines_of({"transaction_info": info}) == []
    with pytest.raises(RailTrouble):
        lines_of({"transaction_info": info | {"transaction_status": "S"}})


def test_windows_follow_each_other_with_a_day_in_common() -> None:
    """Never more than 31 days, all pages of each, and never beyond the time that it is."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    first = window_after("", at=at)

    second = window_after(str(first.following(pages=2)), at=at)
    last = second.following(pages=2)
    later = window_after(str(last), at=datetime(2026, 6, 2, tzinfo=UTC))

    assert (first.end - first.start).days == 31
    assert (second.start, second.end, second.page) == (first.start, first.end, 2)
    assert later.start == datetime(2026, 3, 1, tzinfo=UTC)
    assert later.end == datetime(2026, 4, 1, tzinfo=UTC)


def test_settings_come_from_the_environment_or_say_what_is_missing() -> None:
    """Both keys or none; a tenant's own go first; secrets never travel in the clear."""
    found = PaypalSettings.from_environment(KEYS, TENANT)
    own = PaypalSettings.from_environment(
        KEYS | {"PAYPAL_CLIENT_ID__TEST": "own", "PAYPAL_API_BASE": f"{LIVE}/"}, TENANT
    )

    assert PaypalSettings.from_environment({}, TENANT) is None
    assert found is not None
    assert (found.api_base, found.is_live) == (SANDBOX, False)
    assert own is not None
    assert (own.client_id, own.api_base, own.is_live) == ("own", LIVE, True)
    for wrong in (
        {"PAYPAL_CLIENT_ID": "a"},
        KEYS | {"PAYPAL_API_BASE": "http://api-m.paypal.com"},
        KEYS | {"PAYPAL_API_BASE": "paypal"},
    ):
        with pytest.raises(CannotStart):
            PaypalSettings.from_environment(wrong, TENANT)


def test_no_float_is_made_of_money_there() -> None:
    """Time limits are the only floats of these files."""
    folder = Path(__file__).parents[3] / "rails" / "paypal"

    texts = {path.name: path.read_text() for path in folder.glob("*.py")}

    assert {name for name, text in texts.items() if "float" in text} == {"settings.py"}
