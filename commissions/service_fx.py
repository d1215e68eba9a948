"""Rates for whoever converts, taken from their source; quotes that are used once; policies.

A rate that is missing, too old or nothing is a refusal beside its pair, not an error: one deal of
a batch is refused, and its neighbours go on.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions import rules_fx, store_fx, store_fx_quotes
from commissions.commands_fx import AskQuote, TakeRates
from commissions.maths_fx import ZeroRate, check_fresh
from commissions.model_fx import DEFAULT_POLICY, Pair, Policy, Quote, QuoteState
from commissions.refusals_fx import (
    NoRate,
    RateDiffers,
    SameCurrency,
    UnknownParty,
)
from commissions.service_fx_batch import run
from kernel import timers
from kernel.commands import Outcome
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, NotPositive, TooLarge, exponent, to_json
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer
from ledger import parties
from ledger.model import Draft
from ledger.service import post
from rails.rates.model import Rate, Source, show_rate

QUOTE_EXPIRY: Final = "commissions.quote_expiry"
"""The kind of the timer that ends a quote."""
_NO_MARGINS: Final[Mapping[UUID, int]] = MappingProxyType({})


def rates_for(
    connection: Connection, pairs: Collection[Pair], at: datetime
) -> dict[Pair, Rate | Refusal]:
    """The mid rate of each pair (sold, bought), or why there is none; one statement for all.

    The source is the policy's; the day is that of `at` in UTC. Refusals among the answers:
    `fx.no_rate`, `fx.stale_rate`, `fx.zero_rate`, `fx.same_currency`.
    """
    if not pairs:
        return {}
    on = at.astimezone(UTC).date()
    found = store_fx.find_mids(connection, pairs, on=on)
    return {pair: _usable(pair, found, on) for pair in set(pairs)}


def policy_of(connection: Connection) -> Policy:
    """How the tenant exchanges now."""
    prepared = store_fx_quotes.find_policy(connection)
    return prepared.policy if prepared else DEFAULT_POLICY


def margins_for(connection: Connection, pairs: Collection[Pair]) -> dict[Pair, int]:
    """Our margin on each pair by the policy that holds, in basis points."""
    policy = policy_of(connection)
    return {pair: policy.margin_of(pair) for pair in set(pairs)}


def rates_of_day(source: Source, on: date) -> tuple[Rate, ...]:
    """All that a source has by a day: for its base, or for every pair where it has none."""
    codes = sorted(source.currencies(on))
    bases = codes if source.base is None else [source.base]
    asked = [(sold, bought) for sold in bases for bought in codes if sold != bought]
    found = (source.find(sold=sold, bought=bought, on=on) for sold, bought in asked)
    return tuple(each for each in found if each is not None)


def take_rates(
    connection: Connection, commands: Sequence[TakeRates], *, at: datetime
) -> list[Outcome]:
    """Write down what a source gave; a rate that stands already stays, and is no error.

    Refuses with `fx.not_operator`, `fx.zero_rate`, and with `fx.rate_differs` where the source
    gave another rate for that day before: then nothing of it is written.
    """

    def take(command: TakeRates) -> tuple[Draft, dict[str, Any]]:
        rules_fx.check_operator(command.actor)
        for each in command.rates:
            exponent(each.sold)
            exponent(each.bought)
            if each.rate <= 0:
                raise ZeroRate(rate=str(each.rate))
        others = store_fx_quotes.find_others(connection, command.rates)
        if others:
            first = others[0]
            raise RateDiffers(
                source=first.source,
                sold=first.sold,
                bought=first.bought,
                as_of=first.as_of.isoformat(),
                stands=show_rate(first.rate),
            )
        added = store_fx_quotes.add_rates(connection, command.rates, origin=command.origin, at=at)
        days = sorted({each.as_of.isoformat() for each in command.rates})
        facts = {"taken": added, "known": len(command.rates) - added, "days": days[-1:]}
        detail = {"origin": command.origin, **facts}
        return Draft("fx.rates_taken", "fx:rates", command.actor, at, detail=detail), facts

    return run(connection, commands, take)


def quote(
    connection: Connection,
    commands: Sequence[AskQuote],
    *,
    at: datetime,
    margins: Mapping[UUID, int] = _NO_MARGINS,
) -> list[Outcome]:
    """Promise two amounts for as long as the policy says; a timer ends it.

    `margins` are those, by quote, that differ from the policy's.
    Refuses with `fx.unknown_party`, `fx.no_rate`, `fx.stale_rate`, `fx.zero_rate`,
    `fx.same_currency`, `fx.too_small`, `fx.too_much`, `fx.over_limit`, `money.*`.
    """
    pairs = {(each.sold, each.bought) for each in commands}
    rates = rates_for(connection, pairs, at)
    policy = policy_of(connection)
    open_minor = {row[0]: row[1] for row in store_fx.sum_open(connection)}
    known = frozenset(parties.find_many(connection, [each.party_id for each in commands]))
    quotes: list[Quote] = []

    def ask(command: AskQuote) -> tuple[Draft, dict[str, Any]]:
        found = _quoted(command, rates, policy, open_minor, known, at, margins)
        quotes.append(found)
        facts = quote_facts(found)
        detail = {key: value for key, value in facts.items() if key != "quote_id"}
        return Draft("fx.quoted", f"fx_quote:{found.id}", command.actor, at, detail=detail), facts

    outcomes = run(connection, commands, ask)
    store_fx_quotes.add_quotes(connection, quotes)
    arms = [Arm(f"fx_quote:{each.id}", QUOTE_EXPIRY, each.expires_at, 1) for each in quotes]
    timers.arm(connection, arms, at=at)
    return outcomes


def _quoted(
    command: AskQuote,
    rates: Mapping[Pair, Rate | Refusal],
    policy: Policy,
    open_minor: Mapping[str, int],
    known: frozenset[UUID],
    at: datetime,
    margins: Mapping[UUID, int],
) -> Quote:
    if command.party_id not in known or not (
        command.actor.is_operator or command.actor.party_id == command.party_id
    ):
        raise UnknownParty(party_id=str(command.party_id))
    exponent(command.sold)
    exponent(command.bought)
    if command.amount_minor <= 0:
        raise NotPositive(amount_minor=command.amount_minor)
    if command.amount_minor > MAX_MINOR:
        raise TooLarge(amount_minor=command.amount_minor)
    pair = (command.sold, command.bought)
    mid = rates[pair]
    if isinstance(mid, Refusal):
        raise mid
    bps = margins.get(command.quote_id, policy.margin_of(pair))
    priced = rules_fx.price(
        mid, margin_bps=bps, fixed=command.fixed, amount_minor=command.amount_minor
    )
    rules_fx.check_limits(policy, open_minor, sold=pair[0], bought=pair[1], priced=priced)
    return Quote(
        id=command.quote_id,
        party_id=command.party_id,
        mid=mid,
        rate=priced.rate,
        margin_bps=bps,
        fixed=command.fixed,
        sold_minor=priced.sold_minor,
        bought_minor=priced.bought_minor,
        margin_minor=priced.margin_minor,
        quoted_at=at,
        expires_at=at + policy.lifetime,
        contract_id=command.contract_id,
    )


def use_quotes(connection: Connection, uses: Mapping[UUID, str], *, at: datetime) -> None:
    """Write for what locked quotes were used, each once, and stop their clocks."""
    if not uses:
        return
    store_fx_quotes.save_uses(connection, uses, at=at)
    timers.cancel(connection, [(f"fx_quote:{each}", QUOTE_EXPIRY) for each in uses])


def expire_quotes(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Quotes whose time is over end; one that is just being used is left to its user."""
    ids = {UUID(each.subject.partition(":")[2]): each for each in due}
    locked = store_fx_quotes.lock_quotes(connection, ids, skip_locked=True)
    claimed = timers.claim(connection, [ids[each] for each in locked])
    ended = [
        found
        for each in claimed
        if (found := locked[UUID(each.subject.partition(":")[2])]).state is QuoteState.OPEN
    ]
    store_fx_quotes.save_expired(connection, [each.id for each in ended])
    drafts = [Draft("fx.quote_expired", f"fx_quote:{each.id}", SYSTEM, at) for each in ended]
    if drafts:
        post(connection, drafts)
    return len(claimed)


HANDLERS: Final = MappingProxyType({QUOTE_EXPIRY: expire_quotes})
"""The clock of a quote, for the table of timers."""


def quote_facts(found: Quote) -> dict[str, Any]:
    """What people are told of a quote."""
    return {
        "quote_id": str(found.id),
        "party_id": str(found.party_id),
        "contract_id": str(found.contract_id) if found.contract_id else None,
        "sold": to_json(found.sold_minor, found.mid.sold),
        "bought": to_json(found.bought_minor, found.mid.bought),
        "fixed": found.fixed.value,
        "mid": show_rate(found.mid.rate),
        "rate": show_rate(found.rate),
        "margin_bps": found.margin_bps,
        "source": found.mid.source,
        "as_of": found.mid.as_of.isoformat(),
        "state": found.state.value,
        "quoted_at": found.quoted_at.isoformat(),
        "expires_at": found.expires_at.isoformat(),
    }


def _usable(pair: Pair, found: Mapping[Pair, Rate], on: date) -> Rate | Refusal:
    sold, bought = pair
    if sold == bought:
        return SameCurrency(currency=sold)
    rate = found.get(pair)
    if rate is None:
        return NoRate(sold=sold, bought=bought)
    if rate.rate <= 0:
        return ZeroRate(rate=str(rate.rate))
    try:
        check_fresh(rate, on)
    except Refusal as refusal:
        return refusal
    return rate
