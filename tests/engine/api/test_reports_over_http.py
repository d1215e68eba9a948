"""Reports and balances as of a date over HTTP: both axes, pages, hashes, and whose they are."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import pytest

from kernel.database import transaction
from ledger.seal import seal
from tests.engine.api.conftest import Api, Deal, World, make_deal, pay

REPORTS = (
    "trial-balance",
    "trial-balance/accounts",
    "general-ledger",
    "roll-forward",
    "ageing",
    "tie-out",
)


@pytest.fixture(scope="module")
def deal(api: Api, world: World) -> Deal:
    """A slot paid and sealed; then a second one paid, which waits for the sealer."""
    made = make_deal(api, "100.00", "50.00")
    pay(made, world, made.slots[0])
    with transaction(world.engine, world.tenant) as connection:
        seal(connection, at=datetime.now(UTC), limit=100_000)
    pay(made, world, made.slots[1])
    return made


def _size(api: Api) -> int:
    size = api.get("/v1/reports/trial-balance").body["header"]["journal_no"]
    assert isinstance(size, int)
    return size


def _escrow(api: Api, slot: str) -> str:
    (account,) = api.get("/v1/accounts", subject=slot, kind="custody.escrow").body["items"]
    return str(account["id"])


def test_a_balance_is_told_as_it_was_known(api: Api, deal: Deal) -> None:
    """At the sealed number the second slot held nothing; provisionally it does; signed."""
    first, second = (_escrow(api, slot) for slot in deal.slots)
    size = _size(api)

    def told(account: str, **query: Any) -> tuple[str, bool]:
        body = api.get(f"/v1/accounts/{account}/balance", **query).body
        return body["balance"]["amount"], body["provisional"]

    assert told(first, as_of=size) == ("-100.00", False)
    assert told(second, as_of=size) == ("0.00", False)
    assert told(second) == ("-50.00", True)
    assert told(first, as_of=size, effective_at="1970-01-01T00:00:00Z") == ("0.00", False)
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    assert told(second, as_of=now) == ("-50.00", True)


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_answers_on_both_axes_with_the_same_bytes(
    api: Api, deal: Deal, report: str
) -> None:
    """Asked twice as of a number: the same hash; as of now: provisional and without one."""
    assert deal.slots
    as_of, now = {"as_of": _size(api)}, {"effective_at": "2100-01-01T00:00:00Z"}

    once = api.get(f"/v1/reports/{report}", **as_of, **now)
    again = api.get(f"/v1/reports/{report}", **as_of, **now)

    assert (once.status, once.body) == (200, again.body)
    assert len(once.body["header"]["sha256"]) == 64
    assert not once.body["header"]["provisional"]
    provisional = api.get(f"/v1/reports/{report}").body["header"]
    assert (provisional["provisional"], provisional["sha256"]) == (True, None)


def test_the_general_ledger_pages_to_its_end(api: Api, deal: Deal) -> None:
    """Page by page every line comes once, and as many as the trial balance counts."""
    assert deal.slots
    lines: list[tuple[str, int]] = []
    query: dict[str, Any] = {"as_of": _size(api), "limit": 3}
    while True:
        page = api.get("/v1/reports/general-ledger", **query).body
        lines += [(line["account_id"], line["account_seq"]) for line in page["lines"]]
        if page["goes_on_at"] is None:
            break
        query["after"] = ".".join(page["goes_on_at"])

    roll = api.get("/v1/reports/roll-forward", as_of=query["as_of"]).body["rows"]
    assert len(set(lines)) == len(lines)
    assert len(lines) == sum(each["line_count"] for row in roll for each in row["activities"])
    assert all(row["ties"] for row in roll)


def test_the_ageing_is_what_escrow_owes(api: Api, deal: Deal) -> None:
    """Both slots are paid and wait for their submission."""
    assert deal.slots
    body = api.get("/v1/reports/ageing").body

    assert all(control["ties"] for control in body["controls"])
    waiting = [row for row in body["rows"] if row["awaited"] == "submission"]
    assert [row["held"]["amount"] for row in waiting] == ["150.00"]
    tied = api.get("/v1/reports/tie-out").body
    assert (tied["breaks"], tied["slot_breaks"]) == ([], [])
    then = api.get("/v1/reports/tie-out", as_of=_size(api)).body
    assert (then["breaks"], then["slot_breaks"]) == ([], None)


def test_a_party_sees_its_own_statement_and_no_report(api: Api, deal: Deal) -> None:
    """Reports are the platform's; the account of its own slot is the party's to read."""
    own = _escrow(api, deal.slots[0])

    page = deal.client.get(f"/v1/accounts/{own}/statement")

    assert page.status == 200
    assert [line["balance"]["amount"] for line in page.body["lines"]] == ["-100.00"]
    for report in REPORTS:
        assert deal.client.get(f"/v1/reports/{report}").status == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"as_of": "0"}, 422),
        ({"as_of": "9223372036854775807"}, 422),
        ({"as_of": "99999999999999999999"}, 422),
        ({"as_of": "yesterday"}, 422),
        ({"as_of": "1971-01-01T00:00:00Z"}, 422),
        ({"as_of": "2026-03-01T00:00:00"}, 422),
        ({"effective_at": "2026-03-01"}, 422),
        ({"effective_from": "2026-03-02T00:00:00Z", "effective_at": "2026-03-01T00:00:00Z"}, 422),
        ({"unknown": "1"}, 422),
    ],
)
def test_what_names_no_point_is_refused(
    api: Api, deal: Deal, query: dict[str, str], status: int
) -> None:
    """One problem with a code; never a 500."""
    assert deal.slots
    answer = api.get("/v1/reports/trial-balance", **query)

    assert answer.status == status
    assert answer.body["code"]


@pytest.mark.parametrize("after", ["1", "1.", ".1", "a.b", "1.99999999999999999999", "-1.0"])
def test_a_page_that_begins_nowhere_is_refused(api: Api, deal: Deal, after: str) -> None:
    """The position of the general ledger is an account and a line."""
    assert deal.slots
    assert api.get("/v1/reports/general-ledger", after=after).status == 422


def test_a_report_is_its_own_hash(api: Api, deal: Deal) -> None:
    """The body as it came, keys sorted and without the hash, hashes to it."""
    assert deal.slots
    body = api.get("/v1/reports/trial-balance", as_of=_size(api)).body
    told = body["header"].pop("sha256")

    assert told == sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
