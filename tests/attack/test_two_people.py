"""What two people shall decide is not decided by one, nor booked where nobody looks."""

from typing import Any

import pytest

from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Api, World, make_key, make_party

HALF = {"amount": "5.00", "currency": "EUR"}


def _person(api: Api) -> Api:
    made = make_key(api.engine, kind=PrincipalKind.PERSON, is_operator=True)
    return api.with_key(made)


def _own_key(person: Api) -> dict[str, Any]:
    """The newest key of the tenant: that of the person who was made last."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = person.get("/v1/keys", **({"cursor": cursor} if cursor else {})).body
        rows += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return rows[-1]


def _journal(subject: str) -> dict[str, Any]:
    lines = [
        {"kind": "custody.bank", "debit": HALF},
        {"kind": "custody.wallet", "subject": subject, "credit": HALF},
    ]
    return {
        "entries": [{"book": "custody", "currency": "EUR", "lines": lines}],
        "reason": "found out whose it is",
        "attachment_sha256": "a" * 64,
    }


def test_nobody_gets_the_key_of_another_person(api: Api) -> None:
    """Who rotated a colleague's key would hold both halves of every approval."""
    alice, bob = _person(api), _person(api)
    bobs = _own_key(bob)

    by_alice = alice.post(f"/v1/keys/{bobs['id']}/rotate")
    by_program = api.post(f"/v1/keys/{bobs['id']}/rotate")
    by_bob = bob.post(f"/v1/keys/{bobs['id']}/rotate")

    for answer in (by_alice, by_program):
        assert (answer.status, answer.code) == (403, "auth.scope_missing")
    assert by_bob.status == 201
    assert by_bob.body["principal_id"] == bobs["principal_id"]


@pytest.mark.parametrize("spelled", ["upper", "bare"])
def test_a_journal_names_a_party_by_its_id_as_we_write_it(
    api: Api, world: World, spelled: str
) -> None:
    """Another spelling of the id is another account, which no party ever sees."""
    party = make_party(api, "client")
    other = party.upper() if spelled == "upper" else party.replace("-", "")
    before = world.count_rows()

    answer = _person(api).post("/v1/journals", _journal(other))

    assert (answer.status, answer.code) == (422, "journal.unknown_subaccount")
    assert world.count_rows()["event"] == before["event"]


def test_a_limit_that_is_not_kept_is_not_said_to_be_set(api: Api, world: World) -> None:
    """Two limits at one instant: the second is refused, not forgotten behind a done."""
    finance = _person(api)
    limit = {"role": "preparer", "highest": {"amount": "100.00", "currency": "SEK"}}
    assert finance.post("/v1/journal_limits", limit).status == 201
    events = world.count_rows()["event"]

    second = finance.post(
        "/v1/journal_limits", {**limit, "highest": {"amount": "1.00", "currency": "SEK"}}
    )

    assert (second.status, second.code) == (409, "journal.limit_just_set")
    assert world.count_rows()["event"] == events
