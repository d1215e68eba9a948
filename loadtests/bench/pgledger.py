"""The other ledger: pgledger's own SQL file, driven by pgbench with prepared statements.

Given by `--pgledger FILE`, never kept here. One call per business transaction, each a database
transaction of its own: what pgledger offers to concurrent callers. For the hot load both of its
transfers go into one call.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kernel.postgres_programs import programs_for
from loadtests.bench.ground import Ground
from loadtests.bench.measure import Sample
from loadtests.bench.workload import ACCOUNTS, BenchTrouble, Load

CLIENTS: Final = (1, 8, 16)

_WARM_BATCH: Final = 1_000
_TPS: Final = re.compile(r"tps = ([0-9.]+)")
_COUNT: Final = re.compile(r"number of transactions actually processed: ([0-9]+)")

# Its accounts get ids of the usual length that a script can name without a look-up.
_ACCOUNTS: Final = f"""
INSERT INTO pgledger_accounts (id, name, currency, allow_negative_balance, allow_positive_balance,
                               created_at, updated_at)
SELECT 'pgla_' || lpad(n::text, 26, '0'), 'wallet ' || n, 'EUR', true, true, now(), now()
FROM generate_series(0, {ACCOUNTS}) AS n
"""

_WARM: Final = f"""
SELECT count(*) FROM pgledger_create_transfers((
    SELECT array_agg(('pgla_' || lpad(a::text, 26, '0'), 'pgla_' || lpad(b::text, 26, '0'),
                      100)::transfer_request)
    FROM (SELECT a, 1 + mod(a + (random() * {ACCOUNTS - 2})::int, {ACCOUNTS}) AS b
          FROM (SELECT 1 + (random() * {ACCOUNTS - 1})::int AS a
                FROM generate_series(1, %s)) AS one) AS pair), now(), NULL::jsonb)
"""

_DRAW: Final = f"""
\\set payer random(1, {ACCOUNTS})
\\set payee 1 + (:payer - 1 + random(1, {ACCOUNTS - 1})) % {ACCOUNTS}
\\set amount random(100, 10000)
"""

_UNIFORM: Final = f"""{_DRAW}
SELECT count(*) FROM pgledger_create_transfers(array[
    ('pgla_' || lpad((:payer)::text, 26, '0'), 'pgla_' || lpad((:payee)::text, 26, '0'),
     :amount)::transfer_request
], now(), NULL::jsonb);
"""

_HOT: Final = f"""{_DRAW}
\\set fee :amount / 10
\\set rest :amount - :fee
SELECT count(*) FROM pgledger_create_transfers(array[
    ('pgla_' || lpad((:payer)::text, 26, '0'), 'pgla_' || lpad((:payee)::text, 26, '0'),
     :rest)::transfer_request,
    ('pgla_' || lpad((:payer)::text, 26, '0'), 'pgla_' || lpad('0', 26, '0'),
     :fee)::transfer_request
], now(), NULL::jsonb);
"""

_SCRIPTS: Final = {Load.UNIFORM: _UNIFORM, Load.HOT: _HOT}


class PgLedger:
    """A database with pgledger in it, and the way to drive it."""

    def __init__(self, ground: Ground, files: Sequence[Path], *, warm_entries: int) -> None:
        """Load the SQL files in their order, open the accounts, fill the tables."""
        self._ground = ground
        self._name = f"{ground.database}_pgledger"
        self._programs = programs_for(ground.data_dir)
        ground.make_database(self._name)
        with ground.admin(self._name) as admin:
            for file in files:
                admin.execute(file.read_bytes())
            admin.execute(_ACCOUNTS.encode())
            for _ in range(-(-warm_entries // 2 // _WARM_BATCH)):
                admin.execute(_WARM.encode(), (_WARM_BATCH,))
            admin.execute("VACUUM (ANALYZE)")
        for load, script in _SCRIPTS.items():
            self._script(load).write_text(script, encoding="utf-8")
            self._script(load).chmod(0o644)

    def close(self) -> None:
        """Drop the database."""
        self._ground.drop_database(self._name)

    def run(self, load: Load, *, clients: int, seconds: int) -> Sample:
        """One stretch of pgbench."""
        answer = self._programs.run(
            "pgbench",
            *("-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2))),
            *("-T", str(seconds), "-f", str(self._script(load))),
            self._ground.conninfo(self._name),
        )
        count, tps = _COUNT.search(answer.stdout), _TPS.search(answer.stdout)
        if answer.returncode != 0 or count is None or tps is None:
            raise BenchTrouble(answer.stderr.strip() or answer.stdout.strip())
        return Sample(int(count[1]), int(count[1]) / float(tps[1]))

    def _script(self, load: Load) -> Path:
        return self._ground.data_dir / f"{self._name}_{load.value}.sql"
