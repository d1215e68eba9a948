"""Explores pairs: the story is told once and committed, then schedule after schedule is played."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import psycopg
from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, connect, transaction
from tests.escrow.stage import START, prove_books
from tests.fixtures.databases import TestDatabase
from tests.interleave.explorer import (
    Arena,
    Exploration,
    Finding,
    Schedule,
    one_switch,
    two_switches,
    wild,
)
from tests.interleave.scenes import Pair, on, rescan
from tests.interleave.stepping import Act, Player
from tests.interleave.stillness import EMPTY, Stillness

DEADLOCK_TIMEOUT: Final = "50ms"


@dataclass
class Lab:
    """One database with two players, in which pair after pair is explored."""

    engine: Engine
    tenant: Tenant
    arena: Arena

    @contextmanager
    def set_up(self, pair: Pair) -> Iterator["Setting"]:
        """Tell the pair's story in a database that holds nothing else."""
        self.arena.still.put_back(EMPTY)
        with transaction(self.engine, self.tenant) as connection:
            clock.make_sandbox(connection, at=START)
            scene = pair.story(connection)
        self.arena.still.keep()
        yield Setting(self, pair, scene)


@dataclass
class Setting:
    """A pair whose story is told."""

    lab: Lab
    pair: Pair
    scene: Any
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Play both serial orders."""
        acts = (self._act(self.pair.first), self._act(self.pair.second))
        after = self._rescan if self.pair.rescans else lambda: None
        self.exploration = Exploration(self.lab.arena, acts, after, repeats=self.pair.repeats)

    def _act(self, act: Any) -> Act:
        return lambda connection: act(on(self.scene, connection))

    def _rescan(self) -> None:
        with transaction(self.lab.engine, self.lab.tenant) as connection:
            rescan(on(self.scene, connection))

    def schedules(self, how: str, count: int, seed: str) -> list[Schedule]:
        """`one`: one switch, all of them; `two`: two switches as well; else a drawn sample."""
        lengths = self.exploration.lengths
        few, more = list(one_switch(lengths)), list(two_switches(lengths))
        if how == "one":
            return few
        if how == "two":
            return few + more
        dice = Random(f"{seed} {self.pair.name}")
        drawn = dice.sample(few, min(len(few), count - count // 2))
        drawn += dice.sample(more, min(len(more), count // 4))
        return drawn + [wild(lengths, dice) for _ in range(count - len(drawn))]

    def explore(self, schedules: Iterable[Schedule]) -> list[Finding]:
        """What is wrong with these; the books of the last one are proved."""
        found = [each for each in map(self.exploration.find, schedules) if each is not None]
        with transaction(self.lab.engine, self.lab.tenant) as connection:
            prove_books(connection)
        return found


@contextmanager
def open_lab(database: TestDatabase, tenant: Tenant) -> Iterator[Lab]:
    """A lab on a database of one's own."""
    engine = connect(database.app_url)
    admin_url = database.admin_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(admin_url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '{DEADLOCK_TIMEOUT}'")
        still = Stillness(admin, tenant.schema, tenant.role)
        players = (Player("A", engine, tenant), Player("B", engine, tenant))
        with psycopg.connect(admin_url, autocommit=True) as onlooker:
            try:
                yield Lab(engine, tenant, Arena(players, still, onlooker))
            finally:
                for player in players:
                    player.leave()
                engine.dispose()
