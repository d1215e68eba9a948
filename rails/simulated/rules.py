"""What comes of an operation at the simulated rail: pure, and the same for the same seed and id.

A method is `family:token:token...`. Tokens force what the rates would draw; the ones that mean
nothing for a kind of operation are passed over, so that a refund can use its funding's method.

| token | kind | what happens |
|---|---|---|
| `declined` | fund | refused, `card.declined` |
| `slow` | fund, payout | pending for slow_days, then as otherwise |
| `debit` (so `bank`, `bank_debit`) | fund | done but uncleared, cleared clearing_days later |
| `refund_slow` | refund | pending for slow_days, then as otherwise |
| `refund_bounces` | refund | refused, `refund.bounced`; no money moves |
| `fails` | payout | refused, `payout.failed`; no money moves |
| `returns` | payout | paid, and back after return_days less a charge, `payout.returned` |
| `lost_reply` | any | takes effect, the reply to the call is lost |
| `twice` | any | each notice is sent twice |
| `reordered` | any | all notices come at the time of the last, the last one first |
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from kernel.money import exponent, share_bps
from rails.model import (
    FUNDS_AVAILABLE,
    INSUFFICIENT_FUNDS,
    OPERATION_CHANGED,
    OWNER,
    PAYOUT_RETURNED,
    OperationKind,
    RailAccount,
    RailOperation,
    RailOutcome,
)
from rails.refusals import NotOffered
from rails.simulated.model import Announcement, Behaviour, Fact, Movement, Story

BECAME_AVAILABLE: Final = "became_available"
"""Kind of the movement that leaves the processor's pending balance."""

_UNCLEARED_FAMILIES: Final = frozenset({"bank", "bank_debit"})


def tell(behaviour: Behaviour, operation: RailOperation, at: datetime) -> Story:
    """All that will ever come of an operation executed now; funds at the source not looked at."""
    draw = _Draw(behaviour, operation)
    facts, movements = _TELLERS[operation.kind](draw, at)
    return Story(
        operation,
        tuple(facts),
        tuple(movements),
        reply_is_lost=draw.happens("lost_reply", behaviour.lost_reply_bps),
        notices_are_doubled=draw.happens("twice", behaviour.duplicate_notice_bps),
        notices_are_reordered=draw.happens("reordered", behaviour.reordered_notice_bps),
    )


def refuse_for_funds(story: Story, at: datetime) -> Story:
    """The story of the same operation where its source does not hold enough."""
    refusal = Fact(outcome=RailOutcome.REFUSED, effective_at=at, code=INSUFFICIENT_FUNDS)
    return Story(story.operation, (refusal,), (), reply_is_lost=story.reply_is_lost)


def source(operation: RailOperation) -> RailAccount | None:
    """The account that must hold the money before it may leave; None: no account is asked.

    A refund is not asked: a processor lets the available balance fall below zero for refunds and
    takes it from what comes in next.
    """
    if operation.kind is OperationKind.PAYOUT:
        return RailAccount.CUSTODY_BANK
    name = operation.facts.get("source", OWNER)
    return None if name == OWNER else RailAccount(name)


def fee_minor(behaviour: Behaviour, operation: RailOperation) -> int:
    """What the rail keeps of a funding: each part rounded half up, never more than the funding."""
    fee = behaviour.fees.get(_family(operation))
    if fee is None:
        return 0
    unit_minor = 10 ** exponent(operation.currency)
    rate_minor = share_bps(operation.amount_minor, fee.rate_bps)
    fixed_minor = share_bps(unit_minor, fee.fixed_bps_of_unit)
    return min(operation.amount_minor, rate_minor + fixed_minor)


def announce(stories: Sequence[Story]) -> list[Announcement]:
    """The notices of a batch: one for each fact that no reply told, one for each lot available."""
    announcements: list[Announcement] = []
    for story in stories:
        announcements += _changes(story)
    return announcements + _lots(stories)


class _Draw:
    """The dice of one operation: a token forces, else seed, id and name decide."""

    def __init__(self, behaviour: Behaviour, operation: RailOperation) -> None:
        self.behaviour = behaviour
        self.operation = operation
        self.tokens = frozenset(operation.method.split(":")[1:])

    def happens(self, token: str, rate_bps: int) -> bool:
        """Whether something happens, by its token or by its rate."""
        if token in self.tokens:
            return True
        if rate_bps == 0:
            return False
        words = f"{self.behaviour.seed}|{self.operation.id}|{token}".encode()
        return int.from_bytes(sha256(words).digest()[:8]) % 10_000 < rate_bps

    def start(self, token: str, at: datetime) -> tuple[list[Fact], datetime]:
        """The pending fact of a slow operation, if it is one, and when the outcome comes."""
        if not self.happens(token, self.behaviour.slow_bps):
            return [], at
        pending = Fact(outcome=RailOutcome.PENDING, effective_at=at, cleared=False)
        return [pending], at + timedelta(days=self.behaviour.slow_days)


def _fund(draw: _Draw, at: datetime) -> tuple[list[Fact], list[Movement]]:
    facts, done_at = draw.start("slow", at)
    if draw.happens("declined", draw.behaviour.declined_bps):
        return [*facts, _refusal("card.declined", done_at)], []
    fee = fee_minor(draw.behaviour, draw.operation)
    cleared_at = done_at
    clears_late = "debit" in draw.tokens or _family(draw.operation) in _UNCLEARED_FAMILIES
    facts.append(_done(done_at, fee_minor=fee, cleared=not clears_late))
    if clears_late:
        cleared_at = done_at + timedelta(days=draw.behaviour.clearing_days)
        facts.append(_done(cleared_at, fee_minor=fee))
    net = draw.operation.amount_minor - fee
    if net == 0:
        return facts, []
    available_at = _available_at(cleared_at, draw.behaviour.settlement_days)
    return facts, [
        Movement(RailAccount.PROCESSOR_PENDING, net, "funded", done_at),
        Movement(RailAccount.PROCESSOR_PENDING, -net, BECAME_AVAILABLE, available_at),
        Movement(RailAccount.PROCESSOR_AVAILABLE, net, BECAME_AVAILABLE, available_at),
    ]


def _refund(draw: _Draw, at: datetime) -> tuple[list[Fact], list[Movement]]:
    facts, done_at = draw.start("refund_slow", at)
    if draw.happens("refund_bounces", draw.behaviour.refund_bounced_bps):
        return [*facts, _refusal("refund.bounced", done_at)], []
    amount = draw.operation.amount_minor
    paid = Movement(RailAccount.PROCESSOR_AVAILABLE, -amount, "refunded", done_at)
    return [*facts, _done(done_at)], [paid]


def _payout(draw: _Draw, at: datetime) -> tuple[list[Fact], list[Movement]]:
    facts, paid_at = draw.start("slow", at)
    if draw.happens("fails", draw.behaviour.payout_failed_bps):
        return [*facts, _refusal("payout.failed", paid_at)], []
    amount = draw.operation.amount_minor
    facts.append(_done(paid_at))
    movements = [Movement(RailAccount.CUSTODY_BANK, -amount, "paid_out", paid_at)]
    if draw.happens("returns", draw.behaviour.payout_returned_bps):
        back_at = paid_at + timedelta(days=draw.behaviour.return_days)
        unit_minor = 10 ** exponent(draw.operation.currency)
        charge = min(amount, share_bps(unit_minor, draw.behaviour.return_charge_bps_of_unit))
        facts.append(_refusal(PAYOUT_RETURNED, back_at, fee_minor=charge))
        if amount > charge:
            back = Movement(RailAccount.CUSTODY_BANK, amount - charge, "payout_returned", back_at)
            movements.append(back)
    return facts, movements


def _transfer(draw: _Draw, at: datetime) -> tuple[list[Fact], list[Movement]]:
    operation = draw.operation
    kind, amount = operation.kind.value, operation.amount_minor
    movements = [Movement(RailAccount(operation.facts["target"]), amount, kind, at)]
    payer = source(operation)
    if payer is not None:
        movements.insert(0, Movement(payer, -amount, kind, at))
    return [_done(at)], movements


def _evidence(_draw: _Draw, at: datetime) -> tuple[list[Fact], list[Movement]]:
    """The bank takes in whatever it is sent; no money moves."""
    return [_done(at)], []


def _not_offered(_draw: _Draw, at: datetime) -> tuple[list[Fact], list[Movement]]:
    """Payees have no accounts here, and a payment is captured when it is made."""
    return [_refusal(NotOffered.code, at)], []


_TELLERS: Final = {
    OperationKind.FUND: _fund,
    OperationKind.REFUND: _refund,
    OperationKind.PAYOUT: _payout,
    OperationKind.BANK_TRANSFER: _transfer,
    OperationKind.TOP_UP: _transfer,
    OperationKind.EVIDENCE: _evidence,
    OperationKind.TRANSFER: _not_offered,
    OperationKind.TRANSFER_BACK: _not_offered,
    OperationKind.CAPTURE: _not_offered,
    OperationKind.CANCEL: _not_offered,
    OperationKind.PAYEE: _not_offered,
}


def _family(operation: RailOperation) -> str:
    return operation.method.partition(":")[0]


def _done(at: datetime, *, fee_minor: int = 0, cleared: bool = True) -> Fact:
    return Fact(outcome=RailOutcome.DONE, effective_at=at, fee_minor=fee_minor, cleared=cleared)


def _refusal(code: str, at: datetime, *, fee_minor: int = 0) -> Fact:
    return Fact(outcome=RailOutcome.REFUSED, effective_at=at, fee_minor=fee_minor, code=code)


def _available_at(cleared_at: datetime, settlement_days: int) -> datetime:
    if settlement_days == 0:
        return cleared_at
    midnight = cleared_at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=settlement_days)


def _changes(story: Story) -> list[Announcement]:
    untold = 0 if story.reply_is_lost else 1
    last_at = story.facts[-1].effective_at
    return [
        Announcement(
            notice_id=f"{story.operation.id}:{number}",
            copy_no=copy_no,
            kind=OPERATION_CHANGED,
            operation_id=story.operation.id,
            fact=fact,
            amount_minor=story.operation.amount_minor,
            currency=story.operation.currency,
            rail_ref=story.rail_ref,
            due_at=last_at if story.notices_are_reordered else fact.effective_at,
            ordinal=-number if story.notices_are_reordered else number,
        )
        for number, fact in enumerate(story.facts)
        if number >= untold
        for copy_no in range(2 if story.notices_are_doubled else 1)
    ]


def _lots(stories: Sequence[Story]) -> list[Announcement]:
    lots: dict[tuple[str, datetime], int] = defaultdict(int)
    for story in stories:
        for movement in story.movements:
            if movement.kind == BECAME_AVAILABLE and movement.amount_minor > 0:
                key = (story.operation.currency, movement.effective_at)
                lots[key] += movement.amount_minor
    return [
        Announcement(
            notice_id=f"available:{stories[0].operation.id}:{currency}:{at.isoformat()}",
            copy_no=0,
            kind=FUNDS_AVAILABLE,
            operation_id=None,
            fact=_done(at),
            amount_minor=amount_minor,
            currency=currency,
            rail_ref="",
            due_at=at,
            ordinal=1_000,
        )
        for (currency, at), amount_minor in lots.items()
    ]
