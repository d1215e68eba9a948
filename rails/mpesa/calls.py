"""The calls of Daraja: what is an answer, what was not taken in, and who we are."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from kernel.errors import RailTrouble
from rails.http import Answer, Api, NotTaken
from rails.mpesa.settings import MpesaSettings

PUSH: Final = "/mpesa/stkpush/v1/processrequest"
PUSH_QUERY: Final = "/mpesa/stkpushquery/v1/query"
PAY: Final = "/mpesa/b2c/v3/paymentrequest"
STATUS_QUERY: Final = "/mpesa/transactionstatus/v1/query"

_STRANGERS: Final = frozenset({"404.001.03", "400.003.01", "401.003.01"})
"""Daraja's codes for a token that it does not know; their status is not always 401."""

_BUSY: Final = frozenset({"500.003.02", "500.003.03"})
_BUSY_WORDS: Final = ("unable to lock subscriber", "system is busy")
_MISFIT_WORDS: Final = ("merchant does not exist", "wrong credentials")
_ACCEPTED: Final = "0"


class Calls:
    """One account's calls. `api` keeps connections and the token."""

    def __init__(self, settings: MpesaSettings) -> None:
        self.settings = settings
        self.api = Api(
            base=settings.api_base,
            connect_s=settings.connect_s,
            read_s=settings.read_s,
            fetch_token=self._fetch_token,
        )

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """The answer, also one of 5xx that says what it means.

        NotTaken if nothing was taken in; other RailTrouble if that is not known.
        """
        answer = self.api.ask("POST", path, body=body)
        if error_of(answer) in _STRANGERS:
            self.api.forget_token()
            answer = self.api.ask("POST", path, body=body)
        code, words = error_of(answer), str(answer.said.get("errorMessage") or "").lower()
        if code in _STRANGERS:
            raise NotTaken(f"M-Pesa: {path}: it does not know us", wait_s=300)
        if code in _BUSY or any(each in words for each in _BUSY_WORDS):
            raise NotTaken(f"M-Pesa: {path}: busy", wait_s=120)
        if any(each in words for each in _MISFIT_WORDS):
            raise NotTaken(f"M-Pesa: {path}: {code}", wait_s=300)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not code:
            raise RailTrouble(f"M-Pesa: {path}: {answer.status}")
        return answer

    def _fetch_token(self, client: httpx.Client) -> httpx.Response:
        auth = (self.settings.consumer_key, self.settings.consumer_secret)
        query = {"grant_type": "client_credentials"}
        return client.get("/oauth/v1/generate", params=query, auth=auth)


def error_of(answer: Answer) -> str:
    """Daraja's own code of what was wrong; empty where nothing was."""
    return str(answer.said.get("errorCode") or "")


def is_accepted(answer: Answer) -> bool:
    """Whether Daraja took it in: no more than that."""
    return answer.is_good and str(answer.said.get("ResponseCode")) == _ACCEPTED
