"""Logs of the edge: one line per request as JSON, without bodies, keys or secrets."""

import logging
import re
import time
import uuid
from typing import Any, Final

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, WrappedLogger

_SECRET_NAMES: Final = frozenset(
    {"authorization", "body", "cookie", "idempotency_key", "password", "secret", "token"}
)
_SECRET_TEXT: Final = re.compile(r"hf_[A-Za-z0-9_-]{8,}|://[^:/@\s]+:[^@\s]+@")

_log = structlog.get_logger("engine.api")


def configure_logs(level: int = logging.INFO) -> None:
    """Let the program log JSON lines to standard output; call it once at start-up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take out what must never stand in a log, by its name and by its look."""
    for name, value in event.items():
        if name.lower() in _SECRET_NAMES:
            event[name] = "(left out)"
        elif isinstance(value, str) and _SECRET_TEXT.search(value):
            event[name] = _SECRET_TEXT.sub("(left out)", value)
    return event


class AccessLog:
    """Pure ASGI: gives every request an id, and writes one line when it is over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the status is seen on its way out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = uuid.uuid4().hex
        seen: dict[str, Any] = {"status": 500}

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                message["headers"].append((b"request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            state = scope.get("state", {})
            _log.info(
                "api.request",
                request_id=request_id,
                method=scope["method"],
                route=state.get("route"),
                status=seen["status"],
                tenant=state.get("tenant"),
                principal_id=state.get("principal_id"),
                milliseconds=round((time.perf_counter() - began) * 1_000, 1),
            )


def _as_json(event: EventDict, **_options: object) -> bytes:
    return orjson.dumps(event, default=str)
