"""The small parts of which requests are made: ids, amounts, texts; strict and without surprise."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from engine.api.refusals import CurrencyMismatch
from kernel.money import EXPONENTS, parse_minor

ID_PATTERN: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

_ID: Final = re.compile(ID_PATTERN, re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199


class Request(BaseModel):
    """A body: unknown fields are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def read_id(text: str) -> UUID | None:
    """An id as we write it: 36 characters in small hex; None for anything else."""
    return UUID(text) if _ID.fullmatch(text) else None


def _canonical_id(value: object) -> UUID:
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise PydanticCustomError("id", "an id is a UUID in small hex digits with hyphens")
    return UUID(value)


def _read_time(value: object) -> datetime:
    wrong = PydanticCustomError("time", "a time is written 2026-01-31T12:00:00Z")
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise wrong
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise wrong from None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise PydanticCustomError("year", "a time lies in the years 1970 to 2199")
    return at.astimezone(UTC)


Id = Annotated[
    UUID,
    BeforeValidator(_canonical_id),
    Field(json_schema_extra={"pattern": f"^{ID_PATTERN}$"}),
]
"""An id; written one way only, so that two spellings never name one thing."""

Reference = Annotated[str, StringConstraints(max_length=200, pattern="^[ -~]+$")]
"""A caller's own name for something, compared by eye: printable ASCII, so that nothing hides."""

Text = Annotated[str, StringConstraints(max_length=500)]
"""Words for people; kept as they are and shown escaped."""

Time = Annotated[
    AwareDatetime,
    BeforeValidator(_read_time),
    Field(
        json_schema_extra={"pattern": "^(19[7-9]|20[0-9]|21[0-9])[0-9]-[0-9-]+T[0-9:.]+(Z|[+-])"}
    ),
]
"""An instant with its offset, in the years 1970 to 2199."""

Token = Annotated[str, Field(max_length=200, pattern="^[!-~]*$")]
"""A rail's name for a means of payment: never a card's or a bank's number."""

RailName = Annotated[str, Field(max_length=32, pattern="^[a-z][a-z0-9_]*$")]
"""A rail by name, as `GET /v1/rails` lists it."""

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""The version of a subject that the caller saw."""


Currency = Annotated[
    str,
    StringConstraints(max_length=10),
    Field(examples=["EUR"], json_schema_extra={"enum": sorted(EXPONENTS)}),
]
"""An ISO 4217 code in which we keep books; `kernel.money` refuses any other by name."""


class Amount(Request):
    """An amount of money: digits with at most the currency's decimals, above zero."""

    amount: Annotated[
        str,
        StringConstraints(max_length=40),
        Field(examples=["100.00"], json_schema_extra={"pattern": r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"}),
    ]
    currency: Currency

    def minor(self, currency: str | None = None) -> int:
        """Minor units; refuses `money.*`, and another currency than the one that is asked for."""
        amount_minor = parse_minor(self.amount, self.currency)
        if currency is not None and self.currency != currency:
            raise CurrencyMismatch(currency=currency, given=self.currency)
        return amount_minor


class ReasonBody(Request):
    """Why, in the actor's words."""

    reason: Text = ""
