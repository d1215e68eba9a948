"""Every (state, trigger, role) of every machine: in the list it moves, outside it is refused.

The lists here are written from domain/escrow.md 2.3, 2.4 and 2.9 and know nothing of the tables.
"""

from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES, Guard, Machine, Trigger
from escrow.machine_chargeback import CHARGEBACKS
from escrow.machine_claim import CLAIMS
from escrow.machine_dispute import DISPUTES
from escrow.machine_hybrid import TERM_AMENDMENTS
from escrow.machine_retainer import DRAWDOWNS, PERIODS, RETAINERS
from escrow.machine_slot import SLOTS
from escrow.model import (
    ContractState,
    FundingState,
    RefundState,
    ReleaseState,
    Role,
    SlotState,
)
from escrow.model_chargeback import ChargebackState
from escrow.model_claim import ClaimState
from escrow.model_dispute import DisputeState
from escrow.model_hybrid import OfferState
from escrow.model_retainer import DrawdownState, PeriodState, RetainerState
from escrow.refusals import NotYours, WrongState
from escrow.rules import GUARDS, step

CONTRACT_ROWS = """
- propose client payee -> draft
draft accept client payee -> active
active accept client payee -> active
draft end client payee -> ended
active pause client payee operator system -> paused
paused resume client payee operator -> active
active,paused end client payee operator -> ending
ending,closed_disputed close client payee operator system -> ended
active,paused end_disputed client payee operator -> closed_disputed
ending,ended dispute_opened system -> closed_disputed
closed_disputed disputes_over system -> ending
"""

WORKING = "funded,submitted,changes_requested"
HOLDING = f"{WORKING},refund_requested,dormant"

SLOT_ROWS = f"""
- propose client payee -> proposed
proposed accept client payee -> awaiting_funding
proposed,awaiting_funding cancel client payee system -> cancelled
awaiting_funding start_funding client system -> funding
awaiting_funding fund_from_wallet client system -> funded
funding fund rail -> funded
funding funding_ended client system rail -> awaiting_funding
{HOLDING},disputed clear rail -> =
{WORKING} start_top_up client system -> =
{WORKING} top_up_from_wallet client system -> =
{HOLDING},disputed top_up rail -> =
{WORKING} submit payee -> submitted
submitted withdraw_submission payee -> funded
submitted request_changes client -> changes_requested
submitted flag_empty client -> =
{WORKING},dormant approve client -> released
{WORKING} release_part client -> =
submitted auto_release system -> released
submitted confirm_first client payee -> submitted
submitted confirm_second client payee -> released
{WORKING} ask_refund client system -> refund_requested
refund_requested accept_refund payee -> refunded
refund_requested refund_unanswered system -> refunded
{HOLDING} give_back payee -> refunded
{WORKING} remind system -> =
{WORKING} fall_dormant system -> dormant
dormant release_dormant system operator -> released
dormant refund_dormant system operator -> refunded
{WORKING} amend_up client payee -> =
{WORKING} amend_down client payee -> =
{WORKING} roll_rest client payee -> released
{WORKING} roll_all client payee -> cancelled
awaiting_funding roll_in client payee system -> funded
{WORKING} roll_in client payee system -> =
{HOLDING},released,refunded refund_later payee operator -> =
{HOLDING},released,refunded dispute_released client operator -> =
{HOLDING},released,refunded split_later system -> =
refund_requested reject_refund payee -> disputed
{HOLDING} dispute client payee operator -> disputed
disputed restore_funded system -> funded
disputed restore_submitted system -> submitted
disputed restore_changes_requested system -> changes_requested
disputed restore_refund_requested system -> refund_requested
disputed restore_dormant system -> dormant
disputed split_part system -> =
{HOLDING},disputed contest rail -> =
{HOLDING},disputed reinstate rail -> =
awaiting_funding reinstate rail -> funded
{HOLDING},disputed,awaiting_funding,funding,released,refunded,cancelled book_loss rail -> =
{HOLDING},disputed charge_back rail -> awaiting_funding
submitted restart_review rail -> =
{WORKING} release_earned system -> released
{WORKING} release_drawn system -> =
{WORKING} settle_released system -> released
{WORKING} settle_refunded system -> refunded
{WORKING} settle_rolled system -> cancelled
{WORKING} settle_advance system -> released
{WORKING} settle_advance_part system -> =
{WORKING} settle_deposit system -> =
funded,disputed freeze_line system -> disputed
disputed thaw_line system -> =
disputed release_undisputed system -> =
disputed split_released system -> released
disputed split_refunded system -> refunded
"""

OPEN = "created,requires_action,processing,unknown"
GONE = "failed,canceled,expired"

FUNDING_ROWS = f"""
- create client -> created
- fund_from_wallet client -> succeeded
created need_action rail -> requires_action
created,requires_action,unknown pend rail -> processing
created,requires_action,processing lose_sight rail -> unknown
{OPEN} succeed rail -> succeeded
{OPEN} succeed_uncleared rail -> succeeded_uncleared
succeeded_uncleared clear rail -> succeeded
succeeded_uncleared,succeeded,credited reverse rail -> reversed
{OPEN} fail rail -> failed
created,requires_action,processing cancel client -> canceled
created,requires_action,processing expire system -> expired
{OPEN},{GONE} mismatch rail -> mismatch
{OPEN},{GONE} arrive_late rail -> credited
mismatch credit operator -> credited
"""

REFUND_ROWS = """
- create client payee operator system -> approved
- credit client payee operator system -> wallet_credited
approved,unknown pend rail -> submitted
approved,submitted lose_sight rail -> unknown
approved,submitted,unknown succeed rail -> succeeded
approved,submitted,unknown fail rail -> wallet_credited
succeeded bounce rail -> wallet_credited
"""

BARGAINING = "negotiation,mediation,recommendation,arbitration_elect"
UNSETTLED = f"opened,awaiting_reply,{BARGAINING},arbitration"

DISPUTE_ROWS = f"""
- open_dispute client payee operator -> opened
- open_later client operator -> opened
- open_appeal client payee -> negotiation
executed appeal client payee -> =
opened serve operator system -> awaiting_reply
opened,awaiting_reply concede client payee -> conceded
opened,awaiting_reply reply client payee -> negotiation
awaiting_reply default system -> defaulted
{BARGAINING} offer client payee -> =
{BARGAINING} accept_offer client payee -> settled
{UNSETTLED} file_evidence client payee -> =
awaiting_reply,{BARGAINING} extend operator -> =
negotiation mediate client payee system -> mediation
negotiation take_small client payee system -> arbitration
mediation recommend operator -> recommendation
mediation mediation_over system -> arbitration_elect
recommendation,arbitration_elect elect client payee -> arbitration_elect
arbitration_elect elect_too client payee -> arbitration
recommendation let_stand system -> settled
arbitration_elect arbitrate system -> arbitration
arbitration propose_decision operator -> =
arbitration approve_decision operator -> decided
conceded,defaulted,settled,decided execute system -> executed
opened,awaiting_reply,negotiation,mediation withdraw_dispute client payee operator -> withdrawn
{UNSETTLED},conceded,defaulted,settled,decided lose_frozen rail -> withdrawn
"""

RETAINER_ROWS = """
- offer_retainer client payee -> offered
offered accept client payee -> running
offered cancel client payee operator system -> ended
running give_notice client payee system -> ending
ending give_notice system -> =
running cancel client payee operator -> ended
ending cancel client payee operator system -> ended
"""

PERIOD_ROWS = """
- schedule client payee system -> scheduled
scheduled,funding start_funding system -> funding
scheduled,funding fund system -> funded
funding lapse system -> lapsed
funded begin system -> active
active pause client payee -> paused
paused resume client payee operator -> active
active close_period system -> closing
closing settle system -> settled
funded,active,paused,closing slot_closed system -> settled
scheduled,funding slot_closed system -> cancelled
scheduled,funding,funded,active,paused cancel client payee operator system -> cancelled
"""

DRAWDOWN_ROWS = """
- draw payee -> submitted
submitted approve client -> approved
submitted review_ends system -> approved
submitted reject client -> rejected
submitted withdraw payee -> withdrawn
submitted bill client system -> charging
submitted lapse system -> lapsed
charging start_funding system -> =
charging release_earned system -> approved
charging leave_unpaid system -> unpaid
charging slot_closed system -> settled
"""

TERM_AMENDMENT_ROWS = """
- propose client payee -> proposed
proposed accept client payee -> signed
proposed reject client payee -> rejected
proposed withdraw client payee -> withdrawn
"""

ASKED = "warning,closed"
OPEN_CASE = f"{ASKED},needs_response"
IN_CASE = f"{OPEN_CASE},under_review"
ENDED = "won,lost,prevented"
APPEALED = f"{IN_CASE},{ENDED},appeal_open,appeal_under_review"

CHARGEBACK_ROWS = f"""
- warn rail -> warning
-,warning close_warning rail -> closed
-,{ASKED} need_response rail -> needs_response
-,{OPEN_CASE} review rail -> under_review
-,{IN_CASE} win rail -> won
-,{IN_CASE} lose rail -> lost
-,{IN_CASE} prevent rail -> prevented
lost,prevented turn_won rail -> won
won,prevented turn_lost rail -> lost
won,lost turn_prevented rail -> prevented
appeal_lost turn_won rail -> appeal_won
appeal_won turn_lost rail -> appeal_lost
-,{IN_CASE},{ENDED} open_appeal rail -> appeal_open
-,{IN_CASE},{ENDED},appeal_open review_appeal rail -> appeal_under_review
-,{APPEALED} win_appeal rail -> appeal_won
-,{APPEALED} lose_appeal rail -> appeal_lost
warning,needs_response,under_review,appeal_open tell_payee operator system -> =
warning,needs_response,under_review,appeal_open answer payee operator -> =
needs_response submit_evidence operator -> under_review
appeal_open submit_evidence operator -> appeal_under_review
"""

RELEASE_ROWS = """
pending hold_ends system -> available
pending set_aside client operator -> =
pending,available put_back system -> =
"""


def rows_of(text: str) -> dict[tuple[str, str, str], str]:
    """(state, trigger, role) -> next state, as the text says."""
    found = {}
    for line in filter(None, text.splitlines()):
        left, _, to = line.partition(" -> ")
        states, trigger, *who = left.split()
        for state, role in product(states.split(","), who):
            found[state, trigger, role] = state if to == "=" else to
    return found


CLAIM_ROWS = """
- create payee operator rail -> open
open recover system -> open
open recover_all system -> recovered
open relieve rail -> open
open relieve_all rail -> recovered
open propose_write_off operator -> open
open approve_write_off operator -> written_off
"""

MACHINES = [
    (CONTRACTS, ContractState, CONTRACT_ROWS),
    (SLOTS, SlotState, SLOT_ROWS),
    (FUNDINGS, FundingState, FUNDING_ROWS),
    (REFUNDS, RefundState, REFUND_ROWS),
    (RELEASES, ReleaseState, RELEASE_ROWS),
    (DISPUTES, DisputeState, DISPUTE_ROWS),
    (RETAINERS, RetainerState, RETAINER_ROWS),
    (PERIODS, PeriodState, PERIOD_ROWS),
    (DRAWDOWNS, DrawdownState, DRAWDOWN_ROWS),
    (TERM_AMENDMENTS, OfferState, TERM_AMENDMENT_ROWS),
    (CLAIMS, ClaimState, CLAIM_ROWS),
    (CHARGEBACKS, ChargebackState, CHARGEBACK_ROWS),
]
NAMES = [
    "contract",
    "slot",
    "funding",
    "refund",
    "release",
    "dispute",
    "retainer",
    "period",
    "drawdown",
    "term_amendment",
    "claim",
    "chargeback",
]


@pytest.mark.parametrize(("machine", "states", "text"), MACHINES, ids=NAMES)
def test_every_state_trigger_and_role(machine: Machine, states: Any, text: str) -> None:
    """In the list a step leads where it says; any other is refused, a stranger's always."""
    expected = rows_of(text)

    for state, trigger in product([None, *states], Trigger):
        may = {role for at, what, role in expected if (at, what) == (state or "-", trigger)}
        for role in Role:
            if role in may:
                row, _ = step(machine, state, trigger, (role,))
                assert row.to == expected[state or "-", trigger, role]
            else:
                with pytest.raises(NotYours if may else WrongState):
                    step(machine, state, trigger, (role,))
        with pytest.raises(NotYours):
            step(machine, state, trigger, ())
    assert {(s or "-", t) for s, t in machine} == {(s, t) for s, t, _ in expected}


@pytest.mark.parametrize(("machine", "states", "text"), MACHINES, ids=NAMES)
def test_every_row_leads_to_a_state_of_its_machine(
    machine: Machine, states: type[StrEnum], text: str
) -> None:
    """No row leads out of its machine."""
    assert text
    assert {type(row.to) for row in machine.values()} <= {states}


def test_every_guard_of_a_slot_has_its_check() -> None:
    """A row of the slot's table cannot name a guard that nobody checks."""
    checked_before_it_is_a_slot = {Guard.AMOUNT_IN_RANGE}

    named = {guard for row in SLOTS.values() for guard in row.guards}

    assert named - checked_before_it_is_a_slot <= set(GUARDS)


def test_money_leaves_only_where_no_hold_is_open() -> None:
    """Each row whose movement takes money out of a slot or a hold asks for open holds."""
    outflows = {"P05", "P07", "P09", "P10", "P11", "P13", "P14", "P17", "P29"}

    rows = [row for table in (SLOTS, RELEASES) for row in table.values()]

    assert all(Guard.NO_HOLD in row.guards for row in rows if outflows & set(row.movement))
