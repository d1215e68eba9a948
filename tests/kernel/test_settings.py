"""The environment's settings: what is taken, what is refused, and in which words."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from kernel.machine_size import max_wal_mb, shared_buffers_mb
from kernel.settings import CannotStart, default_data_dir, read_settings


def test_an_empty_environment_means_the_embedded_server() -> None:
    """Nothing set: a database of our own, jobs in it, and the address of this machine alone."""
    settings = read_settings({"HOME": "/nowhere/ann"})

    assert settings.database_url is None
    assert settings.broker_url is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_name_of_postgresql_means_psycopg(scheme: str) -> None:
    """A URL that psql takes is taken here too, password and all."""
    settings = read_settings(
        {"DATABASE_URL": f"{scheme}://ann:p%40ss@db:6543/books?sslmode=require"}
    )

    assert settings.database_url is not None
    url = make_url(settings.database_url)
    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.port, url.database) == ("p@ss", 6543, "books")
    assert url.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("mysql://ann@db/books", "names mysql.*postgresql://"),
        ("postgresql+psycopg2://ann@db/books", r"names postgresql\+psycopg2"),
        ("postgresql://ann@db", "names no database"),
        ("localhost:5432", "cannot be read"),
        ("postgresql://ann:pass@db:port/books", "cannot be read"),
    ],
)
def test_a_bad_database_url_says_what_to_do(url: str, advice: str) -> None:
    """The sentence names the variable and the remedy, and never repeats a password."""
    with pytest.raises(CannotStart, match=advice) as refused:
        read_settings({"DATABASE_URL": url})

    assert str(refused.value).startswith("DATABASE_URL")
    assert "pass@" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOLDFAST_PORT", "http"),
        ("HOLDFAST_PORT", "65536"),
        ("HOLDFAST_PORT", "-1"),
        ("HOLDFAST_BROKER_URL", "kafka://somewhere"),
        ("HOLDFAST_OWNER_URL", "sqlite:///books"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, value: str) -> None:
    """Whoever reads the sentence knows which variable to change."""
    with pytest.raises(CannotStart, match=variable):
        read_settings({variable: value})


def test_settings_show_no_password() -> None:
    """Printed settings leave the URLs out, because these hold passwords."""
    settings = read_settings({"DATABASE_URL": "postgresql://ann:secret@db/books"})

    assert "secret" not in repr(settings)


def test_data_live_where_postgresql_may_reach_them() -> None:
    """A user's data live in his state directory, root's where every user can enter."""
    assert default_data_dir({}, is_root=True) == Path("/var/lib/holdfast")
    ann = {"HOME": "/nowhere/ann"}
    assert default_data_dir(ann, is_root=False) == Path("/nowhere/ann/.local/state/holdfast")
    moved = ann | {"XDG_STATE_HOME": "/nowhere/state"}
    assert default_data_dir(moved, is_root=False) == Path("/nowhere/state/holdfast")
    assert read_settings({"HOLDFAST_DATA": "/elsewhere"}).data_dir == Path("/elsewhere")


@pytest.mark.parametrize(
    ("memory_gb", "buffers_mb"), [(0.25, 128), (1, 256), (8, 2_048), (64, 4_096)]
)
def test_the_server_takes_a_quarter_of_the_memory(memory_gb: float, buffers_mb: int) -> None:
    """A small container and a large machine both get a server that fits, 128 MB to 4 GB."""
    assert shared_buffers_mb(int(memory_gb * 2**30)) == buffers_mb


def test_the_log_of_changes_leaves_room_on_the_disk() -> None:
    """The write-ahead log may grow to a tenth of the free disk, 256 MB to 16 GB."""
    assert [max_wal_mb(gb * 2**30) for gb in (0, 10, 1_000)] == [256, 1_024, 16_384]
