"""Money out of clients' wallets: back by the newest payments, the rest by a payout.

A payment takes back what its rail's window lets it; a payout goes to a method of the client's own
and is screened as all payouts are. A wallet that is closed gives back all that it has.

Source: domain/escrow.md 2.10 P15, P16; 2.11 edge case 47.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import to_json
from ledger.chart import account
from ledger.model import Draft
from ledger.service import lock, post
from payouts import movements_wallet, service, store_wallet
from payouts.commands import RequestPayout
from payouts.desk import lock_standings, post_facts
from payouts.model import PayeeStanding
from payouts.model_wallet import CloseWallet, TopUp, Way, Withdraw, Withdrawal, withdrawal_facts
from payouts.refusals import OnHold, SanctionsHit, SubjectTwice
from payouts.refusals_treasury import BelowMinimum, MethodNeeded, WalletShort, WithdrawalExists
from payouts.service_wallet import NO_MINIMUM, check_minor, standing_of
from rails import service as rails
from rails.capabilities import capabilities_of, rail_of
from rails.model import OperationKind, RailOperation

REFUND_HANDLER: Final = "payouts.wallet_refund"
"""The name under which rails report what goes back to `hearing_wallet.hear_refunds`."""


def withdraw(
    connection: Connection, commands: Sequence[Withdraw], *, at: datetime
) -> list[Outcome]:
    """Take wallet money out; each wish whole or not at all. By the client, or for him.

    Refuses `payouts.unknown_payee`, `not_yours`, `sanctions_hit`, `on_hold`, `subject_twice`,
    `wallet.below_minimum`, `wallet.short`, `wallet.method_needed`, `wallet.withdrawal_exists`,
    `money.*`, and as `service.request` for what is paid out.
    """
    counted = Counter(command.party_id for command in commands)
    standings = lock_standings(connection, set(counted))
    minimums = store_wallet.list_minimums(connection, at)
    outcomes: list[Outcome] = []
    for command in commands:
        least = minimums.get(command.currency, NO_MINIMUM)[1]
        try:
            if counted[command.party_id] > 1:
                raise SubjectTwice(party_id=str(command.party_id))
            _check_free(command.party_id, standing_of(standings, command.party_id, command.actor))
            parts = _withdraw(connection, command, least, at)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        except _PayoutRefused as refusal:
            outcomes.append(refusal.outcome)
            continue
        outcomes.append(_told(command.withdrawal_id, command.party_id, parts))
    return outcomes


def close_wallet(
    connection: Connection, commands: Sequence[CloseWallet], *, at: datetime
) -> list[Outcome]:
    """Give back all that wallets of leaving clients have, below any minimum too.

    What cannot go (no method, a payout that is refused) stays theirs, is told with its reason, and
    is unclaimed when its time comes; personal data is erased when nothing is left (`may_erase`).
    Refuses `payouts.unknown_payee`, `not_yours`, `sanctions_hit`, `on_hold`, `subject_twice`.
    """
    counted = Counter(command.party_id for command in commands)
    standings = lock_standings(connection, set(counted))
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if counted[command.party_id] > 1:
                raise SubjectTwice(party_id=str(command.party_id))
            _check_free(command.party_id, standing_of(standings, command.party_id, command.actor))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        parts, left = _give_all(connection, command, at)
        facts = {
            "party_id": str(command.party_id),
            "parts": [withdrawal_facts(each) for each in parts],
            "left": left,
            "may_erase": may_erase(connection, command.party_id),
        }
        subject = f"party:{command.party_id}"
        post_facts(connection, [Draft("wallet.closed", subject, command.actor, at, detail=facts)])
        outcomes.append(done(**facts))
    return outcomes


def may_erase(connection: Connection, party_id: UUID) -> bool:
    """Whether no money is a party's any more, so that its personal data may go (edge case 47)."""
    return not store_wallet.has_money(connection, party_id)


class _PayoutRefused(Exception):  # noqa: N818  an answer, not an error
    """The payout of the rest was refused: nothing of the withdrawal was written."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class _Plan:
    """What goes back by which top-ups, and what by a payout."""

    refunds: tuple[tuple[TopUp, int], ...]
    paid_out_minor: int


def _withdraw(
    connection: Connection, command: Withdraw, least_minor: int, at: datetime
) -> list[Withdrawal]:
    """One wish under its own savepoint, since its payout is decided after it was posted."""
    check_minor(command.amount_minor, command.currency)
    if store_wallet.is_asked(connection, command.withdrawal_id):
        raise WithdrawalExists(withdrawal_id=str(command.withdrawal_id))
    top_ups = store_wallet.lock_refundable(connection, command.party_id, command.currency)
    wallet = account("custody.wallet", command.currency, command.party_id)
    standing = lock(connection, {wallet})[wallet.code]
    there_minor = -standing.balance_minor
    if command.amount_minor > there_minor:
        raise WalletShort(has=to_json(there_minor, command.currency))
    if command.amount_minor < min(least_minor, there_minor):
        raise BelowMinimum(least=to_json(least_minor, command.currency))
    plan = _planned(command, top_ups, at)
    if plan.paid_out_minor and command.method_id is None:
        raise MethodNeeded(amount=to_json(plan.paid_out_minor, command.currency))
    with connection.begin_nested():
        return _carry_out(connection, command, plan, at)


def _planned(command: Withdraw, top_ups: Sequence[TopUp], at: datetime) -> _Plan:
    left = command.amount_minor
    refunds: list[tuple[TopUp, int]] = []
    for each in sorted(top_ups, key=lambda one: (one.paid_at or at, one.id), reverse=True):
        able = capabilities_of(each.rail_account)
        minor = min(left, each.refundable_minor(able, at))
        is_whole = minor == each.captured_minor
        minor -= minor % able.amount_steps.get(command.currency, 1)
        if minor <= 0 or not (able.partial_refund or is_whole):
            continue
        refunds.append((each, minor))
        left -= minor
    return _Plan(tuple(refunds), left)


def _carry_out(
    connection: Connection, command: Withdraw, plan: _Plan, at: datetime
) -> list[Withdrawal]:
    parts = [
        Withdrawal(
            id=new_id(),
            currency=command.currency,
            amount_minor=minor,
            way=Way.REFUND,
            top_up_id=top_up.id,
            state="submitted",
            rail_account=top_up.rail_account,
            asked_at=at,
            asked_as=command.withdrawal_id,
            party_id=command.party_id,
        )
        for top_up, minor in plan.refunds
    ]
    refunds = tuple((each.id, each.amount_minor) for each in parts)
    draft = Draft(
        kind="wallet.withdrawn",
        subject=f"party:{command.party_id}",
        actor=command.actor,
        effective_at=at,
        entries=movements_wallet.withdraw(
            client_id=command.party_id,
            currency=command.currency,
            refunds=refunds,
            paid_out_minor=plan.paid_out_minor,
        ),
        detail={
            "withdrawal_id": str(command.withdrawal_id),
            "amount": to_json(command.amount_minor, command.currency),
        },
    )
    (answer,) = post(connection, [draft])
    if isinstance(answer, Refusal):
        raise answer
    for top_up, minor in plan.refunds:
        moved = replace(top_up, refunded_minor=top_up.refunded_minor + minor)
        store_wallet.save_top_up(connection, moved)
    operations = [
        _back(part, top_up) for part, (top_up, _) in zip(parts, plan.refunds, strict=True)
    ]
    if plan.paid_out_minor:
        parts.append(_paid_out(connection, command, plan.paid_out_minor, at))
    store_wallet.add_withdrawals(connection, parts)
    rails.intend(connection, operations, at=at)
    return parts


def _paid_out(connection: Connection, command: Withdraw, minor: int, at: datetime) -> Withdrawal:
    """A payout of the rest, by all the rules of payouts; raises what refuses it."""
    assert command.method_id is not None
    payout_id = new_id()
    wish = RequestPayout(
        actor=command.actor,
        payout_id=payout_id,
        payee_id=command.party_id,
        method_id=command.method_id,
        amount_minor=minor,
        currency=command.currency,
    )
    (outcome,) = service.request(connection, [wish], at=at)
    if not outcome.is_done:
        raise _PayoutRefused(outcome)
    return Withdrawal(
        id=payout_id,
        asked_as=command.withdrawal_id,
        party_id=command.party_id,
        currency=command.currency,
        amount_minor=minor,
        way=Way.PAYOUT,
        top_up_id=None,
        state="submitted",
        rail_account="",
        asked_at=at,
    )


def _give_all(
    connection: Connection, command: CloseWallet, at: datetime
) -> tuple[list[Withdrawal], list[dict[str, object]]]:
    """Give back currency by currency; what stays is told with the reason."""
    parts: list[Withdrawal] = []
    left: list[dict[str, object]] = []
    for currency, minor in store_wallet.list_balances(connection, command.party_id).items():
        wish = Withdraw(
            actor=command.actor,
            withdrawal_id=new_id(),
            party_id=command.party_id,
            currency=currency,
            amount_minor=minor,
            method_id=command.method_id,
        )
        try:
            parts += _withdraw(connection, wish, 0, at)
        except (Refusal, _PayoutRefused) as refusal:
            code = refusal.code if isinstance(refusal, Refusal) else refusal.outcome.code
            some = _by_card_alone(connection, wish, at)
            parts += some
            stays = minor - sum(each.amount_minor for each in some)
            left.append({"amount": to_json(stays, currency), "why": code})
    return parts, left


def _by_card_alone(connection: Connection, wish: Withdraw, at: datetime) -> list[Withdrawal]:
    """What goes back by payments, where the rest cannot be paid out."""
    top_ups = store_wallet.lock_refundable(connection, wish.party_id, wish.currency)
    plan = _planned(wish, top_ups, at)
    minor = wish.amount_minor - plan.paid_out_minor
    if not minor:
        return []
    return _withdraw(connection, replace(wish, amount_minor=minor), 0, at)


def _back(part: Withdrawal, top_up: TopUp) -> RailOperation:
    return RailOperation(
        id=part.id,
        kind=OperationKind.REFUND,
        handler=REFUND_HANDLER,
        subject=f"wallet_refund:{part.id}",
        amount_minor=part.amount_minor,
        currency=part.currency,
        method=top_up.method,
        facts={"funding_id": str(top_up.id), "rail_account": top_up.rail_account},
        rail=rail_of(top_up.rail_account),
    )


def _check_free(party_id: UUID, standing: PayeeStanding) -> None:
    """Holds are respected, and a sanctions match; identity is asked for where money is paid out."""
    if standing.sanction_state != "clear":
        raise SanctionsHit(payee_id=str(party_id))
    if standing.holds:
        raise OnHold(payee_id=str(party_id), holds=list(standing.holds))


def _told(withdrawal_id: UUID, party_id: UUID, parts: Sequence[Withdrawal]) -> Outcome:
    return done(
        withdrawal_id=str(withdrawal_id),
        party_id=str(party_id),
        parts=[withdrawal_facts(each) for each in parts],
    )
