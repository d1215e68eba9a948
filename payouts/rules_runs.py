"""Whom a run pays and why not: pure. The hash binds what is approved to what is paid."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from uuid import UUID

from kernel.errors import Refusal
from kernel.money import MAX_MINOR
from payouts.model import MethodState, PayeeStanding, PayoutMethod
from payouts.model_runs import Item, ItemState, Run, RunKind
from payouts.model_schedules import Cadence, Schedule
from payouts.refusals import BelowMinimum, NothingLeft, UnknownPayee
from payouts.refusals_runs import ByHandOnly, InAnotherRun, NoMethod
from payouts.rules import check_payee
from payouts.rules_schedules import falls_due, in_force
from rails.capabilities import possible_minor

CheckMethod = Callable[[PayoutMethod], object]
"""Refuses a method that may not be paid to now; the rule of single payouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A payee with money, and all that decides whether a run pays him.

    `methods` are his, oldest first; `is_planned` tells that another open run pays this money.
    """

    payee_id: UUID
    available_minor: int
    standing: PayeeStanding | None
    line: Sequence[Schedule]
    methods: Sequence[PayoutMethod]
    is_planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """What is the same for all payees of a run; the schedule's own minimum may be higher."""

    kind: RunKind
    currency: str
    due_from_on: date
    cut_off_on: date
    fee_minor: int
    minimum_minor: int
    check_method: CheckMethod


def is_about(candidate: Candidate, terms: RunTerms) -> bool:
    """Whether a run is about a payee at all; who is not due is not in its list."""
    if terms.kind is RunKind.EVERYONE:
        return True
    return falls_due(candidate.line, from_on=terms.due_from_on, to_on=terms.cut_off_on)


def item_of(candidate: Candidate, terms: RunTerms) -> Item:
    """What a run plans for a payee: all that he has and his rail can move, or why nothing.

    A balance whose end the rail cannot move (its steps, its largest amount) is paid without it; the
    rest stays his and goes with a later run.
    """
    amount_minor = min(candidate.available_minor, MAX_MINOR)
    method: PayoutMethod | None = None
    reason = ""
    try:
        method = _pay_to(candidate, terms)
        _check(candidate, terms, amount_minor)
        net_minor = possible_minor(
            method.rail, amount_minor - terms.fee_minor, currency=terms.currency
        )
        if not net_minor:
            raise NothingLeft(payee_id=str(candidate.payee_id))
        amount_minor = net_minor + terms.fee_minor
    except Refusal as refusal:
        reason = refusal.code
    return Item(
        payee_id=candidate.payee_id,
        method_id=method.id if method else None,
        amount_minor=amount_minor,
        fee_minor=0 if reason else terms.fee_minor,
        reason=reason,
        state=ItemState.LEFT_OUT if reason else ItemState.PLANNED,
    )


def content_of(run: Run, items: Iterable[Item]) -> bytes:
    """The hash of all that a run plans; the database reckons the same (`payout_run_content`)."""
    head = (str(run.id), run.currency, run.kind.value, str(run.due_from_on), str(run.cut_off_on))
    rows = [
        "|".join(
            (
                str(item.payee_id),
                str(item.method_id or ""),
                str(item.amount_minor),
                str(item.fee_minor),
                item.reason,
            )
        )
        for item in sorted(items, key=lambda item: item.payee_id)
    ]
    return sha256(("|".join(head) + "\n" + "\n".join(rows)).encode()).digest()


def _pay_to(candidate: Candidate, terms: RunTerms) -> PayoutMethod:
    """The method to be paid to: the schedule's own, else the newest that may be used."""
    if candidate.standing is None:
        raise UnknownPayee(payee_id=str(candidate.payee_id))
    check_payee(candidate.payee_id, candidate.standing)
    schedule = in_force(candidate.line, terms.cut_off_on)
    if schedule is not None and schedule.rhythm.cadence is Cadence.MANUAL:
        raise ByHandOnly(payee_id=str(candidate.payee_id))
    wanted = schedule.method_id if schedule else None
    methods = [
        each
        for each in candidate.methods
        if each.state is not MethodState.DISABLED and wanted in {None, each.id}
    ]
    if not methods:
        raise NoMethod(payee_id=str(candidate.payee_id))
    refusal: Refusal | None = None
    for method in reversed(methods):
        try:
            terms.check_method(method)
        except Refusal as why:
            refusal = refusal or why
        else:
            return method
    assert refusal is not None
    raise refusal


def _check(candidate: Candidate, terms: RunTerms, amount_minor: int) -> None:
    schedule = in_force(candidate.line, terms.cut_off_on)
    facts = {"payee_id": str(candidate.payee_id)}
    if candidate.is_planned:
        raise InAnotherRun(**facts)
    minimum_minor = max(terms.minimum_minor, schedule.minimum_minor if schedule else 0)
    if amount_minor < minimum_minor:
        raise BelowMinimum(**facts)
    if amount_minor <= terms.fee_minor:
        raise NothingLeft(**facts)
