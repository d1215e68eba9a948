"""What the database refuses of exchange, whoever asks: the tenant's own role, and the owner."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from commissions import service_fx_policy
from commissions.commands_fx import ApprovePolicy, PreparePolicy
from commissions.model_fx import Policy
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from tests.escrow.stage import START
from tests.escrow.stage_fx import Desk, rows


def lay_out(connection: Connection) -> Desk:
    """One quote that was used, one that is open, one conversion, and a policy of two people."""
    desk = Desk(connection)
    desk.earn(2_000, "EUR")
    assert desk.convert(desk.quote(1_000).facts["quote_id"]).is_done
    assert desk.quote(1_000).is_done
    return desk


FORBIDDEN = [
    ("UPDATE fx_quote SET state = 'open', used_by = NULL, used_at = NULL", "fx_quote_stands"),
    ("UPDATE fx_quote SET bought_minor = 1 WHERE state = 'open'", "fx_quote_stands"),
    (
        (
            "UPDATE fx_quote SET state = 'used', used_by = 'x', used_at = expires_at"
            " WHERE state = 'open'"
        ),
        "fx_quote_used_in_time",
    ),
    ("UPDATE fx_quote SET state = 'used' WHERE state = 'open'", "fx_quote_used_whole"),
    ("UPDATE fx_policy SET margin_bps = 1", "fx_policy_stands"),
    (
        (
            "INSERT INTO fx_policy SELECT gen_random_uuid(), source, margin_bps, lifetime,"
            " reporting, tolerance_bps, reason, prepared_by, prepared_at, prepared_by,"
            " approved_at, version + 1"
            " FROM fx_policy"
        ),
        "fx_policy_takes_two",
    ),
    (
        (
            "INSERT INTO fx_conversion SELECT gen_random_uuid(), kind, subject, party_id, sold,"
            " sold_minor, bought, bought_minor, source, as_of, mid, rate, margin_bps, margin_minor,"
            " quote_id, rail_account, converted_at, state FROM fx_conversion"
        ),
        "fx_conversion_uses_a_quote_once",
    ),
    (
        (
            "UPDATE fx_conversion SET state = 'filled', filled_minor = 1, filled_at = converted_at,"
            " provider = 'p', provider_ref = 'r', gap_minor = 0, loss_minor = margin_minor"
        ),
        "fx_conversion_gap_is_the_difference",
    ),
]


@pytest.mark.parametrize(("statement", "name"), FORBIDDEN)
def test_the_owner_is_refused(owner_connection: Connection, statement: str, name: str) -> None:
    """A quote is used once and in time, a policy takes two, a gap is what it is."""
    assert name in told(lay_out(owner_connection).connection, statement)


@pytest.mark.parametrize(("statement", "name"), FORBIDDEN)
def test_the_tenants_role_is_refused(connection: Connection, statement: str, name: str) -> None:
    """By the same names, or for want of the right."""
    said = told(lay_out(connection).connection, statement)

    assert name in said or "permission denied" in said


def told(connection: Connection, statement: str) -> str:
    """What the database says to a statement that it refuses, with the name of the rule."""
    nested = connection.begin_nested()
    with pytest.raises(DBAPIError) as raised:
        connection.exec_driver_sql(statement)
    nested.rollback()
    diagnosis = getattr(raised.value.orig, "diag", None)
    return f"{raised.value.orig} {diagnosis.constraint_name if diagnosis else ''}"


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (lambda desk: desk.first, "fx.second_person"),
        (lambda desk: desk.payee, "fx.not_operator"),
        (
            lambda _: Actor(new_id(), PrincipalKind.KEY, None, is_operator=True),
            "fx.second_person",
        ),
    ],
)
def test_who_may_not_approve_a_policy(
    connection: Connection, who: Callable[[Desk], Actor], code: str
) -> None:
    """Not who prepared it, no customer, no program; and nothing is written."""
    desk = Desk(connection)
    policy_id = new_id()
    prepare = PreparePolicy(
        actor=desk.first, policy_id=policy_id, policy=Policy(margin_bps=1), reason="dearer"
    )
    assert service_fx_policy.prepare_policy(connection, [prepare], at=START)[0].is_done
    before = rows(connection)

    approve = ApprovePolicy(actor=who(desk), policy_id=policy_id)
    outcome = service_fx_policy.approve_policy(connection, [approve], at=START)[0]

    assert outcome.code == code
    assert rows(connection) == before
    assert desk.quote(1_000).facts["margin_bps"] == 150
