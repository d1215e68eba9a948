"""A caller of the API that keeps its own log: every request, and what was answered, fsynced."""

import http.client
import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.durability.crashes import PATIENCE_S
from tests.durability.house import HOST

RETRIED: Final = frozenset({"unavailable", "request.outcome_unknown", "internal"})
"""Codes that leave open what became of a request; the same key tells."""

BROKEN: Final = "internal"
_TIMEOUT_S: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One command as it was sent; the key stands for all of it."""

    key: str
    path: str
    party: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a command was answered."""

    status: int
    body: dict[str, Any]
    is_replayed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it was carried out, and not refused."""
        return self.status < http.HTTPStatus.BAD_REQUEST


class Caller:
    """One connection to the API and one log, for one thread."""

    def __init__(self, *, port: int, secret: str, log_path: Path | None = None) -> None:
        self.broken: list[str] = []
        self.retries = 0
        self.told_again = 0
        self._secret = secret
        self._connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
        self._log = None if log_path is None else log_path.open("a", encoding="utf-8")

    def post(self, sent: Sent) -> Heard:
        """Send a command with its key until it is answered, and write the answer down."""
        self._write({"sent": _as_json(sent)})
        headers = {"Idempotency-Key": sent.key, "Content-Type": "application/json"}
        heard = self._ask("POST", sent.path, sent.party, json.dumps(sent.body), headers)
        self.told_again += heard.is_replayed
        self._write({"key": sent.key, "status": heard.status, "body": heard.body})
        return heard

    def get(self, path: str) -> dict[str, Any]:
        """Look at something until it is shown."""
        return self._ask("GET", path, "", None, {}).body

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, method: str, path: str, party: str, body: str | None, headers: dict[str, str]
    ) -> Heard:
        given = {**headers, "Authorization": f"Bearer {self._secret}"}
        if party:
            given["Holdfast-Party"] = party
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            heard = self._try(method, path, body, given)
            if heard is not None and heard.body.get("code") not in RETRIED:
                return heard
            if heard is not None and heard.body["code"] == BROKEN:
                self.broken.append(f"{method} {path}: {heard.body}")
            self.retries += 1
            time.sleep(0.05)
        raise AssertionError(f"{method} {path} found no answer")

    def _try(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> Heard | None:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            shown = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        is_replayed = response.headers.get("Idempotent-Replayed") == "true"
        return Heard(status=response.status, body=shown, is_replayed=is_replayed)

    def _write(self, fact: dict[str, Any]) -> None:
        if self._log is None:
            return
        self._log.write(json.dumps(fact) + "\n")
        self._log.flush()
        os.fsync(self._log.fileno())


def read_log(path: Path) -> list[tuple[Sent, Heard | None]]:
    """Every command that was sent, in order, with its answer if one was heard."""
    sent: dict[str, Sent] = {}
    heard: dict[str, Heard] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fact = json.loads(line)
        if "sent" in fact:
            sent[fact["sent"]["key"]] = Sent(**fact["sent"])
        else:
            heard[fact["key"]] = Heard(status=fact["status"], body=fact["body"])
    return [(each, heard.get(key)) for key, each in sent.items()]


def _as_json(sent: Sent) -> dict[str, Any]:
    return {"key": sent.key, "path": sent.path, "party": sent.party, "body": sent.body}


class Count:
    """How many answers all callers heard together, by the step that was answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by_step: Counter[str] = Counter()
        self.payouts = 0

    def add(self, step: str) -> None:
        """One more."""
        with self._lock:
            self.by_step[step] += 1

    def add_payout(self) -> None:
        """One of the answers says that a payout was taken on."""
        with self._lock:
            self.payouts += 1

    @property
    def total(self) -> int:
        """All answers."""
        with self._lock:
            return self.by_step.total()
