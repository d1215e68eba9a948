"""The tax on our fee: every row of the table, its evidence, and its dates."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from kernel.errors import Refusal
from tax.model_vat import Check, Evidence, Service, Supply, Treatment
from tax.vat import EU, RATES, decide, place, rate_bps

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def supply(supplier: str, buyer: str, *, is_business: bool = False, **more: object) -> Supply:
    check = Check("X1", buyer, True, AT - timedelta(days=1), "WAPI1") if is_business else None
    made = Supply(
        supplier_country=supplier,
        evidence=(Evidence("address", buyer), Evidence("bank", buyer)),
        service=Service.ELECTRONIC,
        on=AT.date(),
        at=AT,
        check=check,
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("supplier", "buyer", "is_business", "treatment", "rate"),
    [
        ("DE", "DE", False, Treatment.DOMESTIC, 1_900),
        ("DE", "DE", True, Treatment.DOMESTIC, 1_900),
        ("DE", "FI", True, Treatment.REVERSE_CHARGE, 0),
        ("DE", "FI", False, Treatment.DESTINATION, 2_550),
        ("DE", "US", False, Treatment.OUTSIDE_SCOPE, 0),
        ("DE", "KE", True, Treatment.OUTSIDE_SCOPE, 0),
        ("US", "FR", True, Treatment.REVERSE_CHARGE, 0),
        ("US", "FR", False, Treatment.DESTINATION, 2_000),
        ("GB", "GB", True, Treatment.DOMESTIC, 2_000),
        ("US", "GB", True, Treatment.REVERSE_CHARGE, 0),
        ("US", "GB", False, Treatment.DESTINATION, 2_000),
        ("DE", "AU", False, Treatment.DESTINATION, 1_000),
        ("DE", "AU", True, Treatment.REVERSE_CHARGE, 0),
        ("DE", "IN", False, Treatment.DESTINATION, 1_800),
        ("DE", "IN", True, Treatment.REVERSE_CHARGE, 0),
        ("US", "US", False, Treatment.OUTSIDE_SCOPE, 0),
    ],
)
def test_the_table(
    supplier: str, buyer: str, *, is_business: bool, treatment: Treatment, rate: int
) -> None:
    """Supplier, buyer, and whether a valid number was checked in time."""
    decision = decide(supply(supplier, buyer, is_business=is_business))

    assert (decision.treatment, decision.country, decision.rate_bps) == (treatment, buyer, rate)
    assert (decision.note == "reverse_charge") == (treatment is Treatment.REVERSE_CHARGE)


def test_every_pair_of_countries_is_decided() -> None:
    """No pair falls through, and tax is charged exactly where a rate applies."""
    countries = [*sorted(EU), "GB", "AU", "IN", "US", "KE"]
    for supplier in countries:
        for buyer in countries:
            for is_business in (False, True):
                decision = decide(supply(supplier, buyer, is_business=is_business))
                charged = decision.treatment in {Treatment.DOMESTIC, Treatment.DESTINATION}
                assert (decision.rate_bps > 0) == charged
                if decision.treatment is Treatment.REVERSE_CHARGE:
                    assert decision.check is not None


def test_edge_44_a_number_counts_from_its_check_on() -> None:
    """Before the check the buyer pays; after it he does not; nothing earlier is rewritten."""
    checked = supply("DE", "FR", is_business=True)
    assert checked.check is not None

    early = replace(checked, at=checked.check.checked_at - timedelta(seconds=1))

    assert decide(early).treatment is Treatment.DESTINATION
    assert decide(checked).treatment is Treatment.REVERSE_CHARGE


@pytest.mark.parametrize("spoil", [{"is_valid": False}, {"country": "ES"}])
def test_a_check_that_does_not_fit_counts_for_nothing(spoil: dict[str, object]) -> None:
    """An invalid number, or one of another country."""
    given = supply("DE", "FR", is_business=True)
    assert given.check is not None

    decision = decide(replace(given, check=replace(given.check, **spoil)))  # type: ignore[arg-type]

    assert decision.treatment is Treatment.DESTINATION


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("vat.not_enough_evidence", supply("DE", "FR", evidence=(Evidence("address", "FR"),))),
        (
            "vat.not_enough_evidence",
            supply("DE", "FR", evidence=(Evidence("address", "FR"), Evidence("address", "FR"))),
        ),
        (
            "vat.not_enough_evidence",
            supply("DE", "FR", evidence=tuple(Evidence(kind, c) for kind in "ab" for c in "XY")),
        ),
        ("vat.no_rate", supply("DE", "FR", on=date(2021, 6, 30))),
        ("vat.not_decided", supply("DE", "FR", service=Service.INTERMEDIATION)),
    ],
)
def test_what_cannot_be_decided_is_refused(code: str, given: Supply) -> None:
    """A guess is never charged."""
    with pytest.raises(Refusal) as refused:
        decide(given)

    assert refused.value.code == code


def test_rates_change_on_their_day() -> None:
    """Half-open: Estonia, Finland, Romania and Slovakia, the day before and the day."""
    changes = {
        ("EE", date(2025, 7, 1)): (2_200, 2_400),
        ("FI", date(2024, 9, 1)): (2_400, 2_550),
        ("RO", date(2025, 8, 1)): (1_900, 2_100),
        ("SK", date(2025, 1, 1)): (2_000, 2_300),
    }
    for (country, day), rates in changes.items():
        assert (rate_bps(country, day - timedelta(days=1)), rate_bps(country, day)) == rates


def test_rates_of_a_country_do_not_overlap_and_leave_no_gap() -> None:
    """Every member state has a rate on every day from the first row on."""
    assert set(RATES) >= EU
    for rows in RATES.values():
        for one, following in pairwise(rows):
            assert one.valid_to == following.valid_from
        assert rows[-1].valid_to is None


def test_the_place_is_what_most_evidence_says() -> None:
    """Two kinds that agree outweigh one that does not."""
    evidence = (Evidence("address", "FR"), Evidence("bank", "FR"), Evidence("ip", "US"))
    assert place(evidence) == "FR"
