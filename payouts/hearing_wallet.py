"""What rails say of wallets: top-ups made, cleared and taken back, refunds paid and bounced."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from kernel.errors import Broken
from kernel.money import to_json
from kernel.principals import RAIL, SYSTEM
from ledger import parties
from ledger.chart import account
from ledger.entries import Entries
from ledger.model import Draft
from ledger.service import lock
from payouts import movements_wallet, store_wallet
from payouts.desk import post_facts
from payouts.model_wallet import TopUp, TopUpState, Withdrawal, top_up_facts, withdrawal_facts
from rails.model import CHARGEBACK_FUNDS, Notice, RailOutcome, RailResult

_WITHDRAWN: Final = "withdrawn"
"""The direction of a notice whose money the rail took from us."""


def hear_top_ups(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book top-ups when they are made and cleared; take back what the payer's bank takes back.

    A payment of another amount than was asked for brings what it brings.
    """
    found = store_wallet.lock_top_ups(connection, [each.operation_id for each in results])
    for result in results:
        top_up = found.get(result.operation_id)
        if top_up is None:
            raise Broken("a rail made a payment that nobody asked for", id=str(result.operation_id))
        if result.outcome is RailOutcome.DONE:
            moved, entries = _made(top_up, result, at)
        elif result.outcome is RailOutcome.REFUSED:
            moved, entries = _refused(connection, top_up, result)
        else:
            continue
        if moved == top_up:
            continue
        found[top_up.id] = moved
        post_facts(connection, [_top_up_draft(moved, result, entries, at)])
        store_wallet.save_top_up(connection, moved)


def hear_refunds(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book wallet money that went back by its payment (P15), or lies in the wallet again (P16)."""
    found = store_wallet.lock_withdrawals(connection, [each.operation_id for each in results])
    top_ups = store_wallet.lock_top_ups(
        connection, [each.top_up_id for each in found.values() if each.top_up_id]
    )
    for result in results:
        part = found.get(result.operation_id)
        if part is None or part.top_up_id is None:
            raise Broken("a rail gave back what nobody asked for", id=str(result.operation_id))
        if result.outcome not in (RailOutcome.DONE, RailOutcome.REFUSED):
            continue
        is_paid = result.outcome is RailOutcome.DONE
        state = "paid" if is_paid else "back_in_wallet"
        post_facts(connection, [_refund_draft(part, result, at, state)])
        store_wallet.save_withdrawal(connection, part.id, state, code=result.code, ended_at=at)
        found[part.id] = replace(part, state=state)
        if not is_paid:
            top_up = top_ups[part.top_up_id]
            top_up = replace(top_up, refunded_minor=top_up.refunded_minor - part.amount_minor)
            top_ups[top_up.id] = top_up
            store_wallet.save_top_up(connection, top_up)


def take_back(connection: Connection, *, at: datetime, limit: int = 1_000) -> int:
    """See what became of payouts of wallet money; what did not arrive is in the wallet again.

    Run it each day; how many were over.
    """
    ended = store_wallet.list_ended(connection, limit=limit)
    parties.lock_share(connection, {part.party_id for part, _ in ended})
    for part, state in ended:
        if state == "paid":
            store_wallet.save_withdrawal(connection, part.id, "paid", code="", ended_at=at)
            continue
        key = account("custody.earned_available", part.currency, part.party_id)
        there = -lock(connection, {key})[key.code].balance_minor
        minor = min(part.amount_minor, max(0, there))
        draft = Draft(
            kind="wallet.payout_came_back",
            subject=f"party:{part.party_id}",
            actor=SYSTEM,
            effective_at=at,
            entries=movements_wallet.put_back(
                client_id=part.party_id, currency=part.currency, amount_minor=minor
            ),
            detail={**withdrawal_facts(part), "payout": state},
        )
        post_facts(connection, [draft])
        store_wallet.save_withdrawal(connection, part.id, "back_in_wallet", code=state, ended_at=at)
    return len(ended)


def split_chargebacks(
    connection: Connection, notices: Sequence[Notice]
) -> tuple[list[Notice], list[Notice]]:
    """Notices on payments into wallets, and all others."""
    ids = [each.operation_id for each in notices if each.operation_id is not None]
    ours = store_wallet.find_top_up_owners(connection, ids)
    return (
        [each for each in notices if each.operation_id in ours],
        [each for each in notices if each.operation_id not in ours],
    )


def hear_chargebacks(connection: Connection, notices: Sequence[Notice], at: datetime) -> None:
    """Book what chargebacks of top-ups move: from the wallet first, the rest the client owes us.

    What a status alone says moves nothing.
    """
    moving = [each for each in notices if each.kind == CHARGEBACK_FUNDS]
    found = store_wallet.lock_top_ups(
        connection, [each.operation_id for each in moving if each.operation_id]
    )
    for notice in moving:
        assert notice.operation_id is not None
        top_up = found[notice.operation_id]
        if notice.facts["direction"] == _WITHDRAWN:
            moved, entries = _taken(connection, top_up, notice.amount_minor, notice.fee_minor)
        else:
            moved, entries = _won(top_up, notice.amount_minor)
        found[top_up.id] = moved
        store_wallet.save_top_up(connection, moved)
        detail = {
            "chargeback": str(notice.facts.get("chargeback", "")),
            "amount": to_json(notice.amount_minor, notice.currency),
            "direction": str(notice.facts["direction"]),
        }
        subject = f"top_up:{top_up.id}"
        post_facts(
            connection, [Draft("wallet.charged_back", subject, RAIL, at, entries, detail=detail)]
        )


def _made(top_up: TopUp, result: RailResult, at: datetime) -> tuple[TopUp, Entries]:
    """A payment that was made lies in suspense until it is cleared, and in the wallet then."""
    amount_minor = top_up.captured_minor or result.amount_minor
    came: Entries = ()
    if top_up.state is TopUpState.SUBMITTED:
        came = movements_wallet.p06_received(
            rail_account=top_up.rail_account,
            currency=top_up.currency,
            amount_minor=amount_minor,
            rail_fee_minor=result.fee_minor,
        )
    elif top_up.state is not TopUpState.UNCLEARED or not result.cleared:
        return top_up, ()
    state = TopUpState.SUCCEEDED if result.cleared else TopUpState.UNCLEARED
    made = replace(top_up, state=state, captured_minor=amount_minor, paid_at=top_up.paid_at or at)
    if not result.cleared:
        return made, came
    cleared = movements_wallet.p06_credited(
        client_id=top_up.client_id, currency=top_up.currency, amount_minor=amount_minor
    )
    return made, (*came, *cleared)


def _refused(connection: Connection, top_up: TopUp, result: RailResult) -> tuple[TopUp, Entries]:
    """Not made; or made and taken back, before it had cleared or after."""
    if top_up.state is TopUpState.SUBMITTED:
        return replace(top_up, state=TopUpState.FAILED, code=result.code), ()
    if top_up.state is TopUpState.UNCLEARED:
        gone = movements_wallet.uncleared_taken_back(
            rail_account=top_up.rail_account,
            currency=top_up.currency,
            amount_minor=top_up.captured_minor,
        )
        return replace(top_up, state=TopUpState.RETURNED, code=result.code), gone
    if top_up.state is not TopUpState.SUCCEEDED:
        return top_up, ()
    moved, entries = _taken(connection, top_up, top_up.captured_minor, result.fee_minor)
    return replace(moved, state=TopUpState.RETURNED, code=result.code), entries


def _taken(
    connection: Connection, top_up: TopUp, amount_minor: int, fee_minor: int
) -> tuple[TopUp, Entries]:
    key = account("custody.wallet", top_up.currency, top_up.client_id)
    there = -lock(connection, {key})[key.code].balance_minor
    wallet_minor = min(amount_minor, max(0, there))
    entries = movements_wallet.taken_back(
        client_id=top_up.client_id,
        rail_account=top_up.rail_account,
        currency=top_up.currency,
        wallet_minor=wallet_minor,
        claim_minor=amount_minor - wallet_minor,
        fee_minor=fee_minor,
    )
    moved = replace(
        top_up,
        taken_minor=top_up.taken_minor + wallet_minor,
        claimed_minor=top_up.claimed_minor + amount_minor - wallet_minor,
    )
    return moved, entries


def _won(top_up: TopUp, amount_minor: int) -> tuple[TopUp, Entries]:
    claim_minor = min(amount_minor, top_up.claimed_minor)
    wallet_minor = amount_minor - claim_minor
    entries = movements_wallet.given_again(
        client_id=top_up.client_id,
        rail_account=top_up.rail_account,
        currency=top_up.currency,
        wallet_minor=wallet_minor,
        claim_minor=claim_minor,
    )
    moved = replace(
        top_up,
        taken_minor=max(0, top_up.taken_minor - wallet_minor),
        claimed_minor=top_up.claimed_minor - claim_minor,
    )
    return moved, entries


def _top_up_draft(top_up: TopUp, result: RailResult, entries: Entries, at: datetime) -> Draft:
    return Draft(
        kind=f"wallet.top_up_{top_up.state}",
        subject=f"top_up:{top_up.id}",
        actor=RAIL,
        effective_at=at,
        entries=entries,
        detail={
            **top_up_facts(top_up),
            "rail_ref": result.rail_ref,
            "occurred_at": result.occurred_at.isoformat(),
        },
    )


def _refund_draft(part: Withdrawal, result: RailResult, at: datetime, state: str) -> Draft:
    where = {"rail_account": part.rail_account, "currency": part.currency}
    entries: Entries
    if state == "paid":
        entries = movements_wallet.p15_paid_back(
            refund_id=part.id,
            amount_minor=part.amount_minor,
            rail_fee_minor=result.fee_minor,
            **where,
        )
    else:
        came: Entries = ()
        if part.state == "paid":
            came = movements_wallet.p15_came_back(
                refund_id=part.id, amount_minor=part.amount_minor, **where
            )
        bounced = movements_wallet.p16_bounced(
            refund_id=part.id,
            client_id=part.party_id,
            currency=part.currency,
            amount_minor=part.amount_minor,
        )
        entries = (*came, *bounced)
    return Draft(
        kind=f"wallet.refund_{state}",
        subject=f"wallet_refund:{part.id}",
        actor=RAIL,
        effective_at=at,
        entries=entries,
        detail={**withdrawal_facts(replace(part, state=state)), "rail_ref": result.rail_ref},
    )
