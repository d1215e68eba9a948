"""The sealer's rounds: sealed without a signer, signed once it is there, kept by each anchor."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text

from engine.anchors import AnchorTrouble, FileAnchor, WebhookAnchor
from engine.sealer import NothingSealed, Sealer, keep_at, seal_all, sign_newest
from engine.signer import Inconsistent, SignerAway, open_signer
from engine.store_locks import only_one
from kernel.database import Tenant, transaction
from ledger import notes
from ledger.store_seal import find_checkpoint
from tests.ledger.sealing import check_log, post_some

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Shelf:
    """An anchor in memory that can be out of order."""

    name: str = "shelf"
    is_open: bool = True
    kept: list[str] = field(default_factory=list)

    def keep(self, note: str) -> str:
        if not self.is_open:
            raise AnchorTrouble(self.name)
        self.kept.append(note)
        return f"place {len(self.kept)}"


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    return open_signer(tmp_path / "signer").answer


def away(_request: dict[str, Any]) -> dict[str, Any]:
    raise SignerAway("test")


def sizes_anchored(engine: Engine, tenant: Tenant, name: str) -> list[int]:
    with transaction(engine, tenant) as connection:
        found = connection.execute(
            text("SELECT size FROM anchored WHERE anchor = :name ORDER BY size"), {"name": name}
        )
        return list(found.scalars())


def test_a_round_seals_signs_and_anchors(own_engine: Engine, tenant: Tenant, ask: Ask) -> None:
    """What was committed stands in the log, under a note that every anchor has."""
    shelves = [Shelf("one"), Shelf("two")]
    sealer = Sealer(own_engine, lambda: [tenant], ask, shelves)
    post_some(own_engine, tenant, 7)

    sealer.run_once(threading.Event())

    with transaction(own_engine, tenant) as connection:
        assert check_log(connection) == 7
        stored = find_checkpoint(connection)
    assert stored is not None
    assert notes.parse(stored.note).size == 7
    assert [shelf.kept for shelf in shelves] == [[stored.note]] * 2
    assert sizes_anchored(own_engine, tenant, "one") == [7]


def test_sealing_goes_on_without_a_signer(own_engine: Engine, tenant: Tenant, ask: Ask) -> None:
    """The signer is away: events are sealed all the same, and signed when it is back."""
    sealer = Sealer(own_engine, lambda: [tenant], away, [Shelf()], checkpoint_s=0)
    for _ in range(2):
        post_some(own_engine, tenant, 3)
        sealer.run_once(threading.Event())
    with transaction(own_engine, tenant) as connection:
        assert check_log(connection) == 6
        assert find_checkpoint(connection) is None

    sealer.ask = ask
    sealer.run_once(threading.Event())

    assert sizes_anchored(own_engine, tenant, "shelf") == [6]


def test_a_refusing_signer_stops_no_sealing(own_engine: Engine, tenant: Tenant) -> None:
    """The signer will not sign an altered log; what is committed is sealed nevertheless."""

    def refuse(_request: dict[str, Any]) -> dict[str, Any]:
        raise Inconsistent(size=1, signed=1)

    post_some(own_engine, tenant, 3)

    Sealer(own_engine, lambda: [tenant], refuse).run_once(threading.Event())

    with transaction(own_engine, tenant) as connection:
        assert check_log(connection) == 3


def test_an_anchor_out_of_order_gets_what_it_missed(
    own_engine: Engine, tenant: Tenant, ask: Ask
) -> None:
    """One anchor's trouble holds up no other, and is made good from the oldest on."""
    good, bad = Shelf("good"), Shelf("bad", is_open=False)
    sealer = Sealer(own_engine, lambda: [tenant], ask, [bad, good], checkpoint_s=0)
    for _ in range(3):
        post_some(own_engine, tenant, 2)
        sealer.run_once(threading.Event())
    assert sizes_anchored(own_engine, tenant, "good") == [2, 4, 6]
    assert sizes_anchored(own_engine, tenant, "bad") == []

    bad.is_open = True
    assert keep_at(own_engine, tenant, bad) == 3

    assert bad.kept == good.kept


def test_one_sealer_at_a_time_walks_a_tenant(own_engine: Engine, tenant: Tenant, ask: Ask) -> None:
    """Where another has the tenant's lock, a round passes by."""
    post_some(own_engine, tenant, 1)
    sealer = Sealer(own_engine, lambda: [tenant], ask)

    with only_one(own_engine, "seal", tenant):
        assert not sealer.run_once(threading.Event())
        with transaction(own_engine, tenant) as connection:
            assert connection.execute(text("SELECT count(*) FROM seal")).scalar_one() == 0
    sealer.run_once(threading.Event())

    with transaction(own_engine, tenant) as connection:
        assert check_log(connection) == 1


def test_a_log_is_signed_once_per_size(own_engine: Engine, tenant: Tenant, ask: Ask) -> None:
    """Nothing new gives no new note; an empty log gives none at all."""
    with pytest.raises(NothingSealed):
        sign_newest(own_engine, tenant, ask)
    post_some(own_engine, tenant, 300)
    seal_all(own_engine, tenant)
    first = sign_newest(own_engine, tenant, ask)
    assert sign_newest(own_engine, tenant, away).note == first.note

    post_some(own_engine, tenant, 5)
    seal_all(own_engine, tenant)

    assert sign_newest(own_engine, tenant, ask).size == 305


def test_a_rewritten_log_is_not_signed(own_engine: Engine, tenant: Tenant, ask: Ask) -> None:
    """A signer that saw another log before refuses this one."""
    root = bytes(32).hex()
    origin = notes.origin_of(tenant.name)
    ask({"do": "sign", "origin": origin, "size": 2, "root": root, "proof": []})
    post_some(own_engine, tenant, 3)
    seal_all(own_engine, tenant)

    with pytest.raises(Inconsistent):
        sign_newest(own_engine, tenant, ask)


def test_the_file_keeps_a_line_per_checkpoint(tmp_path: Path, ask: Ask) -> None:
    """Each note is one line more; the receipt says where it begins."""
    anchor = FileAnchor(tmp_path / "anchors" / "notes.jsonl")
    answer = ask({"do": "sign", "origin": "holdfast/x", "size": 1, "root": "00" * 32, "proof": []})

    receipts = [anchor.keep(answer["note"]) for _ in range(2)]

    lines = anchor.path.read_bytes().splitlines(keepends=True)
    assert [orjson.loads(line)["note"] for line in lines] == [answer["note"]] * 2
    assert receipts == ["notes.jsonl:0", f"notes.jsonl:{len(lines[0])}"]
    with pytest.raises(AnchorTrouble):
        FileAnchor(tmp_path).keep(answer["note"])


@pytest.fixture
def post_box() -> Iterator[tuple[str, list[bytes], list[int]]]:
    """A web server of this machine: its address, what was posted, and the statuses to answer."""
    posted: list[bytes] = []
    statuses: list[int] = []

    class Box(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(statuses.pop(0))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(b"kept as 7")

        def log_message(self, *_given: object) -> None:
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Box)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/notes", posted, statuses
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_webhook_takes_the_note_as_text(
    post_box: tuple[str, list[bytes], list[int]],
) -> None:
    """2xx is a receipt with the beginning of the answer; anything else, a redirect too, is none."""
    url, posted, statuses = post_box
    statuses += [201, 500, 302]
    anchor = WebhookAnchor(url)

    assert anchor.keep("a note\n") == "201 kept as 7"
    for _ in range(2):
        with pytest.raises(AnchorTrouble):
            anchor.keep("a note\n")

    assert posted == [b"a note\n"] * 3
