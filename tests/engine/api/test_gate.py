"""Hostile bodies and headers over HTTP: the right answer, and nothing written.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

import gzip
import json
from typing import Any

import pytest

from tests.engine.api.conftest import Api, Deal, World, make_deal, pay

GOOD = b'{"kind": "client"}'


@pytest.fixture(scope="module")
def deal(api: Api, world: World) -> Deal:
    """A paid slot, to be attacked."""
    made = make_deal(api, "100.00", "50.00")
    pay(made, world, made.slots[0])
    return made


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"kind": NaN}', 400),
        (b'{"kind": 1e400}', 400),
        (b'{"kind": "client", "kind": "operator"}', 400),
        (b'{"kind": "\\ud800"}', 400),
        (b'{"kind": "client", "reference": "a\\u0000b"}', 400),
        ('{"kind": "client"}'.encode("utf-16"), 400),
        (b"\xef\xbb\xbf" + GOOD, 400),
        (b"[" * 100_000, 400),
        (b"9" * 5_000, 400),
        (b"\xff\xfe", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"client"', 422),
        (b'{"kind": true}', 422),
        (b"{}", 422),
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(
    api: Api, world: World, content: bytes, status: int
) -> None:
    """Lines 8, 10, 12, 13, 14, 18, 19: 400 for what cannot be read, 422 for other shapes."""
    before = world.count_rows()

    answer = api.post_raw("/v1/parties", content)

    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.count_rows() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/json; charset=utf-16"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/merge-patch+json"},
        {"Content_Type": ""},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br"},
    ],
)
def test_only_plain_json_in_utf8_is_taken(api: Api, world: World, headers: dict[str, str]) -> None:
    """Lines 18 and 20: another content type, another charset, any compression: 415."""
    before = world.count_rows()
    content = gzip.compress(GOOD) if "gzip" in headers.values() else GOOD

    answer = api.post_raw("/v1/parties", content, **headers)

    assert (answer.status, answer.code) == (415, "request.media_type")
    assert world.count_rows() == before


def test_a_charset_that_says_utf8_is_fine(api: Api) -> None:
    """`charset=utf-8` says what we ask for anyway."""
    answer = api.post_raw("/v1/parties", GOOD, Content_Type='application/json; charset="UTF-8"')

    assert answer.status == 201


def test_a_large_body_is_refused_by_its_declared_length(api: Api, world: World) -> None:
    """Line 20: more than 1 MiB is 413 before it is read, and the connection is closed."""
    before = world.count_rows()

    answer = api.post_raw("/v1/parties", b'{"kind": "' + b"x" * (1 << 20) + b'"}')

    assert (answer.status, answer.code) == (413, "request.too_large")
    assert answer.headers["connection"] == "close"
    assert world.count_rows() == before


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ({"amount": "-5.00", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "0.00", "currency": "EUR"}, "money.not_positive"),
        ({"amount": "0", "currency": "EUR"}, "money.not_positive"),
        ({"amount": "1e2", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "1E-21", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "1E+999999", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": " 100 ", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "1_000", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "1,000", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "+1", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "01", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "1.", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": ".5", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "१००", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "100\n", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "NaN", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "100.001", "currency": "EUR"}, "money.too_many_decimals"),
        ({"amount": "9223372036854775808", "currency": "EUR"}, "money.malformed_amount"),
        ({"amount": "100000000000000.00", "currency": "EUR"}, "money.too_large"),
        ({"amount": "9" * 41, "currency": "EUR"}, "request.invalid"),
        ({"amount": "10.50", "currency": "JPY"}, "money.too_many_decimals"),
        ({"amount": "10", "currency": "usd"}, "money.unknown_currency"),
        ({"amount": "10", "currency": "USD\n"}, "money.unknown_currency"),
        ({"amount": "10", "currency": "U\u0405D"}, "money.unknown_currency"),
        ({"amount": "10", "currency": "XXX"}, "money.unknown_currency"),
        ({"amount": "10", "currency": ""}, "money.unknown_currency"),
        ({"amount": "10.00", "currency": "USD"}, "money.currency_mismatch"),
        ({"amount": 100, "currency": "EUR"}, "request.invalid"),
        ({"amount": 100.5, "currency": "EUR"}, "request.invalid"),
        ({"amount": True, "currency": "EUR"}, "request.invalid"),
        ({"amount": None, "currency": "EUR"}, "request.invalid"),
        ({"amount": ["10"], "currency": "EUR"}, "request.invalid"),
        ({"amount": "10", "currency": "EUR", "minor": 1000}, "request.invalid"),
        ({"amount": "10"}, "request.invalid"),
        ("10.00 EUR", "request.invalid"),
        (10, "request.invalid"),
    ],
)
def test_an_amount_is_digits_in_the_deals_currency(
    world: World, deal: Deal, amount: Any, code: str
) -> None:
    """Lines 1 to 7, 9, 11, 16, 17: 422 with a stable code, and no money moves."""
    before = world.count_rows()

    answer = deal.client.post(f"/v1/slots/{deal.slots[0]}/release_part", {"amount": amount})

    assert (answer.status, answer.code) == (422, code), answer.body
    assert world.count_rows() == before


@pytest.mark.parametrize("number", [b"100.0", b"1e2", b"100.5", b"1" + b"0" * 60])
def test_a_json_number_is_no_amount(world: World, deal: Deal, number: bytes) -> None:
    """Lines 3, 4, 6, 9: an amount that was a float on its way is refused, not rounded."""
    before = world.count_rows()

    body = b'{"amount": {"amount": ' + number + b', "currency": "EUR"}}'
    answer = deal.client.post_raw(f"/v1/slots/{deal.slots[0]}/release_part", body)

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert world.count_rows() == before


@pytest.mark.parametrize("version", ["1", 1.0, True, 0, -1, 2**31, 2**200, [1]])
def test_a_version_is_a_plain_integer(world: World, deal: Deal, version: Any) -> None:
    """Lines 5 and 9: nothing is converted to an integer, and none is larger than the column."""
    before = world.count_rows()

    answer = deal.client.post(f"/v1/slots/{deal.slots[0]}/approve", {"version": version})

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert world.count_rows() == before


@pytest.mark.parametrize(
    "field", ["status", "tenant_id", "id", "created_at", "kyc_state", "version"]
)
def test_a_field_that_is_not_asked_for_is_refused(api: Api, world: World, field: str) -> None:
    """Line 36: nobody sets a state, an id or a time by sending it along."""
    before = world.count_rows()

    answer = api.post("/v1/parties", {"kind": "client", field: "verified"})

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert answer.body["facts"]["errors"][0]["field"] == field
    assert world.count_rows() == before


@pytest.mark.parametrize("key", ["", "k" * 256, "with space", "caf\u00e9", "tab\tkey"])
def test_a_key_is_visible_ascii(api: Api, world: World, key: str) -> None:
    """Line 29: an Idempotency-Key that is empty, long or odd is 400."""
    before = world.count_rows()

    answer = api.call(
        "POST",
        "/v1/parties",
        content=GOOD,
        headers=[
            (b"Content-Type", b"application/json"),
            (b"Idempotency-Key", key.encode("latin-1")),
        ],
    )

    assert (answer.status, answer.code) == (400, "request.idempotency_key")
    assert world.count_rows() == before


@pytest.mark.parametrize("number", [0, 2])
def test_a_write_carries_exactly_one_key(api: Api, world: World, number: int) -> None:
    """Without a key, or with two of them, nothing is done."""
    before = world.count_rows()
    headers = [(b"Content-Type", b"application/json")]
    headers += [(b"Idempotency-Key", f"key-{i}".encode()) for i in range(number)]

    answer = api.call("POST", "/v1/parties", content=GOOD, headers=headers)

    assert (answer.status, answer.code) == (400, "request.idempotency_key")
    assert world.count_rows() == before


@pytest.mark.parametrize(
    "reference", ["a\u200bb", "\u202edrow", "a\u0007b", "a\u2028b", "", "x" * 201, "\ue000"]
)
def test_a_reference_hides_nothing(api: Api, world: World, reference: str) -> None:
    """Line 15: what nobody can see is refused in a reference."""
    before = world.count_rows()

    answer = api.post("/v1/parties", {"kind": "client", "reference": reference})

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert world.count_rows() == before


def test_free_text_is_kept_and_shown_escaped(api: Api) -> None:
    """Line 15: words for people may be written in any script; JSON escapes what it must."""
    title = 'مرحبا \u202e<script>alert("x")</script>'
    made = make_deal(api, "10.00")
    client = made.client
    body = {
        "milestones": [{"amount": {"amount": "5.00", "currency": "EUR"}, "title": title}],
    }

    added = client.post(f"/v1/contracts/{made.contract_id}/milestones", body)

    assert added.status == 201, added.body
    terms = client.get(f"/v1/contracts/{made.contract_id}/terms").body["items"]
    assert title in [term["title"] for term in terms]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-06-30T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "tomorrow",
        1_700_000_000,
        "1700000000",
    ],
)
def test_a_time_is_an_instant_that_there_is(api: Api, world: World, time: Any) -> None:
    """Line 38: years outside 1970 to 2199, leap seconds, no offset, numbers: 422."""
    before = world.count_rows()

    answer = api.post("/v1/clock/advance", {"to": time})

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert world.count_rows() == before


@pytest.mark.parametrize(
    "id_text",
    [
        "0190a0b0-0000-7000-8000-00000000000G",
        "0190A0B0-0000-7000-8000-000000000001",
        "{0190a0b0-0000-7000-8000-000000000001}",
        "urn:uuid:0190a0b0-0000-7000-8000-000000000001",
        "0190a0b0000070008000000000000001",
        "' OR 1=1 --",
        "",
    ],
)
def test_an_id_is_written_one_way(api: Api, world: World, id_text: str) -> None:
    """Two spellings never name one thing: 422 in a body, 404 in a path."""
    before = world.count_rows()

    answer = api.post(
        "/v1/payouts", {"method_id": id_text, "amount": {"amount": "1", "currency": "EUR"}}
    )
    path = api.get(f"/v1/slots/{id_text.replace('/', '')}") if id_text else None

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert path is None or (path.status, path.code) == (404, "not_found")
    assert world.count_rows() == before


def test_an_error_never_repeats_what_was_sent(api: Api) -> None:
    """A refused field is named, its content is not: it may be a secret in the wrong place."""
    answer = api.post("/v1/parties", {"kind": "4111111111111111"})

    assert "4111" not in json.dumps(answer.body)
    assert answer.body["facts"]["errors"][0]["field"] == "kind"


def test_an_empty_body_is_an_empty_object(deal: Deal) -> None:
    """A command without fields needs no body and no content type."""
    answer = deal.client.call(
        "POST",
        f"/v1/contracts/{deal.contract_id}/pause",
        headers={"Idempotency-Key": "no-body-at-all"},
    )
    deal.client.post(f"/v1/contracts/{deal.contract_id}/resume")

    assert answer.status == 200
