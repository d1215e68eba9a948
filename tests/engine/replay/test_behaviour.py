"""Made-up postings, milestones and behaviour: seeded, in stated shapes, never off a cent."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replay.behaviour import RATES, Answer, Delivery, conduct_of, slot_conduct
from engine.replay.calendar import Calendar
from engine.replay.countries import CODES, code_of
from engine.replay.deals import Deal, deal_of, milestone_amounts, milestone_count
from engine.replay.dice import Dice
from engine.replay.generator import START, budget_at, generate_postings
from engine.replay.postings import Kind, Posting
from engine.replay.retainers import offer_of
from engine.replay.terms import (
    LEAST_RETAINER_MINOR,
    WITH_HOURS,
    WITH_MILESTONES,
    WITH_RETAINER,
    Form,
)
from escrow.model import Method
from escrow.rules_retainer_terms import check_retainer_terms

MANY = 4_000


def made(seed: int = 7, count: int = 1_000) -> list[Posting]:
    return list(generate_postings(seed, count=count, days=30))


def deals(seed: int = 7, count: int = 300) -> list[Deal]:
    usable = [posting for posting in made(seed, count) if posting.kind is not Kind.NO_BUDGET]
    return [deal_of(seed, posting, payee_count=100) for posting in usable]


def test_the_same_seed_makes_the_same_postings_and_deals() -> None:
    """And another seed makes others."""
    assert made() == made()
    assert deals() == deals()
    assert made(1, 50) != made(2, 50)


def test_a_longer_month_begins_like_a_shorter_one() -> None:
    """More contracts of one seed are the same contracts and then some."""
    assert made(count=1_000)[:500] == made(count=500)[:500]


def test_made_up_budgets_have_the_ranks_of_real_ones() -> None:
    """A tenth is 10 or less, half is 100 or less, one in a hundred 10,000 or more."""
    ranks = {bps: budget_at(bps) for bps in (1_000, 2_500, 5_000, 7_500, 9_000, 9_900, 10_000)}

    assert ranks == {
        1_000: 10,
        2_500: 25,
        5_000: 100,
        7_500: 300,
        9_000: 1_000,
        9_900: 10_000,
        10_000: 100_000,
    }


def test_made_up_postings_are_shaped_like_real_ones() -> None:
    """Kinds, clients who come back, and countries within a few points of the real shares."""
    postings = made()
    kinds = Counter(posting.kind for posting in postings)
    clients = Counter(posting.client for posting in postings)

    assert kinds[Kind.FIXED_BUDGET] + kinds[Kind.HOURLY] == 1_000
    assert 0.40 < kinds[Kind.FIXED_BUDGET] / len(postings) < 0.48
    assert 0.08 < sum(count > 1 for count in clients.values()) / len(clients) < 0.18
    assert 0.25 < sum(p.country == "United States" for p in postings) / len(postings) < 0.36
    assert all(posting.budget_minor for posting in postings if posting.kind is Kind.FIXED_BUDGET)
    assert all(posting.rate_minor for posting in postings if posting.kind is Kind.HOURLY)


def test_a_client_keeps_country_and_standing() -> None:
    """Whoever comes back is the same person."""
    seen: dict[str, tuple[str, bool]] = {}
    for posting in made():
        now = (posting.country, posting.is_verified)
        assert seen.setdefault(posting.client, now) == now


@given(
    st.integers(1, 10**9), st.sampled_from(["", "Less than 1 month", "3 to 6 months"]), st.text()
)
def test_milestones_sum_to_the_budget(budget_minor: int, duration: str, job_id: str) -> None:
    """One to four parts, none of them empty, and together exactly the budget."""
    parts = milestone_amounts(Dice(1, job_id), budget_minor=budget_minor, duration=duration)

    assert sum(parts) == budget_minor
    assert 1 <= len(parts) <= 4
    assert min(parts) > 0


@pytest.mark.parametrize(
    ("budget_minor", "duration", "count"),
    [
        (500, "More than 6 months", 1),
        (4_999, "Less than 1 month", 1),
        (5_000, "Less than 1 month", 2),
        (20_000, "1 to 3 months", 4),
        (10_000_000, "More than 6 months", 4),
    ],
)
def test_larger_and_longer_work_has_more_milestones(
    budget_minor: int, duration: str, count: int
) -> None:
    """One more from 50, 200 and 1,000 on and one more over a month, four at most."""
    assert milestone_count(budget_minor, duration) == count


def test_behaviour_keeps_to_its_stated_rates() -> None:
    """Each share comes out within a point or two of the table."""
    conducts = [conduct_of(Dice(3, f"job-{n}")) for n in range(MANY)]
    slots = [
        slot_conduct(Dice(3, f"job-{n}"), slot_no=1, slot_count=1, duration="") for n in range(MANY)
    ]

    def share(count: int) -> int:
        return count * 10_000 // MANY

    taken = RATES.finds_freelancer * RATES.freelancer_accepts // 10_000
    assert abs(share(sum(c.is_taken for c in conducts)) - taken) < 200
    first = Counter(slot.answers[0] for slot in slots)
    assert abs(share(first[Answer.SILENCE]) - RATES.silence) < 200
    assert abs(share(first[Answer.ASK_CHANGES]) - RATES.ask_changes) < 200
    late = sum(slot.delivery is Delivery.LATE for slot in slots)
    assert abs(share(late) - RATES.late) < 200
    debits = sum(slot.methods[0] is Method.BANK_DEBIT for slot in slots)
    assert abs(share(debits) - RATES.bank_debit) < 200


def test_each_try_to_pay_has_a_token_and_only_the_last_may_succeed() -> None:
    """A client with a declined card tries another; the wallet is tried before any card."""
    for deal in deals():
        for slot in deal.slots:
            conduct = slot.conduct
            assert len(conduct.methods) == len(conduct.tokens)
            cards = [token for token in conduct.tokens if token.startswith("card")]
            assert all(":declined" in token for token in cards[:-1])


def test_hourly_postings_become_every_form_at_its_stated_rate() -> None:
    """And each form has the parts that its name says, with milestones of hybrids summing up."""
    found = [deal for deal in deals(count=4_000) if deal.posting.kind is Kind.HOURLY]
    forms = Counter(deal.form for deal in found)

    for form, rate in (
        (Form.RETAINER, RATES.by_retainer),
        (Form.MILESTONES_AND_RETAINER, RATES.with_retainer),
        (Form.MILESTONES_AND_HOURS, RATES.with_hours),
    ):
        assert abs(forms[form] * 10_000 // len(found) - rate) < 300
    for deal in found:
        assert bool(deal.slots) == (deal.form in WITH_MILESTONES)
        assert (deal.hours is not None) == (deal.form in WITH_HOURS)
        assert (deal.retainer is not None) == (deal.form in WITH_RETAINER)


def test_a_retainer_is_worth_its_hours_and_its_terms_are_good() -> None:
    """The engine's own rules take every retainer that a posting becomes."""
    for deal in deals(count=1_000):
        if deal.retainer is not None:
            check_retainer_terms(offer_of(deal, START).terms)
            assert deal.retainer.amount_minor >= LEAST_RETAINER_MINOR


def test_nobody_works_twice_at_the_same_time() -> None:
    """Hours are given out one after the other, and a day ends."""
    calendar, payee_id = Calendar(), UUID(int=5)
    spans = [calendar.book(payee_id, START, minutes) for minutes in (300, 300, 300, 300)]

    given = [span for span in spans if span is not None]
    assert len(given) == 3
    assert all(first[1] == second[0] for first, second in pairwise(given))
    assert given[-1][1] - given[0][0] == timedelta(hours=13)
    assert calendar.book(UUID(int=6), START, 60) is not None


def test_ids_are_of_version_seven_and_all_different() -> None:
    """No two contracts, slots or parties share an id."""
    found = deals()
    ids = [deal.contract_id for deal in found] + [s.id for deal in found for s in deal.slots]

    assert len(set(ids)) == len(ids)
    assert {each.version for each in ids} == {7}
    assert {deal.client_id for deal in found}.isdisjoint(deal.payee_id for deal in found)


def test_countries_have_codes() -> None:
    """Two capital letters each; a name nobody knows has none."""
    assert all(len(code) == 2 and code.isupper() for code in CODES.values())
    assert (code_of("United Kingdom"), code_of("Atlantis")) == ("GB", None)
