"""The guards of the machines, and the clocks that a step sets: pure, on a deal under its locks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from escrow.commands import ReleasePart, SlotCommand, Submit
from escrow.machine import EITHER, Guard, Machine, Timer, Transition, Trigger
from escrow.model import (
    Alarm,
    Contract,
    ContractState,
    Lot,
    Release,
    ReleaseRule,
    Role,
    Slot,
    Terms,
)
from escrow.model_price import Pricing
from escrow.refusals import (
    AboveLimit,
    AlreadyConfirmed,
    AlreadyFlagged,
    AmountOutOfRange,
    BadText,
    ChangeRoundsUsed,
    ContractNotRunning,
    EmptySubmission,
    Held,
    NeedsBoth,
    NotAMilestone,
    NotBothConfirm,
    NotCleared,
    NothingReleased,
    NothingUnpaid,
    NoticesMissing,
    NoTimer,
    NotYours,
    OtherPartyMustSign,
    PartyNotClear,
    ReasonRequired,
    ReviewIsOver,
    StaleVersion,
    WrongState,
)
from escrow.refusals_dispute import NotInSecurityHold, OpenAlready
from kernel.commands import Command
from kernel.money import MAX_MINOR
from kernel.principals import Actor, PrincipalKind


@dataclass(frozen=True, slots=True)
class Deal:
    """One slot with all that its guards look at, as it stands under its locks.

    `held_by` names the open holds of the slot, its contract and its parties. `review_ends_at` is
    when the running auto-release falls due; None if none runs. `in_hold` is what was released
    and may be disputed still, if a dispute asks for it. `is_flagged`: it was called empty.
    `pricing` holds what a release costs, once it is looked up.
    """

    slot: Slot
    contract: Contract
    held_by: tuple[str, ...] = ()
    unclear_parties: tuple[UUID, ...] = ()
    lots: tuple[Lot, ...] = ()
    has_open_funding: bool = False
    review_ends_at: datetime | None = None
    is_flagged: bool = False
    other_has_signed: bool = False
    has_open_dispute: bool = False
    in_hold: Release | None = None
    pricing: Pricing = field(default_factory=Pricing)

    @property
    def disputable_minor(self) -> int:
        """How much of the release in its security hold may be disputed, before commission."""
        if self.in_hold is None:
            return 0
        left = self.in_hold.gross_minor - self.in_hold.taken_gross_minor
        return min(left, self.slot.kept_minor - self.slot.contested_minor)


class Clocks(NamedTuple):
    """What a step does to the slot's timers."""

    alarms: tuple[Alarm, ...]
    cancelled: tuple[tuple[str, str], ...]
    paused: tuple[tuple[str, str], ...]


NOTICE_SHARES: Final = ((2, 3), (5, 6), (17, 18), (1, 1))
"""When a silent slot is spoken of, then dormant: days 60, 75, 85 and 90 of 90, as fractions."""

PARTY_STEPS: Final = frozenset(
    {
        *(Trigger.START_FUNDING, Trigger.FUND_FROM_WALLET, Trigger.FUNDING_ENDED),
        *(Trigger.GIVE_BACK, Trigger.ACCEPT_REFUND, Trigger.DISPUTE, Trigger.REJECT_REFUND),
        *(Trigger.START_TOP_UP, Trigger.TOP_UP_FROM_WALLET, Trigger.REFUND_LATER),
    }
)
"""What a party itself may do with a week's or a period's slot, whose term has another id."""

SIGNED_ROLLS: Final = frozenset({Trigger.ROLL_REST, Trigger.ROLL_ALL, Trigger.ROLL_IN})
"""Money crosses terms by these alone, under an amendment that both have signed (P11)."""


_ENGINES: Final = frozenset({PrincipalKind.SYSTEM, PrincipalKind.RAIL})


def roles(actor: Actor, contract: Contract) -> tuple[Role, ...]:
    """What the actor is to this contract; empty for a stranger."""
    if actor.kind in _ENGINES:
        return (Role(actor.kind.value),)
    found: tuple[Role, ...] = (Role.OPERATOR,) if actor.is_operator else ()
    if actor.party_id == contract.client_id:
        return (Role.CLIENT, *found)
    if actor.party_id == contract.payee_id:
        return (Role.PAYEE, *found)
    return found


def step(
    machine: Machine, state: StrEnum | None, trigger: Trigger, mine: tuple[Role, ...], **facts: str
) -> tuple[Transition, Role]:
    """The row of the table and the role in which the actor uses it.

    Refuses: `escrow.not_yours` to strangers whatever the state; `escrow.wrong_state` where the
    table has no such row; `escrow.not_yours` where the row belongs to another role.
    """
    if not mine:
        raise NotYours(trigger=trigger, **facts)
    row = machine.get((state, trigger))
    if row is None:
        raise WrongState(state=state, trigger=trigger, **facts)
    for role in mine:
        if role in row.who:
            return row, role
    raise NotYours(trigger=trigger, **facts)


def slot_step(
    machine: Machine, deal: Deal, trigger: Trigger, command: Command, at: datetime
) -> tuple[Transition, Role]:
    """The row for this slot, its version and all its guards checked in the order they stand."""
    slot = deal.slot
    row, role = step(
        machine, slot.state, trigger, roles(command.actor, deal.contract), slot_id=str(slot.id)
    )
    is_signed = trigger in SIGNED_ROLLS and deal.other_has_signed
    is_by_hand = role in EITHER and trigger not in PARTY_STEPS and not is_signed
    if slot.term_id != slot.id and is_by_hand:
        raise NotAMilestone(slot_id=str(slot.id), trigger=trigger)
    check_version(slot, command)
    for guard in row.guards:
        GUARDS[guard](deal, command, role, at)
    return row, role


def check_version(slot: Slot, command: Command) -> None:
    """Refuse a command that was given on a version of the slot that is gone."""
    if isinstance(command, SlotCommand) and command.version not in {None, slot.version}:
        raise StaleVersion(slot_id=str(slot.id), version=slot.version, given=command.version)


def check_amount(amount_minor: int) -> None:
    """Refuse what is not 1 to MAX_MINOR minor units."""
    if not 0 < amount_minor <= MAX_MINOR:
        raise AmountOutOfRange(amount_minor=amount_minor, lowest=1, highest=MAX_MINOR)


def check_text(text: str, *, field: str, longest: int) -> None:
    """Refuse a text that is too long, or that holds NUL or half a character."""
    if len(text) > longest or not _is_unicode(text):
        raise BadText(field=field, longest=longest)


def _is_unicode(text: str) -> bool:
    return not any(each == "\0" or "\ud800" <= each <= "\udfff" for each in text)


def _other_party(deal: Deal, _command: Command, role: Role, _at: datetime) -> None:
    if deal.slot.proposed_by is role:
        raise OtherPartyMustSign(slot_id=str(deal.slot.id))


def _parties_clear(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.unclear_parties:
        raise PartyNotClear(party_ids=[str(each) for each in deal.unclear_parties])


_BILLING: Final = frozenset({ContractState.ENDING, ContractState.CLOSED_DISPUTED})
"""What was worked before a contract was ended is paid for while it ends."""


def _contract_runs(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    is_owned = deal.slot.term_id != deal.slot.id
    running = {ContractState.ACTIVE, ContractState.PAUSED}
    if deal.contract.state not in (running | _BILLING if is_owned else running):
        raise ContractNotRunning(contract_id=str(deal.contract.id), state=deal.contract.state)


def _price_unpaid(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.has_open_funding or not deal.slot.unpaid_minor:
        raise NothingUnpaid(slot_id=str(deal.slot.id))


def _balance_zero(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    assert deal.slot.held_minor == 0


def _something_shown(deal: Deal, command: Command, _role: Role, _at: datetime) -> None:
    assert isinstance(command, Submit)
    if not command.message_ref and not command.artefact_refs:
        raise EmptySubmission(slot_id=str(deal.slot.id))


def _same_submission(deal: Deal, command: Command, _role: Role, _at: datetime) -> None:
    assert isinstance(command, SlotCommand)
    given, current = command.submission_no, deal.slot.submission_no
    if given not in {None, current}:
        raise StaleVersion(slot_id=str(deal.slot.id), submission_no=current, given=given)


def _reason_given(deal: Deal, command: Command, _role: Role, _at: datetime) -> None:
    assert isinstance(command, SlotCommand)
    if not command.reason.strip():
        raise ReasonRequired(slot_id=str(deal.slot.id))


def _before_due(deal: Deal, _command: Command, _role: Role, at: datetime) -> None:
    if deal.review_ends_at is not None and at >= deal.review_ends_at:
        raise ReviewIsOver(slot_id=str(deal.slot.id), ended_at=deal.review_ends_at.isoformat())


def _not_flagged(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.is_flagged:
        raise AlreadyFlagged(slot_id=str(deal.slot.id), submission_no=deal.slot.submission_no)


def _rounds_left(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.slot.change_rounds >= (free := deal.contract.terms.free_change_rounds):
        raise ChangeRoundsUsed(slot_id=str(deal.slot.id), free_rounds=free)


def _no_hold(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.held_by:
        raise Held(slot_id=str(deal.slot.id), holds=list(deal.held_by))


def _cleared(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.slot.uncleared_minor:
        raise NotCleared(slot_id=str(deal.slot.id), uncleared_minor=deal.slot.uncleared_minor)


def _nothing_contested(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.slot.recalled_minor:
        raise Held(slot_id=str(deal.slot.id), holds=["slot:chargeback"])


def _one_may_release(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.contract.terms.release_rule is ReleaseRule.BOTH_CONFIRM:
        raise NeedsBoth(slot_id=str(deal.slot.id))


def _both_confirm(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.contract.terms.release_rule is not ReleaseRule.BOTH_CONFIRM:
        raise NotBothConfirm(slot_id=str(deal.slot.id))


def _other_confirmed(deal: Deal, _command: Command, role: Role, _at: datetime) -> None:
    if deal.slot.confirmed_by is role:
        raise AlreadyConfirmed(slot_id=str(deal.slot.id), by=role)


def _timer_may_release(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.contract.terms.release_rule is ReleaseRule.CLIENT_ONLY:
        raise NoTimer(slot_id=str(deal.slot.id))


def _part_of_balance(deal: Deal, command: Command, _role: Role, _at: datetime) -> None:
    assert isinstance(command, ReleasePart)
    highest = deal.slot.held_minor - (0 if deal.slot.recalled_minor else 1)
    if not 0 < command.amount_minor <= highest:
        raise AmountOutOfRange(amount_minor=command.amount_minor, lowest=1, highest=highest)


def _notices_sent(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.slot.notices < len(NOTICE_SHARES) - 1:
        raise NoticesMissing(slot_id=str(deal.slot.id), sent=deal.slot.notices)


def _within_limit(deal: Deal, command: Command, _role: Role, _at: datetime) -> None:
    limit = deal.contract.terms.dormant_limit_minor
    if deal.slot.held_minor > limit and command.actor.kind is not PrincipalKind.PERSON:
        raise AboveLimit(slot_id=str(deal.slot.id), limit_minor=limit)


def _both_signed(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if not deal.other_has_signed:
        raise OtherPartyMustSign(slot_id=str(deal.slot.id))


def _kept_by_payee(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if not deal.slot.kept_minor:
        raise NothingReleased(slot_id=str(deal.slot.id))


def _none_open(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.has_open_dispute:
        raise OpenAlready(slot_id=str(deal.slot.id))


def _in_security_hold(deal: Deal, _command: Command, _role: Role, _at: datetime) -> None:
    if deal.disputable_minor <= 0:
        raise NotInSecurityHold(slot_id=str(deal.slot.id))


Check = Callable[[Deal, Command, Role, datetime], None]

GUARDS: Final[Mapping[Guard, Check]] = MappingProxyType(
    {
        Guard.OTHER_PARTY: _other_party,
        Guard.PARTIES_CLEAR: _parties_clear,
        Guard.CONTRACT_RUNS: _contract_runs,
        Guard.PRICE_UNPAID: _price_unpaid,
        Guard.BALANCE_ZERO: _balance_zero,
        Guard.SOMETHING_SHOWN: _something_shown,
        Guard.SAME_SUBMISSION: _same_submission,
        Guard.REASON_GIVEN: _reason_given,
        Guard.BEFORE_DUE: _before_due,
        Guard.NOT_FLAGGED: _not_flagged,
        Guard.ROUNDS_LEFT: _rounds_left,
        Guard.NO_HOLD: _no_hold,
        Guard.CLEARED: _cleared,
        Guard.NOTHING_CONTESTED: _nothing_contested,
        Guard.ONE_MAY_RELEASE: _one_may_release,
        Guard.BOTH_CONFIRM: _both_confirm,
        Guard.OTHER_CONFIRMED: _other_confirmed,
        Guard.TIMER_MAY_RELEASE: _timer_may_release,
        Guard.PART_OF_BALANCE: _part_of_balance,
        Guard.NOTICES_SENT: _notices_sent,
        Guard.WITHIN_LIMIT: _within_limit,
        Guard.BOTH_SIGNED: _both_signed,
        Guard.KEPT_BY_PAYEE: _kept_by_payee,
        Guard.NONE_OPEN: _none_open,
        Guard.IN_SECURITY_HOLD: _in_security_hold,
    }
)
"""The checks of the slot's guards; the contract's and the funding's are in their decisions."""


def subject_of(slot: Slot) -> str:
    """The slot's name in events, timers and holds."""
    return f"slot:{slot.id}"


def dormant_at(slot: Slot, terms: Terms) -> datetime:
    """When the next notice of dormancy, or dormancy itself, is due if nobody moves.

    Counted from the last activity, or from the agreed date where that is later.
    """
    start = max(slot.active_at, slot.due_at) if slot.due_at else slot.active_at
    numerator, denominator = NOTICE_SHARES[slot.notices]
    return start + terms.dormant_after * numerator / denominator


def clocks(row: Transition, after: Slot, contract: Contract, at: datetime) -> Clocks:
    """The slot's timers that this row of the table sets, cancels and pauses."""
    subject, terms = subject_of(after), contract.terms
    alarms = []
    for timer in row.arms:
        if timer is Timer.AUTO_RELEASE and terms.release_rule is not ReleaseRule.CLIENT_ONLY:
            due, version = at + terms.auto_release_after, after.submission_no
        elif timer is Timer.REFUND_REPLY:
            due, version = at + terms.refund_reply_after, 0
        elif timer is Timer.DORMANT and after.is_milestone:
            due, version = dormant_at(after, terms), 0
        else:  # a security hold is the release's own clock
            continue
        alarms.append(Alarm(subject, timer, due, version))
    return Clocks(
        alarms=tuple(alarms),
        cancelled=tuple((subject, timer) for timer in row.cancels),
        paused=tuple((subject, timer) for timer in row.pauses),
    )
