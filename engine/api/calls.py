"""How a call is declared: one row says path, scope, body, service and answer; one function runs it.

Routes are plain Starlette routes on the FastAPI application: its own routes cost as much again
as all the rest of a request. The same rows draw the OpenAPI document.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.models import Request, read_id
from engine.api.refusals import BadCursor
from kernel.commands import Command
from kernel.errors import Refusal
from kernel.principals import Actor
from rails.capabilities import SIMULATED
from rails.refusals import UnknownRail

Body = TypeVar("Body", bound=BaseModel)

LONGEST_BULK: Final = 1_000
_LARGEST_NUMBER: Final = 2**63 - 1


class Nothing(Request):
    """A body without fields."""


def _digits(text: object) -> int:
    """A parameter as a number: ASCII digits and nothing else."""
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10):
        raise PydanticCustomError("digits", "a whole number, in digits")
    return int(text)


class PageQuery(Request):
    """How much of a list, and from where."""

    limit: Annotated[int, Field(ge=1, le=500), BeforeValidator(_digits)] = 100
    cursor: Annotated[str, Field(min_length=1, max_length=500)] | None = None


@dataclass(frozen=True, slots=True)
class Given(Generic[Body]):
    """What a command is made of. `currency` is that of the deal, where the call asks for it.

    `is_partys_own` tells that the key is a party's, and not one of the platform's programs.
    `rail_account` is where payments are made if the body does not say.
    """

    actor: Actor
    body: Body
    ids: Mapping[str, UUID]
    currency: str = ""
    is_partys_own: bool = True
    rail_account: str = SIMULATED.rail_account

    def pays_at(self, named: str | None) -> str:
        """Where a payment is made: at the rail that the body names, else where all are made.

        Play money never stands for real: where a rail of the world serves, the simulated one takes
        nothing from clients. Refuses with `rail.unknown`.
        """
        if named == SIMULATED.rail_account != self.rail_account:
            raise UnknownRail(rail=named)
        return named or self.rail_account


@dataclass(frozen=True, slots=True)
class Subject:
    """What a path's id names: the kind, the path parameter, and the refusal of an unknown one."""

    kind: str
    parameter: str
    unknown: type[Refusal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Generic[Body]):
    """A command by HTTP. `command` makes it; the group commit's `service` takes it.

    `subject` is what the path names. `needs_currency`: amounts must be in the subject's currency.
    `bulk` is the address that takes up to 1,000 of them at once.
    """

    path: str
    service: str
    scope: Scope
    body: type[Body]
    command: Callable[[Given[Body]], Command]
    answer: type[BaseModel]
    summary: str
    status: int = 200
    subject: Subject | None = None
    needs_currency: bool = False
    bulk: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some items, and the position after the last of them; None at the end of the list."""

    items: Sequence[Mapping[str, Any]]
    next: Sequence[str | int] | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a read is given: who looks, at what, and where a page begins.

    `sees_only` is the party to whose things the view is narrowed. `query` is the read's own model;
    `texts` are the path's parameters as they came; `actor` is who looks.
    """

    actor: Actor
    sees_only: UUID | None
    ids: Mapping[str, UUID]
    texts: Mapping[str, str]
    query: Any
    after: list[Any] | None


Fetch = Callable[[Connection, Look], Mapping[str, Any] | Page | None]
"""Reads in one snapshot; None: there is nothing, or nothing that the caller may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A look at what there is. `query` has the parameters; `answer` is an item where it pages."""

    path: str
    scope: Scope
    fetch: Fetch
    answer: type[BaseModel]
    summary: str
    query: type[BaseModel] = Nothing
    pages: bool = False


def page_of(
    items: Sequence[Any],
    limit: int,
    *,
    show: Callable[[Any], Mapping[str, Any]],
    key: Callable[[Any], Sequence[str | int]],
) -> Page:
    """A page from one item more than was asked for: if it is there, the list goes on."""
    shown = items[:limit]
    goes_on = len(items) > limit
    return Page([show(item) for item in shown], key(shown[-1]) if goes_on else None)


def after_id(look: Look) -> UUID | None:
    """The id behind which a page begins; refuses a cursor whose position is no id."""
    if look.after is None:
        return None
    found = read_id(look.after[0]) if _is_row_of(look.after, str, 1) else None
    if found is None:
        raise BadCursor
    return found


def after_numbers(look: Look, count: int = 1) -> tuple[int, ...]:
    """The numbers behind which a page begins, zeros at the start; refuses what the books lack."""
    if look.after is None:
        return (0,) * count
    if not _is_row_of(look.after, int, count):
        raise BadCursor
    if not all(0 <= number <= _LARGEST_NUMBER for number in look.after):
        raise BadCursor
    return tuple(look.after)


def after_texts(look: Look, count: int) -> tuple[str, ...]:
    """The texts behind which a page begins; none at the start."""
    if look.after is None:
        return ()
    if not _is_row_of(look.after, str, count) or any("\0" in text for text in look.after):
        raise BadCursor
    return tuple(look.after)


def _is_row_of(position: Any, kind: type, count: int) -> bool:  # noqa: ANN401  whoever wrote it
    """Whether a cursor's position has the shape of this list: its writer knows how to mark it."""
    is_row = isinstance(position, list) and len(position) == count
    return is_row and all(type(each) is kind for each in position)


def by_id(row: Any) -> tuple[str]:  # noqa: ANN401  any row with an id
    """The sort key of a list in the order of ids."""
    return (str(row.id),)


def declare(
    path: str,
    scope: Scope,
    fetch: Fetch,
    answer: type[BaseModel],
    *,
    summary: str,
    query: type[BaseModel] = Nothing,
    pages: bool = False,
) -> Read:
    """A read in few lines."""
    return Read(
        path=path,
        scope=scope,
        fetch=fetch,
        answer=answer,
        summary=summary,
        query=query,
        pages=pages,
    )
