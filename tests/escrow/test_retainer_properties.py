"""Whatever a period's terms and drawdowns: no cent is lost, and none is the platform's."""

from datetime import date

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import Connection

from escrow.maths_retainer import (
    Span,
    earned_by_time,
    minutes_within,
    pieces_within,
    shifted,
    span,
    taken_last,
    worth_of_minutes,
    worth_of_pieces,
)
from escrow.model import Terms
from escrow.model_retainer import Every, OnPause, Overage, RetainerKind, RetainerTerms, Unused
from ledger.service import kind_balances
from tests.escrow.stage import prove_books
from tests.escrow.stage_retainer import Lease

APRIL = date(2026, 4, 1)
AMOUNTS = some.integers(3_000, 10**7)


@some.composite
def terms(draw: some.DrawFn) -> RetainerTerms:
    """Terms that fit together."""
    kind = draw(some.sampled_from(RetainerKind))
    unused = draw(some.sampled_from(Unused))
    if kind is RetainerKind.ACCESS_FEE and unused is Unused.ROLL:
        unused = Unused.TO_CLIENT
    amount = draw(AMOUNTS)
    overage = Overage.BLOCK
    if kind is not RetainerKind.ACCESS_FEE:
        overage = draw(some.sampled_from(Overage))
    return RetainerTerms(
        kind=kind,
        amount_minor=amount,
        every=draw(some.sampled_from((Every.WEEK, Every.TWO_WEEKS))),
        anchor_on=APRIL,
        unused=unused,
        rest=draw(some.sampled_from((Unused.TO_CLIENT, Unused.TO_PAYEE))),
        roll_cap_minor=draw(some.integers(1, amount)) if unused is Unused.ROLL else 0,
        roll_periods=draw(some.integers(1, 2)),
        hourly_minor=draw(some.integers(500, 20_000)) if kind is RetainerKind.HOURS_DRAWDOWN else 0,
        quota=draw(some.integers(1, 9)) if kind is RetainerKind.DELIVERABLE_QUOTA else 0,
        overage=overage,
        on_pause=draw(some.sampled_from(OnPause)),
    )


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    terms=terms(),
    fee_bps=some.sampled_from((0, 300)),
    commission_bps=some.sampled_from((0, 1_000, 1_250)),
    units=some.integers(1, 2_000),
    pause_days=some.integers(0, 9),
    ends=some.booleans(),
)
def test_no_cent_is_lost_and_none_is_the_platforms(
    connection: Connection,
    terms: RetainerTerms,
    fee_bps: int,
    commission_bps: int,
    units: int,
    pause_days: int,
    *,
    ends: bool,
) -> None:
    """In: what was charged. Out: payee, client, fee on what was earned; never anything besides."""
    with connection.begin_nested() as point:
        deal = Terms(client_fee_bps=fee_bps, commission_bps=commission_bps)
        lease = Lease(connection, terms, deal).agreed()
        lease.until(date(2026, 4, 3))
        small = units if terms.kind is RetainerKind.HOURS_DRAWDOWN else 1 + units % 9
        if terms.kind is not RetainerKind.ACCESS_FEE:
            lease.draw(1, small)
        if pause_days:
            assert lease.pause(lease.stage.client).is_done
            assert lease.pause(lease.stage.payee).is_done
            lease.until(date(2026, 4, 3 + pause_days))
            assert lease.resume(lease.stage.payee).is_done
        lease.until(date(2026, 4, 20))
        if ends:
            assert lease.cancel(lease.stage.operator).is_done
        check_sums(lease, commission_bps)
        point.rollback()


def check_sums(lease: Lease, commission_bps: int) -> None:
    """Every cent that came in is somewhere, and revenue is the commission and fee, no more."""
    connection = lease.connection
    prove_books(connection)

    def total(kind: str) -> int:
        return -kind_balances(connection, kind).get("EUR", 0)

    paid = connection.exec_driver_sql(
        "SELECT coalesce(sum(captured_minor), 0) FROM funding WHERE state = 'succeeded'"
    ).scalar_one()
    with_others = sum(
        total(f"custody.{kind}")
        for kind in (
            *("escrow", "escrow_disputed", "wallet", "earned_pending", "earned_available"),
            "refund_in_transit",
        )
    )
    house = total("platform.revenue.commission") + total("platform.revenue.client_fee")
    assert paid == with_others + house + total("platform.deferred_fees")
    released = connection.exec_driver_sql(
        "SELECT coalesce(sum(gross_minor), 0), coalesce(sum(commission_minor), 0) FROM release"
    ).one()
    assert total("platform.revenue.commission") == released[1]
    slots = connection.exec_driver_sql(
        "SELECT count(*) FROM slot WHERE released_minor > 0"
    ).scalar_one()
    assert abs(released[1] * 10_000 - released[0] * commission_bps) <= 10_000 * slots


@given(AMOUNTS, some.integers(0, 40), some.integers(0, 40), some.booleans())
def test_days_of_a_pause_earn_nothing(
    amount: int,
    worked: int,
    paused: int,
    extends: bool,  # noqa: FBT001  hypothesis gives it
) -> None:
    """Days worked before and after a pause earn as if it had not been; never above the amount."""
    base = RetainerTerms(
        kind=RetainerKind.ACCESS_FEE, amount_minor=amount, every=Every.MONTH, anchor_on=APRIL
    )
    plain = span(base, 1)
    longer = Span(plain.first_on, shifted(plain, paused, "UTC").next_on, plain.starts_at,
                  shifted(plain, paused, "UTC").ends_at)  # fmt: skip
    found = longer if extends else plain
    then = shifted(plain, worked + paused, "UTC").starts_at

    earned = earned_by_time(
        amount, found, then, "UTC", paused_days=paused, added_days=paused if extends else 0
    )

    without = shifted(plain, worked, "UTC").starts_at
    assert earned == earned_by_time(amount, plain, without, "UTC")
    assert 0 <= earned <= amount


@given(AMOUNTS, some.integers(1, 10**6))
def test_as_many_minutes_as_the_money_pays(amount: int, hourly: int) -> None:
    """One minute more would cost more than there is."""
    most = minutes_within(amount, hourly_minor=hourly)

    assert worth_of_minutes(minutes=most, hourly_minor=hourly) <= amount
    assert worth_of_minutes(minutes=most + 1, hourly_minor=hourly) > amount


@given(some.integers(0, 10**7), AMOUNTS, some.integers(1, 50), some.integers(0, 60))
def test_as_many_pieces_as_the_money_pays(left: int, amount: int, quota: int, before: int) -> None:
    """One piece more would cost more than there is."""
    most = pieces_within(left, amount_minor=amount, quota=quota, before=before)

    def worth(pieces: int) -> int:
        return worth_of_pieces(amount_minor=amount, quota=quota, before=before, pieces=pieces)

    assert most >= 0
    assert worth(most) <= left < worth(most + 1)


@given(some.lists(some.integers(0, 10**6)), some.integers(0, 10**7))
def test_the_last_gives_first(amounts: list[int], wanted: int) -> None:
    """As much as is there, from the end; an earlier one gives only once the later are empty."""
    taken = taken_last(amounts, wanted)

    assert sum(taken) == min(wanted, sum(amounts))
    for i, part in enumerate(taken):
        assert part == 0 or taken[i + 1 :] == amounts[i + 1 :]
