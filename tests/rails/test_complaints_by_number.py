"""What users of such integrations complain of (domain/rails.md 5): which tests hold each.

Numbers are the rows of its table from the top; a letter is a fault of the paragraph below it. A
test is named as `file::function` from `tests/`. Where it is cheap, a test below
shows beside it what the naive way would have done with the same history.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import permutations
from typing import Final

import pytest
from sqlalchemy import Connection

from rails import service
from rails.model import OperationKind, OperationState, RailOutcome, RailResult
from rails.rules import Standing, is_news
from rails.stripe.amounts import to_ours, to_stripe
from tests.escrow.test_edge_cases_by_number import missing
from tests.rails.builders import NOON, notice, operation

COMPLAINTS: Final[Mapping[str, str]] = {
    # 1: a handler fails once, the event is marked seen and never tried again
    "1": """
        rails/test_events.py::test_an_event_whose_worker_was_killed_is_worked_again
        rails/test_events.py::test_a_handler_that_fails_leaves_the_event_to_be_tried_again
        scenarios/test_chaos.py::test_books_and_stripe_agree_whatever_goes_wrong
    """,
    # 2: a duplicate webhook crashes on a unique key, or settles three times
    "2": """
        rails/test_events.py::test_the_same_event_three_times_at_once_is_applied_once
        rails/test_service.py::test_e2_a_notice_is_heard_once
        rails/test_events.py::test_a_history_again_adds_nothing
    """,
    # 3: the answer to a call and its webhook race each other
    "3": """
        rails/test_events.py::test_an_event_before_the_answer_to_the_call_books_once
        rails/stripe/test_worker.py::test_webhooks_and_gap_fill_book_one_truth
    """,
    # 4: a deadlock by the order of locks
    "4": """
        rails/test_events.py::test_two_hundred_events_on_one_escrow_beside_one_another
    """,
    # 5: events of connected accounts are not found
    "5": """
        rails/test_events.py::test_an_event_of_a_payees_account_is_read_as_that_account
        rails/stripe/test_hearing.py::test_an_event_of_a_payees_account_is_read_with_its_header
    """,
    # 6: a stale account.updated takes payouts away
    "6": """
        rails/test_events.py::test_updates_of_an_account_delivered_backwards_say_what_is_true_now
        payouts/test_payees.py::test_events_in_any_order_end_the_same
    """,
    # 7: paid twice after what was refused was given back, under the same key
    "7": """
        rails/stripe/test_trouble.py::test_what_stripe_did_not_take_in_waits
        rails/stripe/test_trouble.py::test_an_old_key_does_nothing_twice
        rails/test_caller.py::test_what_a_rail_may_have_forgotten_is_not_sent_again
    """,
    # 8: too little there for a transfer; the wrong id of its source
    "8": """
        rails/stripe/test_money.py::test_a_transfer_of_one_payment_goes_before_it_settles
        rails/stripe/test_money.py::test_a_transfer_waits_for_settlement
    """,
    # 9: paid out before it settled; below zero without end; a win lands in an old account
    "9": """
        rails/stripe/test_money.py::test_a_payout_waits_for_pending_money
        rails/stripe/test_money.py::test_a_payee_below_zero_is_sent_nothing
        payouts/test_chain.py::test_a_payee_who_changed_accounts_loses_nothing_in_the_old_one
    """,
    # 10: payout.failed is not followed
    "10": """
        rails/stripe/test_money.py::test_a_payout_that_fails_comes_back
        rails/stripe/test_hearing.py::test_a_payout_that_failed_is_told_when_its_money_is_back
        payouts/test_chain.py::test_what_comes_back_later_comes_home_less_what_was_kept
    """,
    # 11: called refunded while it waits for balance
    "11": """
        rails/stripe/test_money.py::test_a_refund_waits_for_available_money
    """,
    # 12: an authorisation that expired leaves its order open
    "12": """
        rails/stripe/test_money.py::test_an_authorisation_that_expired_is_refused
    """,
    # 13: a refund after the payout
    "13": """
        rails/stripe/test_money.py::test_a_reversal_without_money_there_is_refused
        escrow/test_edge_cases.py::test_e5_after_a_partial_release_only_the_rest_is_refundable
        escrow/test_refund_later.py::test_e5_above_what_is_held_the_payee_gives_and_the_fee_on_it_alone
    """,
    # 14: objects of the package are no dicts, and fakes hid it
    "14": """
        rails/stripe/test_answers.py::test_objects_of_the_package_are_no_dicts
        tidy/test_stripe.py::test_nothing_stands_in_for_the_stripe_package
    """,
    # 15: a hundred times too much in yen
    "15": """
        rails/stripe/test_amounts.py::test_amounts_are_counted_as_stripe_counts_them
        rails/stripe/test_amounts.py::test_what_is_sent_comes_back_the_same
        rails/stripe/test_amounts.py::test_a_part_of_the_smallest_unit_is_trouble
    """,
    # 16: a callback of M-Pesa is missing or late
    "16": """
        rails/mpesa/test_mpesa.py::test_a_push_that_nobody_answers_ends_and_its_callback_may_never_come
        rails/mpesa/test_mpesa.py::test_a_payout_is_done_when_a_status_query_says_so
        rails/mpesa/test_mpesa_worker.py::test_a_failing_mpesa_moves_each_operation_once_and_the_books_agree
    """,
    # a: booked by the intent's amount, not by its balance transaction
    "a": """
        rails/stripe/test_money.py::test_a_payment_is_done_by_its_balance_transaction
        rails/stripe/test_answers.py::test_a_payment_without_its_transaction_is_not_done
        rails/stripe/test_money.py::test_an_authorisation_is_captured_in_part
        rails/stripe/test_money.py::test_a_payment_that_stripe_exchanged_is_never_taken_for_ours
    """,
    # b: charge.refunded taken for paid; c: amount_refunded counted instead of refunds
    "b": "rails/stripe/test_money.py::test_a_refund_waits_for_available_money",
    "c": """
        rails/stripe/test_money.py::test_a_refund_goes_back_by_its_transaction
        rails/stripe/test_money.py::test_a_refund_that_bounces_is_refused_after_it_was_done
    """,
    # d: payout.failed after payout.paid passed over
    "d": """
        rails/stripe/test_money.py::test_a_payout_that_fails_comes_back
        payouts/test_chain.py::test_returned_may_be_heard_before_paid
    """,
    # e: no freeze of what is in dispute
    "e": """
        escrow/test_edge_cases_contested.py::test_e6_no_refund_after_release_while_the_bank_contests_the_payment
        escrow/test_chargeback_edges.py::test_e6_no_refund_while_the_bank_looks_at_the_payment
        escrow/test_chargeback_stories.py::test_e8_taken_while_funded_and_won
    """,
    # f: automatic payouts of the platform
    "f": """
        rails/stripe/test_money.py::test_our_own_balance_is_paid_out_on_our_word_only
        rails/stripe/test_command.py::test_the_platforms_payouts_are_set_to_manual
        doubles/test_stripe_money.py::test_automatic_payouts_sweep_the_balance_away
    """,
    # g: names of test and live in one table
    "g": """
        rails/stripe/test_hearing.py::test_real_money_and_sandbox_do_not_mix
        engine/test_rails.py::test_a_live_key_moves_nothing_in_a_sandboxs_time
    """,
    # h: client_secret in the log
    "h": """
        rails/stripe/test_hearing.py::test_no_secret_of_a_payment_is_kept
        rails/stripe/test_trouble.py::test_no_word_of_stripes_and_no_secret_is_shown
    """,
    # i: an endpoint of another API version than the package's
    "i": """
        rails/stripe/test_hearing.py::test_an_event_says_what_is_true_by_now
        doubles/test_contract_guard.py::test_the_calls_we_use_are_as_they_were_kept
    """,
}


@pytest.mark.parametrize("number", sorted(COMPLAINTS))
def test_the_tests_of_a_complaint_are_there(number: str) -> None:
    """Whoever renames or drops one of them learns which complaint it held."""
    named = COMPLAINTS[number].split()

    assert named
    assert missing(named) == []


def test_no_complaint_is_left_out() -> None:
    """Sixteen rows and nine faults more."""
    assert set(COMPLAINTS) == {*map(str, range(1, 17)), *"abcdefghi"}


DONE, PENDING, REFUSED = RailOutcome.DONE, RailOutcome.PENDING, RailOutcome.REFUSED


def word(outcome: RailOutcome, *, cleared: bool = True, hours: int = 0) -> RailResult:
    """A rail's word on one payout, as of a time."""
    told = operation(OperationKind.PAYOUT)
    return RailResult(
        operation_id=told.id,
        kind=told.kind,
        subject=told.subject,
        outcome=outcome,
        amount_minor=told.amount_minor,
        currency=told.currency,
        occurred_at=NOON + timedelta(hours=hours),
        cleared=cleared,
    )


def ended(words: Iterable[RailResult]) -> tuple[RailOutcome, int]:
    """Our way: where an operation stands after these words, and how often it was news."""
    standing, news = Standing(OperationState.SENT, cleared=False), 0
    for each in words:
        if is_news(standing, each):
            standing = Standing(OperationState(each.outcome), each.cleared, each.has_left)
            news += 1
    return RailOutcome(standing.state), news


def test_complaint_1_seen_is_not_processed(connection: Connection) -> None:
    """A handler fails once. Who marks it seen first never hears it again; we do."""
    told = notice(notice_id="once")
    marked: set[str] = {told.notice_id}  # the naive way: marked, then handled, and that failed
    naive = [each for each in (told,) if each.notice_id not in marked]

    failing = connection.begin_nested()
    assert service.receive(connection, [told], at=NOON) == [told]
    failing.rollback()  # what the handler breaks takes the mark with it

    assert naive == []
    assert service.receive(connection, [told], at=NOON) == [told]


def test_complaint_2_each_delivery_counted_is_money_three_times() -> None:
    """Delivered three times: the naive way settles three times, ours once."""
    deliveries = [word(DONE)] * 3

    naive_minor = sum(each.amount_minor for each in deliveries)
    outcome, news = ended(deliveries)

    assert naive_minor == 3 * deliveries[0].amount_minor
    assert (outcome, news) == (DONE, 1)


def test_complaints_10_and_d_the_last_delivered_is_not_the_last_true() -> None:
    """Paid, then failed, in any order: the naive way says what came last, ours what is true."""
    story = [word(PENDING), word(DONE, hours=1), word(REFUSED, hours=80)]
    orders = list(permutations(story))

    naive = {order[-1].outcome for order in orders}
    ours = {ended(order)[0] for order in orders}

    assert naive == {PENDING, DONE, REFUSED}
    assert ours == {REFUSED}


def test_complaint_11_pending_is_not_refunded() -> None:
    """A refund that waits for balance was answered: who takes any answer for money is wrong."""
    answer = word(PENDING)

    is_naively_refunded = answer.outcome is not REFUSED
    outcome, _ = ended([answer])

    assert is_naively_refunded
    assert outcome is PENDING


@pytest.mark.parametrize(
    ("currency", "minor", "at_stripe", "is_hundred"),
    [
        ("EUR", 1_234, 1_234, True),
        ("JPY", 1_234, 1_234, False),
        ("KRW", 1_234, 1_234, False),
        ("KWD", 1_230, 1_230, False),
        ("UGX", 1_234, 123_400, True),
    ],
)
def test_complaint_15_not_everything_has_hundredths(
    currency: str, minor: int, at_stripe: int, *, is_hundred: bool
) -> None:
    """A hundred times the amount of the currency's own unit is right for some, wrong for yen."""
    units_by_a_hundred = {"EUR": 1_234, "JPY": 123_400, "KRW": 123_400, "KWD": 123, "UGX": 123_400}

    assert (units_by_a_hundred[currency] == at_stripe) is is_hundred
    assert to_stripe(minor, currency) == at_stripe
    assert to_ours(at_stripe, currency) == minor
