"""What callers do: deals from the first offer to the payout, each step with a key of its own."""

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tests.durability.caller import Caller, Count, Heard, Sent

AT_ONCE: Final = 12
"""Deals that one caller has under way."""

LONGEST_WAIT_S: Final = 120.0
"""A deal that waits longer for the worker is left as it is; the books must hold all the same."""

_LOOK_EVERY_S: Final = 0.3
CLOCK_STEP: Final = timedelta(hours=6)
_STEP_EVERY_S: Final = 0.4
_TERMS: Final = {"auto_release_hours": 36, "security_hold_days": 1}
_ENDED: Final = frozenset({"released", "refunded", "cancelled"})

Steps = Iterator[float]
"""Each yield waits for others, and says for how many seconds."""


@dataclass(slots=True)
class Hand:
    """One caller at work on one deal, whose name begins all its keys."""

    caller: Caller
    name: str
    count: Count

    def post(self, step: str, path: str, body: dict[str, Any], *, party: str = "") -> Heard:
        """One step of the deal."""
        key = f"{self.name}-{step}"
        heard = self.caller.post(Sent(key=key, path=path, party=party, body=body))
        self.count.add(step)
        return heard

    def make_party(self, kind: str) -> str:
        """A party whose identity is verified."""
        made = self.post(kind, "/v1/parties", {"kind": kind, "reference": f"{self.name}-{kind}"})
        party_id = str(made.body["id"])
        states = {"kyc_state": "verified", "sanction_state": "clear"}
        self.post(f"{kind}-states", f"/v1/parties/{party_id}/states", states)
        return party_id


def deal(hand: Hand, chance: random.Random) -> Steps:
    """Offer, accept, pay by card, submit, approve or stay silent, and pay out what was earned."""
    client, payee = hand.make_party("client"), hand.make_party("freelancer")
    token = {"token": f"bank_{hand.name}"}
    method = hand.post("method", f"/v1/parties/{payee}/payout_methods", token, party=payee)
    yield 0
    amount = {"amount": f"{chance.randrange(1_000, 90_000) / 100:.2f}", "currency": "EUR"}
    offer = {
        "client_id": client,
        "payee_id": payee,
        "currency": "EUR",
        "milestones": [{"amount": amount}],
        "terms": _TERMS,
    }
    offered = hand.post("propose", "/v1/contracts", offer, party=client)
    contract_id = offered.body["contract_id"]
    (slot_id,) = offered.body["slot_ids"]
    hand.post("accept", f"/v1/contracts/{contract_id}/accept", {}, party=payee)
    slot = f"/v1/slots/{slot_id}"
    hand.post("fund", f"{slot}/fundings", {"method": "card"}, party=client)
    yield from _wait_for(hand, slot, frozenset({"funded", "awaiting_funding"}))
    if hand.caller.get(slot)["state"] != "funded":
        return
    hand.post("submit", f"{slot}/submit", {"message_ref": hand.name}, party=payee)
    yield 0
    if chance.random() < 0.7:
        hand.post("approve", f"{slot}/approve", {}, party=client)
    yield from _wait_for(hand, slot, _ENDED)
    yield from _pay_out(hand, payee, method.body["method_id"])


def _pay_out(hand: Hand, payee: str, method_id: str) -> Steps:
    """Ask for all that the payee may have, once it is his."""
    for pause_s in _looks():
        for balance in hand.caller.get(f"/v1/parties/{payee}/balances")["balances"]:
            available = balance["earned_available"]
            if float(available["amount"]) > 0:
                body = {"payee_id": payee, "method_id": method_id, "amount": available}
                if hand.post("payout", "/v1/payouts", body, party=payee).is_done:
                    hand.count.add_payout()
                return
        yield pause_s


def _wait_for(hand: Hand, slot: str, states: frozenset[str]) -> Steps:
    for pause_s in _looks():
        if hand.caller.get(slot)["state"] in states:
            return
        yield pause_s


def _looks() -> Iterator[float]:
    """The pause after each look, for as long as a deal waits."""
    give_up_at = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < give_up_at:
        yield _LOOK_EVERY_S


def drive(caller: Caller, name: str, count: Count, over: threading.Event) -> None:
    """Some deals at a time, a step of each in turn, until it is over."""
    numbers = itertools.count()
    under_way: deque[tuple[float, Steps]] = deque()
    while not over.is_set():
        if len(under_way) < AT_ONCE:
            hand = Hand(caller, f"{name}-{next(numbers)}", count)
            under_way.append((0.0, deal(hand, random.Random(hand.name))))
        look_at, steps = under_way.popleft()
        if look_at > time.monotonic():
            under_way.append((look_at, steps))
            over.wait(0.002)
            continue
        pause_s = next(steps, None)
        if pause_s is not None:
            under_way.append((time.monotonic() + pause_s, steps))


def drive_clock(caller: Caller, name: str, count: Count, over: threading.Event) -> None:
    """Walk the sandbox's clock on, so that timers fall due and money becomes available."""
    for number in itertools.count():
        if over.wait(_STEP_EVERY_S):
            return
        to = datetime.fromisoformat(caller.get("/v1/clock")["now"]) + CLOCK_STEP
        body = {"to": to.isoformat().replace("+00:00", "Z")}
        Hand(caller, f"{name}-{number}", count).post("advance", "/v1/clock/advance", body)
