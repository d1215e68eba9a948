"""Which word of a rail is news."""

from itertools import permutations

import pytest

from rails.model import OperationState, RailOutcome
from rails.rules import Standing, best, is_news, is_settled
from tests.rails.builders import operation, result

S, O = OperationState, RailOutcome  # noqa: E741  the table below reads as a table

NEWS = {
    S.CREATED: {O.UNKNOWN, O.PENDING, O.DONE, O.REFUSED},
    S.WITHDRAWN: {O.UNKNOWN, O.PENDING, O.DONE, O.REFUSED},
    S.SENT: {O.UNKNOWN, O.PENDING, O.DONE, O.REFUSED},
    S.UNKNOWN: {O.PENDING, O.DONE, O.REFUSED},
    S.PENDING: {O.DONE, O.REFUSED},
    S.DONE: {O.REFUSED},
    S.REFUSED: set(),
}


@pytest.mark.parametrize("state", list(OperationState))
@pytest.mark.parametrize("outcome", list(RailOutcome))
def test_an_operation_only_moves_forward(state: OperationState, outcome: RailOutcome) -> None:
    """For every state and outcome: what ranks higher is news, all else changes nothing."""
    standing = Standing(state, cleared=True)

    assert is_news(standing, result(operation(), outcome)) == (outcome in NEWS[state])


def test_a_funding_that_clears_later_is_news_once() -> None:
    """An uncleared funding becomes cleared; a second word of it, or an older one, is no news."""
    uncleared = Standing(OperationState.DONE, cleared=False)
    cleared = Standing(OperationState.DONE, cleared=True)
    fund = operation()

    assert is_news(uncleared, result(fund, cleared=True))
    assert not is_news(uncleared, result(fund, cleared=False))
    assert not is_news(cleared, result(fund, cleared=True))
    assert not is_news(cleared, result(fund, cleared=False))


def test_of_several_words_in_one_batch_the_last_in_rank_counts() -> None:
    """Whatever the order in which they come, the word of highest rank is the one that stands."""
    fund = operation()
    words = [
        result(fund, RailOutcome.PENDING),
        result(fund, RailOutcome.DONE, cleared=False),
        result(fund, RailOutcome.DONE, cleared=True),
    ]

    assert {best(list(order)) for order in permutations(words)} == {words[2]}


def test_only_yes_and_no_are_settled() -> None:
    """Pending and unknown are no answers."""
    assert {outcome for outcome in RailOutcome if is_settled(outcome)} == {
        RailOutcome.DONE,
        RailOutcome.REFUSED,
    }
