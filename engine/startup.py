"""Opening the database: the embedded server or one of your own, checked before anything starts.

Whatever is wrong is said in one sentence that names what to do (`CannotStart`).
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.errors import DiskFull
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from engine.store_startup import ServerFacts, get_facts, list_outdated, make_database
from kernel.database import connect
from kernel.embedded import SUPERUSER, EmbeddedServer
from kernel.settings import CannotStart, Settings
from migrations import runner

DATABASE: Final = "holdfast"
OLDEST: Final = 180_000
"""PostgreSQL 18.0, as the server numbers its versions."""

_ROOM_NEEDED: Final = 20_000_000
"""Bytes: one segment of the write-ahead log, and a little."""

_MIGRATE: Final = "run `holdfast migrate` (in a checkout `make migrate`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An open database: the program's own login, and the owner's where we have it.

    URLs hold passwords; print `where` instead.
    """

    engine: Engine
    app_url: str
    owner_url: str | None
    server: EmbeddedServer | None

    @property
    def where(self) -> str:
        """Which database it is, without a password."""
        if self.server is not None:
            return f"embedded PostgreSQL at {self.server.socket_dir.parent}"
        return make_url(self.app_url).render_as_string(hide_password=True)


@contextmanager
def open_database(
    settings: Settings, *, migrate: bool = False, pool_size: int = 5
) -> Iterator[Database]:
    """The database of these settings, checked, until the block ends.

    The embedded server is started if it is down and brought to this version of the schema. A
    server of one's own is migrated only if `migrate` says so and HOLDFAST_OWNER_URL is set.
    """
    with open_unchecked(settings, pool_size=pool_size) as database:
        is_ours = database.server is not None
        if is_ours or (migrate and database.owner_url is not None):
            migrate_if_outdated(database)
        check(database)
        yield database


@contextmanager
def open_unchecked(settings: Settings, *, pool_size: int = 5) -> Iterator[Database]:
    """The same without the check and without migrating, for who is about to do just that."""
    if settings.database_url is None:
        with EmbeddedServer.start(settings.data_dir) as server:
            _make_embedded(server)
            app_url = server.url(DATABASE, runner.APP)
            owner_url = server.url(DATABASE, runner.OWNER)
            with _opened(app_url, owner_url, server, pool_size) as database:
                yield database
        return
    with _opened(settings.database_url, settings.owner_url, None, pool_size) as database:
        yield database


@contextmanager
def _opened(
    app_url: str, owner_url: str | None, server: EmbeddedServer | None, pool_size: int
) -> Iterator[Database]:
    engine = connect(app_url, pool_size=pool_size)
    try:
        yield Database(engine=engine, app_url=app_url, owner_url=owner_url, server=server)
    finally:
        engine.dispose()


def migrate_if_outdated(database: Database) -> bool:
    """Bring the shared schema and every tenant's to this version; whether anything was behind."""
    assert database.owner_url is not None
    if not _is_outdated(database):
        return False
    with _in_a_sentence("HOLDFAST_OWNER_URL", database.owner_url):
        runner.upgrade_shared(database.owner_url)
        runner.upgrade_tenants(database.owner_url)
    return True


def describe_revisions(database: Database) -> dict[str, object]:
    """Which schemas there are and which are behind, with the revisions that this program wants."""
    shared, wanted = runner.head("shared"), runner.head("tenant")
    with _in_a_sentence("DATABASE_URL", database.app_url), database.engine.begin() as connection:
        if not get_facts(connection).has_schema:
            return {"shared": shared, "tenant": wanted, "tenants": 0, "behind": ["holdfast"]}
        names = runner.list_tenants(connection)
        is_behind = runner.revision(connection, runner.SHARED_SCHEMA) != shared
        behind = ["holdfast"] if is_behind else []
        behind += [name for name, _ in list_outdated(connection)]
    return {"shared": shared, "tenant": wanted, "tenants": len(names), "behind": behind}


def check(database: Database) -> None:
    """Refuse to start where a commit could be forgotten, or where the schema is not ours.

    Source: design.md section 7.
    """
    with _in_a_sentence("DATABASE_URL", database.app_url):
        with database.engine.begin() as connection:
            facts = get_facts(connection)
        check_server(facts)
        if not facts.has_schema:
            raise CannotStart(f"The database has no Holdfast schema yet: {_MIGRATE}.")
        _check_revisions(database)


def check_server(facts: ServerFacts) -> None:
    """Refuse an old server, a superuser's login, and settings that let a commit be lost.

    A database marked by `holdfast.test_database = 'on'` may be as careless as it likes.
    """
    if facts.version_number < OLDEST:
        raise CannotStart(
            f"The server is PostgreSQL {facts.version}, and Holdfast needs 18 or newer: upgrade it,"
            " or leave DATABASE_URL out to use the embedded one."
        )
    if facts.is_test:
        return
    if facts.is_superuser:
        raise CannotStart(
            f"DATABASE_URL logs in as {facts.login}, a superuser, whom no guard of the books can"
            f" stop: log in as {runner.APP}."
        )
    settings = {
        "fsync": facts.fsync,
        "synchronous_commit": facts.synchronous_commit,
        "full_page_writes": facts.full_page_writes,
    }
    off = [name for name, value in settings.items() if value == "off"]
    if off:
        raise CannotStart(
            f"The server has {' and '.join(off)} off, so a commit could be forgotten: turn"
            f" {'it' if len(off) == 1 else 'them'} on in postgresql.conf and reload the server."
        )


def tell_trouble(trouble: SQLAlchemyError | psycopg.Error, settings: Settings) -> str:
    """What went wrong with the database while it was used, in one sentence.

    A server whose disk is full ends without a word, so the disk is asked too.
    """
    said = trouble.orig if isinstance(trouble, DBAPIError) else trouble
    is_full = isinstance(said, DiskFull)
    if settings.database_url is None:
        with contextlib.suppress(OSError):
            is_full |= shutil.disk_usage(settings.data_dir).free < _ROOM_NEEDED
    if is_full and settings.database_url is None:
        return (
            f"The disk of {settings.data_dir} is full: make room there, or name another directory"
            " in HOLDFAST_DATA, and start again; what was committed is safe."
        )
    if is_full:
        return f"The database server's disk is full ({reason_of(trouble)}): make room there."
    return f"The database refused: {reason_of(trouble)}."


def reason_of(trouble: SQLAlchemyError | psycopg.Error) -> str:
    """What the server or the way to it said, in one line and without our statement."""
    said = str(trouble.orig) if isinstance(trouble, DBAPIError) else str(trouble)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Multiple connection", "- "))]
    line = (telling or lines or [type(trouble).__name__])[0]
    line = re.sub(r"^.*?(?:FATAL|ERROR):\s*", "", line)
    return re.sub(r"^connection failed: ", "", line).rstrip(".")


def _make_embedded(server: EmbeddedServer) -> None:
    admin_url = server.url(SUPERUSER)
    with _in_a_sentence("HOLDFAST_DATA", admin_url):
        make_database(admin_url, name=DATABASE)
        runner.prepare_roles(server.url(DATABASE))


def _is_outdated(database: Database) -> bool:
    with _in_a_sentence("DATABASE_URL", database.app_url), database.engine.begin() as connection:
        facts = get_facts(connection)
        if not facts.has_schema:
            return True
        if runner.revision(connection, runner.SHARED_SCHEMA) != runner.head("shared"):
            return True
        return bool(list_outdated(connection))


def _check_revisions(database: Database) -> None:
    with database.engine.begin() as connection:
        stands_at = runner.revision(connection, runner.SHARED_SCHEMA)
        wanted = runner.head("shared")
        if stands_at != wanted:
            raise CannotStart(_other_version("The schema holdfast", stands_at, wanted))
        outdated = list_outdated(connection)
    if outdated:
        name, stands_at = outdated[0]
        more = f" (and {len(outdated) - 1} more)" if len(outdated) > 1 else ""
        what = f"The schema of tenant {name}{more}"
        raise CannotStart(_other_version(what, stands_at, runner.head("tenant")))


def _other_version(what: str, stands_at: str | None, wanted: str | None) -> str:
    if stands_at is not None and wanted is not None and stands_at > wanted:
        return (
            f"{what} is at revision {stands_at} and this program knows only {wanted}: start the"
            " newer program that migrated it."
        )
    return f"{what} is at revision {stands_at or 'none'}, this program needs {wanted}: {_MIGRATE}."


@contextmanager
def _in_a_sentence(variable: str, url: str) -> Iterator[None]:
    """Turn what a database or the way to it refuses into one sentence."""
    where = make_url(url)
    try:
        yield
    except OperationalError as trouble:
        raise CannotStart(
            f"The database {where.database} on {where.host or 'this machine'} cannot be used"
            f" ({reason_of(trouble)}): see that the server runs and that {variable} is right."
        ) from trouble
    except SQLAlchemyError as trouble:
        raise CannotStart(
            f"The database {where.database} refused ({reason_of(trouble)}): give its roles their"
            f" rights by running `holdfast migrate` with HOLDFAST_OWNER_URL."
        ) from trouble
