"""Disputes under any acts of both sides, of operators and of clocks, drawn by seeds.

After each act: what is frozen or set aside is what open disputes claim, shares sum to it, holds
and contract follow, and the books are proved. At the end of each play nothing is left frozen.
"""

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Final

import pytest
from sqlalchemy import Connection, Engine

from escrow import service_claims, service_dispute, store, store_dispute
from escrow.model import Role, SlotState, Terms
from escrow.model_chargeback import RefundLater
from escrow.model_dispute import Dispute, DisputeState, SetDisputeRules
from kernel.commands import Outcome
from kernel.database import Tenant, enter
from kernel.principals import Actor
from tests.escrow.stage import START, Stage, person, prove_books, shown_minor
from tests.escrow.stage_dispute import Court

PRICE: Final = 60_001
OVER: Final = frozenset({DisputeState.EXECUTED, DisputeState.WITHDRAWN})

_ANY_TIME: Final = {
    "wait": 0.6,
    "hold": 0.2,
    "fill wallet": 0.3,
    "wrong step": 0.7,
    "end": 0.1,
    "submit": 0.2,
    "release": 0.3,
    "refund later": 0.2,
    "open": 0.2,
}
_BARGAIN: Final = {"offer": 2.0, "accept": 0.5, "file": 1.5, "extend": 0.4, "withdraw": 0.2}
_D = DisputeState
_WEIGHTS: Final[Mapping[DisputeState | None, Mapping[str, float]]] = {
    None: {"open": 5.0, "submit": 1.0, "release": 3.0, "refund later": 1.5, "refund": 0.3},
    _D.OPENED: {"serve": 5.0, "answer": 1.0, "withdraw": 0.3, "file": 0.5},
    _D.AWAITING_REPLY: {"answer": 4.0, "silence": 3.0, "extend": 0.5, "file": 0.5},
    _D.NEGOTIATION: {"mediate": 5.0, **_BARGAIN},
    _D.MEDIATION: {**_BARGAIN, "file": 5.0, "recommend": 5.0},
    _D.RECOMMENDATION: {"fill wallet": 3.0, "elect": 5.0, "silence": 1.0, **_BARGAIN},
    _D.ARBITRATION_ELECT: {"fill wallet": 3.0, "elect": 4.0, "silence": 1.0, **_BARGAIN},
    _D.ARBITRATION: {"file": 3.0, "decide": 5.0},
    _D.EXECUTED: {"appeal": 8.0, "open": 5.0, "refund later": 1.5, "release": 3.0, "submit": 1.0},
    _D.WITHDRAWN: {"open": 5.0, "refund later": 1.5, "release": 3.0, "submit": 1.0},
}
"""How likely an act is, by the state of the newest dispute, besides what may come at any time."""


class Tribunal:
    """One slot, one dispute after another over it, and everybody who may do something about it."""

    def __init__(self, connection: Connection, tally: Counter[str]) -> None:
        self.tally = tally
        self.connection = connection
        self.acts = 0
        self.now = START
        rules = SetDisputeRules(
            actor=person(None, is_operator=True),
            currency="EUR",
            small_claim_minor=20_000,
            fee_bps=500,
            small_fee_bps=300,
        )
        assert service_dispute.set_dispute_rules(connection, [rules], at=START)[0].is_done
        self.begin_anew()

    def begin_anew(self) -> None:
        """A deal whose slot is funded, at the time that it is."""
        terms = Terms(commission_bps=1_250, client_fee_bps=300)
        stage = Stage(self.connection, terms=terms, amounts=(PRICE,), now=self.now)
        self.stage = stage.ready()
        self.court = Court(self.stage)
        self.opened: list[Court] = []
        self.has_hold = False

    @property
    def is_spent(self) -> bool:
        """Whether there is no money left to dispute."""
        pending = store.list_pending_releases(self.connection, self.stage.slot_id)
        return self.is_free and not pending and not self.stage.slot().held_minor

    @property
    def state(self) -> DisputeState | None:
        """Of the newest dispute; None before the first."""
        return self.court.dispute.state if self.opened else None

    @property
    def is_free(self) -> bool:
        """Whether no dispute runs."""
        return self.state is None or self.state in OVER

    def note(self, name: str, outcome: Outcome) -> None:
        """Count what took effect; a refusal has a code and is counted apart."""
        self.tally[name if outcome.is_done else f"refused {outcome.code}"] += 1

    def side(self, *, is_client: bool) -> Actor:
        return self.stage.client if is_client else self.stage.payee

    def either(self, dice: Random) -> Actor:
        """One of the two parties."""
        return self.side(is_client=dice.random() < 0.5)

    def share(self, dice: Random) -> int:
        """Any payee's share of the claim."""
        return dice.randrange(self.court.dispute.claim_minor + 1)

    def step(self, roll: int) -> None:
        """One act, drawn by weight, with all that it needs."""
        self.acts += 1
        if self.is_spent:
            self.to_the_end()
            self.begin_anew()
        dice = Random(f"{roll} {self.acts}")
        weights = {**_ANY_TIME, **_WEIGHTS.get(self.state, {})}
        (name,) = dice.choices(list(weights), list(weights.values()))
        getattr(self, f"do_{name.replace(' ', '_')}")(dice)

    # -- the deal

    def do_submit(self, _: Random) -> None:
        self.note("submit", self.stage.submit())

    def do_refund(self, dice: Random) -> None:
        verb = dice.choice(["ask_refund", "accept_refund", "give_back"])
        actor = self.side(is_client=verb == "ask_refund")
        self.note(verb, self.stage.on_slot(verb, actor))

    def do_release(self, dice: Random) -> None:
        """The client releases a part, or seldom all."""
        part = dice.randrange(1, PRICE // 3)
        is_whole = dice.random() < 0.3
        self.note("release", self.stage.approve() if is_whole else self.stage.release_part(part))

    def do_refund_later(self, dice: Random) -> None:
        """The payee sends released money back."""
        amount = dice.randrange(1, min(self.stage.slot().kept_minor, 500) + 2)
        command = RefundLater(
            actor=self.stage.payee, slot_id=self.stage.slot_id, amount_minor=amount
        )
        (outcome,) = service_claims.refund_later(self.connection, [command], at=self.stage.now)
        self.note("refund later", outcome)

    def do_end(self, dice: Random) -> None:
        """Seldom: either party ends the contract."""
        self.note("end", self.stage.on_contract("end", self.either(dice)))

    def do_wait(self, dice: Random) -> None:
        """Time passes, and what falls due rings."""
        self.tally["rang"] += self.stage.wait(hours=dice.choice((1, 6, 24, 60)))

    def do_silence(self, _: Random) -> None:
        """Nobody does anything for long enough."""
        self.tally["rang"] += self.stage.wait(hours=200)

    def do_hold(self, dice: Random) -> None:
        """A hold comes, or goes."""
        subject = f"party:{self.stage.payee.party_id}"
        if self.has_hold:
            self.stage.lift(subject)
        else:
            self.stage.hold(subject, dice.choice(["compliance", "tax"]))
        self.has_hold = not self.has_hold

    def do_fill_wallet(self, _: Random) -> None:
        """The client has money for a fee."""
        if shown_minor(self.connection, "wallet", "EUR") < PRICE:
            self.stage.fill_wallet(5_000)

    # -- the dispute

    def do_open(self, dice: Random) -> None:
        """Somebody disputes what is held, or what was released."""
        court = Court(self.stage)
        by = dice.choice(["client", "payee", "payee", "operator"])
        pending = store.list_pending_releases(self.connection, self.stage.slot_id)
        release = dice.choice([None, *pending])
        slot = self.stage.slot()
        most = release.gross_minor if release else slot.held_minor
        outcome = court.open(
            getattr(self.stage, by),
            dice.choice([None, dice.randrange(most + 1)]),
            claimant=Role.CLIENT if by == "operator" else None,
            rejects_refund=slot.state is SlotState.REFUND_REQUESTED and by == "payee",
            release_id=release.id if release else None,
        )
        if outcome.is_done:
            assert self.is_free, "one dispute of a slot runs at a time"
            self.court = court
            self.opened.append(court)
        self.note("open later" if "release_id" in outcome.facts else "open", outcome)

    def do_serve(self, _: Random) -> None:
        self.note("serve", self.court.serve())

    def do_answer(self, dice: Random) -> None:
        """The other side concedes, or replies with a figure, or with none."""
        answerer = self.side(is_client=self.court.dispute.respondent is Role.CLIENT)
        if dice.random() < 0.15:
            self.note("concede", self.court.act("concede_dispute", answerer))
            return
        figure = dice.choice([self.share(dice), self.share(dice), None])
        self.note("reply", self.court.offer(answerer, figure, is_reply=True))

    def do_offer(self, dice: Random) -> None:
        self.note("offer", self.court.offer(self.either(dice), self.share(dice)))

    def do_accept(self, dice: Random) -> None:
        offers = store_dispute.list_offers(self.connection, self.court.dispute_id)
        number = dice.randrange(1, len(offers) + 2)
        self.note("accept", self.court.accept(self.either(dice), number))

    def do_file(self, dice: Random) -> None:
        self.note("file", self.court.file(self.either(dice)))

    def do_mediate(self, dice: Random) -> None:
        self.plain("mediate_dispute", self.either(dice))

    def do_elect(self, dice: Random) -> None:
        self.plain("elect_arbitration", self.either(dice))

    def do_extend(self, _: Random) -> None:
        self.plain("extend_dispute", self.stage.operator)

    def do_withdraw(self, _: Random) -> None:
        self.plain("withdraw_dispute", getattr(self.stage, self.court.dispute.opened_by))

    def do_recommend(self, dice: Random) -> None:
        self.note("recommend", self.court.recommend(self.share(dice)))

    def do_decide(self, dice: Random) -> None:
        """One proposes, and he himself or another approves."""
        self.note("propose", self.court.propose(self.share(dice)))
        is_same = dice.random() < 0.3
        outcome = self.court.approve(self.court.judge if is_same else self.court.second)
        assert not (is_same and outcome.is_done), "nobody approves his own proposal"
        self.note("decide", outcome)

    def do_appeal(self, dice: Random) -> None:
        """Whoever lost appeals, if it was by silence."""
        if not self.opened:
            return
        court = Court(self.stage, dispute_id=self.court.dispute_id)
        lost = self.side(is_client=court.dispute.respondent is Role.CLIENT)
        outcome = court.appeal(lost if dice.random() < 0.8 else self.stage.stranger)
        if outcome.is_done:
            self.court = court
            self.opened.append(court)
        self.note("appeal", outcome)

    def do_wrong_step(self, dice: Random) -> None:
        """Anybody tries anything, now or too late."""
        who: list[Actor] = [
            *(self.stage.client, self.stage.payee, self.stage.operator, self.stage.stranger),
            *(self.stage.operator_key, self.court.judge),
        ]
        verbs = [
            *("concede_dispute", "withdraw_dispute", "mediate_dispute", "extend_dispute"),
            *("elect_arbitration", "approve_decision"),
        ]
        self.plain(dice.choice(verbs), dice.choice(who))

    def plain(self, verb: str, actor: Actor) -> None:
        """A step that needs nothing more."""
        self.note(verb, self.court.act(verb, actor))

    # -- what holds after each act

    def the_books_are_proved(self) -> None:
        if self.acts % 4 == 0:
            prove_books(self.connection)

    def what_is_frozen_is_what_is_disputed(self) -> None:
        """Frozen and set aside are the claims of the one dispute that runs, to the cent."""
        running = [each for each in self._disputes() if each.state not in OVER]
        assert len(running) <= 1
        held = sum(each.claim_minor for each in running if each.release_id is None)
        later = [each for each in running if each.release_id is not None]
        slot = self.stage.slot()
        assert slot.disputed_minor == held == shown_minor(self.connection, "escrow_disputed", "EUR")
        assert slot.contested_minor == sum(each.claim_minor for each in later)
        reserved = shown_minor(self.connection, "earned_reserved", "EUR")
        assert reserved == sum(each.reserved_minor for each in later)

    def shares_sum_to_the_claim(self) -> None:
        for each in self._disputes():
            if each.payee_minor is not None:
                assert each.payee_minor + (each.client_minor or 0) == each.claim_minor

    def fees_held_are_those_paid(self) -> None:
        """What arbitrators hold is never less than what both sides paid for a running dispute."""
        paid = sum(
            each.fee_minor * (each.client_elected + each.payee_elected)
            for each in self._disputes()
            if each.state not in OVER
        )
        assert shown_minor(self.connection, "arbitration_fees_held", "EUR") >= paid

    def holds_and_contract_follow(self) -> None:
        """One hold beside a running dispute, none after; a contract is not over meanwhile."""
        holds = self.connection.exec_driver_sql(
            "SELECT count(*) FROM hold WHERE kind = 'dispute' AND lifted_at IS NULL"
        ).scalar_one()
        assert holds == (not self.is_free)
        (contract,) = store.find_contracts(self.connection, [self.stage.contract_id])
        if contract.state.value in {"ending", "ended", "closed_disputed"}:
            assert (contract.state.value == "closed_disputed") == (not self.is_free)

    def _disputes(self) -> list[Dispute]:
        return [each.dispute for each in self.opened]

    def check(self) -> None:
        """All that holds after every act."""
        self.the_books_are_proved()
        self.what_is_frozen_is_what_is_disputed()
        self.shares_sum_to_the_claim()
        self.fees_held_are_those_paid()
        self.holds_and_contract_follow()

    def teardown(self) -> None:
        """Everything comes to its end, and nothing is left frozen."""
        self.to_the_end()
        prove_books(self.connection)
        self.connection.rollback()
        self.connection.close()

    def to_the_end(self) -> None:
        """Clocks and operators finish what runs."""
        if self.has_hold:
            self.stage.lift(f"party:{self.stage.payee.party_id}")
            self.has_hold = False
        if self.state is DisputeState.OPENED:
            assert self.court.serve().is_done
        self.stage.wait(days=60)
        if self.state is DisputeState.ARBITRATION:
            assert self.court.propose(self.share(Random(7))).is_done
            assert self.court.approve().is_done
        self.stage.wait(days=200)
        assert self.is_free, self.state
        slot = self.stage.slot()
        assert (slot.disputed_minor, slot.contested_minor) == (0, 0)
        for name in ("escrow_disputed", "earned_reserved", "earned_pending"):
            assert shown_minor(self.connection, name, "EUR") == 0, name
        self.now = self.stage.now


USUAL: Final = frozenset(
    {"open", "open later", "serve", "reply", "offer", "file", "recommend", "mediate_dispute"}
    | {"extend_dispute", "withdraw_dispute", "propose", "decide", "release", "rang"}
)
"""What is drawn so often that it has to take effect in any play."""


PLAYS: Final = 6
ACTS: Final = 60
"""Of each play, which is the same each time."""


@pytest.mark.slow
def test_disputes_under_any_acts(engine: Engine, tenant: Tenant) -> None:
    """The invariants hold after every act, and a dispute has gone all its ways."""
    tally: Counter[str] = Counter()

    for play in range(PLAYS):
        connection = engine.connect()
        connection.begin()
        enter(connection, tenant)
        tribunal, rolls = Tribunal(connection, tally), Random(play)
        for _ in range(ACTS):
            tribunal.step(rolls.randrange(2**32))
            tribunal.check()
        tribunal.teardown()

    assert set(tally) >= USUAL, f"{sorted(USUAL - set(tally))} {dict(tally)}"
