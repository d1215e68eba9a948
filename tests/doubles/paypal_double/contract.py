"""Requests to PayPal and its answers, held against PayPal's own specifications where they are."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from tests.doubles.frame import Request, Response

FOLDER: Final = Path(__file__).parents[4] / "shared" / "data" / "paypal"
HOST: Final = "https://api-m.sandbox.paypal.com"

_FILES: Final = {
    "/v2/checkout/": "checkout_orders_v2",
    "/v2/payments/": "payments_payment_v2",
    "/v1/payments/": "payments_payouts_batch_v1",
}


def is_here() -> bool:
    """Whether the specifications are on this machine."""
    return all((FOLDER / f"{name}.json").is_file() for name in _FILES.values())


def breach(request: Request, response: Response | None = None) -> str:
    """What is wrong with a request, or with the answer to it; empty where nothing is."""
    name = next((name for start, name in _FILES.items() if request.path.startswith(start)), None)
    if name is None or not is_here():
        return ""
    specification = _specification(name)
    asked = MockRequest(
        HOST,
        request.method.lower(),
        request.path,
        args=dict(part.split("=") for part in request.query.split("&") if part),
        headers=dict(request.headers),
        data=request.body or None,
        content_type="application/json",
    )
    try:
        if response is None:
            specification.validate_request(asked)
        else:
            answered = MockResponse(
                data=response.body, status_code=response.status, content_type="application/json"
            )
            specification.validate_response(asked, answered)
    except OpenAPIError as error:
        return f"{request.method} {request.path}: {error} {error.__cause__ or ''}"
    return ""


@cache
def _specification(name: str) -> OpenAPI:
    """Read once for all tests of a process; who may call is the double's own matter."""
    said = json.loads((FOLDER / f"{name}.json").read_text())
    _without_security(said)
    return OpenAPI.from_dict(said)


def _without_security(said: dict[str, Any]) -> None:
    said["components"].pop("securitySchemes", None)
    for path in said["paths"].values():
        for call in path.values():
            if isinstance(call, dict):
                call.pop("security", None)
