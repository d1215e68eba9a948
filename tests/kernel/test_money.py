"""Money: read and written without loss, refused when hostile, split fairly to the last unit."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

import moneyed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Refusal
from kernel.money import (
    EXPONENTS,
    MAX_MINOR,
    MalformedAmount,
    NotPositive,
    TooLarge,
    TooManyDecimals,
    UnknownCurrency,
    allocate,
    exponent,
    format_minor,
    from_money,
    parse_minor,
    share_bps,
    to_json,
    to_money,
)

# One currency of each kind: no decimals, two, three, four.
SAMPLES: Final = {"JPY": 0, "EUR": 2, "KWD": 3, "CLF": 4}

currencies = st.sampled_from(sorted(SAMPLES))
amounts = st.integers(1, MAX_MINOR)
any_amount = st.integers(-(2**70), 2**70)
weights = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any)


@pytest.mark.parametrize(("currency", "decimals"), SAMPLES.items())
def test_a_currency_has_its_decimals(currency: str, decimals: int) -> None:
    """Decimals are those of ISO 4217, from none to four."""
    assert exponent(currency) == decimals
    assert format_minor(1, currency) == f"{Decimal(1).scaleb(-decimals):f}"
    assert set(EXPONENTS.values()) == {0, 2, 3, 4}


@given(amount_minor=amounts, currency=currencies)
def test_what_is_written_is_read_again(amount_minor: int, currency: str) -> None:
    """format_minor and parse_minor undo each other for every amount the API takes."""
    written = format_minor(amount_minor, currency)

    assert parse_minor(written, currency) == amount_minor
    assert to_json(amount_minor, currency) == {"amount": written, "currency": currency}


@given(amount_minor=any_amount, currency=currencies)
def test_what_is_written_is_exact(amount_minor: int, currency: str) -> None:
    """An amount as text is the amount over ten to the decimals, with all of them, and one sign."""
    written = format_minor(amount_minor, currency)

    assert Fraction(written) * 10 ** SAMPLES[currency] == amount_minor
    assert len(written.partition(".")[2]) == SAMPLES[currency]
    assert written.startswith("-") == (amount_minor < 0)


@given(whole=st.integers(0, 10**9), fraction=st.text("0123456789", max_size=8), data=st.data())
def test_an_amount_is_read_exactly_or_refused(
    whole: int, fraction: str, data: st.DataObject
) -> None:
    """Fewer decimals than the currency has are filled up, more are refused, never rounded."""
    currency = data.draw(currencies)
    written = f"{whole}.{fraction}" if fraction else str(whole)
    try:
        minor = parse_minor(written, currency)
    except (TooManyDecimals, NotPositive):
        assert len(fraction) > SAMPLES[currency] or Fraction(written) == 0
    else:
        assert Fraction(minor, 10 ** SAMPLES[currency]) == Fraction(written)


# domain/audit-and-reliability.md 4.3, lines 1 to 17 as far as they concern amounts, and near kin.
MALFORMED: Final = (
    *("-5", "+5", "-0.01", "1e2", "1E+2", "1E-21", "1E+999999", "1e400"),
    *("true", "None", " 100 ", "100 ", "\t100", "1_000", "1,000.00", "100,00", "1'000"),
    *("१००", "１００", "٣", "²", "½", "Ⅷ", "1٫5"),  # noqa: RUF001  digits that are not ASCII
    *("NaN", "nan", "Infinity", "-inf", "sNaN"),
    *("", " ", ".", "1.", ".5", "1..2", "1.2.3", "0x10", "0b1", "1/2", "#", "100.00 EUR", "€100"),
    *("00", "00.10", "0100", "100\n", "100\x00", "\x00", "\u200b100", "100\u200b", "\u202e100"),
    *("\ud800", "1" * 19, "9" * 5_000, "0." + "0" * 5_000, "0.123456789", str(2**63), str(2**200)),
)


@pytest.mark.parametrize("amount", MALFORMED, ids=lambda amount: ascii(amount)[:30])
@pytest.mark.parametrize("currency", SAMPLES)
def test_a_hostile_amount_is_refused(amount: str, currency: str) -> None:
    """No sign, exponent, space, underscore, foreign digit, leading zero or excess is let in."""
    with pytest.raises((MalformedAmount, TooLarge)) as refused:
        parse_minor(amount, currency)

    assert all(len(str(fact)) <= 60 for fact in refused.value.facts.values())


@pytest.mark.parametrize(
    "currency",
    [
        "usd",
        "USD\n",
        " USD",
        "U\u0405D",
        "XXX",
        "XAU",
        "ZZZ",
        "",
        "US",
        "EURO",
        "€",
        "US\x00",
        "E" * 9,
    ],
    ids=ascii,
)
def test_a_hostile_currency_is_refused(currency: str) -> None:
    """Small letters, line ends, look-alikes and codes that no rail pays out are not currencies."""
    with pytest.raises(UnknownCurrency):
        parse_minor("1.00", currency)
    with pytest.raises(UnknownCurrency):
        format_minor(100, currency)


@given(amount=st.text(max_size=12), currency=currencies)
def test_any_text_is_read_or_refused(amount: str, currency: str) -> None:
    """Whatever comes in, the answer is a whole number from 1 to the largest, or a refusal."""
    try:
        minor = parse_minor(amount, currency)
    except Refusal:
        return
    assert 1 <= minor <= MAX_MINOR
    assert amount.isascii()


@pytest.mark.parametrize(
    ("amount", "currency", "error"),
    [
        ("0", "EUR", NotPositive),
        ("0.00", "EUR", NotPositive),
        ("0", "JPY", NotPositive),
        ("10.50", "JPY", TooManyDecimals),
        ("10.0", "JPY", TooManyDecimals),
        ("0.001", "EUR", TooManyDecimals),
        ("1.0000", "KWD", TooManyDecimals),
        ("1.00001", "CLF", TooManyDecimals),
        (format_minor(MAX_MINOR + 1, "EUR"), "EUR", TooLarge),
        ("999999999999999999", "JPY", TooLarge),
    ],
)
def test_each_refusal_has_its_rule(amount: str, currency: str, error: type[Refusal]) -> None:
    """Zero, a unit too fine and an amount too large are told apart."""
    with pytest.raises(error):
        parse_minor(amount, currency)


def test_the_largest_amount_is_exact_in_any_json_reader() -> None:
    """The bound lies below 2**53, and the largest amount itself is taken."""
    assert MAX_MINOR < 2**53
    assert parse_minor(format_minor(MAX_MINOR, "EUR"), "EUR") == MAX_MINOR


@given(amount_minor=any_amount, currency=currencies)
def test_money_on_paper_is_the_same_money(amount_minor: int, currency: str) -> None:
    """to_money and from_money undo each other, for negative and for any large amount too."""
    assert from_money(to_money(amount_minor, currency)) == (amount_minor, currency)


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        ("0.001", TooManyDecimals),
        ("1E-21", TooManyDecimals),
        ("NaN", MalformedAmount),
        ("sNaN", MalformedAmount),
        ("Infinity", MalformedAmount),
        ("-Infinity", MalformedAmount),
        ("1E+999999", TooLarge),
        ("9" * 40, TooLarge),
        ("1." + "0" * 40 + "1", TooManyDecimals),
        ("9" * 25 + ".9951", TooManyDecimals),
    ],
)
def test_money_that_would_be_rounded_is_refused(amount: str, error: type[Refusal]) -> None:
    """from_money rounds nothing, however many digits come in, and takes no NaN or Infinity."""
    with pytest.raises(error):
        from_money(moneyed.Money(Decimal(amount), "EUR"))


@given(amount_minor=st.integers(0, 10**15), weights=weights)
def test_parts_sum_to_the_whole(amount_minor: int, weights: list[int]) -> None:
    """A split gives away exactly what there was, none negative, nothing where no weight is."""
    parts = allocate(amount_minor, weights)

    assert sum(parts) == amount_minor
    assert all(part >= 0 for part in parts)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(amount_minor=st.integers(0, 10**15), weights=weights)
def test_no_part_is_off_by_a_unit(amount_minor: int, weights: list[int]) -> None:
    """Each part is its exact share, rounded down or up; equal weights differ by one at most."""
    parts = allocate(amount_minor, weights)

    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount_minor * weight, sum(weights))) < 1
    by_weight: dict[int, list[int]] = {}
    for part, weight in zip(parts, weights, strict=True):
        by_weight.setdefault(weight, []).append(part)
    assert all(max(alike) - min(alike) <= 1 for alike in by_weight.values())
    # Ties go to the earlier part.
    assert all(alike == sorted(alike, reverse=True) for alike in by_weight.values())


@given(amount_minor=st.integers(0, 10**9), weights=weights, factor=st.integers(1, 1_000))
def test_only_the_proportions_of_weights_count(
    amount_minor: int, weights: list[int], factor: int
) -> None:
    """Weights in percent or in basis points split alike."""
    assert allocate(amount_minor, weights) == allocate(amount_minor, [w * factor for w in weights])


def test_one_cent_among_three() -> None:
    """One cent split three ways goes to the first; 100.00 in thirds gives him the odd cent."""
    assert allocate(1, [1, 1, 1]) == [1, 0, 0]
    assert allocate(10_000, [1, 1, 1]) == [3_334, 3_333, 3_333]
    assert allocate(0, [1, 2]) == [0, 0]
    assert allocate(10, [0, 1]) == [0, 10]


@pytest.mark.parametrize("weights", [[], [0], [0, 0]])
def test_a_split_among_nobody_cannot_happen(weights: list[int]) -> None:
    """At least one weight is above zero."""
    with pytest.raises((AssertionError, ValueError)):
        allocate(1, weights)


@given(amount_minor=st.integers(0, 10**15), rate_bps=st.integers(0, 20_000))
def test_a_rate_is_rounded_half_up(amount_minor: int, rate_bps: int) -> None:
    """share_bps is the exact share, half a unit up, and never more than half a unit away."""
    share = share_bps(amount_minor, rate_bps)
    exact = Fraction(amount_minor * rate_bps, 10_000)

    assert -Fraction(1, 2) < share - exact <= Fraction(1, 2)


def test_a_fee_of_ten_percent_in_thirds_sums_for_every_amount() -> None:
    """A tenth split over three parties is exact for 1 to 10,000 units, and the same each time."""
    for amount_minor in range(1, 10_001):
        fee = share_bps(amount_minor, 1_000)
        parts = allocate(fee, [1, 1, 1])
        assert sum(parts) == fee
        assert max(parts) - min(parts) <= 1
