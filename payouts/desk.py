"""How a batch of payout commands is laid out, decided, posted and saved: the same for each verb."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Broken, Refusal
from kernel.money import to_json
from kernel.principals import Actor
from ledger import holds, parties
from ledger.model import Draft, Entry
from ledger.service import post
from payouts import store, store_payees, store_policy
from payouts.commands import PayoutCommand
from payouts.machine import Transition
from payouts.model import PayeeStanding, Payout, PayoutMethod, PayoutState, as_json
from payouts.model_payees import AccountState, PayeeAccount
from payouts.model_policy import InForce
from payouts.movements import PAYOUT_MOVEMENTS
from rails.capabilities import capabilities_of

_C = TypeVar("_C")


@dataclass(frozen=True, slots=True)
class Move:
    """A decided step: the payout after it, the state before (None: it is new), and its event."""

    payout: Payout
    before: PayoutState | None
    draft: Draft


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies on the desk under the locks; `purse` is carried through the batch.

    The purse is what may still leave, by where it leaves from (the platform's account at a rail,
    or empty for the custody bank) and currency. `accounts` are the payees' open ones, by rail.
    """

    at: datetime
    payouts: dict[UUID, Payout]
    standings: dict[UUID, PayeeStanding]
    methods: dict[UUID, PayoutMethod]
    twice: frozenset[UUID]
    fees: dict[str, int]
    purse: dict[tuple[str, str], int]
    policy: InForce
    accounts: dict[tuple[UUID, str], PayeeAccount]


def draft_of(
    transition: Transition,
    payout: Payout,
    actor: Actor,
    at: datetime,
    *,
    reason: str = "",
    told: dict[str, str] | None = None,
) -> Draft:
    """The event of a step with all its entries; `told` is what the rail said, for the auditor."""
    entries: tuple[Entry, ...] = ()
    for movement in transition.movement:
        entries += PAYOUT_MOVEMENTS[movement](payout)
    return Draft(
        kind=transition.event,
        subject=payout.subject,
        actor=actor,
        effective_at=at,
        entries=entries,
        reason=reason,
        detail={
            "payee_id": str(payout.payee_id),
            "method_id": str(payout.method_id),
            "state": payout.state.value,
            "amount": to_json(payout.amount_minor, payout.currency),
            "fee": to_json(payout.fee_minor, payout.currency),
            **(told or {}),
        },
    )


def lay_out(
    connection: Connection,
    commands: Sequence[PayoutCommand],
    at: datetime,
    *,
    purse: dict[tuple[str, str], int] | None = None,
) -> Desk:
    """Lock the payees of payouts, then the payouts, and lay out what their guards look at."""
    ids = [command.payout_id for command in commands]
    seen = store.find_payouts(connection, ids).values()
    payees = {payout.payee_id for payout in seen}
    standings = lock_standings(connection, payees)
    return Desk(
        at=at,
        payouts=store.lock_payouts(connection, ids),
        standings=standings,
        methods=store.find_methods(connection, {payout.method_id for payout in seen}),
        twice=twice_in(ids),
        fees={},
        purse=purse or {},
        policy=store_policy.find_in_force(connection, at),
        accounts=_open_accounts(connection, seen),
    )


def _open_accounts(
    connection: Connection, payouts: Iterable[Payout]
) -> dict[tuple[UUID, str], PayeeAccount]:
    """The open accounts of those who are paid by a rail where payees have accounts."""
    payees = {p.payee_id for p in payouts if capabilities_of(p.rail).payee_accounts}
    found = store_payees.list_of_parties(connection, payees) if payees else []
    return {(a.party_id, a.rail): a for a in found if a.state is AccountState.OPEN}


def lock_standings(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, PayeeStanding]:
    """Lock payees FOR SHARE, so that no hold is placed meanwhile, then read what stops them."""
    known = parties.lock_share(connection, ids)
    pauses = store.list_pauses(connection, known)
    open_holds = holds.list_open(connection, [party.subject for party in known.values()])
    return {
        party.id: PayeeStanding(
            kyc_state=party.kyc_state.value,
            sanction_state=party.sanction_state.value,
            holds=tuple(hold.kind.value for hold in open_holds.get(party.subject, ())),
            paused_for=pauses.get(party.id),
        )
        for party in known.values()
    }


def run(
    connection: Connection, commands: Sequence[_C], decide: Callable[[_C], Move]
) -> tuple[list[Outcome], list[Move]]:
    """Decide each command by itself and post all that passed at once; what the books took."""
    outcomes: list[Outcome | None] = [None] * len(commands)
    moves: dict[int, Move] = {}
    for number, command in enumerate(commands):
        try:
            moves[number] = decide(command)
        except Refusal as refusal:
            outcomes[number] = refused(refusal)
    answers = post(connection, [move.draft for move in moves.values()]) if moves else []
    accepted: list[Move] = []
    for (number, move), answer in zip(moves.items(), answers, strict=True):
        if isinstance(answer, Refusal):
            outcomes[number] = refused(answer)
        else:
            accepted.append(move)
            outcomes[number] = done(**as_json(move.payout))
    return [outcome for outcome in outcomes if outcome is not None], accepted


def save(connection: Connection, moves: Sequence[Move]) -> None:
    """Write the payouts that moved; new ones are added by `store.add_payouts`."""
    known = [(move.payout, move.before) for move in moves if move.before is not None]
    if known:
        store.save_payouts(connection, known)


def post_facts(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Post what has happened already: the books may not refuse it."""
    for draft, answer in zip(drafts, post(connection, drafts), strict=True):
        if isinstance(answer, Refusal):
            raise Broken("the books refused what has happened", kind=draft.kind, why=str(answer))


def twice_in(ids: Sequence[UUID]) -> frozenset[UUID]:
    """The ids that a list names more than once."""
    return frozenset(id_ for id_, number in Counter(ids).items() if number > 1)
