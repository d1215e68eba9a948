"""The 51 edge cases of domain/escrow.md 2.11 by number: which tests hold each, or whose it is.

A number names tests as `file::function`, from `tests/` or `tests/escrow/`. What fees, currencies,
rails and tax own stands under LATER with the piece of work that owns it; a number may have both,
where a part of it is held already. The postings have such a list, too.
"""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

import pytest

from tests.fixtures.sources import ROOT

EDGES: Final[Mapping[int, str]] = {
    1: """
        test_dispute_edges.py::test_e1_a_dispute_that_came_before_the_timer_wins
        test_dispute_edges.py::test_e1_a_dispute_that_came_after_the_timer_is_a_claim
        test_dispute_edges.py::test_e1_the_row_lock_decides
        test_edge_cases.py::test_e1_a_hold_placed_before_the_timer_wins
    """,
    2: """
        rails/test_service.py::test_e2_a_notice_is_heard_once
        rails/test_service.py::test_e2_a_duplicate_in_one_batch_is_one_piece_of_news
        engine/api/test_notices.py::test_a_notice_sent_again_has_no_second_effect
        test_chargeback_order.py::test_e2_one_fact_in_two_types_of_event
        test_races.py::test_a_result_heard_twice_at_once_funds_once
    """,
    3: """
        rails/test_service.py::test_e3_an_older_word_that_comes_late_changes_nothing
        rails/test_caller.py::test_e3_notices_out_of_order_leave_the_last_word
        payouts/test_service.py::test_e3_a_return_that_is_heard_without_the_payment_books_both
        test_chargeback_order.py::test_e3_closed_before_it_was_created
        test_chargeback_order.py::test_any_order_ends_the_same
    """,
    4: """
        rails/test_service.py::test_e4_a_notice_about_something_unknown_is_parked_then_an_exception
        rails/test_caller.py::test_e4_a_strange_notice_waits_for_its_operation
        engine/api/test_notices.py::test_a_notice_about_nothing_of_ours_is_parked
        test_chargeback_order.py::test_e4_a_word_on_a_payment_that_we_do_not_know_yet
    """,
    5: """
        test_edge_cases.py::test_e5_after_a_partial_release_only_the_rest_is_refundable
        test_refund_later.py::test_e5_above_what_is_held_the_payee_gives_and_the_fee_on_it_alone
    """,
    6: """
        test_edge_cases_contested.py::test_e6_no_refund_goes_out_while_the_bank_contests_the_payment
        test_edge_cases_contested.py::test_e6_no_refund_after_release_while_the_bank_contests_the_payment
        test_edge_cases_contested.py::test_e6_what_was_refunded_and_charged_back_is_our_loss
        test_chargeback_edges.py::test_e6_no_refund_while_the_bank_looks_at_the_payment
        test_chargeback_edges.py::test_e6_a_refunded_payment_is_charged_back_too
        test_chargeback_edges.py::test_e6_partly_refunded_then_charged_back_in_full
    """,
    7: """
        test_chargeback_stories.py::test_e7_drift_of_the_rails_currency
    """,
    8: """
        test_chargeback_stories.py::test_e8_taken_while_funded_and_won
        test_chargeback_stories.py::test_taken_while_funded_and_lost
    """,
    9: """
        test_claims.py::test_e9_a_quarter_of_each_release_pays_the_claim
        test_claims.py::test_p24_two_people_write_a_claim_off
        test_chargeback_stories.py::test_a_year_after_release_the_recovery_is_capped
    """,
    10: """
        test_chargeback_stories.py::test_e10_won_then_lost_on_appeal
        test_chargeback_stories.py::test_lost_then_won_on_appeal
        test_chargeback_stories.py::test_several_movements_of_one_chargeback
    """,
    11: """
        payouts/test_service.py::test_e11_a_payout_that_fails_after_the_debit_gives_all_back
        payouts/test_service.py::test_e11_a_payout_that_comes_back_from_the_bank_gives_all_back
        test_edge_cases.py::test_e11_a_refund_that_fails_is_the_clients_within_one_event
    """,
    12: """
        payouts/test_settlement.py::test_e12_a_payout_bounces_three_weeks_later
        payouts/test_dormant.py::test_e12_what_bounced_for_an_owner_who_is_gone_is_unclaimed
    """,
    13: """
        test_dispute_races.py::test_e13_two_decisions_at_once
        test_dispute_races.py::test_e13_two_approvals_split_once
        test_dispute_rules.py::test_e13_the_second_is_shown_the_firsts_decision
    """,
    14: """
        test_dispute_rules.py::test_e14_nobody_approves_his_own_decision
        test_dispute_edges.py::test_two_people_decide_on_the_same_version
        test_claims.py::test_the_database_holds_four_eyes_and_the_sum
        test_hourly_stories.py::test_a_client_who_never_pays_is_written_off_by_two
        attack/test_two_people.py::test_nobody_gets_the_key_of_another_person
    """,
    15: """
        test_edge_cases.py::test_e15_the_second_approval_finds_nothing_to_release
        test_races.py::test_two_approvals_release_once
        engine/api/test_idempotency.py::test_a_double_click_releases_once
        engine/api/test_idempotency.py::test_the_same_request_gets_the_same_bytes
        engine/api/test_idempotency.py::test_another_request_under_a_used_key_is_refused
        engine/api/test_disputes_over_http.py::test_e15_a_decision_approved_twice_is_carried_out_once
    """,
    16: """
        test_edge_cases.py::test_e16_an_approval_of_a_withdrawn_submission_is_stale
        test_races.py::test_approval_against_withdrawal
        engine/api/test_disputes_over_http.py::test_e16_an_offer_is_taken_as_it_was_looked_at
    """,
    17: """
        test_edge_cases.py::test_e17_a_resubmission_restarts_the_whole_review
        test_edge_cases.py::test_e17_an_auto_release_of_an_older_submission_is_stale
        test_clocks.py::test_work_shown_again_under_a_hold_has_a_whole_review_left
    """,
    18: """
        test_edge_cases.py::test_e18_nothing_shown_starts_no_clock
        test_edge_cases.py::test_e18_an_empty_delivery_is_looked_at_for_a_day
        test_edge_cases.py::test_e18_a_flag_that_is_refused_writes_nothing
        test_edge_cases.py::test_e18_the_database_takes_one_flag_for_each_submission
    """,
    19: """
        test_edge_cases.py::test_e19_no_decimals
        test_price_edges.py::test_e19_yen_have_no_decimals
        payouts/test_service.py::test_e19_e20_currencies_have_their_own_decimals
    """,
    20: """
        test_edge_cases.py::test_e20_three_decimals
        test_price_edges.py::test_e20_dinars_have_three
        payouts/test_service.py::test_e19_e20_currencies_have_their_own_decimals
    """,
    21: """
        test_price_edges.py::test_e21_what_comes_to_nothing_is_refused_before_it_is_sent
    """,
    22: """
        test_price_edges.py::test_e22_a_boundary_inside_one_payment
        commissions/test_maths.py::test_edge_22_a_boundary_inside_one_payment
    """,
    23: """
        test_price_edges.py::test_e23_two_payments_of_a_pair_over_a_boundary_at_once
        test_price_edges.py::test_e23_whoever_comes_first_the_total_is_that_of_the_bands
        test_price_edges.py::test_e23_a_batch_carries_the_pair_along
    """,
    24: """
        test_price_edges.py::test_e24_a_refund_below_a_tier_leaves_past_fees
        commissions/test_maths.py::test_edge_24_a_refund_leaves_other_payments_their_fees
    """,
    25: """
        test_price_edges.py::test_e25_a_schedule_that_changes_after_funding_changes_nothing
    """,
    26: """
        test_price_edges.py::test_e26_a_promotion_ends_mid_contract
    """,
    27: """
        test_hourly_edges.py::test_27_a_week_of_a_changed_clock_is_plain_instants
    """,
    28: """
        test_hourly_edges.py::test_28_an_entry_over_sunday_midnight_is_split
    """,
    29: """
        test_hourly_edges.py::test_29_a_rate_raised_mid_week_makes_two_lines
    """,
    30: """
        test_hourly_edges.py::test_30_hours_that_come_after_the_invoice_are_late
        test_hourly_edges.py::test_late_hours_wait_for_the_client
    """,
    31: """
        test_retainer_maths.py::test_edge_31_the_31st_is_clamped_and_comes_back
        test_retainer_maths.py::test_anchors_never_drift
    """,
    32: """
        test_retainer_stories.py::test_edge_32_what_was_drawn_counts_if_it_is_more
    """,
    33: """
        test_retainer_stories.py::test_edge_33_an_unfunded_period_says_so_and_lapses
        test_hourly_prefund.py::test_hours_without_a_deposit_are_not_protected_and_every_answer_says_so
    """,
    34: """
        test_edge_cases_contested.py::test_e34_of_a_rolled_lot_the_exact_remainder_is_frozen
        test_chargeback_edges.py::test_e34_only_the_remainder_of_a_rolled_lot_freezes
        test_chargeback_edges.py::test_e34_the_rest_of_a_rolled_lot_is_lost
    """,
    35: """
        test_price_edges.py::test_e35_dollars_for_a_contract_in_euros
        test_price_edges.py::test_e35_the_clock_takes_the_rate_of_its_day_and_says_so
        test_price_edges.py::test_e35_without_a_rate_nobody_is_paid_a_guess
        test_fx_movements.py::test_edge_35_p33_a_release_in_euros_pays_dollars
        test_shown_rates.py::test_e35_the_quote_that_was_shown_is_what_the_payee_gets
        test_shown_rates.py::test_e35_an_ended_quote_near_the_days_rate_keeps_the_approval
        test_shown_rates.py::test_e35_an_ended_quote_far_from_the_days_rate_is_asked_again
        test_shown_rates.py::test_e35_the_second_to_confirm_uses_the_quote
    """,
    36: """
        test_fund_by_quote.py::test_p35_a_client_pays_dollars_of_a_contract_in_euros
        test_fund_by_quote.py::test_p36_the_fill_of_a_payment_empties_the_bridge
        test_refund_exchanged.py::test_edge_36_what_goes_back_goes_to_the_card_at_the_days_rate
        test_refund_exchanged.py::test_edge_36_the_card_is_paid_and_the_bridge_is_filled
        test_refund_exchanged.py::test_edge_36_no_more_than_was_paid_goes_to_the_card
        test_refund_exchanged.py::test_edge_36_without_a_rate_it_is_in_the_wallet_and_says_so
        test_refund_exchanged.py::test_edge_36_a_client_exchanges_his_wallet
        test_refund_exchanged.py::test_edge_36_a_chargeback_that_is_won
        test_refund_exchanged.py::test_edge_36_a_chargeback_that_is_lost
        test_fx_movements.py::test_edge_36_p35_and_p36_money_is_converted_when_it_comes
    """,
    37: """
        test_price_edges.py::test_e37_a_split_is_converted_when_it_is_carried_out
        test_dispute_edges.py::test_e37_a_split_is_in_the_contracts_currency
        engine/api/test_disputes_over_http.py::test_e37_shares_are_in_the_contracts_currency
        test_dispute_later.py::test_e37_converted_money_is_not_set_aside
    """,
    38: """
        test_funding.py::test_a_debit_funds_but_does_not_release_until_cleared
        test_funding.py::test_money_taken_back_after_it_funded_unfunds_the_slot
        test_edge_cases_contested.py::test_e38_uncleared_money_is_not_released
        test_edge_cases_contested.py::test_e38_a_debit_returned_after_release_is_fronted_and_claimed
        test_chargeback_edges.py::test_e38_a_cleared_debit_is_returned_after_release
    """,
    39: """
        payouts/test_blocked.py::test_e39_a_match_blocks_all_that_a_party_has
        payouts/test_blocked.py::test_a_payout_that_no_rail_knows_is_taken_back_and_blocked
        payouts/test_blocked.py::test_a_release_takes_two_people_and_a_licence
        payouts/test_blocked.py::test_a_report_is_due_ten_business_days_after
        payouts/test_dormant.py::test_e39_a_sanctions_match_stops_dormancy
    """,
    44: """
        test_price_edges.py::test_e44_a_number_that_becomes_valid_mid_month
        test_tax_credit.py::test_e44_tax_goes_back_by_credit_note_and_nothing_is_rewritten
        test_tax_credit.py::test_e44_it_is_credited_once
        test_tax_credit.py::test_e44_only_the_time_that_is_proved
        test_tax_credit.py::test_e44_what_comes_back_later_brings_no_tax_back_again
    """,
    45: """
        payouts/test_treasury.py::test_e45_below_zero_stops_payouts_until_it_is_covered
        payouts/test_rules_settlement.py::test_what_no_bank_can_bring_is_told
    """,
    46: """
        payouts/test_transactions.py::test_another_fee_than_was_booked_is_never_the_clients
    """,
    47: """
        payouts/test_wallet.py::test_e47_wallet_money_goes_back_by_the_last_payments
        payouts/test_wallet.py::test_e47_a_closed_wallet_gives_all_back
        payouts/test_wallet.py::test_beyond_the_window_it_is_paid_out
    """,
    48: """
        test_edge_cases.py::test_e48_the_payee_of_a_deal_is_pinned_at_acceptance
    """,
    49: """
        test_edge_cases.py::test_e49_the_clock_is_given_not_read
        kernel/test_clock.py::test_a_live_clock_is_the_databases
        engine/test_scanner_rounds.py::test_e49_no_clock_of_a_worker_counts
    """,
    50: """
        test_edge_cases.py::test_e50_a_closed_period_takes_no_release
        ledger/test_periods.py::test_a_reversal_counts_in_an_open_period_and_the_original_keeps_its_own
    """,
    51: """
        test_reminders.py::test_e51_a_review_that_ran_out_in_an_outage_gets_a_day_more
        test_reminders.py::test_e51_what_was_due_before_the_outage_rings_at_once
        test_reminders.py::test_e51_only_an_outage_above_the_set_length_counts
        test_reminders.py::test_e51_after_the_day_the_review_rings
        test_reminders.py::test_e51_length_and_courtesy_are_the_tenants
        test_reminders.py::test_e51_clocks_of_the_engine_itself_do_not_move
    """,
}

TAX: Final = "tax season"

LATER: Final[Mapping[int, str]] = {
    **dict.fromkeys((40, 41, 42, 43), TAX),
}
"""Whose the number is, or the part of it that is not held yet."""

POSTINGS: Final[Mapping[int, str]] = {
    12: """
        test_dispute_movements.py::test_p12_and_back
        test_dispute_later.py::test_p12_of_released_money_and_back
        test_hourly_lines.py::test_p12_and_p27_a_line_conceded_goes_back_with_its_fee
    """,
    13: """
        test_dispute_movements.py::test_p13
        test_dispute_movements.py::test_any_split_of_any_part_keeps_every_cent
        test_dispute_later.py::test_p13_of_released_money
    """,
    17: """
        test_refund_later.py::test_all_goes_back_and_the_commission_with_it
        test_refund_later.py::test_the_platform_fronts_what_the_payee_lacks_and_claims_it
    """,
    18: "test_chargeback_stories.py::test_taken_while_funded_and_lost",
    19: "test_chargeback_stories.py::test_e8_taken_while_funded_and_won",
    20: "test_chargeback_stories.py::test_taken_after_release_lost_and_recovered",
    21: "test_chargeback_stories.py::test_taken_after_release_lost_and_recovered",
    22: "test_chargeback_stories.py::test_taken_after_release_and_won",
    23: "test_claims.py::test_p23_the_whole_of_40_is_recovered_where_the_cap_allows",
    24: "test_claims.py::test_p24_two_people_write_a_claim_off",
    26: "test_hourly_stories.py::test_a_week_is_invoiced_charged_reviewed_and_released",
    27: "test_hourly_lines.py::test_p12_and_p27_a_line_conceded_goes_back_with_its_fee",
    28: "test_hourly_stories.py::test_protected_hours_are_advanced_and_the_client_pays_later",
    29: "test_hourly_stories.py::test_protected_hours_are_advanced_and_the_client_pays_later",
    30: "test_hourly_stories.py::test_a_client_who_never_pays_is_written_off_by_two",
    31: "test_retainer_stories.py::test_p31_cancelled_after_10_of_30_days",
    32: "test_retainer_stories.py::test_p32_unused_goes_to_one_of_the_two",
    45: """
        test_dispute_movements.py::test_p45
        test_dispute_movements.py::test_p45_in_an_arbitration
    """,
}
"""Beside its row in `test_postings_by_number`, each is told through the services."""

MAY_WAIT: Final = frozenset(range(40, 44))
"""The numbers that are of tax."""


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests of a file, as they are written there."""
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def missing(named: Iterable[str]) -> list[str]:
    """Those of the tests that are not there."""
    gone = []
    for node_id in named:
        path, _, name = node_id.partition("::")
        path = path if "/" in path else f"escrow/{path}"
        is_there = (ROOT / "tests" / path).is_file() and (not name or name in names_in(path))
        gone += [] if is_there else [node_id]
    return gone


def test_every_edge_case_is_held_or_somebodys() -> None:
    """1 to 51: each has tests or an owner, and only fees, currencies, rails and tax may wait."""
    assert set(EDGES) | set(LATER) == set(range(1, 52))
    assert set(LATER) <= MAY_WAIT


@pytest.mark.parametrize("number", sorted(EDGES))
def test_the_tests_of_an_edge_case_are_there(number: int) -> None:
    """Whoever renames or drops one of them learns which number it held."""
    named = EDGES[number].split()

    assert named
    assert missing(named) == []


@pytest.mark.parametrize("number", sorted(POSTINGS))
def test_the_tests_of_a_posting_are_there(number: int) -> None:
    """Each posting is told through the services by a test that exists, besides its own row."""
    named = POSTINGS[number].split()

    assert named
    assert missing(["test_postings_by_number.py::test_posting_to_the_minor_unit"]) == []
    assert missing(named) == []


def test_no_posting_of_contracts_is_left_out() -> None:
    """P12, P13, P17 to P24, P26 to P32 and P45 each have their tests."""
    assert set(POSTINGS) == {12, 13, *range(17, 25), *range(26, 33), 45}


def test_a_test_that_is_gone_is_missed() -> None:
    """The list can fail: a name that nobody wrote, and a file that is not there."""
    assert missing(["test_edge_cases.py::test_of_nothing", "test_gone.py"]) == [
        "test_edge_cases.py::test_of_nothing",
        "test_gone.py",
    ]
