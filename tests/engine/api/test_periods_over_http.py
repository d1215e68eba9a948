"""A month end by HTTP: a journal by two people, a closing, a reopening by two, and the next one."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Engine

from kernel import clock
from kernel.database import transaction
from kernel.principals import PrincipalKind
from ledger.service import post
from tests.engine.api.conftest import START, Answer, Api, World, make_key, make_party
from tests.fixtures.databases import TENANT
from tests.ledger.drafts import fund, wallet

PAPER = sha256(b"the bank's letter").hexdigest()


@dataclass
class People:
    """Two people of finance."""

    ann: Api
    bob: Api


@pytest.fixture(scope="module")
def people(api: Api, api_engine: Engine) -> People:
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    return People(
        *(api.with_key(make_key(api_engine, **given)) for _ in range(2)),
    )


def body(amount: str = "4.20", **more: Any) -> dict[str, Any]:
    money = {"amount": amount, "currency": "EUR"}
    lines = [
        {"kind": "platform.expense.processor", "debit": money},
        {"kind": "platform.bank", "credit": money},
    ]
    entry = {"book": "platform", "currency": "EUR", "lines": lines}
    return {"entries": [entry], "reason": "bank charges", "attachment_sha256": PAPER, **more}


def march(api: Api) -> str:
    (period,) = [each for each in api.get("/v1/periods").body["items"] if "-03-01" in each["from"]]
    return f"/v1/periods/{period['id']}"


def codes(*answers: Answer) -> list[str | int]:
    return [each.status if each.status < 400 else each.code for each in answers]


def test_a_month_end_from_journal_to_second_closing(
    api: Api, api_engine: Engine, people: People, world: World
) -> None:
    """Every step by its address; what is out of turn is refused by name."""
    ann, bob = people.ann, people.bob
    with transaction(api_engine, TENANT) as connection:
        post(connection, [fund(10_000, wallet("ann"), at=START)])
    path = march(api)
    running = ann.post(f"{path}/soft-close")
    with transaction(api_engine, TENANT) as connection:
        clock.advance(connection, to=START.replace(month=4))

    by_key = api.post(f"{path}/soft-close")
    soft = ann.post(f"{path}/soft-close")
    prepared = ann.post("/v1/journals", body(effective_at="2026-03-31T12:00:00Z"))
    waits = ann.post(f"{path}/close")
    own = ann.post(f"/v1/journals/{prepared.body['id']}/approve")
    posted = bob.post(f"/v1/journals/{prepared.body['id']}/approve")
    closed = ann.post(f"{path}/close", {"reason": "month end"}, key="close-march")
    again = ann.post(f"{path}/close", {"reason": "month end"}, key="close-march")

    assert codes(running, by_key, soft) == ["period.not_over", "period.finance_only", 200]
    assert codes(waits, own, posted) == ["period.journals_open", "journal.same_person", 200]
    assert (closed.status, closed.body["state"], again.body) == (200, "closed", closed.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    (closing,) = ann.get(f"{path}/closings").body["items"]
    hashed = sha256(closing["trial_balance"].encode()).hexdigest()
    assert (
        hashed == closing["trial_balance_sha256"] == closed.body["closing"]["trial_balance_sha256"]
    )

    late = ann.post("/v1/journals", body(effective_at="2026-03-31T12:00:00Z"))
    asked = ann.post(f"{path}/ask-reopen", {"reason": "a charge was missed"})
    alone = ann.post(f"{path}/reopen", {"reason": "yes"})
    opened = bob.post(f"{path}/reopen", {"reason": "seen"})
    closed = bob.post(f"{path}/close")

    assert codes(late, asked, alone, opened) == [
        "ledger.period_not_open",
        200,
        "period.same_person",
        200,
    ]
    assert (closed.status, closed.body["version"]) == (200, 2)
    acts = [each["act"] for each in api.get(path).body["acts"]]
    assert acts == ["soft_close", "close", "ask_reopening", "reopen", "close"]
    assert len(api.get(f"{path}/closings").body["items"]) == 2
    world.prove()


def test_a_journal_is_listed_rejected_and_limited(api: Api, people: People) -> None:
    """Nothing of a rejected one reaches the books; a limit is felt at once."""
    prepared = people.ann.post("/v1/journals", body())
    rejected = people.bob.post(f"/v1/journals/{prepared.body['id']}/reject", {"reason": "no"})
    limit = {"role": "preparer", "highest": {"amount": "5.00", "currency": "EUR"}}
    limited = people.bob.post("/v1/journal_limits", limit)
    above = people.ann.post("/v1/journals", body("5.01"))

    shown = api.get("/v1/journals", state="rejected").body["items"]
    assert (prepared.status, rejected.status, limited.status) == (201, 200, 201)
    assert above.code == "journal.above_limit"
    assert prepared.body["id"] in {each["id"] for each in shown}
    assert api.get(f"/v1/journals/{prepared.body['id']}").body["state"] == "rejected"


@pytest.mark.parametrize(
    "spoiled",
    [
        {"attachment_sha256": "none"},
        {"reason": ""},
        {"entries": []},
        {"effective_at": "yesterday"},
        {"original_effective_on": "2026-02-30"},
        {"state": "posted"},
    ],
    ids=str,
)
def test_a_malformed_journal_is_refused(people: People, spoiled: dict[str, Any]) -> None:
    """Each field says what it takes; unknown ones are refused."""
    refused = people.ann.post("/v1/journals", body(**spoiled))

    assert (refused.status, refused.code) == (422, "request.invalid")


def test_a_line_is_either_a_debit_or_a_credit(people: People) -> None:
    """Both, or neither, is no line."""
    for lines in ({}, {"debit": {"amount": "1.00", "currency": "EUR"}}):
        given = body()
        given["entries"][0]["lines"][1] = {
            "kind": "platform.bank",
            **lines,
            **({"credit": lines["debit"]} if lines else {}),
        }
        assert people.ann.post("/v1/journals", given).code == "request.invalid"


def test_periods_and_journals_are_the_platforms_own(api: Api) -> None:
    """A party sees neither, and an unknown number is not there."""
    party = api.as_party(make_party(api, "client"))

    assert party.get("/v1/periods").code == "auth.platform_only"
    assert party.get("/v1/journals").code == "auth.platform_only"
    assert api.get("/v1/periods/999").code == "not_found"
    assert api.get("/v1/periods/x/closings").code == "not_found"
    assert api.post("/v1/periods/x/close").code == "period.unknown"
