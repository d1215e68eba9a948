"""Money goes back as it came, as long as the rail gives back, and to the wallet otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from escrow.model import Funding, FundingState, Method, Purpose
from escrow.rules_rails import check_rail_account, way_back
from kernel.ids import new_id
from rails.refusals import UnknownRail

PAID: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)


def _paid(rail_account: str, currency: str = "KES", minor: int = 10_000) -> Funding:
    return Funding(
        new_id(),
        new_id(),
        new_id(),
        Purpose.SLOT,
        Method.CARD,
        rail_account,
        currency,
        minor,
        0,
        FundingState.SUCCEEDED,
        1,
        PAID,
        captured_minor=minor,
    )


@pytest.mark.parametrize(
    ("rail", "days", "part", "way"),
    [
        ("simulated", 180, 4_000, Method.CARD),
        ("simulated", 181, 4_000, Method.WALLET),
        ("stripe", 1, 4_000, Method.CARD),
        ("paypal", 181, 10_000, Method.WALLET),
        ("mpesa", 0, 4_000, Method.WALLET),
        ("mpesa", 1, 10_000, Method.WALLET),
    ],
)
def test_a_refund_goes_the_way_that_the_rail_has(
    rail: str, days: int, part: int, way: Method
) -> None:
    """Within its days, and in parts if it gives back parts; else to the wallet."""
    assert way_back(_paid(rail), part, PAID + timedelta(days=days)) is way


@pytest.mark.parametrize(
    ("rail", "currency", "part", "way"),
    [
        ("stripe", "KWD", 4_005, Method.WALLET),
        ("stripe", "KWD", 4_010, Method.CARD),
        ("stripe", "JPY", 4_005, Method.CARD),
        ("stripe", "EUR", 4_005, Method.CARD),
        ("paypal", "TWD", 4_005, Method.WALLET),
        ("paypal", "EUR", 4_005, Method.CARD),
    ],
)
def test_what_the_rail_cannot_say_goes_to_the_wallet(
    rail: str, currency: str, part: int, way: Method
) -> None:
    """4.005 dinar back by Stripe would be refused for ever; the wallet takes any amount."""
    assert way_back(_paid(rail, currency), part, PAID + timedelta(days=1)) is way


def test_what_came_from_the_wallet_goes_back_there() -> None:
    """No rail is asked about money that no rail brought."""
    paid = replace(_paid(""), method=Method.WALLET)

    assert way_back(paid, 1, PAID + timedelta(days=1_000)) is Method.WALLET


def test_nobody_pays_by_a_rail_that_is_not_known() -> None:
    """The name of the rail stands before the first colon of the account's."""
    check_rail_account("stripe:acct_1Nv0FGQ9RKHgCVdK")

    with pytest.raises(UnknownRail):
        check_rail_account("pigeon:1")
