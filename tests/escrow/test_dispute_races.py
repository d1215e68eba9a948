"""Two connections at once on one dispute: the result is that of one of the two serial orders."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine

from escrow import service_claims, store, timers
from escrow.model_chargeback import RefundLater
from kernel import timers as clock_rows
from kernel.commands import Outcome, done
from kernel.database import Tenant, transaction
from kernel.principals import Actor
from tests.escrow.stage import Stage, check_balances, prove_books
from tests.escrow.stage_dispute import Court

Act = Callable[[Court], Outcome]


def race(engine: Engine, tenant: Tenant, court: Court, *acts: Act) -> list[str]:
    """The codes of the acts, done at the same time, each in a transaction of its own."""
    start = Barrier(len(acts))

    def run(act: Act) -> str:
        with transaction(engine, tenant) as connection:
            mine = replace(court, stage=on(court.stage, connection))
            start.wait(timeout=120)
            return act(mine).code

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(timeout=120) for each in [pool.submit(run, act) for act in acts]]


def on(stage: Stage, connection: Connection) -> Stage:
    """The same deal on another connection."""
    other = object.__new__(Stage)
    other.__dict__.update(stage.__dict__, connection=connection)
    return other


def prepared(engine: Engine, tenant: Tenant, prepare: Callable[[Court], object]) -> Court:
    """A court whose past is committed."""
    with transaction(engine, tenant) as connection:
        court = Court(Stage(connection).submitted())
        prepare(court)
    return court


def seen(engine: Engine, tenant: Tenant, court: Court) -> tuple[str, str]:
    """(slot, dispute) after all; the books are proved."""
    with transaction(engine, tenant) as connection:
        prove_books(connection)
        after = replace(court, stage=on(court.stage, connection))
        row = connection.exec_driver_sql("SELECT count(*) FROM dispute").scalar_one()
        return after.stage.slot().state.value, after.dispute.state.value if row else "none"


def to_decision(court: Court) -> None:
    """A small claim, heard, that waits for a decision."""
    court.in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    assert court.file(court.stage.client).is_done
    assert court.file(court.stage.payee).is_done


@pytest.mark.parametrize("turn", range(3))
def test_approval_against_dispute(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Either it is frozen, or the money is out and set aside from the payee's pending earnings."""
    court = prepared(own_engine, tenant, lambda _: None)
    acts: list[Act] = [lambda c: c.stage.approve(), lambda c: c.open()]

    codes = race(own_engine, tenant, court, *(acts if turn % 2 else acts[::-1]))

    ends = {
        "done": ("released", "opened"),
        "escrow.wrong_state": ("disputed", "opened"),
    }
    approved, opened = codes if turn % 2 else codes[::-1]
    assert opened == "done"
    assert seen(own_engine, tenant, court) == ends[approved]


@pytest.mark.parametrize("turn", range(3))
def test_e13_two_decisions_at_once(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """E13: of two proposals on one version the second is shown the first's."""
    court = prepared(own_engine, tenant, to_decision)
    with transaction(own_engine, tenant) as connection:
        version = replace(court, stage=on(court.stage, connection)).dispute.version
    other = court.second

    codes = race(
        own_engine,
        tenant,
        court,
        lambda c: c.propose(7_000 + turn, version=version),
        lambda c: c.propose(2_000, other, version=version),
    )

    assert sorted(codes) == ["dispute.decision_stands", "done"]


def test_e13_two_approvals_split_once(own_engine: Engine, tenant: Tenant) -> None:
    """E13: two people approve at the same time; the money is split once."""

    def prepare(court: Court) -> None:
        to_decision(court)
        assert court.propose(7_000).is_done

    court = prepared(own_engine, tenant, prepare)
    with transaction(own_engine, tenant) as connection:
        version = replace(court, stage=on(court.stage, connection)).dispute.version
    people: tuple[Actor, Actor] = (court.second, court.mediator)

    codes = race(
        own_engine,
        tenant,
        court,
        lambda c: c.approve(people[0], version=version),
        lambda c: c.approve(people[1], version=version),
    )

    assert sorted(codes) == ["dispute.decision_stands", "done"]
    assert seen(own_engine, tenant, court) == ("released", "executed")


@pytest.mark.parametrize("turn", range(3))
def test_withdrawal_against_acceptance(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """The opener withdraws while the other accepts his offer: one of both counts."""

    def prepare(court: Court) -> None:
        court.in_negotiation(9_000)
        assert court.offer(court.stage.client, 6_000).is_done

    court = prepared(own_engine, tenant, prepare)
    acts: list[Act] = [
        lambda c: c.act("withdraw_dispute", c.stage.client),
        lambda c: c.accept(c.stage.payee, 2),
    ]

    codes = race(own_engine, tenant, court, *(acts if turn % 2 else acts[::-1]))

    assert sorted(codes) == ["done", "escrow.wrong_state"]
    ends = {("submitted", "withdrawn"), ("released", "executed")}
    assert seen(own_engine, tenant, court) in ends


def test_withdrawal_against_the_short_way(own_engine: Engine, tenant: Tenant) -> None:
    """A dispute is withdrawn, or on its way to a decision from which it cannot be."""
    court = prepared(own_engine, tenant, lambda c: c.in_negotiation())

    codes = race(
        own_engine,
        tenant,
        court,
        lambda c: c.act("withdraw_dispute", c.stage.client),
        lambda c: c.act("mediate_dispute", c.stage.payee),
    )

    assert sorted(codes) == ["done", "escrow.wrong_state"]
    ends = {("submitted", "withdrawn"), ("disputed", "arbitration")}
    assert seen(own_engine, tenant, court) in ends


def released(court: Court) -> None:
    """The client has approved; the money is in its security hold."""
    assert court.stage.approve().is_done


def lost_by_silence(court: Court) -> None:
    """The payee has claimed all, and the client was told and kept silent."""
    assert court.open(court.stage.payee).is_done
    assert court.serve().is_done
    court.stage.wait(days=7)


def hold_ends(court: Court) -> Outcome:
    """The scanner rings what is due when the security hold is over."""
    connection, at = court.stage.connection, court.stage.now + timedelta(days=5)
    due = clock_rows.list_due(connection, at=at, limit=10, grace=timedelta())
    mine = [each for each in due if each.kind == "escrow.security_hold"]
    return done(fired=timers.HANDLERS["escrow.security_hold"](connection, mine, at))


@pytest.mark.parametrize("turn", range(3))
def test_dispute_against_the_end_of_the_security_hold(
    own_engine: Engine, tenant: Tenant, turn: int
) -> None:
    """Either the payee may withdraw it, or it is set aside; never both."""
    court = prepared(own_engine, tenant, released)
    acts: list[Act] = [hold_ends, lambda c: c.open()]

    codes = race(own_engine, tenant, court, *(acts if turn % 2 else acts[::-1]))

    opened = codes[1 if turn % 2 else 0]
    assert opened in {"done", "escrow.wrong_state"}
    with transaction(own_engine, tenant) as connection:
        line = (
            "earned reserved 90.00 · earned available 0.00"
            if opened == "done"
            else "earned reserved 0.00 · earned available 90.00"
        )
        check_balances(connection, "EUR", line)
    assert seen(own_engine, tenant, court) == (
        "released",
        "opened" if opened == "done" else "none",
    )


def test_released_money_is_disputed_once(own_engine: Engine, tenant: Tenant) -> None:
    """Of two disputes over one release at the same time one is opened."""
    court = prepared(own_engine, tenant, released)

    codes = race(
        own_engine,
        tenant,
        court,
        lambda c: c.open(amount_minor=6_000),
        lambda c: Court(c.stage).open(amount_minor=6_000),
    )

    assert sorted(codes) == ["dispute.open_already", "done"]
    with transaction(own_engine, tenant) as connection:
        check_balances(connection, "EUR", "earned reserved 54.00 · earned pending 36.00")
        prove_books(connection)


def test_a_default_is_appealed_once(own_engine: Engine, tenant: Tenant) -> None:
    """Of two appeals at the same time one is taken."""
    court = prepared(own_engine, tenant, lost_by_silence)

    codes = race(
        own_engine, tenant, court, lambda c: replace(c).appeal(), lambda c: replace(c).appeal()
    )

    assert sorted(codes) == ["dispute.appealed_already", "done"]
    with transaction(own_engine, tenant) as connection:
        check_balances(connection, "EUR", "earned reserved 90.00 · earned pending 0.00")
        prove_books(connection)


@pytest.mark.parametrize("turn", range(3))
def test_the_end_of_a_contract_against_the_end_of_its_dispute(
    own_engine: Engine, tenant: Tenant, turn: int
) -> None:
    """Whichever comes first, the contract is on its way to its end and holds nothing."""

    def prepare(court: Court) -> None:
        assert court.open(amount_minor=4_000).is_done

    court = prepared(own_engine, tenant, prepare)
    acts: list[Act] = [
        lambda c: c.stage.on_contract("end", c.stage.client),
        lambda c: c.act("concede_dispute", c.stage.payee),
    ]

    codes = race(own_engine, tenant, court, *(acts if turn % 2 else acts[::-1]))

    assert codes == ["done", "done"]
    assert seen(own_engine, tenant, court) == ("refund_requested", "executed")
    with transaction(own_engine, tenant) as connection:
        (contract,) = store.find_contracts(connection, [court.stage.contract_id])
        assert contract.state == "ending"


@pytest.mark.parametrize("turn", range(3))
def test_dispute_against_a_refund_of_the_same_money(
    own_engine: Engine, tenant: Tenant, turn: int
) -> None:
    """What the payee sends back by himself is not disputed besides; nobody gets it twice."""

    def prepare(court: Court) -> None:
        assert court.stage.release_part(4_000).is_done
        court.stage.wait(days=6)
        assert court.stage.approve().is_done

    court = prepared(own_engine, tenant, prepare)
    acts: list[Act] = [_refund_later, lambda c: c.open()]

    codes = race(own_engine, tenant, court, *(acts if turn % 2 else acts[::-1]))

    refunded, opened = codes if turn % 2 else codes[::-1]
    assert opened == "done"
    assert refunded in {"done", "escrow.held"}
    with transaction(own_engine, tenant) as connection:
        back = "20.00" if refunded == "done" else "0.00"
        check_balances(connection, "EUR", f"refund in transit {back} · earned reserved 54.00")
        prove_books(connection)


def _refund_later(court: Court) -> Outcome:
    """The payee sends 20.00 back."""
    command = RefundLater(actor=court.stage.payee, slot_id=court.stage.slot_id, amount_minor=2_000)
    return service_claims.refund_later(court.stage.connection, [command], at=court.stage.now)[0]
