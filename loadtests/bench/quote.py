"""What a price costs: the whole quote in process, and through the service and its database.

In process: the schedules of both sides chosen out of twenty-one, each with twenty bands, the tax
decided, the customer's rate made, and the quote with its bands, the next payment and the trace.
Beside it stands a fee alone, by fractions and a walk over the bands.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import partial
from statistics import median
from typing import Final
from uuid import UUID

from commissions import service_schedule
from commissions.choosing import Ask, Forgone, Page, choose_all
from commissions.commands import DecideSchedule, PrepareSchedule
from commissions.maths_fx import customer_rate
from commissions.model import Band, Facts, Mode, Schedule, Scope, Side, Tariff
from escrow import service_quote
from escrow.model import Contract, ContractState, Role, Terms
from escrow.model_price import Exchange, Pair, Price
from escrow.model_quote import AskQuote, Ground, Quoted
from escrow.rules_price import month_of
from escrow.rules_quote import quote
from kernel.database import transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from loadtests.bench.bench import Bench, Contest
from loadtests.bench.deals import Market, check_done, open_market
from loadtests.bench.measure import Meter, Sample
from loadtests.bench.workload import CURRENCY
from rails.rates.model import Rate
from tax.model_vat import Evidence, Service, Supply
from tax.vat import decide

_BANDS: Final = 20
_SCHEDULES: Final = 20
_PURE_QUOTES: Final = 5_000
_BATCH: Final = 100
_AMOUNT: Final = 123_456
_AT: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)
_EUR_USD: Final = Rate("bench", CURRENCY, "USD", Fraction("1.1"), date(2026, 3, 2))

_NOTE: Final = (
    "quote: the whole price in process, both schedules chosen out of twenty-one with twenty bands,"
    " tax, exchange, bands, the next payment and the trace; its goal is 50 microseconds of CPU."
    " plain_fee is the fee alone by fractions. quote_served goes through the service in batches of"
    " a hundred, with all look-ups"
)


def run(bench: Bench) -> None:
    """Quotes in process and a plain fee by turns; then quotes through the service."""
    contest = Contest()
    asked, plain = _in_process(), partial(_plain_fee, _bands())
    with bench.ground.engine() as engine:
        tenant = bench.ground.make_tenant("quote")
        market = open_market(engine, tenant, bench.scale.deals, at=_AT)
        _hold(market)
        for number in range(bench.scale.rounds):
            bench.say(f"quote: round {number + 1} of {bench.scale.rounds}")
            contest.add("quote", _timed(asked))
            contest.add("plain_fee", _timed(plain))
            contest.add("quote_served", _served(market))
    bench.figures.add_ratio(contest["quote"], contest["plain_fee"])
    bench.figures.add_series(*contest.series.values())
    for name, series in contest.series.items():
        cpu = median(each.client_cpu_s / each.operations for each in series.samples)
        bench.figures.facts[f"{name}_cpu_us"] = round(cpu * 1e6, 1)
    bench.figures.note(_NOTE)


def _timed(work: Callable[[], object]) -> Sample:
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(_PURE_QUOTES):
        work()
    elapsed = time.perf_counter() - start
    return Sample(_PURE_QUOTES, elapsed, time.process_time() - cpu)


def _bands() -> tuple[Band, ...]:
    ends = [50_000 * number for number in range(1, _BANDS)]
    return (*(Band(end, 2_000 - end // 1_000) for end in ends), Band(None, 100))


def _plain_fee(bands: Sequence[Band]) -> int:
    """The fee of a payment behind others, by fractions."""

    def all_of(billed_minor: int) -> int:
        total, start = Fraction(0), 0
        for end, rate_bps in bands:
            until = billed_minor if end is None else min(end, billed_minor)
            if until > start:
                total += Fraction((until - start) * rate_bps, 10_000)
                start = until
        return int(total + Fraction(1, 2))

    return all_of(423_456 + _AMOUNT) - all_of(423_456)


def _in_process() -> Callable[[], Quoted]:
    """A whole quote that needs no database: schedules, tax and rate are known."""
    page = _page()
    facts = Facts(
        contract_id="contract",
        client_id="client",
        plan="pro",
        category="design",
        origin="direct",
        country="DE",
        basis="milestone",
    )
    client_id, payee_id = new_id(), new_id()
    ask, nothing = Ask(facts, CURRENCY, payee_id), Forgone()
    evidence = (Evidence("address", "DE"), Evidence("bank", "DE"))
    supply = Supply("IE", evidence, Service.ELECTRONIC, _AT.date(), _AT)
    terms = Terms(payee_currency="USD")
    contract = Contract(
        new_id(), client_id, payee_id, CURRENCY, ContractState.DRAFT, 0, Role.CLIENT, terms, _AT
    )
    pair = Pair(client_id, payee_id, CURRENCY, 423_456, month_of(_AT), 0)
    question = AskQuote(actor=_person(1), amount_minor=_AMOUNT)

    def whole() -> Quoted:
        chosen = choose_all(page, ask, _AT, nothing)
        assert chosen.payee is not None
        assert chosen.client is not None
        tariff = chosen.payee.schedule.tariff(CURRENCY)
        client_tariff = chosen.client.schedule.tariff(CURRENCY)
        assert tariff is not None
        assert client_tariff is not None
        tax = decide(supply)
        price = Price(
            pair=pair,
            tariff=tariff,
            month=pair.month,
            tax=tax,
            fee_tax=tax,
            exchange=Exchange(_EUR_USD, customer_rate(_EUR_USD.rate, 150), 150),
        )
        ground = Ground(
            contract=contract, contract_id=None, price=price, client_tariff=client_tariff
        )
        return quote(ground, question)

    return whole


def _page() -> Page:
    """Twenty schedules of payees, five of which fit, and one of clients."""
    scopes = [
        Scope(),
        Scope(origin="direct"),
        Scope(category="design"),
        Scope(plan="pro"),
        Scope(plan="pro", country="DE"),
    ]
    scopes += [Scope(category=f"c{number}") for number in range(_SCHEDULES - len(scopes))]
    made = [_schedule(Side.PAYEE, scope) for scope in scopes]
    made.append(_schedule(Side.CLIENT, Scope()))
    general: dict[str | None, tuple[Schedule, ...]] = {}
    for each in made:
        category = each.scope.category
        general[category] = (*general.get(category, ()), each)
    return Page(general, {}, {}, ())


def _schedule(side: Side, scope: Scope) -> Schedule:
    tariffs = (Tariff(CURRENCY, _bands()),)
    return Schedule(
        new_id(), "bench", 1, side, Mode.MARGINAL, scope, 0, tariffs, _FROM, None, _FROM
    )


def _person(number: int) -> Actor:
    return Actor(UUID(int=number), PrincipalKind.PERSON, None, is_operator=True)


def _hold(market: Market) -> None:
    """One schedule in force for everybody, drawn up by one person and approved by another."""
    prepared = PrepareSchedule(
        actor=_person(1),
        schedule_id=new_id(),
        name="bench",
        side=Side.PAYEE,
        scope=Scope(),
        tariffs=(Tariff(CURRENCY, _bands()),),
    )
    approved = DecideSchedule(actor=_person(2), schedule_id=prepared.schedule_id)
    market.do(service_schedule.prepare, [prepared], _AT)
    market.do(service_schedule.approve, [approved], _AT)


def _served(market: Market) -> Sample:
    """One sample of quotes of many pairs through the service, a hundred at a time."""
    people = list(zip(market.clients, market.payees, strict=True))
    asks = [
        AskQuote(
            actor=_person(1),
            client_id=client.party_id,
            payee_id=payee.party_id,
            currency=CURRENCY,
            amount_minor=_AMOUNT,
        )
        for client, payee in (people[number % len(people)] for number in range(_BATCH))
    ]
    with transaction(market.engine, market.tenant) as connection:
        backend: int = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        meter = Meter([backend])
        with meter.running(_BATCH):
            outcomes = service_quote.quote(connection, asks, at=_AT)
    check_done(outcomes)
    return meter.sample()
