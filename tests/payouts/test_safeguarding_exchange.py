"""Client money while it is being exchanged: what lacks in one currency lies in another."""

import pytest

from payouts.safeguarding import CurrencyReport


def report(currency: str, *, there: int, owed: int, exchanging: int) -> CurrencyReport:
    return CurrencyReport(
        currency=currency,
        resource_minor=there,
        requirement_minor=owed,
        due_to_platform_minor=0,
        due_from_platform_minor=0,
        differences=(),
        exchanging_minor=exchanging,
    )


@pytest.mark.parametrize(
    ("there", "owed", "exchanging", "missing"),
    [
        (0, 9_752, 9_752, 0),  # the payee has his dollars, the provider still brings them
        (9_000, 0, -9_000, 0),  # the euros that he takes for them are kept for him
        (8_999, 0, -9_000, 1),
        (0, 9_752, 9_751, 1),
        (10, 10, 0, 0),
        (9, 10, 0, 1),
    ],
)
def test_what_is_on_the_bridge_counts(there: int, owed: int, exchanging: int, missing: int) -> None:
    """A currency is safe if money and what is exchanged for it cover what is owed."""
    found = report("USD", there=there, owed=owed, exchanging=exchanging)

    assert found.missing_minor == missing
    assert found.is_safe == (missing == 0)
    assert found.as_json()["exchanging"]["currency"] == "USD"
