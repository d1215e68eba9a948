"""Sanctions (P43, edge case 39): all that a matched party has is blocked, and given back by two."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import holds, parties
from ledger.chart import account
from ledger.entries import custody
from ledger.model import Draft
from ledger.proof import prove
from ledger.service import balances, post
from payouts import service, service_blocked, service_sanctions, store_blocked
from payouts.model import PayoutState
from payouts.model_blocked import (
    ApproveRelease,
    PrepareRelease,
    RecordReport,
    Rescreen,
    report_due_on,
)
from payouts.movements_blocked import p43_block, p43_release
from tests.attack.waiting import wait_until_blocked
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    available,
    get_payout,
    give,
    new_method,
    new_payee,
    payee_actor,
    set_fee,
    submitting,
)

SECOND = replace(OPERATOR, principal_id=UUID(int=10))
CURRENCIES = pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])


def minor(connection: Connection, kind: str, currency: str, subject: object) -> int:
    """What is owed on an account."""
    key = account(f"custody.{kind}", currency, str(subject))
    return -balances(connection, [key])[key]


def put(connection: Connection, kind: str, party_id: UUID, amount: int, currency: str) -> None:
    entry = custody(
        currency,
        (account("custody.bank", currency), amount),
        (account(f"custody.{kind}", currency, party_id), -amount),
    )
    post(connection, [Draft("test.given", "", OPERATOR, NOON, entry)])


def hit(
    connection: Connection, *party_ids: UUID, state: parties.SanctionState | None = None
) -> list[str]:
    """An operator sets the state; the codes."""
    wishes = [
        parties.ChangeParty(
            actor=OPERATOR,
            party_id=each,
            sanction_state=state or parties.SanctionState.HIT,
            reason="SDN",
        )
        for each in party_ids
    ]
    return [each.code for each in service_sanctions.change_parties(connection, wishes, at=NOON)]


def prepared(connection: Connection, party_id: UUID, actor: Actor = OPERATOR) -> UUID:
    wish = PrepareRelease(
        actor=actor,
        release_id=new_id(),
        party_id=party_id,
        licence_ref="SDGT-2026-1",
        reason="licensed",
    )
    (outcome,) = service_blocked.prepare_release(connection, [wish], at=NOON)
    assert outcome.is_done, outcome
    return wish.release_id


def approved(connection: Connection, release_id: UUID, actor: Actor = SECOND) -> str:
    wish = ApproveRelease(actor=actor, release_id=release_id)
    return service_blocked.approve_release(connection, [wish], at=NOON)[0].code


@CURRENCIES
def test_p43_blocks_and_gives_back_to_the_cent(currency: str) -> None:
    """P43: Dr fl.avail 50.00 · Cr blk 50.00; a release is the same the other way."""
    who: dict[str, Any] = {"party_id": UUID(int=1), "currency": currency}
    (entry,) = p43_block(parts=[("custody.earned_available", 5_000)], **who)
    (back,) = p43_release(parts=[("custody.earned_available", 5_000)], **who)

    assert [(line.account.kind, line.amount_minor) for line in entry.lines] == [
        ("custody.earned_available", 5_000),
        ("custody.blocked", -5_000),
    ]
    assert [line.amount_minor for line in back.lines] == [-5_000, 5_000]


@CURRENCIES
def test_e39_a_match_blocks_all_that_a_party_has(connection: Connection, currency: str) -> None:
    """Edge case 39: available, pending and wallet are blocked; a hold stands; two people free them.

    Each part goes back where it came from, the party is clear, and the books are proven.
    """
    party_id = new_payee(connection)
    give(connection, party_id, 5_000, currency)
    put(connection, "earned_pending", party_id, 700, currency)
    put(connection, "wallet", party_id, 90, currency)

    assert hit(connection, party_id) == ["done"]

    kinds = ("earned_available", "earned_pending", "wallet")
    assert minor(connection, "blocked", currency, party_id) == 5_790
    assert [minor(connection, kind, currency, party_id) for kind in kinds] == [0, 0, 0]
    assert holds.list_open(connection, [f"party:{party_id}"])
    assert approved(connection, prepared(connection, party_id)) == "done"
    assert minor(connection, "blocked", currency, party_id) == 0
    assert [minor(connection, kind, currency, party_id) for kind in kinds] == [5_000, 700, 90]
    assert not holds.list_open(connection, [f"party:{party_id}"])
    assert parties.find_many(connection, [party_id])[party_id].sanction_state == "clear"
    assert prove(connection).findings == ()


def test_a_payout_that_no_rail_knows_is_taken_back_and_blocked(connection: Connection) -> None:
    """500.00 asked for with 2.00 of fee: all 502.00 are blocked, and no fee is taken."""
    party_id = new_payee(connection)
    method_id = new_method(connection, party_id)
    give(connection, party_id, 50_200)
    set_fee(connection, 200)
    wish = asked(party_id, method_id, 50_000)
    assert service.request(connection, [wish], at=NOON)[0].is_done

    hit(connection, party_id)

    assert get_payout(connection, wish.payout_id).state is PayoutState.BLOCKED
    assert minor(connection, "blocked", "EUR", party_id) == 50_200


def test_what_comes_later_is_blocked_later(connection: Connection) -> None:
    """Money that reaches a matched party is blocked by the day's round, and only once."""
    party_id, other = new_payee(connection), new_payee(connection)
    hit(connection, party_id)
    give(connection, party_id, 300)
    give(connection, other, 300)

    assert len(service_sanctions.block_later(connection, at=NOON)) == 1
    assert service_sanctions.block_later(connection, at=NOON) == []
    assert minor(connection, "blocked", "EUR", party_id) == 300
    assert available(connection, other) == 300


def test_what_disputes_reserved_is_not_taken(connection: Connection) -> None:
    """Reserved money that no clock gives is contested by others: it stays until that is over."""
    party_id = new_payee(connection)
    put(connection, "earned_reserved", party_id, 5_000, "EUR")

    hit(connection, party_id)

    assert minor(connection, "earned_reserved", "EUR", party_id) == 5_000
    assert minor(connection, "blocked", "EUR", party_id) == 0


def test_nobody_is_cleared_while_money_is_blocked(connection: Connection) -> None:
    """`clear` alone would free money without a licence; without blocked money it lifts the hold."""
    rich, poor = new_payee(connection), new_payee(connection)
    give(connection, rich, 100)
    hit(connection, rich, poor)

    codes = hit(connection, rich, poor, state=parties.SanctionState.CLEAR)

    assert codes == ["sanctions.blocked_money", "done"]
    assert minor(connection, "blocked", "EUR", rich) == 100
    assert not holds.list_open(connection, [f"party:{poor}"])


def test_a_release_takes_two_people_and_a_licence(connection: Connection) -> None:
    """Who prepared does not approve; no key and no payee does either; a licence has a name."""
    party_id = new_payee(connection)
    give(connection, party_id, 100)
    hit(connection, party_id)
    release_id = prepared(connection, party_id)
    key = Actor(UUID(int=11), PrincipalKind.KEY, None, is_operator=True)
    nameless = PrepareRelease(
        actor=OPERATOR, release_id=new_id(), party_id=party_id, licence_ref=" ", reason="r"
    )
    again = replace(nameless, licence_ref="L")

    assert approved(connection, release_id, OPERATOR) == "sanctions.second_person"
    assert approved(connection, release_id, key) == "payouts.operator_only"
    assert approved(connection, release_id, payee_actor(party_id)) == "payouts.operator_only"
    assert approved(connection, new_id()) == "sanctions.unknown_release"
    for wish, code in ((nameless, "sanctions.bad_licence"), (again, "sanctions.release_exists")):
        assert service_blocked.prepare_release(connection, [wish], at=NOON)[0].code == code
    assert minor(connection, "blocked", "EUR", party_id) == 100
    assert approved(connection, release_id) == "done"
    assert approved(connection, release_id) == "sanctions.release_over"


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("seconded_by", UUID(int=1), "sanction_block_released_by_two"),
        ("licence_ref", None, "sanction_block_released_with_a_licence"),
        ("seconded_by", UUID(int=3), "nobody approved the release"),
    ],
)
def test_the_database_frees_nothing_without_licence_and_two(
    connection: Connection, column: str, value: object, constraint: str
) -> None:
    """As the tenant's own role: the columns of a release are whole, of two people, and approved."""
    party_id = new_payee(connection)
    give(connection, party_id, 100)
    hit(connection, party_id)
    release_id = prepared(connection, party_id)
    columns: dict[str, object] = {
        "release_id": release_id,
        "licence_ref": "SDGT-2026-1",
        "released_by": UUID(int=1),
        "seconded_by": UUID(int=2),
        "released_at": NOON,
        column: value,
    }
    sets = ", ".join(f"{name} = %({name})s" for name in columns)

    with pytest.raises(DBAPIError, match=constraint), connection.begin_nested():
        connection.exec_driver_sql(
            f"UPDATE sanction_block SET {sets} WHERE party_id = %(party)s",
            {**columns, "party": party_id},
        )


def test_the_owner_takes_no_block_away(owner_connection: Connection) -> None:
    """Even the owner of the tables deletes no block."""
    with pytest.raises(DBAPIError, match="sanction_block"), owner_connection.begin_nested():
        owner_connection.exec_driver_sql("TRUNCATE sanction_block")


def test_a_report_is_due_ten_business_days_after() -> None:
    """From Monday 2 March: Monday 16 March; from Friday 6 March: Friday 20 March."""
    assert report_due_on(date(2026, 3, 2)) == date(2026, 3, 16)
    assert report_due_on(date(2026, 3, 6)) == date(2026, 3, 20)
    assert report_due_on(date(2026, 3, 7)) == date(2026, 3, 20)


def test_reports_are_noted_once(connection: Connection) -> None:
    """A block has its due day; it is late after it; its report is noted once, with a reference."""
    party_id = new_payee(connection)
    give(connection, party_id, 100)
    hit(connection, party_id)
    (block,) = store_blocked.list_blocks(connection, party_id=party_id, limit=9)
    wish = RecordReport(
        actor=OPERATOR, block_id=block.id, reported_on=date(2026, 3, 9), report_ref="OFAC-7"
    )

    codes = [service_blocked.record_report(connection, [wish], at=NOON)[0].code for _ in range(2)]

    assert block.report_due_on == date(2026, 3, 16)
    assert (block.is_late(date(2026, 3, 16)), block.is_late(date(2026, 3, 17))) == (False, True)
    assert codes == ["done", "sanctions.unknown_block"]


def test_the_annual_report_is_of_30_june(connection: Connection) -> None:
    """What was blocked when 30 June ended: blocked in March and freed in March is not in it."""
    kept, freed = new_payee(connection), new_payee(connection)
    for each in (kept, freed):
        give(connection, each, 100)
    hit(connection, kept, freed)
    assert approved(connection, prepared(connection, freed)) == "done"

    held = service_blocked.held_on_30_june(connection, 2026)

    assert [each.party_id for each in held] == [kept]
    assert service_blocked.held_on_30_june(connection, 2025) == []
    assert service_blocked.annual_report_due(2026) == date(2026, 9, 30)


def test_a_changed_list_names_parties_by_id_and_reference(connection: Connection) -> None:
    """Both are blocked and the run is written; one unknown name refuses the whole list."""
    one, two = new_payee(connection), new_id()
    named = parties.CreateParty(
        actor=OPERATOR, kind=parties.PartyKind.FREELANCER, party_id=two, reference="user-2"
    )
    assert parties.create(connection, [named], at=NOON)[0].is_done
    give(connection, one, 100)
    give(connection, two, 200)
    wish = Rescreen(
        actor=OPERATOR,
        list_name="EU consolidated",
        list_date=date(2026, 3, 1),
        party_ids=(one,),
        references=("user-2",),
    )
    unknown = replace(wish, references=("nobody",))

    refused, done = service_sanctions.rescreen(connection, [unknown, wish], at=NOON)

    assert (refused.code, refused.facts["unknown"]) == ("sanctions.bad_list", ["nobody"])
    assert (done.facts["matches"], done.facts["new"], len(done.facts["blocked"])) == (2, 2, 2)
    assert minor(connection, "blocked", "EUR", one) == 100
    assert minor(connection, "blocked", "EUR", two) == 200


def _in_turn(engine: Engine, tenant: Tenant, work: Callable[[Connection], object]) -> object:
    with transaction(engine, tenant) as connection:
        return work(connection)


def test_a_block_and_a_submission_meet(own_engine: Engine, tenant: Tenant) -> None:
    """While a match is being written a payout waits, and is then refused: its money is blocked."""
    with transaction(own_engine, tenant) as connection:
        party_id = new_payee(connection)
        method_id = new_method(connection, party_id)
        give(connection, party_id, 50_000)
        wish = asked(party_id, method_id, 50_000)
        assert service.request(connection, [wish], at=NOON)[0].is_done

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as first:
            hit(first, party_id)
            second = pool.submit(
                _in_turn,
                own_engine,
                tenant,
                lambda c: service.submit(c, [submitting(wish.payout_id)], at=NOON)[0].code,
            )
            wait_until_blocked(own_engine)
        code = second.result()

    with transaction(own_engine, tenant) as connection:
        assert code in {"payouts.wrong_state", "payouts.sanctions_hit"}
        assert minor(connection, "blocked", "EUR", party_id) == 50_000
        assert prove(connection).findings == ()


def test_a_payout_that_is_with_the_rail_goes_its_way(own_engine: Engine, tenant: Tenant) -> None:
    """Submitted first, then matched: the payout stays submitted, and the rest is blocked."""
    with transaction(own_engine, tenant) as connection:
        party_id = new_payee(connection)
        method_id = new_method(connection, party_id)
        give(connection, party_id, 50_000)
        wish = asked(party_id, method_id, 30_000)
        assert service.request(connection, [wish], at=NOON)[0].is_done
        assert service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0].is_done
    with transaction(own_engine, tenant) as connection:
        hit(connection, party_id)

    with transaction(own_engine, tenant) as connection:
        assert get_payout(connection, wish.payout_id).state is PayoutState.SUBMITTED
        assert minor(connection, "blocked", "EUR", party_id) == 20_000
        assert service_blocked.held_on_30_june(connection, 2026)[0].blocked_at == NOON
        assert datetime(2026, 7, 1, tzinfo=UTC) - timedelta(days=1) > NOON
