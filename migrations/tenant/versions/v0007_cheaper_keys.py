"""Idempotency keys are checked and found at a third of the price.

A bound repetition in a regular expression costs 9 us on a short key and 26 us on a UUID, the same
rule as "no other character, and so many octets" 0.2 us. And the search for stored answers must
never read the whole table: a plan made while the table was small did, and slowed down with it.

Revision ID: 0007
"""

from migrations.statements import run

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

CHECKS = """
ALTER TABLE idempotency DROP CONSTRAINT idempotency_key_is_visible_ascii;
ALTER TABLE idempotency ADD CONSTRAINT idempotency_key_is_visible_ascii CHECK (
    key !~ '[^!-~]' AND octet_length(key) BETWEEN 1 AND 255
);
ALTER TABLE payout_method DROP CONSTRAINT payout_method_token_is_visible_ascii;
ALTER TABLE payout_method ADD CONSTRAINT payout_method_token_is_visible_ascii CHECK (
    token !~ '[^!-~]' AND octet_length(token) BETWEEN 1 AND 200
);
"""

# The settings rule out every plan but a look into the primary key for each key asked for.
SEARCH = """
CREATE FUNCTION stored_answers(principals uuid[], keys text[])
RETURNS TABLE (principal_id uuid, key text, request_hash bytea, code text, answer bytea)
LANGUAGE sql STABLE SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off AS $$
    SELECT i.principal_id, i.key, i.request_hash, i.code, i.answer
    FROM unnest(principals, keys) AS n (principal_id, key)
    JOIN idempotency i ON i.principal_id = n.principal_id AND i.key = n.key
$$;
"""

# A range of event numbers looks dearer in a general plan than in one made for its bounds, so each
# statement of each guard was planned anew at each batch. One plan serves all of them; it goes by
# the indexes whatever the size of the tables was when it was made.
PLANS = """
ALTER FUNCTION check_batch_open() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION check_batch_open() SET enable_seqscan = off;
ALTER FUNCTION check_accounts() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION check_accounts() SET enable_seqscan = off;
ALTER FUNCTION check_batch_headers() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION check_batch_headers() SET enable_seqscan = off;
ALTER FUNCTION check_batch_periods() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION check_batch_accounts() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION check_batch_accounts() SET enable_seqscan = off;
"""


def upgrade() -> None:
    """Put the cheaper rules in the place of the dear ones."""
    run(TIMEOUTS + CHECKS + SEARCH + PLANS)
