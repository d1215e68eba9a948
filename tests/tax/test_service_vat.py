"""The tax on fees of a batch, from the tables: what was known by then, and nothing later."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from tax.model_vat import Treatment
from tax.service_vat import decide_for
from tests.tax.stage import add_buyer, add_check, add_party, set_supplier

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def decided(connection: Connection, party_id: UUID, at: datetime = AT) -> tuple[str, str, int]:
    decision = decide_for(connection, [party_id], at)[party_id]
    assert decision is not None
    return decision.treatment.value, decision.country, decision.rate_bps


def test_without_a_supplier_nothing_is_decided(connection: Connection) -> None:
    """A tenant without a profile charges no tax: every party's decision is None."""
    party_id = add_party(connection)

    assert decide_for(connection, [party_id], AT) == {party_id: None}


def test_a_check_counts_from_its_time_until_it_is_old(connection: Connection) -> None:
    """Tax before the check, reverse charge from it, tax again when it is older than its days."""
    set_supplier(connection, country="IE", check_days=90)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976")
    check_id = add_check(connection, party_id, at=AT)

    assert decided(connection, party_id, AT - DAY) == ("destination", "DE", 1_900)
    assert decided(connection, party_id, AT) == ("reverse_charge", "DE", 0)
    assert decided(connection, party_id, AT + 89 * DAY) == ("reverse_charge", "DE", 0)
    assert decided(connection, party_id, AT + 90 * DAY) == ("destination", "DE", 1_900)
    decision = decide_for(connection, [party_id], AT)[party_id]
    assert decision is not None
    assert decision.check is not None
    assert decision.check.id == check_id


def test_the_newest_check_of_the_number_decides(connection: Connection) -> None:
    """A register that takes its word back ends the reverse charge, from that check on."""
    set_supplier(connection, country="IE")
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976")
    add_check(connection, party_id, at=AT - 2 * DAY)
    add_check(connection, party_id, at=AT, is_valid=False)

    assert decided(connection, party_id, AT - DAY)[0] == Treatment.REVERSE_CHARGE
    assert decided(connection, party_id)[0] == Treatment.DESTINATION


def test_a_check_of_another_number_says_nothing(connection: Connection) -> None:
    """The number that was checked is the one that the buyer has, or it does not count."""
    set_supplier(connection, country="IE")
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976", at=AT - 2 * DAY)
    add_check(connection, party_id, at=AT - 2 * DAY)
    add_buyer(connection, party_id, "DE", number="DE129273398", at=AT)

    assert decided(connection, party_id, AT - DAY)[0] == Treatment.REVERSE_CHARGE
    assert decided(connection, party_id)[0] == Treatment.DESTINATION


def test_without_evidence_the_suppliers_rate_is_charged(connection: Connection) -> None:
    """Nothing known, or one piece alone: the supplier's own rate, or the likeliest country's."""
    nobody, one_piece = add_party(connection), add_party(connection)
    set_supplier(connection, country="IE", at=AT - DAY)
    set_supplier(connection, country="IE", at=AT, when_unsure="likeliest")
    add_buyer(connection, one_piece, "FI", pieces=1)

    before = AT - timedelta(seconds=1)
    assert decided(connection, nobody, before) == ("domestic", "IE", 2_300)
    assert decided(connection, one_piece, before) == ("domestic", "IE", 2_300)
    assert decided(connection, nobody) == ("domestic", "IE", 2_300)
    assert decided(connection, one_piece) == ("destination", "FI", 2_550)


def test_what_counsel_must_decide_is_charged_at_home(connection: Connection) -> None:
    """An intermediary's fee to a consumer elsewhere in the EU; from outside, his country's."""
    set_supplier(connection, country="IE", service="intermediation", at=AT - DAY)
    set_supplier(connection, country="US", service="intermediation", at=AT)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "FI")

    assert decided(connection, party_id, AT - DAY) == ("domestic", "IE", 2_300)
    assert decided(connection, party_id) == ("destination", "FI", 2_550)


def test_a_batch_is_decided_each_on_its_own_facts(connection: Connection) -> None:
    """Fifty parties of three countries at once, as each alone."""
    set_supplier(connection, country="IE")
    parties = [add_party(connection) for _ in range(50)]
    for i, party_id in enumerate(parties):
        add_buyer(connection, party_id, ("IE", "FI", "US")[i % 3])

    found = decide_for(connection, parties, AT)

    assert found == {p: decide_for(connection, [p], AT)[p] for p in parties}
    assert [d and d.rate_bps for d in map(found.get, parties[:3])] == [2_300, 2_550, 0]
