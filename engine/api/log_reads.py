"""The log over HTTP: checkpoints, proofs, and events in the order of the journal."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from engine.api import answers_books, log_answers, views
from engine.api.access import Caller, Scope
from engine.api.calls import Look, Nothing, Page, PageQuery, Read, after_numbers, page_of
from engine.api.document import Operation
from engine.api.edge import Edge, json_body, json_response, validated
from engine.api.models import Request as Body
from engine.api.reads_books import number
from engine.api.refusals import NotFound, PlatformOnly
from engine.sealer import Ask, seal_all, sign_newest
from engine.signer import SignerAway
from kernel.errors import Refusal
from ledger import reads, seal, store_seal
from ledger.store_seal import Stored

CHECKPOINT: Final = "/v1/log/checkpoint"

Journal = Annotated[str, Field(pattern="^[0-9]{1,18}$")]
"""A number of the journal in a query."""


class SignerUnavailable(Refusal):
    """The signer does not answer; what is sealed is signed once it is back."""

    code = "log.signer_away"


class ProofQuery(Body):
    """In the tree of how many events; of the newest checkpoint, or all, unless told."""

    size: Journal | None = None


class GrowthQuery(Body):
    """From which size to which."""

    from_: Annotated[Journal, Field(alias="from")]
    to: Journal


class JournalQuery(PageQuery):
    """Events behind a number of the journal; a cursor goes on from its own place."""

    after: Journal = "0"


def no_signer(_request: Mapping[str, Any]) -> dict[str, Any]:
    """A signer that is never there."""
    raise SignerAway("no signer is set up")


def checkpoint_as_json(stored: Stored) -> dict[str, Any]:
    """A checkpoint with its parts beside the note."""
    return {
        "size": str(stored.size),
        "root": stored.root.hex(),
        "note": stored.note,
        "signed_at": stored.signed_at.isoformat(),
    }


async def show_checkpoint(edge: Edge, request: Request) -> Response:
    """The newest checkpoint as JSON, or its note alone for who accepts plain text only."""
    caller = await _admit(edge, request)
    stored = await edge.read(caller.tenant, store_seal.find_checkpoint)
    if stored is None:
        raise NotFound
    return _checkpoint_response(request, stored)


async def make_checkpoint(edge: Edge, ask: Ask, request: Request) -> Response:
    """Seal what is committed and have the log signed now."""
    caller = await _admit(edge, request)
    raw, _ = await json_body(edge, request)
    validated(Nothing, raw)

    def sign() -> Stored:
        seal_all(edge.engine, caller.tenant)
        try:
            return sign_newest(edge.engine, caller.tenant, ask)
        except SignerAway:
            raise SignerUnavailable from None

    return _checkpoint_response(request, await edge.call(sign))


def operations() -> list[Operation]:
    """The two operations on checkpoints, for the document."""
    return [
        Operation(
            method="GET",
            path=CHECKPOINT,
            summary="The newest signed checkpoint of the log",
            scope=Scope.LEDGER_READ,
            answer=log_answers.CheckpointAnswer,
        ),
        Operation(
            method="POST",
            path=CHECKPOINT,
            summary="Seal what is committed and have the log signed now",
            scope=Scope.LEDGER_READ,
            body=Nothing,
            answer=log_answers.CheckpointAnswer,
            needs_key=False,
        ),
    ]


async def _admit(edge: Edge, request: Request) -> Caller:
    caller = await edge.admit(request, Scope.LEDGER_READ)
    if caller.sees_only is not None:
        raise PlatformOnly
    return caller


def _checkpoint_response(request: Request, stored: Stored) -> Response:
    if request.headers.get("accept", "").partition(";")[0].strip() == "text/plain":
        return PlainTextResponse(stored.note)
    return json_response(checkpoint_as_json(stored), 200)


def _for_the_platform(
    fetch: Callable[[Connection, Look], dict[str, Any] | Page | None],
) -> Callable[[Connection, Look], dict[str, Any] | Page | None]:
    """The log speaks of everybody's events: no party reads it."""

    def guarded(connection: Connection, look: Look) -> dict[str, Any] | Page | None:
        if look.sees_only is not None:
            raise PlatformOnly
        return fetch(connection, look)

    return guarded


def _proof(connection: Connection, look: Look) -> dict[str, Any] | None:
    journal_no = number(look.texts["journal_no"])
    found = journal_no and store_seal.find_leaf(connection, journal_no)
    if not (journal_no and found):
        return None
    size = _size(connection, look.query.size, journal_no)
    proof = seal.inclusion(connection, journal_no=journal_no, size=size)
    return {
        "journal_no": str(journal_no),
        "event_id": str(found.event_id),
        "leaf_hash": found.hash.hex(),
        "size": str(size),
        "root": seal.root_at(connection, size).hex(),
        "proof": [each.hex() for each in proof],
    }


def _size(connection: Connection, wanted: str | None, journal_no: int) -> int:
    """The size that was asked for; the newest signed one that has the event; or all."""
    if wanted is not None:
        return int(wanted)
    stored = store_seal.find_checkpoint(connection)
    if stored is not None and stored.size >= journal_no:
        return stored.size
    return store_seal.find_head(connection).size


def _consistency(connection: Connection, look: Look) -> dict[str, Any]:
    old, new = int(look.query.from_), int(look.query.to)
    proof = seal.consistency(connection, old_size=old, new_size=new)
    return {
        "from_size": str(old),
        "from_root": seal.root_at(connection, old).hex(),
        "to_size": str(new),
        "to_root": seal.root_at(connection, new).hex(),
        "proof": [each.hex() for each in proof],
    }


def _events(connection: Connection, look: Look) -> Page:
    query = look.query
    after = int(query.after) if look.after is None else after_numbers(look)[0]
    rows = reads.list_journal(connection, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, show=views.event, key=lambda row: (row.journal_no,))


LOG_READS: Final[tuple[Read, ...]] = (
    Read(
        path="/v1/log/entries/{journal_no}/proof",
        scope=Scope.LEDGER_READ,
        fetch=_for_the_platform(_proof),
        answer=log_answers.ProofAnswer,
        summary="The proof that an event is in the log",
        query=ProofQuery,
    ),
    Read(
        path="/v1/log/consistency",
        scope=Scope.LEDGER_READ,
        fetch=_for_the_platform(_consistency),
        answer=log_answers.ConsistencyAnswer,
        summary="The proof that the log only grew",
        query=GrowthQuery,
    ),
    Read(
        path="/v1/log/events",
        scope=Scope.EVENTS_READ,
        fetch=_for_the_platform(_events),
        answer=answers_books.EventAnswer,
        summary="Sealed events in the order of the journal; none is ever added before a cursor",
        query=JournalQuery,
        pages=True,
    ),
)
"""What can be read of the log."""
