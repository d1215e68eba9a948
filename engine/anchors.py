"""Anchors: places outside the database that keep checkpoints, so that nobody can take one back."""

import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import orjson

from kernel.errors import RailTrouble
from kernel.settings import CannotStart, Settings
from ledger import notes

_ANSWER_WITHIN_S: Final = 5.0
_RECEIPT_BYTES: Final = 500


class AnchorTrouble(RailTrouble):
    """The anchor did not take the checkpoint; it is offered again later."""


class Anchor(Protocol):
    """Keeps signed notes where the keepers of the database cannot alter them."""

    @property
    def name(self) -> str:
        """Small letters, digits, hyphens; the receipts are kept under it."""
        ...

    def keep(self, note: str) -> str:
        """Take a note and answer a receipt; taking it twice does no harm. AnchorTrouble if not."""
        ...


@dataclass(frozen=True, slots=True)
class FileAnchor:
    """An append-only file, one checkpoint a line; best on a disk that another host keeps."""

    path: Path
    name: str = "file"

    def keep(self, note: str) -> str:
        """Append the line and wait until it is on disk; the receipt says where it begins."""
        checkpoint = notes.parse(note)
        line = {"origin": checkpoint.origin, "size": checkpoint.size, "note": note}
        row = orjson.dumps(line | {"kept_at": datetime.now(UTC)}) + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, flags, 0o600)
            try:
                written = os.write(file, row)
                os.fsync(file)
                end = os.lseek(file, 0, os.SEEK_CUR)
            finally:
                os.close(file)
        except OSError as trouble:
            raise AnchorTrouble(str(self.path), str(trouble)) from trouble
        if written != len(row):
            raise AnchorTrouble(str(self.path), "a line was cut short")
        return f"{self.path.name}:{end - written}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_given: Any, **_more: Any) -> None:  # noqa: ANN401  urllib's own
        """Follow none: a receipt is of the place that was named."""


@dataclass(frozen=True, slots=True)
class WebhookAnchor:
    """Posts each note as plain text to an address of the operator's; any 2xx is a receipt."""

    url: str
    name: str = "webhook"

    def keep(self, note: str) -> str:
        """Post the note; the receipt is the status and the beginning of the answer."""
        request = urllib.request.Request(  # noqa: S310  the scheme was checked by `anchors_of`
            self.url, note.encode(), {"Content-Type": "text/plain; charset=utf-8"}
        )
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=_ANSWER_WITHIN_S) as answer:
                said = answer.read(_RECEIPT_BYTES).decode(errors="replace").replace("\0", "")
                return f"{answer.status} {said}".strip()
        except (OSError, HTTPException) as trouble:
            raise AnchorTrouble(self.name, str(trouble)) from trouble


def anchors_of(settings: Settings, environment: Mapping[str, str]) -> Sequence[Anchor]:
    """A file in the data directory, and a webhook where one is named.

    `HOLDFAST_ANCHOR_FILE` moves the file, `HOLDFAST_ANCHOR_URL` names the webhook.
    """
    path = environment.get("HOLDFAST_ANCHOR_FILE")
    kept: list[Anchor] = [
        FileAnchor(Path(path) if path else settings.data_dir / "anchors" / "checkpoints.jsonl")
    ]
    url = environment.get("HOLDFAST_ANCHOR_URL")
    if url:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise CannotStart("HOLDFAST_ANCHOR_URL must start with https:// (or http://).")
        kept.append(WebhookAnchor(url))
    return kept
