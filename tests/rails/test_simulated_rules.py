"""What comes of an operation at the simulated rail, without a database."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails.model import OperationKind, RailAccount, RailOutcome
from rails.simulated.model import Behaviour, Fact, Fee, Story
from rails.simulated.rules import announce, fee_minor, tell
from tests.rails.builders import NOON, capital, operation, payout

PLAIN = Behaviour()


@pytest.mark.parametrize(
    ("amount_minor", "currency", "fee"),
    [
        (10_300, "EUR", 329),
        (2_060, "EUR", 90),
        (41_200, "USD", 1_225),
        (10_000, "JPY", 290),
        (103_000, "KWD", 3_287),
        (10, "EUR", 10),
    ],
)
def test_a_card_costs_its_rate_and_a_part_of_a_unit(
    amount_minor: int, currency: str, fee: int
) -> None:
    """2.9 % and 0.30 of the currency's unit, each half up, never more than the funding itself."""
    assert fee_minor(PLAIN, operation(amount_minor=amount_minor, currency=currency)) == fee


def test_fees_are_the_operators_to_set() -> None:
    """A family of methods costs what the behaviour says; a family without a fee is free."""
    behaviour = Behaviour(fees={"wire": Fee(100, 0)})

    assert fee_minor(behaviour, operation(amount_minor=10_000, method="wire")) == 100
    assert fee_minor(behaviour, operation(amount_minor=10_000, method="card")) == 0


def test_card_money_is_pending_until_the_settlement_day() -> None:
    """Funding adds the net to pending; at midnight two days later it moves to available."""
    story = tell(PLAIN, operation(), NOON)

    midnight = NOON.replace(hour=0) + timedelta(days=2)
    assert [(m.account, m.amount_minor, m.effective_at) for m in story.movements] == [
        (RailAccount.PROCESSOR_PENDING, 9_971, NOON),
        (RailAccount.PROCESSOR_PENDING, -9_971, midnight),
        (RailAccount.PROCESSOR_AVAILABLE, 9_971, midnight),
    ]
    assert story.facts == (Fact(outcome=RailOutcome.DONE, effective_at=NOON, fee_minor=329),)


@pytest.mark.parametrize(
    ("kind", "method", "words"),
    [
        ("fund", "card", ["done"]),
        ("fund", "card:declined", ["refused card.declined"]),
        ("fund", "card:slow", ["pending", "done"]),
        ("fund", "card:slow:declined", ["pending", "refused card.declined"]),
        ("fund", "bank", ["done uncleared", "done"]),
        ("fund", "card:debit", ["done uncleared", "done"]),
        ("fund", "bank:slow", ["pending", "done uncleared", "done"]),
        ("refund", "card", ["done"]),
        ("refund", "card:declined", ["done"]),
        ("refund", "card:refund_slow", ["pending", "done"]),
        ("refund", "card:refund_bounces", ["refused refund.bounced"]),
        ("payout", "payout", ["done"]),
        ("payout", "payout:slow", ["pending", "done"]),
        ("payout", "payout:fails", ["refused payout.failed"]),
        ("payout", "payout:slow:fails", ["pending", "refused payout.failed"]),
        ("payout", "payout:returns", ["done", "refused payout.returned"]),
    ],
)
def test_tokens_force_what_happens(kind: str, method: str, words: list[str]) -> None:
    """Each token of a method forces its own turn of the story, and only for its kind."""
    story = tell(PLAIN, operation(OperationKind(kind), method=method), NOON)

    assert [_word(fact) for fact in story.facts] == words
    assert [f.effective_at for f in story.facts] == sorted(f.effective_at for f in story.facts)


def test_a_returned_payout_comes_back_less_the_banks_charge() -> None:
    """498.00 leave the bank, 493.00 come back three weeks later (domain/escrow.md 2.10, P40)."""
    story = tell(PLAIN, payout(method="payout:returns"), NOON)

    assert [m.amount_minor for m in story.movements] == [-49_800, 49_300]
    assert story.facts[-1].fee_minor == 500
    assert story.facts[-1].effective_at == NOON + timedelta(days=21)


def test_a_transfer_takes_from_its_source_and_gives_to_its_target() -> None:
    """Money between two accounts sums to zero; capital comes from outside."""
    moved = operation(
        OperationKind.BANK_TRANSFER, 500, source="processor_available", target="custody_bank"
    )

    assert sum(m.amount_minor for m in tell(PLAIN, moved, NOON).movements) == 0
    assert sum(m.amount_minor for m in tell(PLAIN, capital(500), NOON).movements) == 500


@given(st.uuids(), st.integers(0, 10_000), st.sampled_from(list(OperationKind)))
def test_the_same_seed_and_id_tell_the_same_story(
    operation_id: UUID, rate_bps: int, kind: OperationKind
) -> None:
    """Draws depend on seed and id alone: the order of calls cannot matter."""
    behaviour = Behaviour(
        declined_bps=rate_bps,
        slow_bps=rate_bps,
        lost_reply_bps=rate_bps,
        payout_failed_bps=rate_bps,
    )
    asked = operation(
        kind, operation_id=operation_id, source="custody_bank", target="platform_bank"
    )

    assert tell(behaviour, asked, NOON) == tell(behaviour, asked, NOON)


def test_a_rate_is_met_in_the_long_run() -> None:
    """Of 2,000 fundings at 20 % declines between 300 and 500 are declined."""
    behaviour = Behaviour(declined_bps=2_000)
    asked = [operation(operation_id=UUID(int=number)) for number in range(2_000)]

    declined = sum(len(tell(behaviour, each, NOON).movements) == 0 for each in asked)

    assert 300 < declined < 500


def test_a_reply_tells_the_first_fact_and_notices_the_rest() -> None:
    """A plain card funding has no notice of its own; a lost reply and a later fact have one."""
    plain, lost, returned = (
        tell(PLAIN, operation(), NOON),
        tell(PLAIN, operation(method="card:lost_reply"), NOON),
        tell(PLAIN, payout(method="payout:returns"), NOON),
    )

    assert _outcomes(plain) == []
    assert _outcomes(lost) == [("done", NOON)]
    assert _outcomes(returned) == [("refused", NOON + timedelta(days=21))]


def test_notices_come_twice_and_out_of_order_when_told() -> None:
    """`twice` doubles each notice; `reordered` sends all at the end, the last fact first."""
    twice = announce([tell(PLAIN, operation(method="card:slow:twice"), NOON)])
    story = tell(PLAIN, payout(method="payout:slow:returns:reordered"), NOON)
    reordered = sorted(announce([story]), key=lambda each: (each.due_at, each.ordinal))

    changed = [each for each in twice if each.kind == "operation_changed"]
    assert len(changed) == 2
    assert len({each.notice_id for each in changed}) == 1
    assert [each.fact.outcome.value for each in reordered] == ["refused", "done"]


def _word(fact: Fact) -> str:
    uncleared = fact.outcome is RailOutcome.DONE and not fact.cleared
    return " ".join(filter(None, [fact.outcome.value, fact.code, "uncleared" * uncleared]))


def _outcomes(story: Story) -> list[tuple[str, object]]:
    announced = [each for each in announce([story]) if each.kind == "operation_changed"]
    return [(each.fact.outcome.value, each.due_at) for each in announced]
