"""The clients' banks in a replay: they claim card payments back, and the platform contests it.

What a bank does it does at the rail, which tells the engine by its notices, now and then twice or
the money before the word. The operator tells the payee, who answers, and the evidence is sent.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from engine.replay.acts import OPERATOR, person
from engine.replay.behaviour import RATES
from engine.replay.dice import Dice
from engine.replay.stage import Stage
from engine.replay.store_bank import CardPayment, Known, list_cases, list_payments
from escrow import service_chargeback as chargebacks
from escrow.model_chargeback import ChargebackCommand, FileStatement, TellPayee
from rails.simulated import chargebacks as banks
from rails.simulated.chargebacks import Direction

WEDNESDAY: Final = 2
WAIT_DAYS: Final = (2, 60)
"""Days from a payment until its client goes to his bank."""

FEE_MINOR: Final = 1_500
"""What the network keeps of each case."""

_WEEK: Final = timedelta(days=7)
_LATER: Final = timedelta(hours=6)
_TOLD, _ANSWERED, _SENT = 2, 4, 5


class BankWay(StrEnum):
    """How a chargeback goes."""

    INQUIRY = "inquiry"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"
    APPEALED = "appealed"


BANK_WAYS: Final = MappingProxyType(
    {
        BankWay.INQUIRY: 10,
        BankWay.WON: 35,
        BankWay.LOST: 40,
        BankWay.PREVENTED: 5,
        BankWay.APPEALED: 10,
    }
)
"""Out of a hundred chargebacks."""

Step = tuple[int, str | Direction]
_TAKEN: Final[tuple[Step, ...]] = ((0, "needs_response"), (0, Direction.WITHDRAWN))
_WON: Final[tuple[Step, ...]] = (*_TAKEN, (20, "won"), (20, Direction.REINSTATED))
STEPS: Final[Mapping[BankWay, tuple[Step, ...]]] = MappingProxyType(
    {
        BankWay.INQUIRY: ((0, "warning"), (9, "closed")),
        BankWay.WON: _WON,
        BankWay.LOST: (*_TAKEN, (20, "lost")),
        BankWay.PREVENTED: ((0, Direction.WITHDRAWN), (0, "prevented")),
        BankWay.APPEALED: (
            *(*_WON, (27, "appeal_open"), (27, Direction.WITHDRAWN), (45, "appeal_lost")),
        ),
    }
)
"""What the bank does in each way, by days since it began: a word, or a movement of money."""

CONTESTED: Final = frozenset({BankWay.WON, BankWay.LOST, BankWay.APPEALED})


@dataclass(frozen=True, slots=True)
class Case:
    """One chargeback: of which payment, how much of it, and which way it goes."""

    ref: str
    funding_id: UUID
    amount_minor: int
    way: BankWay
    is_twice: bool
    money_first: bool


@dataclass(slots=True)
class Bank:
    """All chargebacks of a replay, and what is done about them by day."""

    seed: int
    _acts: dict[int, list[tuple[Case, int, str | Direction]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _told: dict[int, list[Case]] = field(default_factory=lambda: defaultdict(list))
    _answered: dict[int, list[Case]] = field(default_factory=lambda: defaultdict(list))
    _sent: dict[int, list[Case]] = field(default_factory=lambda: defaultdict(list))

    def noon(self, stage: Stage, day: int, at: datetime) -> None:
        """Banks act, the platform answers; on Wednesdays last week's payments are looked at."""
        for case, number, what in self._acts.pop(day, []):
            banks.act(stage.rail, _act(case, number, what), at=at)
        self._answer(stage, day)
        if at.weekday() == WEDNESDAY:
            for payment in stage.read(lambda c: list_payments(c, since=at - _WEEK, until=at)):
                self._plan(payment, day)

    def _plan(self, payment: CardPayment, day: int) -> None:
        dice = Dice(self.seed, f"bank|{payment.name}")
        if not dice.happens("chargeback", RATES.chargeback):
            return
        amount = payment.amount_minor
        if dice.happens("part", RATES.chargeback_part):
            amount = max(1, amount // 2)
        case = Case(
            f"cb_{dice.new_id('ref', payment.paid_at).hex}",
            payment.funding_id,
            amount,
            dice.weigh("way", BANK_WAYS),
            is_twice=dice.happens("twice", RATES.notices_twice),
            money_first=dice.happens("money_first", RATES.money_before_word),
        )
        lowest, highest = WAIT_DAYS
        begins = day + dice.between("wait", lowest=lowest, highest=highest)
        for number, (wait, what) in enumerate(STEPS[case.way]):
            self._acts[begins + wait].append((case, number, what))
        if case.way in CONTESTED:
            self._told[begins + _TOLD].append(case)
            self._answered[begins + _ANSWERED].append(case)
            self._sent[begins + _SENT].append(case)

    def _answer(self, stage: Stage, day: int) -> None:
        """Tell the payees, have them answer, and send the evidence to the banks."""
        told, answered, sent = (
            _known(stage, each.pop(day, [])) for each in (self._told, self._answered, self._sent)
        )
        stage.serve(
            chargebacks.tell_payee,
            [
                TellPayee(
                    actor=OPERATOR,
                    chargeback_id=each.id,
                    channel="email",
                    proof=f"message:{each.rail_ref}",
                )
                for each in told
            ],
        )
        stage.serve(
            chargebacks.file_statement,
            [
                FileStatement(
                    actor=person(each.payee_id),
                    chargeback_id=each.id,
                    reference="the work as it was approved",
                )
                for each in answered
            ],
        )
        stage.serve(
            chargebacks.submit_evidence,
            [ChargebackCommand(actor=OPERATOR, chargeback_id=each.id) for each in sent],
        )


def _known(stage: Stage, cases: list[Case]) -> list[Known]:
    """What the engine knows of these cases by now."""
    if not cases:
        return []
    return stage.read(lambda connection: list_cases(connection, [each.ref for each in cases]))


def _act(case: Case, number: int, what: str | Direction) -> banks.Act:
    if isinstance(what, Direction):
        return banks.Act(
            ref=case.ref,
            operation_id=case.funding_id,
            amount_minor=case.amount_minor,
            direction=what,
            movement=f"{case.ref}_{number}",
            fee_minor=FEE_MINOR if number < 2 else 0,
            twice=case.is_twice,
        )
    return banks.Act(
        ref=case.ref,
        operation_id=case.funding_id,
        amount_minor=case.amount_minor,
        status=what,
        after=_LATER if case.money_first else timedelta(),
        twice=case.is_twice,
    )
