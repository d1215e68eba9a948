"""The calls we use, as the installed package declares them, kept as JSON beside the tests.

When `stripe` is upgraded, what became of these calls shows as a difference in review:
`python -m tests.doubles.contract --write` writes it anew.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import stripe

from tests.doubles import contract
from tests.doubles.contract import Schema

KEPT: Final = Path(__file__).with_name("contract.json")

# Every call of ours; the double plays all of them.
USED: Final = (
    "GET /v1/account",
    "GET /v1/accounts/{account}",
    "GET /v1/balance",
    "GET /v1/balance_settings",
    "POST /v1/balance_settings",
    "GET /v1/balance_transactions",
    "GET /v1/balance_transactions/{id}",
    "GET /v1/charges",
    "GET /v1/charges/{charge}",
    "GET /v1/disputes",
    "GET /v1/disputes/{dispute}",
    "POST /v1/disputes/{dispute}",
    "POST /v1/disputes/{dispute}/close",
    "GET /v1/events",
    "GET /v1/events/{id}",
    "GET /v1/payment_intents",
    "POST /v1/payment_intents",
    "GET /v1/payment_intents/{intent}",
    "POST /v1/payment_intents/{intent}",
    "POST /v1/payment_intents/{intent}/cancel",
    "POST /v1/payment_intents/{intent}/capture",
    "POST /v1/payment_intents/{intent}/confirm",
    "GET /v1/payouts",
    "POST /v1/payouts",
    "GET /v1/payouts/{payout}",
    "POST /v1/payouts/{payout}/cancel",
    "GET /v1/radar/early_fraud_warnings",
    "GET /v1/radar/early_fraud_warnings/{early_fraud_warning}",
    "GET /v1/refunds",
    "POST /v1/refunds",
    "GET /v1/refunds/{refund}",
    "POST /v1/refunds/{refund}/cancel",
    "GET /v1/topups",
    "POST /v1/topups",
    "GET /v1/topups/{topup}",
    "GET /v1/transfers",
    "POST /v1/transfers",
    "GET /v1/transfers/{transfer}",
    "GET /v1/transfers/{id}/reversals",
    "POST /v1/transfers/{id}/reversals",
    "GET /v2/core/accounts",
    "POST /v2/core/accounts",
    "GET /v2/core/accounts/{id}",
    "POST /v2/core/account_links",
    "GET /v2/core/events",
    "GET /v2/core/events/{id}",
)

# Webhooks carry these; a notification's own classes are not part of any call.
_DEEP: Final = frozenset(
    "created configuration defaults evidence identity payments requirements transfer_data"
    " use_case payouts schedule recipient capabilities stripe_balance stripe_transfers"
    " responsibilities account_onboarding evidence_details".split()
)


def declared() -> dict[str, Any]:
    """The calls we use: names, what is required, what values there are; and error codes."""
    calls, objects = {}, {}
    for call in USED:
        method, _, path = call.partition(" ")
        route = contract.route(method, path)
        params = dict(_lines(route.params or {}, "", closed=True))
        answer = _one_of(route.answer)
        objects[answer["$ref"]] = dict(_lines(answer, "", closed=False))
        calls[call] = {"params": params, "answer": answer["$ref"]}
    return {
        "api_version": stripe.api_version,
        "calls": calls,
        "objects": objects,
        "error_codes": sorted(contract.error_codes()),
    }


def _one_of(answer: Schema) -> Schema:
    """What a list is a list of."""
    one: Schema = answer["properties"]["data"]["items"] if "properties" in answer else answer
    return one


def _lines(schema: Schema, at: str, *, closed: bool) -> Iterator[tuple[str, str]]:
    """One line for each name: whether it is required (`*`), and its types or values."""
    opened = _opened(schema)
    for name, inner in sorted(opened.get("properties", {}).items()):
        star = "*" if name in opened["required"] else ""
        yield f"{at}{name}", f"{star}{_kinds(inner)}"
        for option in inner.get("anyOf", [inner]):
            part = option["items"] if option.get("type") == "array" else option
            is_own = closed or "." in part.get("$ref", "").partition(":")[2]
            if "$ref" in part and name in _DEEP and is_own and at.count(".") < 6:
                yield from _lines(part, f"{at}{name}.", closed=closed)


def _opened(schema: Schema) -> Schema:
    return contract.class_schema(schema["$ref"]) if "$ref" in schema else schema


def _kinds(schema: Schema) -> str:
    kinds = []
    for option in schema.get("anyOf", [schema]):
        if "enum" in option:
            kinds.append(" ".join(str(value) or '""' for value in option["enum"]))
        elif "$ref" in option:
            kinds.append("{}")
        elif option.get("type") == "array":
            kinds.append(f"[{_kinds(option['items'])}]")
        else:
            kinds.append(option.get("type", "any"))
    return " | ".join(kinds)


def written() -> str:
    """What the kept file should hold."""
    return json.dumps(declared(), indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """`--write` keeps the calls anew; without it: 1 if they are not as kept."""
    if arguments == ["--write"]:
        KEPT.write_text(written(), encoding="utf-8")
        return 0
    return 0 if KEPT.read_text(encoding="utf-8") == written() else 1
