"""Releases with all that a price can have, beside plain ones: what commissions, tax and FX cost.

Two tenants, the same deals. In the plain one a release takes a flat commission; in the other there
is a schedule of twenty bands by what the pair has billed, VAT on the commission decided by stored
evidence, and every payee is paid in another currency at the day's rate.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import islice
from random import Random
from typing import Final
from uuid import UUID

from sqlalchemy import Engine

from commissions import service_fx, service_fx_policy, service_schedule
from commissions.commands import DecideSchedule, PrepareSchedule
from commissions.commands_fx import ApprovePolicy, PreparePolicy, TakeRates
from commissions.model import Band, Scope, Side, Tariff
from commissions.model_fx import Policy
from escrow import service
from escrow.model import Terms
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from loadtests.bench.bench import Bench, Contest
from loadtests.bench.deals import Market, OpenSlot, open_market
from loadtests.bench.measure import Meter, Sample
from loadtests.bench.workload import CURRENCY, BenchTrouble
from rails.rates.model import Rate
from tax import service_profile
from tax.model_profile import SetBuyer, SetSupplier
from tax.model_vat import Evidence

BANDS: Final = 20
PAID_IN: Final = "USD"
RATE: Final = Fraction(11, 10)
RATIO: Final = "release_priced_over_release_plain"

_SEED: Final = 5
_MARGIN_BPS: Final = 150
_BAND_MINOR: Final = 250_000
_KEEPER: Final = Actor(UUID(int=0xF1), PrincipalKind.PERSON, is_operator=True)
_SECOND: Final = Actor(UUID(int=0xF2), PrincipalKind.PERSON, is_operator=True)
_NOTE: Final = """release_priced: slots approved in a tenant with a schedule of 20 bands, VAT on the
commission and payees paid in another currency, in batches like those of release_plain, its twin
without any of it; slots per second"""


def run(bench: Bench, engine: Engine) -> None:
    """Release by turns in both tenants; every slot must be released at its price."""
    random, scale = Random(_SEED), bench.scale
    count = scale.rounds * scale.release_batches * scale.release_batch
    now = datetime.now(UTC)
    markets = {
        "release_plain": open_market(
            engine, bench.ground.make_tenant("plain"), scale.deals, at=now
        ),
        "release_priced": open_priced(
            engine, bench.ground.make_tenant("priced"), scale.deals, at=now
        ),
    }
    slots: dict[str, Iterator[OpenSlot]] = {}
    for name, market in markets.items():
        made = market.make_slots(count, random, at=datetime.now(UTC), say=bench.say)
        random.shuffle(made)
        slots[name] = iter(made)
    bench.ground.settle()
    contest = Contest()
    for number in range(1, scale.rounds + 1):
        bench.say(f"release, plain and priced: round {number} of {scale.rounds}")
        pids = bench.ground.backends()
        for name, market in markets.items():
            contest.add(name, _release(bench, market, slots[name], pids))
    _check_priced(markets["release_priced"], count)
    bench.figures.add_ratio(contest["release_priced"], contest["release_plain"], RATIO)
    bench.figures.add_series(*contest.series.values())
    bench.figures.note(_NOTE)


def open_priced(engine: Engine, tenant: Tenant, people: int, *, at: datetime) -> Market:
    """A market whose releases cost all that a price can have."""
    plain = open_market(engine, tenant, people, at=at)
    market = Market(engine, tenant, plain.clients, plain.payees, Terms(payee_currency=PAID_IN))
    _open_taxes(market, at)
    _open_exchange(market, at)
    _open_schedule(market, at)
    return market


def _open_taxes(market: Market, at: datetime) -> None:
    supplier = SetSupplier(
        actor=_KEEPER, country="IE", name="Bench", address="1 Quay, Dublin", tax_numbers={}
    )
    market.do(service_profile.set_supplier, [supplier], at)
    evidence = (Evidence("address", "DE"), Evidence("bank", "DE"))
    people = [*market.clients, *market.payees]
    market.do(
        service_profile.set_buyer,
        [SetBuyer(actor=_KEEPER, party_id=each.party_id, evidence=evidence) for each in people],
        at,
    )


def _open_exchange(market: Market, at: datetime) -> None:
    policy = PreparePolicy(
        actor=_KEEPER, policy_id=new_id(), policy=Policy(margin_bps=_MARGIN_BPS), reason="bench"
    )
    market.do(service_fx_policy.prepare_policy, [policy], at)
    approval = ApprovePolicy(actor=_SECOND, policy_id=policy.policy_id)
    market.do(service_fx_policy.approve_policy, [approval], at)
    # Yesterday's too, so that midnight does not end the bench.
    days = [at.date() - timedelta(days=1), at.date()]
    rates = tuple(Rate("ecb", CURRENCY, PAID_IN, RATE, day) for day in days)
    market.do(service_fx.take_rates, [TakeRates(actor=_KEEPER, rates=rates, origin="bench")], at)


def _open_schedule(market: Market, at: datetime) -> None:
    ends = [_BAND_MINOR * number for number in range(1, BANDS)]
    rates = [2_000 - 75 * number for number in range(BANDS)]
    bands = tuple(Band(end, rate) for end, rate in zip([*ends, None], rates, strict=True))
    prepared = PrepareSchedule(
        actor=_KEEPER,
        schedule_id=new_id(),
        name="bench",
        side=Side.PAYEE,
        scope=Scope(),
        tariffs=(Tariff(CURRENCY, bands),),
    )
    market.do(service_schedule.prepare, [prepared], at)
    approval = DecideSchedule(actor=_SECOND, schedule_id=prepared.schedule_id)
    market.do(service_schedule.approve, [approval], at)


def _release(
    bench: Bench, market: Market, slots: Iterator[OpenSlot], pids: Sequence[int]
) -> Sample:
    meter = Meter(pids)
    for _ in range(bench.scale.release_batches):
        commands = [slot.approval() for slot in islice(slots, bench.scale.release_batch)]
        with meter.running(len(commands)):
            market.do(service.approve, commands, datetime.now(UTC))
    return meter.sample()


def _check_priced(market: Market, released: int) -> None:
    """Every release was converted, and has a commission by the schedule with its tax."""
    with transaction(market.engine, market.tenant) as connection:
        converted, priced = connection.exec_driver_sql(
            "SELECT (SELECT count(*) FROM fx_conversion WHERE state = 'open'),"
            " (SELECT count(*) FROM fee_line WHERE schedule_id IS NOT NULL AND tax_minor > 0)"
        ).one()
    if not converted == priced == released:
        raise BenchTrouble(
            f"{released} releases were made, {converted} converted and {priced} priced with tax"
        )
