"""What a deal pins at its first acceptance, whatever its kind, and what changes nothing of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Connection

from commissions import store_choice
from commissions.choosing import Picked
from commissions.model import Band, Scope, Side
from commissions.model_schedule import Limit, Promotion
from escrow import service, service_promotion, store
from escrow.commands import AddMilestones, Milestone
from escrow.model import Contract, Terms
from kernel.commands import Outcome
from kernel.ids import new_id
from tests.commissions.books import START, TIERS, hold, tariff
from tests.escrow.scenes_terms import ACCESS
from tests.escrow.stage import Stage, person
from tests.escrow.stage_hourly import HourlyStage
from tests.escrow.stage_retainer import Lease

DAY = timedelta(days=1)
CURRENCIES = ("EUR", "JPY", "KWD")


def contract_of(stage: Stage) -> Contract:
    return store.find_contracts(stage.connection, [stage.contract_id])[0]


def choices_of(stage: Stage) -> list[Picked]:
    return store_choice.list_choices(stage.connection, [stage.contract_id])


def accepted(connection: Connection, currency: str = "EUR", **terms: str) -> Stage:
    """A deal on a milestone that its client has accepted."""
    stage = Stage(connection, currency, Terms(**terms))  # type: ignore[arg-type]
    for outcome in (stage.propose(), stage.accept()):
        assert outcome.is_done, outcome
    return stage


def detail_of(stage: Stage) -> dict[str, object]:
    """What the event of its acceptance says."""
    text = stage.connection.exec_driver_sql(
        "SELECT detail FROM event WHERE kind = 'contract.accepted' AND subject = %s",
        (f"contract:{stage.contract_id}",),
    ).scalar_one()
    found: dict[str, object] = orjson.loads(text or "{}")
    return found


@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_deal_pins_the_schedules_of_both_sides(connection: Connection, currency: str) -> None:
    """With their traces beside the contract, and named in the event of the acceptance."""
    tariffs = tuple(tariff(each, *TIERS) for each in CURRENCIES)
    everybody = hold(connection, tariffs=tariffs)
    direct = hold(connection, "direct", scope=Scope(origin="direct"), tariffs=tariffs)
    client = hold(connection, "client", side=Side.CLIENT, tariffs=tariffs)

    stage = accepted(connection, currency, origin="direct")

    pins = contract_of(stage).pins
    assert (pins.payee_schedule_id, pins.client_schedule_id) == (direct, client)
    assert pins.promotion_schedule_id is None
    payee, clients = choices_of(stage)
    assert [(step["schedule_id"], step["result"]) for step in payee.trace] == [
        (str(direct), "won"),
        (str(everybody), "level"),
    ]
    assert [step["result"] for step in clients.trace] == ["won"]
    told = detail_of(stage)
    assert (told["payee_schedule_id"], told["client_schedule_id"]) == (str(direct), str(client))


def test_without_a_schedule_the_rates_of_the_terms_hold(connection: Connection) -> None:
    """Nothing is pinned in a currency that no schedule has prices in, and nothing is told of it."""
    hold(connection, tariffs=(tariff("JPY"),))

    stage = accepted(connection, "EUR")

    assert contract_of(stage).pins.payee_schedule_id is None
    assert choices_of(stage) == []
    assert "payee_schedule_id" not in detail_of(stage)


def test_edge_25_a_schedule_that_changes_after_acceptance_changes_no_deal(
    connection: Connection,
) -> None:
    """Edge case 25: between funding and release a new version holds; the deal keeps its own."""
    elder = hold(connection, tariffs=(tariff("EUR", *TIERS),))
    stage = accepted(connection)
    assert stage.fund().is_done

    newer = hold(connection, replaces=elder, at=START + DAY)
    stage.now = START + 2 * DAY
    assert stage.submit().is_done
    released = stage.approve()
    later = Stage(connection, now=START + 2 * DAY)
    later.propose()
    later.accept()

    assert released.is_done
    assert contract_of(stage).pins.payee_schedule_id == elder
    assert contract_of(later).pins.payee_schedule_id == newer
    (fee,) = connection.exec_driver_sql(
        "SELECT fee_minor FROM fee_line WHERE contract_id = %s AND kind = 'commission'",
        (stage.contract_id,),
    ).scalars()
    assert fee == 2_000


def test_more_milestones_choose_nothing_anew(connection: Connection) -> None:
    """The fees of a contract are chosen once, at its first acceptance."""
    elder = hold(connection)
    stage = accepted(connection)
    hold(connection, replaces=elder, at=START + DAY)
    stage.now = START + DAY

    more = AddMilestones(
        actor=stage.payee,
        contract_id=stage.contract_id,
        milestones=(Milestone(slot_id=new_id(), amount_minor=5_000),),
    )
    assert service.add_milestones(connection, [more], at=stage.now)[0].is_done
    assert stage.accept().is_done

    assert contract_of(stage).pins.payee_schedule_id == elder
    assert len(choices_of(stage)) == 1


def promote(
    connection: Connection,
    name: str = "spring",
    *,
    is_open: bool = True,
    applies_until: datetime | None = None,
    limit: Limit | None = None,
    rate_bps: int = 400,
) -> UUID:
    """A promotion that two people put in force: four in a hundred in every currency."""
    limits = dict.fromkeys(CURRENCIES, limit) if limit else {}
    return hold(
        connection,
        name,
        scope=Scope(promotion=name),
        tariffs=tuple(tariff(each, Band(None, rate_bps)) for each in CURRENCIES),
        promotion=Promotion(is_open=is_open, applies_until=applies_until, limits=limits),
    )


def standard(connection: Connection) -> UUID:
    return hold(connection, tariffs=tuple(tariff(each) for each in CURRENCIES))


def name(stage: Stage, promotion: str) -> Outcome:
    command = service_promotion.NamePromotion(
        actor=stage.client, contract_id=stage.contract_id, promotion=promotion
    )
    return service_promotion.name_promotion(stage.connection, [command], at=stage.now)[0]


def released(stage: Stage, amount_minor: int) -> tuple[int, int]:
    """Release a part: the fee of it, and what the promotion forwent."""
    assert stage.release_part(amount_minor).is_done
    row = stage.connection.exec_driver_sql(
        "SELECT fee_minor, foregone_minor FROM fee_line"
        " WHERE contract_id = %s AND kind = 'commission' ORDER BY id DESC LIMIT 1",
        (stage.contract_id,),
    ).one()
    return row[0], row[1]


@pytest.mark.parametrize("currency", CURRENCIES)
@pytest.mark.parametrize(
    ("until", "fees"),
    [
        (None, [(400, 600), (400, 600)]),
        (START + DAY, [(400, 600), (1_000, 0)]),
    ],
    ids=["for the contract", "until a date"],
)
def test_edge_26_a_promotion_ends_mid_contract_as_was_decided_at_acceptance(
    connection: Connection,
    currency: str,
    until: datetime | None,
    fees: list[tuple[int, int]],
) -> None:
    """Edge case 26: 10,000 at ten in a hundred, at four by the promotion while it counts."""
    standard(connection)
    spring = promote(connection, applies_until=until)
    stage = Stage(connection, currency, amounts=(30_000,)).ready()

    first = released(stage, 10_000)
    stage.now = START + 2 * DAY
    second = released(stage, 10_000)

    assert contract_of(stage).pins.promotion_schedule_id == spring
    assert contract_of(stage).pins.promotion_until == until
    assert [first, second] == fees


def test_a_promotion_is_for_deals_that_name_it_unless_it_is_open(connection: Connection) -> None:
    """Named before the deal is accepted, by a side of it, once, and only one that there is."""
    standard(connection)
    spring = promote(connection, is_open=False)
    silent, loud = Stage(connection), Stage(connection)
    for stage in (silent, loud):
        assert stage.propose().is_done
    stranger = service_promotion.NamePromotion(
        actor=person(new_id()), contract_id=loud.contract_id, promotion="spring"
    )

    codes = [
        service_promotion.name_promotion(connection, [stranger], at=START)[0].code,
        name(loud, "autumn").code,
        name(loud, "spring").code,
        name(loud, "spring").code,
    ]
    for stage in (silent, loud):
        assert stage.accept().is_done

    assert codes == [
        "escrow.not_yours",
        "fees.unknown_promotion",
        "done",
        "fees.promotion_named",
    ]
    assert name(silent, "spring").code == "fees.promotion_named"
    assert contract_of(silent).pins.promotion_schedule_id is None
    assert contract_of(loud).pins.promotion_schedule_id == spring


def test_a_promotion_whose_budget_is_used_up_is_not_pinned(connection: Connection) -> None:
    """What it forwent is read from the fee lines; the trace of the next deal says why not."""
    standard(connection)
    promote(connection, limit=Limit(budget_minor=600))
    first = Stage(connection, amounts=(30_000,)).ready()
    before = accepted(connection)
    assert released(first, 10_000) == (400, 600)

    after = accepted(connection)

    assert contract_of(before).pins.promotion_schedule_id is not None
    assert contract_of(after).pins.promotion_schedule_id is None
    _, promotion = choices_of(after)
    assert (promotion.is_promotion, promotion.schedule_id) == (True, None)
    assert [step["result"] for step in promotion.trace] == ["budget used up"]
    assert contract_of(accepted(connection, "JPY")).pins.promotion_schedule_id is not None


def test_one_payee_saves_no_more_than_the_limit_of_a_party(connection: Connection) -> None:
    """Another payee still gets the promotion; this one is told why he does not."""
    standard(connection)
    spring = promote(connection, limit=Limit(None, 600))
    first = Stage(connection, amounts=(30_000,)).ready()
    released(first, 10_000)
    again = Stage(connection)
    again.payee = first.payee
    again.propose()
    again.accept()

    assert contract_of(again).pins.promotion_schedule_id is None
    assert [step["result"] for step in choices_of(again)[1].trace] == ["party limit reached"]
    assert contract_of(accepted(connection)).pins.promotion_schedule_id == spring


def test_of_two_promotions_a_deal_gets_one(connection: Connection) -> None:
    """The stronger; the other is in the trace."""
    standard(connection)
    autumn = promote(connection, "autumn")
    promote(connection, "spring")

    stage = accepted(connection)

    assert contract_of(stage).pins.promotion_schedule_id == autumn
    assert [step["result"] for step in choices_of(stage)[1].trace] == ["won", "name"]


def test_a_promotion_never_makes_a_fee_dearer(connection: Connection) -> None:
    """One above the deal's own schedule leaves the fee as it was, and forgoes nothing."""
    standard(connection)
    promote(connection, rate_bps=2_000)
    stage = Stage(connection, amounts=(30_000,)).ready()

    assert released(stage, 10_000) == (1_000, 0)


def test_hours_and_retainers_pin_the_schedule_of_their_kind(connection: Connection) -> None:
    """Whoever accepts what first: milestones, hours, a retainer; and several kinds at once."""
    prices = (tariff("EUR"), tariff("USD"))
    since = START - 30 * DAY
    ids = {
        kind: hold(connection, kind, at=since, scope=Scope(basis=kind), tariffs=prices)
        for kind in ("milestone", "hourly", "retainer")
    }
    everybody = hold(connection, at=since, tariffs=prices)
    hours = HourlyStage(connection).ready()
    lease = Lease(connection, replace(ACCESS)).agreed()
    mixed = Stage(connection)
    assert mixed.propose().is_done
    connection.exec_driver_sql(
        "INSERT INTO term (id, contract_id, kind, created_at) VALUES (%s, %s, 'hourly', %s)",
        (new_id(), mixed.contract_id, START),
    )
    assert mixed.accept().is_done

    found = [
        store.find_contracts(connection, [contract_id])[0].pins.payee_schedule_id
        for contract_id in (
            accepted(connection).contract_id,
            hours.contract_id,
            lease.stage.contract_id,
            mixed.contract_id,
        )
    ]

    assert found == [ids["milestone"], ids["hourly"], ids["retainer"], everybody]
