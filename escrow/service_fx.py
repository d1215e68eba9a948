"""Use cases of money that changes its currency: exchange by a quote, fills, and what stands open.

A quote is locked before it is decided on, and is used by one conversion for ever. A fill is known
by the provider's own reference: heard twice, it is booked once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from commissions import service_fx, store_fx, store_fx_quotes
from commissions.commands_fx import AskQuote
from commissions.model_fx import Conversion, Fill
from commissions.service_fx import policy_of, use_quotes
from escrow import rules_fx, store
from escrow.commands_fx import Convert, RecordFill
from escrow.model import Plan
from escrow.service_batch import once_each, run
from kernel.commands import Outcome, refused
from kernel.errors import Refusal
from kernel.money import to_json
from ledger import holds, parties
from ledger.model_parties import KycState, SanctionState
from ledger.service import kind_balances


def quote(connection: Connection, commands: Sequence[AskQuote], *, at: datetime) -> list[Outcome]:
    """Promise two amounts; for a release under a contract, at the margin that it pinned.

    Refuses as `commissions.service_fx.quote`, and with `escrow.unknown_contract`,
    `escrow.contract_not_running`, `fx.quote_does_not_fit`.
    """
    ids = {each.contract_id for each in commands if each.contract_id is not None}
    contracts = {each.id: each for each in store.find_contracts(connection, sorted(ids))}
    margins: dict[UUID, int] = {}
    outcomes: list[Outcome | None] = []
    for command in commands:
        try:
            if command.contract_id is not None:
                contract = contracts.get(command.contract_id)
                margins[command.quote_id] = rules_fx.release_margin_bps(contract, command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        outcomes.append(None)
    good = [each for each, no in zip(commands, outcomes, strict=True) if no is None]
    answers = iter(service_fx.quote(connection, good, at=at, margins=margins))
    return [next(answers) if no is None else no for no in outcomes]


def convert(connection: Connection, commands: Sequence[Convert], *, at: datetime) -> list[Outcome]:
    """Exchange what payees may withdraw, or clients have in their wallets, each at a quote of his.

    Refuses with `fx.unknown_quote`, `fx.quote_used`, `fx.quote_expired`, `fx.party_not_clear`,
    `fx.on_hold`, `escrow.subject_twice`, and with `ledger.insufficient_funds`.
    """
    return once_each(
        commands,
        lambda command: (command.quote_id, command.conversion_id),
        lambda alone: _convert(connection, alone, at),
    )


def _convert(connection: Connection, commands: Sequence[Convert], at: datetime) -> list[Outcome]:
    ids = [command.quote_id for command in commands]
    owners = {each.party_id for each in store_fx_quotes.find_quotes(connection, ids).values()}
    people = parties.lock_share(connection, owners)
    stopped = holds.list_open(connection, [party.subject for party in people.values()])
    held = {
        party.id: tuple(hold.kind.value for hold in stopped.get(party.subject, ()))
        for party in people.values()
    }
    unclear = frozenset(
        party.id
        for party in people.values()
        if party.kyc_state is not KycState.VERIFIED
        or party.sanction_state is not SanctionState.CLEAR
    )
    quotes = store_fx_quotes.lock_quotes(connection, ids)
    made: dict[UUID, Conversion] = {}

    def decide(command: Convert) -> Plan:
        found = quotes.get(command.quote_id)
        plan, conversion = rules_fx.convert(found, command, at, unclear=unclear, held=held)
        made[command.conversion_id] = conversion
        return plan

    outcomes = run(connection, commands, decide, at=at)
    done = [
        made[command.conversion_id]
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.is_done
    ]
    uses = {each.quote_id: rules_fx.subject_of(each) for each in done if each.quote_id}
    use_quotes(connection, uses, at=at)
    store_fx.add_conversions(connection, done)
    return outcomes


def record_fills(
    connection: Connection, commands: Sequence[RecordFill], *, at: datetime
) -> list[Outcome]:
    """Book what providers gave for conversions: the bridge is empty, the gap is shared out.

    Refuses with `fx.not_operator`, `fx.unknown_conversion`, `fx.already_filled`, `fx.fill_taken`,
    `escrow.subject_twice`, `money.*`.
    """
    return once_each(
        commands,
        lambda command: (command.conversion_id,),
        lambda alone: _fill(connection, alone, at),
    )


def _fill(connection: Connection, commands: Sequence[RecordFill], at: datetime) -> list[Outcome]:
    locked = store_fx.lock_conversions(connection, [each.conversion_id for each in commands])
    taken = store_fx.find_fills(
        connection, {(each.provider, each.provider_ref) for each in commands}
    )
    fills: dict[UUID, Fill] = {}

    def decide(command: RecordFill) -> Plan:
        conversion = locked.get(command.conversion_id)
        plan, given = rules_fx.fill(conversion, command, at, taken=taken)
        if given is not None and conversion is not None:
            fills[conversion.id] = given
            taken[given.provider, given.provider_ref] = conversion
        return plan

    outcomes = run(connection, commands, decide, at=at)
    done = {
        command.conversion_id
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.is_done
    }
    store_fx.save_fills(connection, {each: given for each, given in fills.items() if each in done})
    return outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What of one currency stands open on the bridge: our market risk until it is filled.

    `open_minor` is what conversions wait for (negative: sold and not yet paid away), `bridge_minor`
    the balance of `custody.fx`; both are the same, or the books are wrong.
    """

    currency: str
    open_minor: int
    bridge_minor: int
    conversions: int
    oldest_at: datetime | None
    limit_minor: int | None

    @property
    def is_over_limit(self) -> bool:
        """Whether more stands open than the policy allows."""
        return self.limit_minor is not None and abs(self.open_minor) > self.limit_minor

    @property
    def is_explained(self) -> bool:
        """Whether the bridge holds what the open conversions say."""
        return self.open_minor == self.bridge_minor

    def age(self, at: datetime) -> timedelta:
        """How long the oldest of them has waited."""
        return at - self.oldest_at if self.oldest_at else timedelta()

    def as_json(self, at: datetime) -> dict[str, Any]:
        """The row as the API sends it."""
        limit = self.limit_minor
        return {
            "currency": self.currency,
            "open": to_json(self.open_minor, self.currency),
            "bridge": to_json(self.bridge_minor, self.currency),
            "conversions": self.conversions,
            "oldest_at": self.oldest_at.isoformat() if self.oldest_at else None,
            "oldest_s": int(self.age(at).total_seconds()),
            "limit": to_json(limit, self.currency) if limit is not None else None,
            "over_limit": self.is_over_limit,
            "explained": self.is_explained,
        }


def exposure(connection: Connection) -> list[Exposure]:
    """What stands open, per currency; read it in one snapshot."""
    policy = policy_of(connection)
    bridge = kind_balances(connection, "custody.fx")
    standing = {row[0]: row[1:] for row in store_fx.sum_open(connection)}
    currencies = {code for code, minor in bridge.items() if minor} | set(standing)
    return [
        Exposure(
            currency=currency,
            open_minor=standing[currency][0] if currency in standing else 0,
            bridge_minor=bridge.get(currency, 0),
            conversions=standing[currency][1] if currency in standing else 0,
            oldest_at=standing[currency][2] if currency in standing else None,
            limit_minor=policy.limits.get(currency),
        )
        for currency in sorted(currencies)
    ]
