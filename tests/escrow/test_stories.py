"""Money stories of the milestone, as text: what is done, and what the books then say."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection

from escrow.model import Method, ReleaseRule, Terms
from kernel.commands import Outcome
from kernel.money import parse_minor
from rails.model import RailOutcome
from tests.escrow.stage import Stage, check_balances, prove_books

Act = Callable[[Stage, str], Outcome | int | None]


def _minor(stage: Stage, amount: str) -> int:
    return parse_minor(amount, stage.currency)


def _last_refund(stage: Stage) -> str:
    return str(stage.connection.exec_driver_sql("SELECT max(id::text) FROM refund").scalar_one())


def _to_next(stage: Stage, slot: str) -> Outcome:
    stage.slot_id = stage.slot_ids[int(slot) - 1]
    return stage.amend(to_slot_id=stage.slot_ids[int(slot)])


def _turn_to(stage: Stage, slot: str) -> None:
    stage.slot_id = stage.slot_ids[int(slot) - 1]


ACTS: dict[str, Act] = {
    "client pays": lambda s, fee: s.fund(_minor(s, fee) if fee else 0),
    "client pays from the wallet": lambda s, _: s.start_funding(Method.WALLET),
    "wallet is filled with": lambda s, amount: s.fill_wallet(_minor(s, amount)),
    "freelancer submits": lambda s, _: s.submit(),
    "freelancer withdraws": lambda s, _: s.on_slot("withdraw_submission", s.payee),
    "client asks for changes": lambda s, why: s.on_slot("request_changes", s.client, reason=why),
    "client approves": lambda s, _: s.approve(),
    "client releases": lambda s, amount: s.release_part(_minor(s, amount)),
    "client confirms": lambda s, _: s.on_slot("confirm", s.client),
    "freelancer confirms": lambda s, _: s.on_slot("confirm", s.payee),
    "client asks for a refund": lambda s, _: s.on_slot("ask_refund", s.client),
    "freelancer agrees": lambda s, _: s.on_slot("accept_refund", s.payee),
    "freelancer gives it back": lambda s, _: s.on_slot("give_back", s.payee),
    "rail pays the refund": lambda s, _: s.refund_result(_last_refund(s), RailOutcome.DONE),
    "rail refuses the refund": lambda s, _: s.refund_result(_last_refund(s), RailOutcome.REFUSED),
    "client tips": lambda s, amount: s.tip(_minor(s, amount)),
    "client tips from the wallet": lambda s, amount: s.tip(_minor(s, amount), Method.WALLET),
    "rail takes the tip, fee": lambda s, fee: s.hear(s.result(fee_minor=_minor(s, fee))),
    "both sign the price": lambda s, amount: s.amend(new_amount_minor=_minor(s, amount)),
    "both sign to roll on from slot": _to_next,
    "we turn to slot": _turn_to,
    "days pass:": lambda s, days: s.wait(days=int(days)),
    "hours pass:": lambda s, hours: s.wait(hours=int(hours)),
    "operator's key settles": lambda s, _: s.on_slot("settle_dormant", s.operator_key),
    "operator settles": lambda s, _: s.on_slot("settle_dormant", s.operator),
    "client ends the contract": lambda s, _: s.on_contract("end", s.client),
}


def play(stage: Stage, story: str) -> None:
    """Act line by line, compare what each line says, and prove the books at the end."""
    for line in filter(None, map(str.strip, re.sub(r"\n\s+·", " ·", story).splitlines())):
        left, _, says = (part.strip() for part in line.partition("->"))
        words = max((act for act in ACTS if left.startswith(act)), key=len)
        outcome = ACTS[words](stage, left.removeprefix(words).strip())
        if says.startswith("refused "):
            assert isinstance(outcome, Outcome), line
            assert outcome.code == says.removeprefix("refused "), line
            continue
        if isinstance(outcome, Outcome):
            assert outcome.is_done, f"{line}: {outcome}"
        check_balances(stage.connection, stage.currency, says)
    prove_books(stage.connection)


def accepted(connection: Connection, terms: Terms | None = None, *amounts: int) -> Stage:
    """A contract that both have signed; 100.00 EUR unless said otherwise."""
    stage = Stage(connection, terms=terms or Terms(), amounts=amounts or (10_000,))
    assert stage.propose().is_done
    assert stage.accept().is_done
    return stage


WHOLE = """
client pays 3.29          -> processor pending 99.71 · due from platform 3.29 · escrow 100.00
                           · due to platform 3.00 · deferred fees 3.00
freelancer submits        -> escrow 100.00
client approves           -> escrow 0.00 · earned pending 90.00 · due to platform 13.00
                           · revenue.commission 10.00 · revenue.client fee 3.00
                           · deferred fees 0.00
client approves           -> refused escrow.wrong_state
days pass: 5              -> earned pending 0.00 · earned available 90.00
"""

BY_TIMER = """
client pays 3.29          -> escrow 100.00
freelancer submits        -> escrow 100.00
days pass: 13             -> escrow 100.00
days pass: 1              -> escrow 0.00 · earned pending 90.00 · revenue.client fee 3.00
days pass: 5              -> earned available 90.00
"""

IN_PARTS = """
client pays 3.29          -> escrow 100.00 · deferred fees 3.00
client releases 40.00     -> escrow 60.00 · earned pending 36.00 · revenue.commission 4.00
                           · revenue.client fee 3.00
client releases 60.00     -> refused escrow.amount_out_of_range
days pass: 5              -> earned pending 0.00 · earned available 36.00
client approves           -> escrow 0.00 · earned pending 54.00 · revenue.commission 10.00
"""

REFUND_WHOLE = """
client pays 3.29          -> escrow 100.00
client asks for a refund  -> escrow 100.00
freelancer agrees         -> escrow 0.00 · refund in transit 103.00 · due from platform 6.29
                           · deferred fees 0.00
rail pays the refund      -> refund in transit 0.00
"""

REFUND_BY_SILENCE = """
client pays 3.29          -> escrow 100.00
freelancer submits        ->
client asks for a refund  -> escrow 100.00
days pass: 7              -> escrow 0.00 · refund in transit 103.00
rail refuses the refund   -> refund in transit 0.00 · wallet 103.00
"""

FROM_WALLET = """
wallet is filled with 150.00 -> wallet 150.00
client pays from the wallet  -> wallet 47.00 · escrow 100.00 · deferred fees 3.00
freelancer gives it back     -> wallet 150.00 · escrow 0.00 · deferred fees 0.00
"""

POOR_WALLET = """
wallet is filled with 102.00 -> wallet 102.00
client pays from the wallet  -> refused ledger.insufficient_funds
"""

TIP = """
client pays 3.29             -> escrow 100.00
client approves              -> earned pending 90.00 · revenue.commission 10.00
client tips 20.00            -> earned pending 90.00
rail takes the tip, fee 0.90 -> earned pending 108.00 · revenue.commission 12.00
                              · revenue.client fee 3.60 · expense.processor 4.19
days pass: 5                 -> earned available 108.00
"""

TIP_FROM_WALLET = """
wallet is filled with 50.00       -> wallet 50.00
client tips from the wallet 20.00 -> wallet 29.40 · earned pending 18.00 · revenue.client fee 0.60
client tips from the wallet 40.00 -> refused ledger.insufficient_funds
"""

ROLL = """
client pays 3.29                 -> escrow 100.00
client releases 40.00            -> escrow 60.00 · earned pending 36.00
both sign to roll on from slot 1 -> escrow 60.00
we turn to slot 2                -> escrow 60.00
freelancer submits               ->
client approves                  -> escrow 0.00 · earned pending 90.00 · revenue.commission 10.00
                                  · revenue.client fee 3.00
"""

ROLL_UNTOUCHED_AND_REFUND = """
client pays 3.29                 -> escrow 100.00 · deferred fees 3.00
both sign to roll on from slot 1 -> escrow 100.00 · deferred fees 3.00
we turn to slot 2                ->
freelancer gives it back         -> escrow 0.00 · refund in transit 103.00 · deferred fees 0.00
"""

RAISE = """
client pays 3.29             -> escrow 100.00 · deferred fees 3.00
client pays 0.10             -> refused escrow.nothing_unpaid
both sign the price 150.00   -> escrow 100.00
client pays 1.79             -> escrow 150.00 · deferred fees 4.50
freelancer gives it back     -> escrow 0.00 · refund in transit 154.50 · deferred fees 0.00
"""

LOWER = """
client pays 3.29             -> escrow 100.00 · deferred fees 3.00
both sign the price 60.00    -> escrow 60.00 · refund in transit 41.20 · deferred fees 1.80
client approves              -> escrow 0.00 · earned pending 54.00 · revenue.client fee 1.80
"""

BOTH = """
client pays 3.29             -> escrow 100.00
client approves              -> refused escrow.needs_both
client confirms              -> refused escrow.wrong_state
freelancer submits           ->
freelancer confirms          -> escrow 100.00
freelancer confirms          -> refused escrow.already_confirmed
client confirms              -> escrow 0.00 · earned pending 90.00
"""

CLIENT_ONLY = """
client pays 3.29             -> escrow 100.00
freelancer submits           ->
days pass: 40                -> escrow 100.00
client approves              -> escrow 0.00 · earned pending 90.00
"""

CHANGES = """
client pays 3.29                           -> escrow 100.00
freelancer submits                         ->
client asks for changes                    -> refused escrow.reason_required
client asks for changes the logo is blue   -> escrow 100.00
days pass: 20                              -> escrow 100.00
freelancer submits                         ->
client asks for changes still blue         -> refused escrow.change_rounds_used
days pass: 14                              -> escrow 0.00 · earned pending 90.00
"""

DORMANT_REFUND = """
client pays 3.29             -> escrow 100.00
days pass: 89                -> escrow 100.00
days pass: 1                 -> escrow 0.00 · refund in transit 103.00
"""

DORMANT_RELEASE = """
client pays 3.29             -> escrow 100.00
freelancer submits           ->
days pass: 90                -> escrow 0.00 · earned pending 90.00
"""

DORMANT_ABOVE_LIMIT = """
client pays 3.29             -> escrow 100.00
days pass: 100               -> escrow 100.00
operator's key settles       -> refused escrow.above_limit
operator settles             -> escrow 0.00 · refund in transit 103.00
"""

ENDS = """
client pays 3.29             -> escrow 100.00
client ends the contract     -> escrow 100.00
days pass: 7                 -> escrow 0.00 · refund in transit 103.00
rail pays the refund         -> refund in transit 0.00
days pass: 2                 -> escrow 0.00
"""

ONE_ROUND = Terms(free_change_rounds=1)
BOTH_TERMS = Terms(release_rule=ReleaseRule.BOTH_CONFIRM)
CLIENT_TERMS = Terms(release_rule=ReleaseRule.CLIENT_ONLY)
CAUTIOUS = Terms(dormant_limit_minor=9_999)
THREE = (10_000, 20_000)

STORIES: dict[str, tuple[str, Terms, tuple[int, ...]]] = {
    "whole": (WHOLE, Terms(), ()),
    "by timer": (BY_TIMER, Terms(), ()),
    "in parts": (IN_PARTS, Terms(), ()),
    "refund agreed": (REFUND_WHOLE, Terms(), ()),
    "refund by silence": (REFUND_BY_SILENCE, Terms(), ()),
    "from the wallet": (FROM_WALLET, Terms(), ()),
    "poor wallet": (POOR_WALLET, Terms(), ()),
    "tip": (TIP, Terms(), ()),
    "tip from the wallet": (TIP_FROM_WALLET, Terms(), ()),
    "roll forward": (ROLL, Terms(), THREE),
    "roll untouched": (ROLL_UNTOUCHED_AND_REFUND, Terms(), THREE),
    "raise the price": (RAISE, Terms(), ()),
    "lower the price": (LOWER, Terms(), ()),
    "both confirm": (BOTH, BOTH_TERMS, ()),
    "both silent": (BY_TIMER, BOTH_TERMS, ()),
    "client only": (CLIENT_ONLY, CLIENT_TERMS, ()),
    "changes": (CHANGES, ONE_ROUND, ()),
    "dormant, nothing shown": (DORMANT_REFUND, Terms(), ()),
    "dormant, work shown": (DORMANT_RELEASE, CLIENT_TERMS, ()),
    "dormant above the limit": (DORMANT_ABOVE_LIMIT, CAUTIOUS, ()),
    "contract ends": (ENDS, Terms(), ()),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(connection: Connection, name: str) -> None:
    """Each line of the story leaves the books as it says, and they are proven at the end."""
    story, terms, amounts = STORIES[name]
    stage = accepted(connection, terms, *amounts)

    play(stage, story)

    assert stage.slot().version > 1


def test_an_ended_contract_closes_by_itself(connection: Connection) -> None:
    """Once all is settled, the clock closes an ending contract."""
    stage = accepted(connection)

    play(stage, ENDS)

    state = connection.exec_driver_sql(
        "SELECT state FROM contract WHERE id = %s", (stage.contract_id,)
    ).scalar_one()
    assert state == "ended"


def test_silence_is_spoken_of_three_times(connection: Connection) -> None:
    """Dormancy comes at day 90, after notices on days 60, 75 and 85; activity starts it anew."""
    stage = accepted(connection)
    assert stage.fund().is_done
    stage.wait(days=50)
    assert stage.submit().is_done
    assert stage.on_slot("withdraw_submission", stage.payee).is_done
    start = stage.now

    stage.wait(days=95)

    notices = connection.exec_driver_sql(
        "SELECT effective_at FROM event WHERE kind = 'slot.dormancy_notice' ORDER BY effective_at"
    ).scalars()
    assert [each - start for each in notices] == [timedelta(days=n) for n in (60, 75, 85)]
    assert stage.slot().state == "refunded"


def test_ids_are_uuids(connection: Connection) -> None:
    """Answers name things by ids that a caller can send back."""
    stage = accepted(connection)

    answer = stage.fund()

    assert UUID(answer.facts["slot_id"]) == stage.slot_id
    assert UUID(answer.facts["funding_id"]) == stage.funding_id
