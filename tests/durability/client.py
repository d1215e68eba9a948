"""A client that keeps its own log: every key it sends, and every answer it was given, fsynced.

    python -m tests.durability.client URL LOG NAME load|settle

It begins with the keys of its log, sent again with the same requests: what was acknowledged before
must be answered the same. `load` then goes on with new keys until a line comes in on stdin;
`settle` ends when every key is answered.
"""

import itertools
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError

from engine.group_commit import Door, GroupCommit
from kernel.commands import Outcome
from kernel.database import Tenant, connect
from kernel.idempotency import IdempotencyKey
from kernel.principals import SYSTEM
from ledger.commands import PostDraft
from ledger.correction import post_drafts
from ledger.model import Draft
from tests.ledger.drafts import fund, move, wallet

TENANT: Final = Tenant("test")
PRINCIPAL: Final = UUID(int=31)
THREADS: Final = 8
WALLETS: Final = [wallet(f"w{n}") for n in range(6)]

SENT: Final = "sent"
ANSWERED: Final = "answered"
CHANGED: Final = "changed"


def draft_of(key: str) -> Draft:
    """The one request that a key stands for: money in, or out of a purse that may be empty."""
    chance = random.Random(key)
    source, target = chance.sample(WALLETS, 2)
    amount = chance.randrange(1, 50)
    if chance.random() < 0.5:
        return fund(amount, target, key=key)
    return move(2 * amount, source, target, key=key)


class Log:
    """One line per fact. What is in it survives the client, and an answer survives the machine."""

    def __init__(self, path: Path) -> None:
        self.sent, self.answers, self.changed = read_log(path)
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="ascii")

    def send(self, key: str) -> None:
        """Write it down before it goes out."""
        with self._lock:
            if key not in self.sent:
                self.sent[key] = None
                self._write(SENT, key)

    def answer(self, key: str, outcome: Outcome) -> None:
        """Write down a first answer, and any that differs from what was said before."""
        said = f"{outcome.code} {outcome.facts.get('event_id', '-')}"
        with self._lock:
            before = self.answers.get(key)
            if before == said:
                return
            self.answers[key] = said
            self._write(ANSWERED if before is None else CHANGED, key, said)
            os.fsync(self._file.fileno())

    def _write(self, *words: str) -> None:
        self._file.write(" ".join(words) + "\n")
        self._file.flush()


def read_log(path: Path) -> tuple[dict[str, None], dict[str, str], list[str]]:
    """The keys sent, in order; the first answer to each; and the keys whose answer changed."""
    sent: dict[str, None] = {}
    answers: dict[str, str] = {}
    changed = []
    text = path.read_text(encoding="ascii") if path.exists() else ""
    # A line that was cut short by a kill says nothing.
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            continue
        what, key, *said = line.split()
        if what == SENT:
            sent[key] = None
        elif what == ANSWERED:
            answers.setdefault(key, " ".join(said))
        else:
            changed.append(key)
    return sent, answers, changed


def keys_of(name: str, log: Log, *, is_settling: bool) -> Iterator[str]:
    """All keys of the log again, then new ones for as long as somebody asks."""
    known = list(log.sent)
    yield from known
    if not is_settling:
        yield from (f"{name}-{number}" for number in itertools.count(len(known)))


def submit(group: GroupCommit, key: str, over: threading.Event) -> Outcome | None:
    """Send a request until it is answered; None if we stop before."""
    request_hash = sha256(key.encode()).digest()
    command = PostDraft(actor=SYSTEM, draft=draft_of(key))
    while not over.is_set():
        future = group.submit("post", command, key=IdempotencyKey(PRINCIPAL, key, request_hash))
        try:
            return future.result()
        except (DBAPIError, psycopg.Error):
            time.sleep(0.02)
    return None


def work(group: GroupCommit, log: Log, keys: Iterator[str], over: threading.Event) -> None:
    """One thread: send, hear, write down."""
    while not over.is_set():
        key = next(keys, None)
        if key is None:
            return
        log.send(key)
        outcome = submit(group, key, over)
        if outcome is not None:
            log.answer(key, outcome)


class Shared:
    """An iterator that several threads may ask."""

    def __init__(self, keys: Iterator[str]) -> None:
        self._keys = keys
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        with self._lock:
            return next(self._keys)


def wait_for_the_word(over: threading.Event) -> None:
    """Whoever started us says when it is enough."""
    sys.stdin.readline()
    over.set()


def main(url: str, log_path: str, name: str, mode: str) -> int:
    """Run until told to stop, or until all is settled; 1 if an answer changed."""
    log = Log(Path(log_path))
    over = threading.Event()
    if mode == "load":
        threading.Thread(target=wait_for_the_word, args=(over,), daemon=True).start()
    engine = connect(url)
    group = GroupCommit(engine, TENANT, {"post": Door(post_drafts, lambda _: ())})
    keys = Shared(keys_of(name, log, is_settling=mode == "settle"))
    with ThreadPoolExecutor(THREADS) as pool:
        done = [pool.submit(work, group, log, keys, over) for _ in range(THREADS)]
        for thread in done:
            thread.result()
    group.close()
    return 1 if read_log(Path(log_path))[2] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
