"""The export of sealed books: whole or not there, the same bytes again, and read back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant, connect, snapshot
from kernel.embedded import EmbeddedServer
from ledger import log_file, verify
from ledger.export_folder import (
    Asked,
    FolderNotEmpty,
    NothingSealed,
    UnknownFormat,
    unfinished,
    write_export,
)
from ledger.known import UnknownJournalNo
from ledger.log_file import Manifest, NotAnExport
from tests.fixtures.databases import cloned_database
from tests.ledger.made_exports import note_of
from tests.ledger.sealing import post_some
from tests.ledger.tampering import PER_BLOCK, SIZE, build


@pytest.fixture(scope="module")
def sealed(server: EmbeddedServer, tenant: Tenant) -> Iterator[Engine]:
    """Sixty sealed events, and one more that waits for the sealer."""
    with cloned_database(server) as database:
        build(database, tenant)
        engine = connect(database.app_url)
        post_some(engine, tenant, 1)
        yield engine
        engine.dispose()


def export(engine: Engine, tenant: Tenant, folder: Path, asked: Asked | None = None) -> Manifest:
    with snapshot(engine, tenant) as connection:
        return write_export(connection, tenant=tenant, asked=asked or Asked(), folder=folder)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_export_holds_what_is_sealed_and_no_more(
    sealed: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """All sealed events with control totals; what waits for its seal counts nowhere."""
    manifest = export(sealed, tenant, tmp_path / "export")

    assert log_file.read_manifest(tmp_path / "export") == manifest
    log = manifest.files[0]
    assert (manifest.size, log.name, log.rows) == (SIZE, "log.jsonl", SIZE)
    assert log.sums["entries"] == SIZE
    assert log.sums["lines"] == 9 * SIZE // PER_BLOCK
    assert log.sums["debit custody EUR"] == sum(10_000 + block + 750 for block in range(15))
    assert verify.main([str(tmp_path / "export")]) == 0


def test_the_same_arguments_give_the_same_bytes(
    sealed: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """Twice the same export, plain and packed, is the same to the byte."""
    for asked in (Asked(), Asked(is_packed=True)):
        first, second = (tmp_path / f"{asked.is_packed}{number}" for number in range(2))
        export(sealed, tenant, first, asked)
        export(sealed, tenant, second, asked)

        assert files_of(first) == files_of(second)
        assert verify.main([str(first)]) == 0


@pytest.mark.parametrize("as_of", [1, 22, 24, 59])
def test_an_export_as_of_a_number_is_clean_by_itself(
    sealed: Engine, tenant: Tenant, tmp_path: Path, as_of: int
) -> None:
    """A beginning of the journal, also one that ends amid a block: balances are those of then."""
    manifest = export(sealed, tenant, tmp_path / "export", Asked(as_of=as_of))

    assert manifest.size == manifest.arguments["as_of"] == as_of
    assert sum(1 for _ in log_file.read_log(tmp_path / "export")) == as_of
    assert verify.main([str(tmp_path / "export")]) == 0
    newer = tmp_path / "newer.txt"
    newer.write_text(note_of(SIZE, bytes(32)))
    assert verify.main([str(tmp_path / "export"), f"--checkpoint={newer}"]) == 2


def test_the_log_is_read_back_as_it_was_written(
    sealed: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """Numbers, ids, times, amounts and leaf hashes come back; packed or not is no difference."""
    export(sealed, tenant, tmp_path / "plain")
    export(sealed, tenant, tmp_path / "packed", Asked(is_packed=True))

    events = list(log_file.read_log(tmp_path / "plain"))

    assert events == list(log_file.read_log(tmp_path / "packed"))
    assert [each.journal_no for each in events] == list(range(1, SIZE + 1))
    fee = events[2]
    assert [(each.book, each.book_no, each.currency) for each in fee.entries] == [
        ("custody", 3, "EUR"),
        ("platform", 1, "EUR"),
    ]
    assert sum(line.amount_minor for line in fee.entries[0].lines) == 0
    lines = (tmp_path / "plain" / "log.jsonl").read_bytes().splitlines()
    assert [each.leaf_hash for each in events] == [
        verify.leaf_of(json.loads(line)) for line in lines
    ]
    accounts = list(log_file.read_rows(tmp_path / "plain", log_file.ACCOUNTS))
    assert sum(int(row["balance_minor"]) for row in accounts) == 0
    assert log_file.read_checkpoints(tmp_path / "plain").count("\u2014") == 15


def test_a_folder_that_holds_something_is_left_alone(
    sealed: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """Refused with a stable code; nothing is written into it or beside it."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")

    for name in ("taken", "file"):
        with pytest.raises(FolderNotEmpty):
            export(sealed, tenant, tmp_path / name)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]
    assert files_of(tmp_path / "taken") == {"mine.txt": b"mine"}


def test_an_empty_folder_is_taken(sealed: Engine, tenant: Tenant, tmp_path: Path) -> None:
    """Who made the folder beforehand gets the export in it."""
    (tmp_path / "empty").mkdir()

    export(sealed, tenant, tmp_path / "empty")

    assert (tmp_path / "empty" / log_file.MANIFEST).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_what_is_cut_short_leaves_nothing(tmp_path: Path) -> None:
    """An export that fails on its way is taken away; no half of it bears the name."""

    def fail_half_way() -> None:
        with unfinished(tmp_path / "export") as place:
            (place / "log.jsonl").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()

    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_folder_do_not_mix(tmp_path: Path) -> None:
    """Who comes second is refused; what the first one wrote stays whole."""

    def write_while_another_does() -> None:
        with unfinished(tmp_path / "export") as slow:
            (slow / "slow.txt").write_text("slow")
            with unfinished(tmp_path / "export") as fast:
                (fast / "fast.txt").write_text("fast")

    with pytest.raises(FolderNotEmpty):
        write_while_another_does()

    assert files_of(tmp_path / "export") == {"fast.txt": b"fast"}
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [(Asked(as_of=SIZE + 1), UnknownJournalNo), (Asked(formats=("papyrus",)), UnknownFormat)],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    sealed: Engine, tenant: Tenant, tmp_path: Path, asked: Asked, refusal: type[Exception]
) -> None:
    """A number that the journal has not reached, a format nobody knows."""
    with pytest.raises(refusal):
        export(sealed, tenant, tmp_path / "export", asked)

    assert list(tmp_path.iterdir()) == []


def test_books_without_a_seal_have_no_journal_to_export(
    engine: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """An empty log is refused: an export of nothing proves nothing."""
    with pytest.raises(NothingSealed):
        export(engine, tenant, tmp_path / "export")


def test_accounting_formats_are_listed_and_hashed_with_the_rest(
    sealed: Engine, tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest knows each file of a format, and the verifier sees when one is altered."""
    manifest = export(sealed, tenant, tmp_path / "export", Asked(formats=("csv", "hledger")))

    names = {file.name for file in manifest.files}
    assert {name.partition("/")[0] for name in names if "/" in name} == {"csv", "hledger"}
    assert verify.main([str(tmp_path / "export")]) == 0
    one = tmp_path / "export" / min(name for name in names if "/" in name)
    one.write_bytes(one.read_bytes() + b" ")
    assert verify.main([str(tmp_path / "export")]) == 1
    assert one.name in capsys.readouterr().out


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    """No manifest, another form, a line that is no event, no zip: one refusal each."""
    (tmp_path / "manifest.json").write_text('{"format": "other/1"}')
    (tmp_path / "log.jsonl").write_text('{"journal_no": 1}\n')

    with pytest.raises(NotAnExport):
        log_file.read_manifest(tmp_path)
    with pytest.raises(NotAnExport):
        log_file.read_manifest(tmp_path / "nowhere")
    with pytest.raises(NotAnExport):
        list(log_file.read_log(tmp_path))
    with pytest.raises(NotAnExport), log_file.opened(tmp_path / "log.jsonl"):
        pass
