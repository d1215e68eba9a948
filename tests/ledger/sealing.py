"""Builders for tests of the log: post, seal, and see what the log says."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from kernel.database import Tenant, transaction
from ledger import merkle
from ledger.merkle import Piece, Span
from ledger.seal import Sealed, seal
from ledger.service import post
from tests.ledger.drafts import fund, wallet

_LOG = """
SELECT s.journal_no, s.event_id, e.leaf_hash FROM seal s JOIN event e ON e.id = s.event_id
ORDER BY s.journal_no
"""
_UNSEALED_EVENTS = "SELECT count(*) FROM event WHERE id NOT IN (SELECT event_id FROM seal)"
_STRAY_LINES = """
SELECT account_id, account_seq
FROM (SELECT l.account_id, l.account_seq, s.journal_no, l.entry_no, l.line_no,
             lag(s.journal_no) OVER (PARTITION BY l.account_id ORDER BY l.account_seq) AS before
      FROM line l JOIN seal s ON s.event_id = l.event_id) chained
WHERE journal_no < before
"""
_MISCOUNTED = """
SELECT s.journal_no
FROM (SELECT journal_no, event_id, custody_entries, platform_entries,
             lag(custody_entries, 1, 0::bigint) OVER (ORDER BY journal_no) AS custody_before,
             lag(platform_entries, 1, 0::bigint) OVER (ORDER BY journal_no) AS platform_before
      FROM seal) s
LEFT JOIN (SELECT event_id, count(*) FILTER (WHERE book = 'custody') AS custody,
                  count(*) FILTER (WHERE book = 'platform') AS platform
           FROM entry GROUP BY event_id) e ON e.event_id = s.event_id
WHERE (custody_entries - custody_before, platform_entries - platform_before)
      <> (coalesce(custody, 0), coalesce(platform, 0))
"""


class Logged(NamedTuple):
    """One event as it stands in the log."""

    journal_no: int
    event_id: int
    leaf: bytes


def read_log(connection: Connection) -> list[Logged]:
    return [Logged(*row) for row in connection.execute(text(_LOG))]


def seal_now(engine: Engine, tenant: Tenant, **more: int) -> Sealed:
    with transaction(engine, tenant) as connection:
        return seal(connection, at=datetime.now(UTC), **more)


def seal_everything(engine: Engine, tenant: Tenant) -> Sealed:
    while (done := seal_now(engine, tenant)).event_count:
        pass
    return done


def post_some(engine: Engine, tenant: Tenant, count: int, name: str = "ann") -> None:
    with transaction(engine, tenant) as connection:
        post(connection, [fund(100 + number, wallet(name)) for number in range(count)])


def check_log(connection: Connection) -> int:
    """All that the log promises once nothing waits; how many events it has."""
    log = read_log(connection)
    leaves = [each.leaf for each in log]
    assert [each.journal_no for each in log] == list(range(1, len(log) + 1))
    assert connection.execute(text(_UNSEALED_EVENTS)).scalar_one() == 0
    assert connection.execute(text("SELECT count(*) FROM unsealed")).scalar_one() == 0
    assert connection.execute(text(_STRAY_LINES)).all() == []
    assert connection.execute(text(_MISCOUNTED)).all() == []
    tree, done = merkle.Frontier(), 0
    blocks = connection.execute(
        text("SELECT first_journal_no, last_journal_no, root FROM block ORDER BY no")
    ).all()
    for first, last, root in blocks:
        assert first == done + 1
        tree.extend(leaves[done:last])
        done = last
        assert tree.root() == root
    assert done == len(log)
    kept = connection.execute(text("SELECT hash FROM tree_node WHERE level = 8 ORDER BY position"))
    assert [row[0] for row in kept] == [
        merkle.root(leaves[at << 8 : (at + 1) << 8])
        for piece in merkle.pieces(Span(0, len(leaves)))
        if piece.level == Piece(8, 0, 0).level
        for at in range(piece.first, piece.end)
    ]
    return len(log)
