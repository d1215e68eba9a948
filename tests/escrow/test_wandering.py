"""Whatever people do, in whatever order: the books are proven and the sums of a deal hold."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from escrow import service
from escrow.commands import FundingCommand
from escrow.model import Method, ReleaseRule, Terms
from kernel.database import Tenant, enter
from rails.model import RailOutcome
from tests.escrow.stage import Stage, prove_books

Act = Callable[[Stage, int], object]


def _other(stage: Stage, number: int) -> UUID:
    others = [each for each in stage.slot_ids if each != stage.slot_id]
    return others[number % len(others)]


def _results(stage: Stage, outcome: RailOutcome, *, cleared: bool = True) -> None:
    rows = stage.connection.exec_driver_sql("SELECT id FROM funding ORDER BY id").scalars().all()
    for funding_id in rows:
        stage.funding_id = funding_id
        stage.hear(stage.result(outcome, fee_minor=3, cleared=cleared))


def _refunds(stage: Stage, outcome: RailOutcome) -> None:
    for refund_id in (
        stage.connection.exec_driver_sql("SELECT id::text FROM refund").scalars().all()
    ):
        stage.refund_result(refund_id, outcome)


def _turn(stage: Stage, number: int) -> None:
    stage.slot_id = stage.slot_ids[number % len(stage.slot_ids)]


def _cancel_payment(stage: Stage) -> None:
    command = FundingCommand(actor=stage.client, funding_id=stage.funding_id)
    service.cancel_funding(stage.connection, [command], at=stage.now)


ACTS: Final[tuple[Act, ...]] = (
    _turn,
    _turn,
    lambda s, _: s.start_funding(),
    lambda s, _: s.start_funding(Method.BANK_DEBIT),
    lambda s, _: s.start_funding(Method.WALLET),
    lambda s, _: _results(s, RailOutcome.DONE),
    lambda s, _: _results(s, RailOutcome.DONE),
    lambda s, _: _results(s, RailOutcome.DONE, cleared=False),
    lambda s, _: _results(s, RailOutcome.PENDING),
    lambda s, _: _cancel_payment(s),
    lambda s, _: s.submit(),
    lambda s, _: s.submit(),
    lambda s, _: s.on_slot("withdraw_submission", s.payee),
    lambda s, _: s.on_slot("request_changes", s.client, reason="again"),
    lambda s, _: s.approve(),
    lambda s, n: s.release_part(n),
    lambda s, n: s.release_part(n // 7 + 1),
    lambda s, _: s.on_slot("confirm", s.client),
    lambda s, _: s.on_slot("confirm", s.payee),
    lambda s, _: s.on_slot("ask_refund", s.client),
    lambda s, _: s.on_slot("accept_refund", s.payee),
    lambda s, _: s.on_slot("give_back", s.payee),
    lambda s, n: s.amend(new_amount_minor=n + 1),
    lambda s, n: s.amend(new_amount_minor=n * 3 + 1),
    lambda s, n: s.amend(to_slot_id=_other(s, n)),
    lambda s, n: s.tip(n + 1),
    lambda s, _: _refunds(s, RailOutcome.DONE),
    lambda s, _: _refunds(s, RailOutcome.REFUSED),
    lambda s, n: s.wait(days=n % 100),
    lambda s, _: s.on_slot("settle_dormant", s.operator),
    lambda s, _: s.on_slot("cancel", s.client),
    lambda s, _: s.on_contract("end", s.client),
)

walks = st.lists(st.tuples(st.sampled_from(range(len(ACTS))), st.integers(0, 999)), max_size=40)
deals = st.builds(
    Terms,
    commission_bps=st.sampled_from([0, 1, 1_250, 3_333, 10_000]),
    client_fee_bps=st.sampled_from([0, 77, 300]),
    release_rule=st.sampled_from(ReleaseRule),
    dormant_limit_minor=st.sampled_from([0, 500, 10**6]),
)


def check_sums(connection: Connection) -> None:
    """Per funding and slot: captured, lots, refunds and what is held agree."""
    wrong = connection.exec_driver_sql(
        "SELECT slot.id FROM slot LEFT JOIN lot ON lot.slot_id = slot.id GROUP BY slot.id"
        " HAVING slot.held_minor + slot.released_minor"
        " <> coalesce(sum(lot.amount_minor - lot.gone_minor), 0)"
    ).all()
    assert not wrong
    refunded = connection.exec_driver_sql(
        "SELECT funding.id FROM funding LEFT JOIN refund ON refund.funding_id = funding.id"
        " GROUP BY funding.id HAVING funding.refunded_minor"
        " <> coalesce(sum(refund.amount_minor + refund.fee_minor), 0)"
    ).all()
    assert not refunded


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(walks, deals)
def test_any_walk_leaves_proven_books(
    engine: Engine, tenant: Tenant, walk: list[tuple[int, int]], terms: Terms
) -> None:
    """Forty acts in any order, each done or refused: nothing breaks and every sum holds."""
    with engine.connect() as connection, connection.begin() as transaction:
        enter(connection, tenant)
        stage = Stage(connection, terms=terms, amounts=(1_000, 333, 1))
        assert stage.propose().is_done
        assert stage.accept().is_done
        for slot_id in stage.slot_ids[:2]:
            stage.slot_id = slot_id
            assert stage.fund(3).is_done

        for number, size in walk:
            ACTS[number](stage, size)

        prove_books(connection)
        check_sums(connection)
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        transaction.rollback()
