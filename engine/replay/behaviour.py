"""What clients and freelancers do in a replay: pure, drawn per contract from the seed and its id.

All rates stand in `Rates`, in basis points of the cases that get that far. They are made up, in
the range that marketplaces tell of; a replay shows the engine at work, not a forecast.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from engine.replay.dice import Dice
from escrow.model import Method, ReleaseRule


class Answer(StrEnum):
    """What a client does with work that was submitted."""

    APPROVE = "approve"
    SILENCE = "silence"
    ASK_CHANGES = "ask_changes"
    RELEASE_PART = "release_part"
    ASK_REFUND = "ask_refund"
    DISPUTE = "dispute"


class Delivery(StrEnum):
    """What a freelancer does with a milestone that was paid in."""

    IN_TIME = "in_time"
    LATE = "late"
    GIVES_BACK = "gives_back"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares in basis points; the comment says of what."""

    finds_freelancer: int = 8_800  # postings
    freelancer_accepts: int = 9_400  # proposals
    client_verifies: int = 7_500  # clients without a verified payment method, before they pay
    pays_all_at_once: int = 1_200  # contracts: every milestone funded at the start
    both_confirm: int = 500  # contracts
    client_only: int = 200  # contracts
    tips: int = 900  # contracts that came to their end
    raises_price: int = 250  # milestones: both sign ten percent more, the client pays it in
    bank_debit: int = 1_800  # fundings
    wallet: int = 300  # fundings: tried first, then a card if the wallet is empty
    declined: int = 500  # card fundings; another card is tried the next day
    declined_again: int = 2_500  # second cards, and then third ones; after that the client gives up
    slow: int = 300  # fundings: the rail says pending first; a card's comes after its time is over
    lost_reply: int = 150  # fundings and payouts: the rail acts and its reply is lost
    notices_twice: int = 300  # fundings
    notices_reordered: int = 200  # fundings
    late: int = 1_100  # milestones: submitted after one and a half times the agreed days
    gives_back: int = 250  # milestones
    never_delivers: int = 250  # milestones: the client asks for a refund
    withdraws_submission: int = 150  # submissions: taken back and shown anew the next day
    silence: int = 2_400  # first submissions: the clock releases
    ask_changes: int = 1_300  # first submissions
    release_part: int = 450  # first submissions
    ask_refund: int = 350  # first submissions
    silence_again: int = 2_500  # second submissions
    ask_refund_again: int = 800  # second submissions
    approves_twice: int = 200  # approvals: a double click
    refund_accepted: int = 5_500  # refunds asked for; the other freelancers stay silent
    payout_fails: int = 120  # payouts
    payout_returns: int = 60  # payouts: paid, and back three weeks later
    by_retainer: int = 2_000  # hourly postings: a retainer instead of hours
    with_retainer: int = 1_200  # hourly postings: milestones beside a retainer
    with_hours: int = 1_300  # hourly postings: milestones beside hours
    week_off: int = 700  # weeks: no hours
    over_limit: int = 500  # weeks: more hours than the limit lets through
    by_hand: int = 800  # time entries: not tracked, so not protected
    no_memo: int = 300  # time entries: not protected either
    logged_twice: int = 100  # weeks: the same hours again, which is refused
    rate_raised: int = 500  # hourly terms: a tenth more after some weeks
    charge_fails: int = 400  # hourly terms and retainers: every charge of the pinned means
    pays_late: int = 6_500  # of those clients: pay by another card, some days later
    drawdown_silence: int = 3_500  # drawdowns: the clock approves
    drawdown_rejected: int = 400  # drawdowns
    drawdown_withdrawn: int = 200  # drawdowns
    dispute: int = 200  # first submissions: the client disputes
    refund_rejected: int = 4_000  # refunds asked for and not accepted: the payee disputes
    dispute_line: int = 60  # weeks that were charged: the client disputes a line
    dispute_period: int = 100  # periods of retainers
    refund_later: int = 100  # released milestones and weeks: given back by the payee
    refund_later_whole: int = 4_000  # of those: all of it
    paid_ahead: int = 2_000  # hourly terms: a deposit before each week
    deposit_returned: int = 4_000  # of those: what was not worked goes back; else it rolls on
    chargeback: int = 60  # card payments
    chargeback_part: int = 1_500  # of those: of half of it
    money_before_word: int = 3_000  # chargebacks: the movement is told before the word
    own_talent: int = 800  # contracts: the client brought the freelancer along
    wants_own_currency: int = 6_000  # freelancers: paid in the currency of their country
    is_business: int = 4_000  # parties in countries whose tax numbers can be checked
    number_is_invalid: int = 500  # of those: the register does not know the number
    little_evidence: int = 300  # parties: a single piece says where they are
    takes_plan: int = 500  # freelancers: a month after they came


RATES: Final = Rates()

AUTO_RELEASE_DAYS: Final = MappingProxyType({14: 70, 7: 15, 3: 15})
"""Length of the review, and how many of a hundred contracts choose it."""

ACCEPT_DAYS: Final = (0, 3)
FUND_DAYS: Final = (0, 3)
NEXT_FUND_DAYS: Final = (0, 2)
ANSWER_DAYS: Final = (0, 6)
RESUBMIT_DAYS: Final = (1, 5)
NOBODY_TAKES_IT_DAYS: Final = 14
SLOW_DAYS: Final = 4
"""Days until a slow card's money lies in the wallet, from where the client pays again."""

PATIENCE_DAYS: Final = 10
"""Days after the agreed time until a client without work asks for the money back."""

WORK_DAYS: Final = MappingProxyType(
    {
        "Less than 1 month": (2, 20),
        "1 to 3 months": (15, 60),
        "3 to 6 months": (40, 120),
        "More than 6 months": (60, 180),
    }
)
"""Days that the whole work takes, by the duration a posting names."""

_ANY_LENGTH: Final = (2, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractConduct:
    """How one contract goes as a whole; times are in days."""

    is_taken: bool
    accept_days: int
    client_verifies: bool
    pays_all_at_once: bool
    release_rule: ReleaseRule
    auto_release_after: timedelta
    tips: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotConduct:
    """How one milestone goes; times are in days from what came before.

    `tokens` are given to the simulated rail, the first card's first; the last card succeeds
    unless the client gives up with it.
    """

    fund_days: int
    methods: tuple[Method, ...]
    tokens: tuple[str, ...]
    work_days: int
    delivery: Delivery
    withdraws: bool
    raises_price: bool
    answers: tuple[Answer, ...]
    answer_days: tuple[int, ...]
    resubmit_days: int
    approves_twice: bool
    accepts_refund: bool
    rejects_refund: bool


def conduct_of(dice: Dice, rates: Rates = RATES) -> ContractConduct:
    """How this contract goes."""
    return ContractConduct(
        is_taken=dice.happens("found", rates.finds_freelancer)
        and dice.happens("accepted", rates.freelancer_accepts),
        accept_days=_days(dice, "accept_days", ACCEPT_DAYS),
        client_verifies=dice.happens("verifies", rates.client_verifies),
        pays_all_at_once=dice.happens("all_at_once", rates.pays_all_at_once),
        release_rule=_rule(dice, rates),
        auto_release_after=timedelta(days=dice.weigh("auto_release", AUTO_RELEASE_DAYS)),
        tips=dice.happens("tips", rates.tips),
    )


def slot_conduct(
    dice: Dice, *, slot_no: int, slot_count: int, duration: str, rates: Rates = RATES
) -> SlotConduct:
    """How the milestone with this number (from 1) of this contract goes."""
    own = Dice(dice.seed, f"{dice.subject}|{slot_no}")
    methods, tokens = _payment(own, rates)
    whole = dice.between("work", lowest=_length(duration)[0], highest=_length(duration)[1])
    days = max(1, whole // slot_count)
    delivery = _delivery(own, rates)
    return SlotConduct(
        fund_days=_days(own, "fund_days", FUND_DAYS if slot_no == 1 else NEXT_FUND_DAYS),
        methods=methods,
        tokens=tokens,
        work_days=days * 3 // 2 + 1 if delivery is Delivery.LATE else days,
        delivery=delivery,
        withdraws=own.happens("withdraws", rates.withdraws_submission),
        raises_price=own.happens("raises", rates.raises_price),
        answers=(_first_answer(own, rates), _second_answer(own, rates)),
        answer_days=tuple(_days(own, f"answer_days{n}", ANSWER_DAYS) for n in (1, 2)),
        resubmit_days=_days(own, "resubmit_days", RESUBMIT_DAYS),
        approves_twice=own.happens("approves_twice", rates.approves_twice),
        accepts_refund=own.happens("accepts_refund", rates.refund_accepted),
        rejects_refund=own.happens("rejects_refund", rates.refund_rejected),
    )


def payout_token(dice: Dice, rates: Rates = RATES) -> str:
    """How the simulated rail treats one payout."""
    words = ["bank"]
    if dice.happens("fails", rates.payout_fails):
        words.append("fails")
    elif dice.happens("returns", rates.payout_returns):
        words.append("returns")
    if dice.happens("lost", rates.lost_reply):
        words.append("lost_reply")
    return ":".join(words)


def _rule(dice: Dice, rates: Rates) -> ReleaseRule:
    drawn = dice.below("rule", 10_000)
    if drawn < rates.both_confirm:
        return ReleaseRule.BOTH_CONFIRM
    if drawn < rates.both_confirm + rates.client_only:
        return ReleaseRule.CLIENT_ONLY
    return ReleaseRule.CLIENT_OR_TIMER


def _payment(dice: Dice, rates: Rates) -> tuple[tuple[Method, ...], tuple[str, ...]]:
    """The means of payment in the order in which the client tries them, with their tokens."""
    drawn = dice.below("method", 10_000)
    if drawn < rates.bank_debit:
        return (Method.BANK_DEBIT,), (_token(dice, "bank", rates),)
    methods, tokens = [Method.CARD], [_token(dice, "card", rates)]
    if dice.happens("declined", rates.declined):
        for n in (2, 3):
            tokens[-1] += ":declined"
            methods.append(Method.CARD)
            tokens.append("card")
            if not dice.happens(f"declined{n}", rates.declined_again):
                break
        else:
            tokens[-1] += ":declined"
    elif "slow" in tokens[0]:
        # The slot does not wait so long; the money comes after all and lies in the wallet.
        methods.append(Method.WALLET)
        tokens.append("")
    if drawn < rates.bank_debit + rates.wallet:
        return (Method.WALLET, *methods), ("", *tokens)
    return tuple(methods), tuple(tokens)


def _token(dice: Dice, family: str, rates: Rates) -> str:
    words = {
        "slow": rates.slow,
        "lost_reply": rates.lost_reply,
        "twice": rates.notices_twice,
        "reordered": rates.notices_reordered,
    }
    return ":".join([family, *(word for word, rate in words.items() if dice.happens(word, rate))])


def _delivery(dice: Dice, rates: Rates) -> Delivery:
    drawn = dice.below("delivery", 10_000)
    for delivery, rate in (
        (Delivery.LATE, rates.late),
        (Delivery.GIVES_BACK, rates.gives_back),
        (Delivery.NEVER, rates.never_delivers),
    ):
        drawn -= rate
        if drawn < 0:
            return delivery
    return Delivery.IN_TIME


def _first_answer(dice: Dice, rates: Rates) -> Answer:
    drawn = dice.below("answer1", 10_000)
    for answer, rate in (
        (Answer.SILENCE, rates.silence),
        (Answer.ASK_CHANGES, rates.ask_changes),
        (Answer.RELEASE_PART, rates.release_part),
        (Answer.ASK_REFUND, rates.ask_refund),
        (Answer.DISPUTE, rates.dispute),
    ):
        drawn -= rate
        if drawn < 0:
            return answer
    return Answer.APPROVE


def _second_answer(dice: Dice, rates: Rates) -> Answer:
    drawn = dice.below("answer2", 10_000)
    if drawn < rates.silence_again:
        return Answer.SILENCE
    if drawn < rates.silence_again + rates.ask_refund_again:
        return Answer.ASK_REFUND
    return Answer.APPROVE


def _length(duration: str) -> tuple[int, int]:
    return WORK_DAYS.get(duration, _ANY_LENGTH)


def _days(dice: Dice, name: str, span: tuple[int, int]) -> int:
    return dice.between(name, lowest=span[0], highest=span[1])
