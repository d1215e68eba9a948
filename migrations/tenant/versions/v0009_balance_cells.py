"""Sums per chunk of the journal and effective day: what balances as of any date are read from.

Derived and written once by the sealer (decision 0004, "Cells"); dropped and rebuilt they come out
the same. A chunk of level 0 is 4,096 events of the journal, or 1,024 lines of an account; each
level above takes 16 of the one below.

Revision ID: 0009
"""

from migrations.statements import run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

CELLS = """
CREATE TABLE journal_chunk (
    level smallint NOT NULL CONSTRAINT journal_chunk_level_known CHECK (level BETWEEN 0 AND 3),
    chunk bigint NOT NULL CONSTRAINT journal_chunk_from_zero CHECK (chunk >= 0),
    line_count bigint NOT NULL CONSTRAINT journal_chunk_line_count_not_negative
        CHECK (line_count >= 0),
    CONSTRAINT journal_chunk_written_once PRIMARY KEY (level, chunk)
);
COMMENT ON TABLE journal_chunk IS 'The chunks of the journal whose cells are written.';

CREATE TABLE journal_day (
    effective_day date NOT NULL,
    chunk bigint NOT NULL,
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL,
    offsets smallint[] NOT NULL,
    CONSTRAINT journal_day_written_once PRIMARY KEY (effective_day, chunk)
);
COMMENT ON COLUMN journal_day.offsets IS
    'Which events of the chunk count on this day, from 0: journal_no = chunk * 4096 + offset + 1.';

CREATE TABLE kind_cell (
    level smallint NOT NULL,
    chunk bigint NOT NULL,
    effective_day date NOT NULL,
    kind text NOT NULL,
    currency char(3) NOT NULL,
    event_kind text NOT NULL,
    line_count bigint NOT NULL CONSTRAINT kind_cell_is_not_empty CHECK (line_count >= 1),
    debit_minor numeric NOT NULL CONSTRAINT kind_cell_debit_not_negative CHECK (debit_minor >= 0),
    credit_minor numeric NOT NULL
        CONSTRAINT kind_cell_credit_not_negative CHECK (credit_minor >= 0),
    CONSTRAINT kind_cell_written_once
        PRIMARY KEY (level, chunk, effective_day, kind, currency, event_kind)
);

CREATE TABLE account_cell (
    account_id bigint NOT NULL,
    level smallint NOT NULL CONSTRAINT account_cell_level_known CHECK (level BETWEEN 0 AND 3),
    chunk bigint NOT NULL,
    effective_day date NOT NULL,
    line_count bigint NOT NULL CONSTRAINT account_cell_is_not_empty CHECK (line_count >= 1),
    debit_minor numeric NOT NULL
        CONSTRAINT account_cell_debit_not_negative CHECK (debit_minor >= 0),
    credit_minor numeric NOT NULL
        CONSTRAINT account_cell_credit_not_negative CHECK (credit_minor >= 0),
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL,
    offsets smallint[],
    CONSTRAINT account_cell_written_once PRIMARY KEY (account_id, level, chunk, effective_day),
    CONSTRAINT account_cell_says_which_lines CHECK ((level = 0) = (offsets IS NOT NULL))
);
CREATE INDEX account_cell_by_day ON account_cell (account_id, effective_day, chunk)
    WHERE level = 0;
COMMENT ON COLUMN account_cell.offsets IS
    'Which lines of the chunk count on this day, from 0: account_seq = chunk * 1024 + offset + 1.';
"""

# What an account knew at R is a prefix of its chain, so its end is found by halving. The first look
# is at the newest line, since most questions are asked with all of an account known.
KNOWN_LINES = """
CREATE FUNCTION known_lines(of_account bigint, upto bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle bigint;
    known_as bigint;
BEGIN
    SELECT line_count INTO middle FROM account WHERE id = of_account;
    high := middle;
    WHILE low < high LOOP
        SELECT s.journal_no INTO known_as
        FROM line l JOIN seal s ON s.event_id = l.event_id
        WHERE l.account_id = of_account AND l.account_seq = middle;
        IF known_as <= upto THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
        middle := (low + high + 1) / 2;
    END LOOP;
    RETURN low;
END $$;
COMMENT ON FUNCTION known_lines IS
    'How many lines of an account are in the journal up to a journal_no.';
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON journal_chunk, journal_day, kind_cell, account_cell'
                   ' TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of cells and the search for what an account knew."""
    for statement in (TIMEOUTS, CELLS, KNOWN_LINES, RIGHTS):
        run(statement)
