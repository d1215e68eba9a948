"""The calls of PayPal's API: what is an answer, what is trouble, and who we are."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from kernel.errors import RailTrouble
from rails.http import Answer, Api
from rails.paypal.rules import issue_of
from rails.paypal.settings import PaypalSettings

ORDERS: Final = "/v2/checkout/orders"
PAYMENTS: Final = "/v2/payments"
PAYOUTS: Final = "/v1/payments/payouts"
ITEMS: Final = "/v1/payments/payouts-item"
EVENTS: Final = "/v1/notifications/webhooks-events"


class Calls:
    """One account's calls. `api` keeps connections and the token."""

    def __init__(self, settings: PaypalSettings) -> None:
        self.settings = settings
        self.api = Api(
            base=settings.api_base,
            connect_s=settings.connect_s,
            read_s=settings.read_s,
            fetch_token=self._fetch_token,
        )

    def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        """The answer, good or refused; RailTrouble while what was asked may still happen."""
        headers = {"paypal-request-id": key, "prefer": "return=representation"}
        answer = self.api.ask("POST", path, body=body, headers=headers)
        is_open = answer.status in {HTTPStatus.CONFLICT, HTTPStatus.REQUEST_TIMEOUT}
        if is_open or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RailTrouble(f"PayPal: {path}: {answer.status}")
        return answer

    def found(self, path: str) -> Mapping[str, Any]:
        """What is there; empty where nothing is."""
        answer = self.api.ask("GET", path)
        if answer.status == HTTPStatus.NOT_FOUND:
            return {}
        if not answer.is_good:
            raise RailTrouble(f"PayPal: {path}: {answer.status}")
        return answer.said

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """What is there; RailTrouble where nothing is."""
        answer = self.api.ask("GET", path, query=query or {})
        if not answer.is_good:
            raise RailTrouble(f"PayPal: {path}: {answer.status} {issue_of(answer.said)}")
        return answer.said

    def order(self, order_id: str) -> Mapping[str, Any]:
        """An order, with its captures and refunds."""
        return self.get(f"{ORDERS}/{order_id}")

    def _fetch_token(self, client: httpx.Client) -> httpx.Response:
        auth = (self.settings.client_id, self.settings.client_secret)
        return client.post("/v1/oauth2/token", data={"grant_type": "client_credentials"}, auth=auth)
