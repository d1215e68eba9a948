"""Dormant and unclaimed money (P42): clocks of silence, letters, states, and owners who turn up."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel import timers
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.chart import account
from ledger.model import Draft
from ledger.proof import prove
from ledger.service import balances, post
from payouts import (
    service,
    service_dormancy_rules,
    service_dormant,
    service_remittance,
    service_sanctions,
    settlement,
    store_dormant,
)
from payouts.model_dormant import (
    DormancyRule,
    EndRemittance,
    NoteContact,
    Owner,
    PrepareRemittance,
    Reactivate,
    SetDormancyRule,
    SetResidence,
    years_after,
)
from payouts.movements_dormant import p42_reactivate, p42_reclassify, p42_remit
from payouts.rules_dormant import by_place, rule_of
from payouts.service_blocked import DORMANT
from rails.model import PAYOUT_RETURNED, OperationKind, RailOutcome, RailResult
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    available,
    balance,
    give,
    new_method,
    new_payee,
    payee_actor,
    submitting,
)

CALIFORNIA = DormancyRule(
    jurisdiction="US-CA",
    owner=Owner.PAYEE,
    valid_from=date(2020, 1, 1),
    years=3,
    notice_days=180,
    source="Cal. Code Civ. Proc. 1520",
)
SECOND = replace(OPERATOR, principal_id=UUID(int=10))
LETTER = years_after(NOON, 3) - timedelta(days=180)
MOVES = years_after(NOON, 3)


def ruled(connection: Connection, *rules: DormancyRule) -> None:
    wishes = [SetDormancyRule(actor=OPERATOR, rule=each) for each in rules or (CALIFORNIA,)]
    outcomes = service_dormancy_rules.set_rules(connection, wishes, at=NOON)
    assert all(each.is_done for each in outcomes), outcomes


def silent(
    connection: Connection, amount_minor: int = 5_000, currency: str = "EUR", place: str = "US-CA"
) -> UUID:
    """A payee with money who lives somewhere and says nothing from NOON on."""
    party_id = new_payee(connection)
    home = SetResidence(
        actor=OPERATOR, party_id=party_id, jurisdiction=place, since=date(2020, 1, 1)
    )
    assert service_dormancy_rules.set_residence(connection, [home], at=NOON)[0].is_done
    give(connection, party_id, amount_minor, currency)
    return party_id


def ring(connection: Connection, at: datetime) -> None:
    """The clocks of silence that are due."""
    due = [
        each
        for each in timers.list_due(connection, at=at, limit=100, grace=timedelta())
        if each.kind == DORMANT
    ]
    service_dormant.ring(connection, due, at)


def clock_of(connection: Connection, party_id: UUID) -> datetime | None:
    found = timers.list_of(connection, [f"party:{party_id}"])
    return found[0].due_at if found else None


def held(connection: Connection, party_id: UUID) -> list[str]:
    found = store_dormant.list_unclaimed(connection, party_id=party_id, limit=9)
    return [f"{each.state} {each.amount_minor} {each.jurisdiction}" for each in found]


def unclaimed(connection: Connection, currency: str = "EUR", place: str = "US-CA") -> int:
    key = account("custody.unclaimed", currency, place)
    return -balances(connection, [key])[key]


def dormant(connection: Connection, *args: Any) -> UUID:
    """A payee whose money has become unclaimed, after his letter."""
    party_id = silent(connection, *args)
    service_dormant.watch(connection, at=NOON)
    ring(connection, LETTER)
    ring(connection, MOVES)
    return party_id


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_p42_to_the_cent(currency: str) -> None:
    """P42: Dr fl.avail 50.00 · Cr unc[CA] 50.00, then Dr unc[CA] 50.00 · Cr bank 50.00."""
    state: dict[str, Any] = {"jurisdiction": "US-CA", "currency": currency, "amount_minor": 5_000}
    whose: dict[str, Any] = {"party_id": UUID(int=1), "kind": "custody.earned_available"}

    found = [
        [(line.account.kind, line.amount_minor) for line in entry.lines]
        for entry in (
            *p42_reclassify(**whose, **state),
            *p42_remit(**state),
            *p42_reactivate(**whose, **state),
        )
    ]

    assert found == [
        [("custody.earned_available", 5_000), ("custody.unclaimed", -5_000)],
        [("custody.unclaimed", 5_000), ("custody.bank", -5_000)],
        [("custody.earned_available", -5_000), ("custody.unclaimed", 5_000)],
    ]


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_a_silent_owner_is_written_to_and_then_his_money_is_unclaimed(
    connection: Connection, currency: str
) -> None:
    """Three years less 180 days: the letter; three years: Dr available · Cr unclaimed[US-CA]."""
    ruled(connection)
    party_id = silent(connection, 5_000, currency)

    assert service_dormant.watch(connection, at=NOON) == 1
    assert service_dormant.watch(connection, at=NOON) == 0
    assert clock_of(connection, party_id) == LETTER
    ring(connection, LETTER)
    assert store_dormant.list_notices(connection, [party_id]) == {party_id: LETTER}
    assert clock_of(connection, party_id) == MOVES
    assert available(connection, party_id, currency) == 5_000
    ring(connection, MOVES)

    assert held(connection, party_id) == ["held 5000 US-CA"]
    assert (available(connection, party_id, currency), unclaimed(connection, currency)) == (
        0,
        5_000,
    )
    assert clock_of(connection, party_id) is None
    assert prove(connection).findings == ()


def test_e12_what_bounced_for_an_owner_who_is_gone_is_unclaimed(connection: Connection) -> None:
    """Edge case 12: paid, back three weeks later, its method disabled, and the payee says nothing.

    What is available again has its clock from his last word; after letter and time it is unclaimed.
    """
    ruled(connection)
    party_id = silent(connection, 50_000)
    method_id = new_method(connection, party_id)
    wish = asked(party_id, method_id, 50_000)
    assert service.request(connection, [wish], at=NOON)[0].is_done
    assert service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0].is_done
    bounced_at = NOON + timedelta(days=21)
    back = RailResult(
        operation_id=wish.payout_id,
        kind=OperationKind.PAYOUT,
        subject=f"payout:{wish.payout_id}",
        outcome=RailOutcome.REFUSED,
        amount_minor=50_000,
        currency="EUR",
        code=PAYOUT_RETURNED,
        occurred_at=bounced_at,
    )
    service.hear(connection, [back], bounced_at)

    service_dormant.watch(connection, at=bounced_at)
    ring(connection, LETTER)
    ring(connection, MOVES)

    assert available(connection, party_id) == 0
    assert held(connection, party_id) == ["held 50000 US-CA"]


def test_a_command_of_the_owner_begins_his_clock_anew(connection: Connection) -> None:
    """Any command of his counts, also after the letter: nothing moves, another letter comes."""
    ruled(connection)
    party_id = silent(connection)
    service_dormant.watch(connection, at=NOON)
    ring(connection, LETTER)
    spoke_at = LETTER + timedelta(days=10)
    post(connection, [Draft("test.said", "", payee_actor(party_id), spoke_at)])

    ring(connection, MOVES)

    assert available(connection, party_id) == 5_000
    assert clock_of(connection, party_id) == years_after(spoke_at, 3) - timedelta(days=180)


def test_a_letter_from_the_owner_is_a_word_of_his(connection: Connection) -> None:
    """What an operator notes counts as the owner's own command does; nobody else notes it."""
    ruled(connection)
    party_id = silent(connection)
    service_dormant.watch(connection, at=NOON)
    heard_at = NOON + timedelta(days=300)
    wish = NoteContact(actor=OPERATOR, party_id=party_id, how="a letter")
    strange = replace(wish, actor=payee_actor(UUID(int=5)))

    codes = [
        each.code
        for each in service_dormancy_rules.note_contact(connection, [wish, strange], at=heard_at)
    ]
    ring(connection, LETTER)

    assert codes == ["done", "payouts.operator_only"]
    assert clock_of(connection, party_id) == years_after(heard_at, 3) - timedelta(days=180)
    assert not store_dormant.list_notices(connection, [party_id])


def test_however_late_the_letter_its_time_is_given_whole(connection: Connection) -> None:
    """A clock that was set after four years: the letter at once, the money 180 days after it."""
    ruled(connection)
    party_id = silent(connection)
    late = years_after(NOON, 4)

    service_dormant.watch(connection, at=late)
    ring(connection, late)

    assert clock_of(connection, party_id) == late + timedelta(days=180)
    assert available(connection, party_id) == 5_000


def test_where_no_rule_is_known_nothing_becomes_unclaimed(connection: Connection) -> None:
    """No place, or a place without a rule: no clock, and the money stays its owner's."""
    ruled(connection)
    silent(connection, 5_000, "EUR", "US-NV")
    give(connection, new_payee(connection), 5_000)

    assert service_dormant.watch(connection, at=NOON) == 0


def test_the_rule_of_the_day_and_of_the_place_counts() -> None:
    """A part's own rule before its country's; the newest that counts by the day."""
    country = replace(CALIFORNIA, jurisdiction="US", years=5)
    newer = replace(CALIFORNIA, valid_from=date(2027, 1, 1), years=2)
    rules = by_place([newer, country, CALIFORNIA])

    def years(place: str, on: date, owner: Owner = Owner.PAYEE) -> int | None:
        found = rule_of(rules, place, owner, on)
        return found.years if found else None

    assert years("US-CA", date(2026, 12, 31)) == 3
    assert years("US-CA", date(2027, 1, 1)) == 2
    assert years("US-NV", date(2027, 1, 1)) == 5
    assert years("US-CA", date(2019, 1, 1)) is None
    assert years("US-CA", date(2027, 1, 1), Owner.CLIENT) is None


def test_a_leap_day_is_clamped() -> None:
    """29 February and three years: 28 February."""
    assert years_after(datetime(2028, 2, 29, tzinfo=UTC), 3) == datetime(2031, 2, 28, tzinfo=UTC)
    assert years_after(datetime(2028, 2, 29, tzinfo=UTC), 4) == datetime(2032, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"jurisdiction": "California"},
        {"years": 0},
        {"years": 51},
        {"notice_days": 0},
        {"notice_days": 365},
        {"source": " "},
    ],
)
def test_a_bad_rule_is_refused(connection: Connection, change: dict[str, Any]) -> None:
    """Bad input: one refusal, and nothing written."""
    wish = SetDormancyRule(actor=OPERATOR, rule=replace(CALIFORNIA, **change))

    (outcome,) = service_dormancy_rules.set_rules(connection, [wish], at=NOON)

    assert outcome.code == "unclaimed.bad_rule"
    assert store_dormant.list_rules(connection) == []


def test_a_rule_never_changes(connection: Connection) -> None:
    """Another rule from the same day is refused; as the tenant's role no row is changed."""
    ruled(connection)
    wish = SetDormancyRule(actor=OPERATOR, rule=replace(CALIFORNIA, years=4))

    (outcome,) = service_dormancy_rules.set_rules(connection, [wish], at=NOON)

    assert outcome.code == "unclaimed.bad_rule"
    with pytest.raises(DBAPIError), connection.begin_nested():
        connection.exec_driver_sql("UPDATE dormancy_rule SET years = 4")


def test_e39_a_sanctions_match_stops_dormancy(connection: Connection) -> None:
    """Edge case 39: the clock stands while money is blocked, and nothing is given back."""
    ruled(connection)
    gone = dormant(connection)
    party_id = silent(connection)
    service_dormant.watch(connection, at=NOON)
    wishes = [
        parties.ChangeParty(actor=OPERATOR, party_id=each, sanction_state=parties.SanctionState.HIT)
        for each in (party_id, gone)
    ]
    service_sanctions.change_parties(connection, wishes, at=NOON)

    ring(connection, MOVES)
    back = service_dormant.reactivate(
        connection, [Reactivate(actor=OPERATOR, party_id=gone)], at=MOVES
    )
    prepared = service_remittance.prepare_remittance(connection, [remitting()], at=MOVES)

    assert held(connection, party_id) == []
    assert back[0].code == "unclaimed.owner_blocked"
    assert prepared[0].code == "unclaimed.nothing_held"


def test_the_owner_turns_up(connection: Connection) -> None:
    """He has all of it back where it was, at once; a stranger has none of it."""
    ruled(connection)
    party_id = dormant(connection)
    mine = Reactivate(actor=payee_actor(party_id), party_id=party_id)
    strange = replace(mine, actor=payee_actor(UUID(int=5)))
    at = MOVES + timedelta(days=1)

    (no,) = service_dormant.reactivate(connection, [strange], at=at)
    (done,) = service_dormant.reactivate(connection, [mine], at=at)
    (again,) = service_dormant.reactivate(connection, [mine], at=at)

    assert (no.code, done.code) == ("unclaimed.unknown_owner", "done")
    assert again.code == "unclaimed.nothing_held"
    assert (available(connection, party_id), unclaimed(connection)) == (5_000, 0)
    assert held(connection, party_id) == ["reactivated 5000 US-CA"]
    assert prove(connection).findings == ()


def remitting(actor: Actor = OPERATOR) -> PrepareRemittance:
    return PrepareRemittance(
        actor=actor,
        remittance_id=new_id(),
        jurisdiction="US-CA",
        currency="EUR",
        method="payout:state",
    )


def test_a_remittance_takes_two_people(connection: Connection) -> None:
    """Prepared by one, sent by another; a key may do neither; withdrawn, it is held as before."""
    ruled(connection)
    party_id = dormant(connection)
    key = Actor(UUID(int=11), PrincipalKind.KEY, None, is_operator=True)
    wish = remitting()
    end = EndRemittance(actor=OPERATOR, remittance_id=wish.remittance_id)

    assert service_remittance.prepare_remittance(connection, [remitting(key)], at=MOVES)[
        0
    ].code == ("payouts.operator_only")
    assert service_remittance.prepare_remittance(connection, [wish], at=MOVES)[0].is_done
    (alone,) = service_remittance.approve_remittance(connection, [end], at=MOVES)
    assert alone.code == "unclaimed.second_person"
    assert held(connection, party_id) == ["remitting 5000 US-CA"]
    with pytest.raises(DBAPIError, match="remittance_takes_two"), connection.begin_nested():
        connection.exec_driver_sql(
            "UPDATE remittance SET state = 'submitted', approved_by = prepared_by,"
            " approved_at = prepared_at"
        )
    (back,) = service_remittance.withdraw_remittance(connection, [end], at=MOVES)

    assert back.facts["state"] == "withdrawn"
    assert held(connection, party_id) == ["held 5000 US-CA"]


def said(
    remittance_id: UUID, outcome: RailOutcome, code: str = "", fee_minor: int = 0
) -> RailResult:
    """What the bank says of a remittance."""
    return RailResult(
        operation_id=remittance_id,
        kind=OperationKind.PAYOUT,
        subject=f"remittance:{remittance_id}",
        outcome=outcome,
        amount_minor=7_000,
        currency="EUR",
        fee_minor=fee_minor,
        code=code,
        occurred_at=MOVES,
    )


def sent(connection: Connection) -> tuple[UUID, UUID]:
    """A payee and the remittance of his 70.00, which is with the bank."""
    ruled(connection)
    party_id = dormant(connection, 7_000)
    wish = remitting()
    assert service_remittance.prepare_remittance(connection, [wish], at=MOVES)[0].is_done
    end = EndRemittance(actor=SECOND, remittance_id=wish.remittance_id)
    assert service_remittance.approve_remittance(connection, [end], at=MOVES)[0].is_done
    return party_id, wish.remittance_id


def test_a_remittance_is_booked_when_it_has_left(connection: Connection) -> None:
    """P42, second half: Dr unclaimed · Cr bank once the bank says so, never before."""
    party_id, remittance_id = sent(connection)
    assert settlement.free_in_bank(connection)["EUR"] == 0
    assert (unclaimed(connection), balance(connection, "custody.bank")) == (7_000, 7_000)

    service_remittance.hear_remittances(connection, [said(remittance_id, RailOutcome.DONE)], MOVES)

    assert (unclaimed(connection), balance(connection, "custody.bank")) == (0, 0)
    assert held(connection, party_id) == ["remitted 7000 US-CA"]
    assert prove(connection).findings == ()


def test_a_remittance_that_never_left_is_held_again(connection: Connection) -> None:
    """The bank refused: no entry, and the money waits for another remittance."""
    party_id, remittance_id = sent(connection)

    results = [said(remittance_id, RailOutcome.REFUSED, "payout.failed")]
    service_remittance.hear_remittances(connection, results, MOVES)

    assert unclaimed(connection) == 7_000
    assert held(connection, party_id) == ["held 7000 US-CA"]
    assert service_remittance.prepare_remittance(connection, [remitting()], at=MOVES)[0].is_done


def test_a_remittance_that_comes_back_is_whole_again(connection: Connection) -> None:
    """70.00 went and 65.00 came: the platform bears the 5.00, and the state is owed 70.00."""
    party_id, remittance_id = sent(connection)
    service_remittance.hear_remittances(connection, [said(remittance_id, RailOutcome.DONE)], MOVES)

    results = [said(remittance_id, RailOutcome.REFUSED, "payout.returned", 500)]
    service_remittance.hear_remittances(connection, results, MOVES)

    assert (unclaimed(connection), balance(connection, "custody.bank")) == (7_000, 6_500)
    assert balance(connection, "custody.due_from_platform") == 500
    assert balance(connection, "platform.expense.payout") == 500
    assert held(connection, party_id) == ["held 7000 US-CA"]
    assert prove(connection).findings == ()


def test_the_report_says_who_what_and_since_when(connection: Connection) -> None:
    """Without names unless they are asked for; names never known are empty, not guessed."""
    party_id, remittance_id = sent(connection)
    remittance = store_dormant.lock_remittances(connection, [remittance_id])[remittance_id]

    (plain,) = service_remittance.report_of(connection, remittance, at=MOVES)
    (named,) = service_remittance.report_of(connection, remittance, at=MOVES, with_names=True)

    assert plain == {
        "party_id": str(party_id),
        "from": "custody.earned_available",
        "amount": "70.00",
        "currency": "EUR",
        "jurisdiction": "US-CA",
        "last_contact_on": "2026-03-02",
        "noticed_on": LETTER.date().isoformat(),
        "unclaimed_since": "2029-03-02",
    }
    assert (named["name"], named["address"]) == ("", "")


def test_no_letter_no_unclaimed_money(connection: Connection) -> None:
    """As the tenant's role: money of an owner who had no letter does not become unclaimed."""
    party_id = new_payee(connection)

    with pytest.raises(DBAPIError, match="its_owner_was_written_to"), connection.begin_nested():
        connection.exec_driver_sql(
            "INSERT INTO unclaimed (id, party_id, kind, currency, amount_minor, jurisdiction,"
            " last_contact_at, noticed_at, moved_at, state)"
            " VALUES (%s, %s, 'custody.wallet', 'EUR', 1, 'US-CA', %s, %s, %s, 'held')",
            (new_id(), party_id, NOON, NOON, NOON),
        )
