"""Instant payouts: a dated fee within bounds, quoted before and posted as a payout fee."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from kernel.ids import new_id
from kernel.money import MAX_MINOR
from ledger.proof import prove
from payouts import methods, service, service_instant
from payouts.commands import AddMethod
from payouts.commands_runs import AllowInstant, RequestInstant, SetInstantFee
from payouts.model_instant import InstantFee, instant_fee_minor
from payouts.refusals import NothingLeft
from payouts.refusals_runs import NoInstant
from rails import service as rails
from tests.payouts.builders import (
    DAY,
    NOON,
    OPERATOR,
    available,
    balance,
    get_payout,
    give,
    new_method,
    new_payee,
    payee_actor,
    set_fee,
    submitting,
)

LATER = NOON + 10 * DAY


def fee_of(currency: str = "EUR", **changes: object) -> SetInstantFee:
    """1.5 %, at least 50 minor units, at most 1,000, in place of the payout fee."""
    usual = SetInstantFee(
        actor=OPERATOR,
        currency=currency,
        valid_from=LATER,
        rate_bps=150,
        fixed_minor=0,
        smallest_minor=50,
        largest_minor=1_000,
        is_on_top=False,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # fields by name


def set_instant(connection: Connection, command: SetInstantFee) -> str:
    (outcome,) = service_instant.set_fees(connection, [command], at=LATER)
    return outcome.code


def ready(connection: Connection, currency: str = "EUR") -> tuple[UUID, UUID]:
    """A payee with 100,000 minor units, and a method that may be paid at once."""
    payee_id = new_payee(connection)
    method_id = new_method(connection, payee_id)
    give(connection, payee_id, 100_000, currency)
    command = AllowInstant(actor=OPERATOR, method_id=method_id)
    (outcome,) = service_instant.allow(connection, [command], at=LATER)
    assert outcome.is_done, outcome
    return payee_id, method_id


def wish(payee: tuple[UUID, UUID], fee_minor: int, currency: str = "EUR") -> RequestInstant:
    return RequestInstant(
        actor=payee_actor(payee[0]),
        payout_id=new_id(),
        payee_id=payee[0],
        method_id=payee[1],
        amount_minor=40_000,
        currency=currency,
        fee_minor=fee_minor,
    )


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize(("is_on_top", "fee_minor"), [(False, 600), (True, 700)])
def test_an_instant_payout_is_posted_at_its_quote(
    connection: Connection, *, currency: str, is_on_top: bool, fee_minor: int
) -> None:
    """Quoted and booked alike (P37): payout-fee revenue; the rail is told of the haste."""
    set_fee(connection, 100, currency)
    set_instant(connection, fee_of(currency, is_on_top=is_on_top))
    payee = ready(connection, currency)
    command = wish(payee, fee_minor, currency)

    quote = service_instant.quote(connection, amount_minor=40_000, currency=currency, at=LATER)
    (outcome,) = service_instant.request(connection, [command], at=LATER)
    (sent,) = service.submit(connection, [submitting(command.payout_id)], at=LATER)

    assert outcome.is_done and sent.is_done, (outcome, sent)  # noqa: PT018  both or neither
    assert outcome.facts["fee"] == quote["fee"]
    payout = get_payout(connection, command.payout_id)
    assert (payout.fee_minor, payout.is_instant) == (fee_minor, True)
    assert available(connection, payee[0], currency) == 60_000
    assert balance(connection, "platform.revenue.payout_fee", currency) == -fee_minor
    (operation,) = rails.list_operations(connection, [command.payout_id])
    assert operation.facts["speed"] == "instant"
    assert operation.amount_minor == 40_000 - fee_minor
    assert not prove(connection).findings


def test_nobody_pays_another_fee_than_he_was_told(connection: Connection) -> None:
    """A fee that changed since the quote, and one that was never quoted, are refused."""
    set_instant(connection, fee_of())
    payee = ready(connection)

    (outcome,) = service_instant.request(connection, [wish(payee, 599)], at=LATER)

    assert outcome.code == "payouts.instant_fee_changed"
    assert outcome.facts["fee"] == {"amount": "6.00", "currency": "EUR"}
    assert available(connection, payee[0]) == 100_000


def test_what_cannot_be_instant_is_refused(connection: Connection) -> None:
    """A currency without a fee, a method that was not allowed, a rail that cannot, a stranger."""
    set_instant(connection, fee_of())
    payee = ready(connection)
    slow = new_method(connection, payee[0], "slow")
    by_bank = new_id()
    add = AddMethod(
        actor=OPERATOR, method_id=by_bank, party_id=payee[0], token=f"bank:{new_id()}", rail="bank"
    )
    assert methods.add_methods(connection, [add], at=NOON)[0].is_done
    allowed = [
        AllowInstant(actor=OPERATOR, method_id=by_bank),
        AllowInstant(actor=payee_actor(payee[0]), method_id=slow),
        AllowInstant(actor=OPERATOR, method_id=new_id()),
    ]

    codes = [service_instant.allow(connection, [each], at=LATER)[0].code for each in allowed]
    (unable,) = service_instant.request(
        connection, [replace(wish(payee, 600), method_id=slow)], at=LATER
    )

    assert codes == ["payouts.no_instant", "payouts.operator_only", "payouts.unknown_method"]
    assert unable.code == "payouts.no_instant"
    with pytest.raises(NoInstant):
        service_instant.quote(connection, amount_minor=40_000, currency="USD", at=LATER)
    with pytest.raises(NothingLeft):
        service_instant.quote(connection, amount_minor=50, currency="EUR", at=LATER)


def test_a_fee_is_dated_and_stays(connection: Connection) -> None:
    """Never backwards, never twice for one time, within its ranges, by operators alone."""
    codes = [
        set_instant(connection, command)
        for command in (
            fee_of(),
            fee_of(rate_bps=200),
            fee_of(valid_from=LATER - DAY),
            fee_of(valid_from=LATER + DAY, rate_bps=10_001),
            fee_of(valid_from=LATER + DAY, fixed_minor=-1),
            fee_of(valid_from=LATER + DAY, largest_minor=49),
            fee_of(valid_from=LATER + DAY, actor=payee_actor(new_id())),
            fee_of("XXQ"),
            fee_of(valid_from=LATER + DAY, rate_bps=200),
        )
    ]

    assert codes == [
        *("done", "payouts.bad_instant_fee", "payouts.bad_instant_fee"),
        *("payouts.bad_instant_fee", "payouts.bad_instant_fee", "payouts.bad_instant_fee"),
        *("payouts.operator_only", "money.unknown_currency", "done"),
    ]
    today = service_instant.quote(connection, amount_minor=40_000, currency="EUR", at=LATER)
    later = service_instant.quote(connection, amount_minor=40_000, currency="EUR", at=LATER + DAY)
    assert (today["fee"]["amount"], later["fee"]["amount"]) == ("6.00", "8.00")


@given(
    amount_minor=st.integers(1, MAX_MINOR),
    rate_bps=st.integers(0, 10_000),
    fixed_minor=st.integers(0, 10**6),
    smallest_minor=st.integers(0, 10**6),
    room_minor=st.none() | st.integers(0, 10**9),
    payout_fee_minor=st.integers(0, 10**6),
    is_on_top=st.booleans(),
)
def test_a_fee_keeps_its_bounds_and_grows_with_the_amount(
    *,
    amount_minor: int,
    rate_bps: int,
    fixed_minor: int,
    smallest_minor: int,
    room_minor: int | None,
    payout_fee_minor: int,
    is_on_top: bool,
) -> None:
    """Its own part lies within the bounds, never falls with a larger amount, and adds up."""
    largest_minor = None if room_minor is None else smallest_minor + room_minor
    fee = InstantFee(
        currency="EUR",
        valid_from=NOON,
        rate_bps=rate_bps,
        fixed_minor=fixed_minor,
        smallest_minor=smallest_minor,
        largest_minor=largest_minor,
        is_on_top=is_on_top,
    )

    whole = instant_fee_minor(fee, amount_minor=amount_minor, payout_fee_minor=payout_fee_minor)
    more = instant_fee_minor(fee, amount_minor=amount_minor + 1, payout_fee_minor=payout_fee_minor)

    own = whole - (payout_fee_minor if is_on_top else 0)
    assert own >= smallest_minor
    assert largest_minor is None or own <= largest_minor
    assert more >= whole
