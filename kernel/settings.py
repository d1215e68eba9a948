"""What the environment may set, read once and checked before anything starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kernel.errors import Broken

_PSYCOPG: Final = "postgresql+psycopg"
_POSTGRES_NAMES: Final = frozenset({"postgres", "postgresql", _PSYCOPG})
_BROKERS: Final = frozenset({"amqp", "amqps", "redis", "rediss"})


class CannotStart(Broken):
    """Something around us must change before we can run; one sentence says what."""

    def __str__(self) -> str:
        """The sentence alone, as it is shown to whoever started us."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the environment decides.

    `database_url` is the program's own login (role holdfast_app); None: the embedded server.
    `owner_url` is a login that may migrate; None: migrations are run by hand, or embedded.
    `broker_url` is RabbitMQ or Redis for the workers; None: our own table of jobs.
    `data_dir` holds the embedded server, keys and exports. URLs hold passwords, so the repr of
    the settings leaves them out.
    """

    database_url: str | None = field(repr=False)
    owner_url: str | None = field(repr=False)
    broker_url: str | None = field(repr=False)
    data_dir: Path
    host: str
    port: int


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; CannotStart names the variable that must change."""
    env = os.environ if environment is None else environment
    return Settings(
        database_url=_database_url("DATABASE_URL", env),
        owner_url=_database_url("HOLDFAST_OWNER_URL", env),
        broker_url=_broker_url("HOLDFAST_BROKER_URL", env),
        data_dir=_data_dir(env),
        host=env.get("HOLDFAST_HOST") or "127.0.0.1",
        port=_port("HOLDFAST_PORT", env),
    )


def default_data_dir(environment: Mapping[str, str], *, is_root: bool) -> Path:
    """Where data live when nobody says.

    For root a directory that every user can enter, because PostgreSQL never runs as root and
    must reach its files: nothing below a home of mode 0700 will do.
    """
    if is_root:
        return Path("/var/lib/holdfast")
    state = environment.get("XDG_STATE_HOME")
    if state and Path(state).is_absolute():
        return Path(state) / "holdfast"
    home = environment.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "holdfast"


def _data_dir(env: Mapping[str, str]) -> Path:
    given = env.get("HOLDFAST_DATA")
    if given:
        return Path(given).expanduser().absolute()
    return default_data_dir(env, is_root=hasattr(os, "geteuid") and os.geteuid() == 0)


def _database_url(variable: str, env: Mapping[str, str]) -> str | None:
    given = env.get(variable)
    if not given:
        return None
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise CannotStart(
            f"{variable} cannot be read: write it as postgresql://user:password@host:5432/database"
            " and percent-encode what is special in the password."
        ) from None
    _check_database_url(variable, url)
    return url.set(drivername=_PSYCOPG).render_as_string(hide_password=False)


def _check_database_url(variable: str, url: URL) -> None:
    if url.drivername not in _POSTGRES_NAMES:
        raise CannotStart(
            f"{variable} names {url.drivername}, but Holdfast speaks to PostgreSQL through psycopg"
            " only: start it with postgresql://."
        )
    if not url.database:
        raise CannotStart(
            f"{variable} names no database: end it with the database's name, as in"
            " postgresql://user@host:5432/holdfast."
        )


def _broker_url(variable: str, env: Mapping[str, str]) -> str | None:
    given = env.get(variable)
    if not given:
        return None
    scheme = given.partition("://")[0]
    if scheme not in _BROKERS:
        raise CannotStart(
            f"{variable} must start with amqp:// (RabbitMQ) or redis:// (Redis);"
            " leave it out and the jobs stay in PostgreSQL."
        )
    return given


def _port(variable: str, env: Mapping[str, str]) -> int:
    given = env.get(variable) or "8000"
    if not (given.isascii() and given.isdigit() and 0 <= int(given) <= 65_535):
        raise CannotStart(f"{variable} is {given[:40]!r}, but a port is a number from 0 to 65535.")
    return int(given)
