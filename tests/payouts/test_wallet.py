"""Clients' wallets: paid in (P06), taken out (P15, P16, payouts), closed (edge case 47)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.ids import new_id
from ledger import parties
from ledger.chart import account
from ledger.proof import prove
from ledger.service import balances
from payouts import (
    hearing_wallet,
    service,
    service_sanctions,
    service_wallet,
    service_withdrawal,
    store_wallet,
)
from payouts import service as payouts
from payouts.model_wallet import CloseWallet, SetMinimum, TopUpWallet, Withdraw
from rails import service as rails
from rails.model import (
    CHARGEBACK_FUNDS,
    PAYOUT_RETURNED,
    Notice,
    OperationKind,
    RailOutcome,
    RailResult,
)
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    balance,
    give,
    new_method,
    new_payee,
    payee_actor,
    submitting,
)

DONE, REFUSED = RailOutcome.DONE, RailOutcome.REFUSED
CURRENCIES = pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])


def result(
    operation_id: UUID,
    outcome: RailOutcome = DONE,
    *,
    amount_minor: int = 10_000,
    kind: OperationKind = OperationKind.FUND,
    currency: str = "EUR",
    **named: Any,
) -> RailResult:
    return RailResult(
        operation_id=operation_id,
        kind=kind,
        subject="",
        outcome=outcome,
        amount_minor=amount_minor,
        currency=currency,
        occurred_at=NOON,
        **named,
    )


def asked_top_up(
    connection: Connection, client_id: UUID, amount_minor: int, currency: str = "EUR"
) -> UUID:
    wish = TopUpWallet(
        actor=payee_actor(client_id),
        top_up_id=new_id(),
        client_id=client_id,
        currency=currency,
        amount_minor=amount_minor,
    )
    (outcome,) = service_wallet.top_up(connection, [wish], at=NOON)
    assert outcome.is_done, outcome
    return wish.top_up_id


def topped_up(
    connection: Connection,
    client_id: UUID,
    amount_minor: int = 10_000,
    currency: str = "EUR",
    at: datetime = NOON,
) -> UUID:
    """A wallet with money that came by a card."""
    top_up_id = asked_top_up(connection, client_id, amount_minor, currency)
    news = result(top_up_id, amount_minor=amount_minor, currency=currency, fee_minor=329)
    hearing_wallet.hear_top_ups(connection, [news], at)
    return top_up_id


def wallet(connection: Connection, client_id: UUID, currency: str = "EUR") -> int:
    key = account("custody.wallet", currency, client_id)
    return -balances(connection, [key])[key]


def withdrawn(
    connection: Connection,
    client_id: UUID,
    amount_minor: int,
    currency: str = "EUR",
    *,
    method_id: UUID | None = None,
    at: datetime = NOON,
) -> Outcome:
    wish = Withdraw(
        actor=payee_actor(client_id),
        withdrawal_id=new_id(),
        party_id=client_id,
        currency=currency,
        amount_minor=amount_minor,
        method_id=method_id,
    )
    return service_withdrawal.withdraw(connection, [wish], at=at)[0]


def parts(outcome: Outcome) -> list[str]:
    assert outcome.is_done, outcome
    return [f"{each['way']} {each['amount']['amount']}" for each in outcome.facts["parts"]]


def clean(connection: Connection) -> bool:
    return not prove(connection).findings


@CURRENCIES
def test_a_top_up_is_p06_with_its_owner_known(connection: Connection, currency: str) -> None:
    """100.00 by card, 3.29 kept: pending 96.71, due from the platform 3.29, wallet 100.00."""
    client_id = new_payee(connection)

    topped_up(connection, client_id, 10_000, currency)

    pending = account("custody.processor_pending", currency, "simulated")
    assert balances(connection, [pending])[pending] == 9_671
    assert balance(connection, "custody.due_from_platform", currency) == 329
    assert balance(connection, "platform.expense.processor", currency) == 329
    assert wallet(connection, client_id, currency) == 10_000
    assert clean(connection)


def test_money_that_has_not_cleared_is_in_suspense(connection: Connection) -> None:
    """Made: suspense; cleared: wallet. Told twice, it is booked once."""
    client_id = new_payee(connection)
    top_up_id = asked_top_up(connection, client_id, 10_000)
    made, cleared = result(top_up_id, cleared=False, fee_minor=50), result(top_up_id, fee_minor=50)

    hearing_wallet.hear_top_ups(connection, [made, made], NOON)
    assert (wallet(connection, client_id), balance(connection, "custody.suspense")) == (0, -10_000)
    hearing_wallet.hear_top_ups(connection, [cleared, cleared], NOON)

    assert (wallet(connection, client_id), balance(connection, "custody.suspense")) == (10_000, 0)
    assert clean(connection)


def test_money_that_never_clears_is_in_no_wallet(connection: Connection) -> None:
    """The payer's bank takes it back: suspense is empty, the fee is our cost."""
    client_id = new_payee(connection)
    top_up_id = asked_top_up(connection, client_id, 10_000)
    made = result(top_up_id, cleared=False, fee_minor=50)

    news = [made, result(top_up_id, REFUSED, code="debit.returned")]
    hearing_wallet.hear_top_ups(connection, news, NOON)

    assert (wallet(connection, client_id), balance(connection, "custody.suspense")) == (0, 0)
    assert store_wallet.lock_top_ups(connection, [top_up_id])[top_up_id].state == "returned"
    assert clean(connection)


def test_a_declined_card_books_nothing(connection: Connection) -> None:
    """Refused before it was made."""
    client_id = new_payee(connection)
    top_up_id = asked_top_up(connection, client_id, 10_000)

    hearing_wallet.hear_top_ups(
        connection, [result(top_up_id, REFUSED, code="card.declined")], NOON
    )

    assert wallet(connection, client_id) == 0
    assert store_wallet.lock_top_ups(connection, [top_up_id])[top_up_id].code == "card.declined"


def test_taken_back_later_the_client_owes_what_the_wallet_lacks(connection: Connection) -> None:
    """100.00 came back out when 30.00 were left: 70.00 are the platform's claim on the client."""
    client_id = new_payee(connection)
    top_up_id = topped_up(connection, client_id)
    method_id = new_method(connection, client_id)
    late = NOON + timedelta(days=181)
    assert parts(withdrawn(connection, client_id, 7_000, method_id=method_id, at=late)) == [
        "payout 70.00"
    ]

    hearing_wallet.hear_top_ups(connection, [result(top_up_id, REFUSED, code="back")], late)

    claim = account("platform.claim_on_client", "EUR", client_id)
    assert (wallet(connection, client_id), balances(connection, [claim])[claim]) == (0, 7_000)
    assert clean(connection)


@CURRENCIES
def test_e47_wallet_money_goes_back_by_the_last_payments(
    connection: Connection, currency: str
) -> None:
    """Edge case 47: newest first, each as far as it brought money; the operations name them."""
    client_id = new_payee(connection)
    first = topped_up(connection, client_id, 10_000, currency)
    last = topped_up(connection, client_id, 4_000, currency, NOON + timedelta(days=1))

    outcome = withdrawn(connection, client_id, 6_000, currency, at=NOON + timedelta(days=2))

    assert [each["top_up_id"] for each in outcome.facts["parts"]] == [str(last), str(first)]
    asked = rails.list_open(connection, service_withdrawal.REFUND_HANDLER)
    assert [(each.facts["funding_id"], each.amount_minor) for each in asked] == [
        (str(last), 4_000),
        (str(first), 2_000),
    ]
    assert wallet(connection, client_id, currency) == 8_000
    for each in asked:
        news = result(
            each.id,
            amount_minor=each.amount_minor,
            currency=currency,
            kind=OperationKind.REFUND,
        )
        hearing_wallet.hear_refunds(connection, [news], NOON)
    there = account("custody.processor_available", currency, "simulated")
    assert balances(connection, [there])[there] == -6_000
    assert clean(connection)


def test_a_refund_that_bounces_is_in_the_wallet_again(connection: Connection) -> None:
    """P16, also after it was paid (P15 the other way first); the payment may be refunded anew."""
    client_id = new_payee(connection)
    top_up_id = topped_up(connection, client_id)
    withdrawn(connection, client_id, 10_000)
    (part,) = store_wallet.list_withdrawals(connection, client_id, after=None, limit=9)
    words = [result(part.id, outcome, kind=OperationKind.REFUND) for outcome in (DONE, REFUSED)]

    for each in words:
        hearing_wallet.hear_refunds(connection, [each], NOON)

    assert wallet(connection, client_id) == 10_000
    assert store_wallet.lock_top_ups(connection, [top_up_id])[top_up_id].refunded_minor == 0
    assert parts(withdrawn(connection, client_id, 10_000)) == ["refund 100.00"]
    assert clean(connection)


def test_beyond_the_window_it_is_paid_out(connection: Connection) -> None:
    """After 180 days no card takes it back: by a payout, or refused without a method for it."""
    client_id = new_payee(connection)
    topped_up(connection, client_id)
    late = NOON + timedelta(days=181)

    without = withdrawn(connection, client_id, 10_000, at=late)
    method_id = new_method(connection, client_id)
    outcome = withdrawn(connection, client_id, 10_000, method_id=method_id, at=late)

    assert without.code == "wallet.method_needed"
    assert parts(outcome) == ["payout 100.00"]
    assert wallet(connection, client_id) == 0
    assert clean(connection)


def test_a_payout_that_is_refused_takes_nothing(connection: Connection) -> None:
    """The method is another's: nothing of the withdrawal is written, no refund asked for."""
    client_id, other = new_payee(connection), new_payee(connection)
    topped_up(connection, client_id, 4_000)
    topped_up(connection, client_id, 6_000, "EUR", NOON + timedelta(days=170))
    method_id = new_method(connection, other)
    late = NOON + timedelta(days=181)

    outcome = withdrawn(connection, client_id, 10_000, method_id=method_id, at=late)

    assert outcome.code == "payouts.unknown_method"
    assert wallet(connection, client_id) == 10_000
    assert rails.list_open(connection, service_withdrawal.REFUND_HANDLER) == []
    assert store_wallet.list_withdrawals(connection, client_id, after=None, limit=9) == []


def test_a_payout_that_fails_is_in_the_wallet_again(connection: Connection) -> None:
    """It is not left as earned money of the client: the day's round puts it back, once."""
    client_id = new_payee(connection)
    method_id = new_method(connection, client_id)
    topped_up(connection, client_id)
    give(connection, new_payee(connection), 50_000)
    late = NOON + timedelta(days=181)
    withdrawn(connection, client_id, 10_000, method_id=method_id, at=late)
    (part,) = store_wallet.list_withdrawals(connection, client_id, after=None, limit=9)
    assert service.submit(connection, [submitting(part.id)], at=late)[0].is_done

    news = result(part.id, REFUSED, kind=OperationKind.PAYOUT, code=PAYOUT_RETURNED)
    payouts.hear(connection, [news], late)

    assert hearing_wallet.take_back(connection, at=late) == 1
    assert hearing_wallet.take_back(connection, at=late) == 0
    assert wallet(connection, client_id) == 10_000
    assert clean(connection)


@pytest.mark.parametrize("stop", ["hit", "hold"])
def test_nothing_leaves_a_wallet_while_its_owner_is_stopped(
    connection: Connection, stop: str
) -> None:
    """A sanctions match blocks the wallet too; a hold leaves it where it is."""
    client_id = new_payee(connection)
    topped_up(connection, client_id)
    if stop == "hit":
        change = parties.ChangeParty(
            actor=OPERATOR, party_id=client_id, sanction_state=parties.SanctionState.HIT
        )
        service_sanctions.change_parties(connection, [change], at=NOON)
    else:
        connection.exec_driver_sql(
            "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
            " VALUES (%s, %s, 'compliance', 'a reason', %s, %s)",
            (new_id(), f"party:{client_id}", new_id(), NOON),
        )

    outcome = withdrawn(connection, client_id, 10_000)

    assert outcome.code == ("payouts.sanctions_hit" if stop == "hit" else "payouts.on_hold")
    assert wallet(connection, client_id) == (0 if stop == "hit" else 10_000)


def test_minimums_are_kept_but_the_last_may_go(connection: Connection) -> None:
    """Below 20.00 neither in nor out, unless it is all that is left."""
    client_id = new_payee(connection)
    least = SetMinimum(
        actor=OPERATOR, currency="EUR", top_up_minor=2_000, withdrawal_minor=2_000, valid_from=NOON
    )
    assert [
        each.code for each in service_wallet.set_minimums(connection, [least] * 2, at=NOON)
    ] == [
        "done",
        "wallet.bad_minimum",
    ]
    small = TopUpWallet(
        actor=payee_actor(client_id),
        top_up_id=new_id(),
        client_id=client_id,
        currency="EUR",
        amount_minor=1_999,
    )

    assert service_wallet.top_up(connection, [small], at=NOON)[0].code == "wallet.below_minimum"
    topped_up(connection, client_id, 3_000)
    assert withdrawn(connection, client_id, 1_999).code == "wallet.below_minimum"
    assert parts(withdrawn(connection, client_id, 2_000)) == ["refund 20.00"]
    assert parts(withdrawn(connection, client_id, 1_000)) == ["refund 10.00"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount_minor": 0}, "money.not_positive"),
        ({"amount_minor": 10_001}, "wallet.short"),
        ({"currency": "XXX"}, "money.unknown_currency"),
        ({"party_id": UUID(int=5)}, "payouts.not_yours"),
    ],
)
def test_a_withdrawal_is_refused_by_name(
    connection: Connection, change: dict[str, Any], code: str
) -> None:
    """Bad input: one refusal, nothing written; and a wish is carried out once."""
    client_id = new_payee(connection)
    topped_up(connection, client_id)
    wish = Withdraw(
        actor=payee_actor(client_id),
        withdrawal_id=new_id(),
        party_id=client_id,
        currency="EUR",
        amount_minor=100,
    )

    (no,) = service_withdrawal.withdraw(connection, [replace(wish, **change)], at=NOON)
    assert (no.code, wallet(connection, client_id)) == (code, 10_000)
    codes = [service_withdrawal.withdraw(connection, [wish], at=NOON)[0].code for _ in range(2)]
    assert codes == ["done", "wallet.withdrawal_exists"]


def test_e47_a_closed_wallet_gives_all_back(connection: Connection) -> None:
    """Edge case 47: by card what a card takes, the rest stays and is told; then data may go."""
    client_id = new_payee(connection)
    topped_up(connection, client_id, 4_000, "JPY")
    topped_up(connection, client_id, 6_000, "EUR")
    topped_up(connection, client_id, 1_000, "EUR", NOON + timedelta(days=100))
    late = NOON + timedelta(days=181)
    wish = CloseWallet(actor=payee_actor(client_id), party_id=client_id)

    (outcome,) = service_withdrawal.close_wallet(connection, [wish], at=late)

    assert [each["amount"]["amount"] for each in outcome.facts["parts"]] == ["10.00"]
    assert outcome.facts["left"] == [
        {"amount": {"amount": "60.00", "currency": "EUR"}, "why": "wallet.method_needed"},
        {"amount": {"amount": "4000", "currency": "JPY"}, "why": "wallet.method_needed"},
    ]
    assert outcome.facts["may_erase"] is False
    assert not service_withdrawal.may_erase(connection, client_id)
    assert service_withdrawal.may_erase(connection, new_payee(connection))


def test_a_top_up_is_charged_back_and_won(connection: Connection) -> None:
    """From the wallet what it has, the rest and 15.00 the platform's; won, all is as before."""
    client_id = new_payee(connection)
    top_up_id = topped_up(connection, client_id)
    withdrawn(connection, client_id, 4_000)
    out = Notice(
        rail="simulated",
        notice_id="n1",
        kind=CHARGEBACK_FUNDS,
        operation_id=top_up_id,
        amount_minor=10_000,
        fee_minor=1_500,
        currency="EUR",
        occurred_at=NOON,
        facts={"direction": "withdrawn", "chargeback": "cb_1"},
    )
    back = replace(
        out, notice_id="n2", fee_minor=0, facts={"direction": "reinstated", "chargeback": "cb_1"}
    )
    claim = account("platform.claim_on_client", "EUR", client_id)
    ours, others = hearing_wallet.split_chargebacks(
        connection, [out, replace(out, operation_id=new_id())]
    )
    assert (ours, len(others)) == ([out], 1)

    hearing_wallet.hear_chargebacks(connection, [out], NOON)
    assert (wallet(connection, client_id), balances(connection, [claim])[claim]) == (0, 4_000)
    assert balance(connection, "platform.expense.chargeback_fee") == 1_500
    hearing_wallet.hear_chargebacks(connection, [back], NOON)

    assert (wallet(connection, client_id), balances(connection, [claim])[claim]) == (6_000, 0)
    assert clean(connection)
