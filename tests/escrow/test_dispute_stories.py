"""Money stories of disputes: frozen, withdrawn, settled, decided; every cent stays somewhere."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from escrow import store
from escrow.model import Terms
from kernel.commands import Outcome
from kernel.money import parse_minor
from kernel.principals import Actor
from tests.escrow.stage import Stage, check_balances, prove_books
from tests.escrow.stage_dispute import Court

Act = Callable[[Court, str], Outcome | int | None]


def _minor(court: Court, amount: str) -> int | None:
    if not amount:
        return None
    return parse_minor(amount, court.stage.currency) if amount.strip("0.") else 0


def _who(court: Court, name: str) -> Actor:
    return {"client": court.stage.client, "freelancer": court.stage.payee}[name]


def _offer(court: Court, text: str, *, is_reply: bool = False) -> Outcome:
    name, _, amount = text.partition(" ")
    return court.offer(_who(court, name), _minor(court, amount), is_reply=is_reply)


def _again(court: Court, _: str) -> None:
    court.dispute_id = Court(court.stage).dispute_id


ACTS: dict[str, Act] = {
    "freelancer submits": lambda c, _: c.stage.submit(),
    "client releases": lambda c, amount: c.stage.release_part(_minor(c, amount) or 0),
    "client approves": lambda c, _: c.stage.approve(),
    "client appeals": lambda c, _: c.appeal(),
    "freelancer appeals": lambda c, _: c.appeal(c.stage.payee),
    "contract is ended by": lambda c, name: c.stage.on_contract("end", _who(c, name)),
    "client asks for a refund": lambda c, _: c.stage.on_slot("ask_refund", c.stage.client),
    "freelancer gives it back": lambda c, _: c.stage.on_slot("give_back", c.stage.payee),
    "freelancer rejects the refund": lambda c, _: c.open(c.stage.payee, rejects_refund=True),
    "dispute by": lambda c, text: c.open(
        _who(c, text.partition(" ")[0]), _minor(c, text.partition(" ")[2])
    ),
    "another dispute is to come": _again,
    "served": lambda c, _: c.serve(),
    "reply by": lambda c, text: _offer(c, text, is_reply=True),
    "offer by": _offer,
    "accepted by client, offer": lambda c, no: c.accept(c.stage.client, int(no)),
    "accepted by freelancer, offer": lambda c, no: c.accept(c.stage.payee, int(no)),
    "conceded by": lambda c, name: c.act("concede_dispute", _who(c, name)),
    "withdrawn by": lambda c, name: c.act("withdraw_dispute", _who(c, name)),
    "mediation asked by": lambda c, name: c.act("mediate_dispute", _who(c, name)),
    "evidence by": lambda c, name: c.file(_who(c, name)),
    "recommended": lambda c, amount: c.recommend(_minor(c, amount) or 0),
    "arbitration elected by": lambda c, name: c.act("elect_arbitration", _who(c, name)),
    "wallet is filled with": lambda c, amount: c.stage.fill_wallet(_minor(c, amount) or 0),
    "decision proposed": lambda c, amount: c.propose(_minor(c, amount) or 0),
    "decision approved": lambda c, _: c.approve(),
    "decision approved by its proposer": lambda c, _: c.approve(c.judge),
    "days pass:": lambda c, days: c.stage.wait(days=int(days)),
    "hours pass:": lambda c, hours: c.stage.wait(hours=int(hours)),
}


def check_story(court: Court, story: str) -> None:
    """Each line: what is done, then what the books say, or with which code it is refused."""
    for line in filter(None, (each.strip() for each in story.splitlines())):
        told, _, expected = (part.strip() for part in line.partition("->"))
        name = max((each for each in ACTS if told.startswith(each)), key=len)
        outcome = ACTS[name](court, told[len(name) :].strip())
        code = outcome.code if isinstance(outcome, Outcome) else "done"
        refusal = re.fullmatch(r"refused ([a-z_.]+)", expected)
        assert code == (refusal.group(1) if refusal else "done"), line
        if not refusal:
            check_state(court, expected)
        prove_books(court.stage.connection)


def check_state(court: Court, expected: str) -> None:
    """`slot submitted` and `dispute executed` beside the balances."""
    balances = []
    for item in filter(None, (part.strip() for part in expected.split("·"))):
        if item.startswith("slot "):
            assert court.stage.slot().state == item.removeprefix("slot "), item
        elif item.startswith("dispute "):
            assert court.dispute.state == item.removeprefix("dispute "), item
        elif item.startswith("contract "):
            assert contract_state(court) == item.removeprefix("contract "), item
        else:
            balances.append(item)
    check_balances(court.stage.connection, court.stage.currency, " · ".join(balances))


def contract_state(court: Court) -> str:
    """The state of the contract whose slot is disputed."""
    (contract,) = store.find_contracts(court.stage.connection, [court.stage.contract_id])
    return contract.state.value


STORIES = {
    "row 13, 14: frozen and withdrawn": """
        freelancer submits           -> slot submitted
        days pass: 13                ->
        dispute by client            -> escrow 0.00 · escrow disputed 100.00 · slot disputed
        client approves              -> refused escrow.wrong_state
        freelancer gives it back     -> refused escrow.wrong_state
        days pass: 30                -> escrow disputed 100.00 · slot disputed
        withdrawn by freelancer      -> refused dispute.only_opener
        withdrawn by client          -> escrow 100.00 · escrow disputed 0.00 · slot submitted
        hours pass: 71               -> slot submitted
        hours pass: 1                -> slot released · earned pending 90.00
    """,
    "row 13: a part is frozen, the rest stands still and goes on": """
        freelancer submits           ->
        dispute by client 40.00      -> escrow 60.00 · escrow disputed 40.00 · slot disputed
        client releases 10.00        -> refused escrow.wrong_state
        served                       -> dispute awaiting_reply
        conceded by client           -> refused dispute.only_respondent
        conceded by freelancer       -> escrow 60.00 · refund in transit 41.20 · slot submitted
        client approves              -> escrow 0.00 · earned pending 54.00 · slot released
    """,
    "row 11: silence after notice, never before it": """
        client asks for a refund     -> slot refund_requested
        freelancer rejects the refund -> escrow disputed 100.00 · dispute opened
        days pass: 60                -> slot disputed · dispute opened
        served                       -> dispute awaiting_reply
        days pass: 8                 -> dispute executed · slot released · earned pending 90.00
    """,
    "small claims go to a decision on documents": """
        freelancer submits           ->
        dispute by client            ->
        reply by freelancer 80.00    -> dispute negotiation
        mediation asked by client    -> dispute arbitration
        decision proposed 70.00      -> refused dispute.not_heard
        evidence by client           ->
        evidence by freelancer       ->
        decision proposed 70.00      -> dispute arbitration · escrow disputed 100.00
        decision approved by its proposer -> refused dispute.same_person
        decision approved            -> earned pending 63.00 · refund in transit 30.00
        days pass: 0                 -> dispute executed · slot released
        days pass: 6                 -> earned pending 0.00 · earned available 63.00
    """,
    "offers bind once accepted, the latest counts": """
        dispute by client            ->
        served                       ->
        reply by freelancer 90.00    -> dispute negotiation
        offer by client 10.00        ->
        offer by freelancer 60.00    ->
        accepted by client, offer 1  -> refused dispute.no_such_offer
        accepted by freelancer, offer 3 -> refused dispute.no_such_offer
        accepted by client, offer 3  -> earned pending 54.00 · refund in transit 40.00
        days pass: 0                 -> dispute executed · slot released
        withdrawn by client          -> refused escrow.wrong_state
    """,
    "both agree to go on": """
        freelancer submits           ->
        dispute by client            ->
        reply by freelancer          -> dispute negotiation
        accepted by client, offer 1  -> dispute executed · slot submitted · escrow 100.00
        client approves              -> slot released · earned pending 90.00
    """,
    "one after another": """
        dispute by client 30.00      -> escrow disputed 30.00
        withdrawn by client          -> escrow disputed 0.00 · slot funded
        another dispute is to come   ->
        dispute by freelancer 50.00  -> escrow disputed 50.00 · slot disputed
        conceded by client           -> escrow 50.00 · earned pending 45.00 · slot funded
        freelancer gives it back     -> escrow 0.00 · slot refunded
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_story(connection: Connection, story: str) -> None:
    """After each line the books say what the line says, and are proved."""
    check_story(Court(Stage(connection, terms=Terms()).ready()), story)
