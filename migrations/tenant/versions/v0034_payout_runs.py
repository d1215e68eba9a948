"""Payout schedules, runs, instant payouts and bank orders.

What a run pays is bound by the hash of its items, which the database reckons anew before anybody's
approval counts. Account details are sealed; in the clear are a country and four characters.

Revision ID: 0034
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

SCHEDULE = """
CREATE TABLE payout_schedule (
    id uuid CONSTRAINT payout_schedule_is_set_once PRIMARY KEY,
    set_no bigint GENERATED ALWAYS AS IDENTITY,
    party_id uuid CONSTRAINT payout_schedule_party_is_known REFERENCES party (id),
    currency char(3) NOT NULL
        CONSTRAINT payout_schedule_currency_is_known REFERENCES currency (code),
    valid_from_on date NOT NULL,
    cadence text NOT NULL CONSTRAINT payout_schedule_cadence_is_known
        CHECK (cadence IN ('manual', 'daily', 'weekly', 'twice_a_month', 'monthly')),
    weekday smallint CONSTRAINT payout_schedule_weekday_is_iso CHECK (weekday BETWEEN 1 AND 7),
    day smallint CONSTRAINT payout_schedule_day_in_range CHECK (day BETWEEN 1 AND 31),
    second_day smallint
        CONSTRAINT payout_schedule_second_day_in_range CHECK (second_day BETWEEN 2 AND 31),
    minimum_minor bigint NOT NULL
        CONSTRAINT payout_schedule_minimum_not_negative CHECK (minimum_minor >= 0),
    method_id uuid,
    set_by uuid NOT NULL,
    set_at timestamptz NOT NULL,
    CONSTRAINT payout_schedule_has_the_days_of_its_cadence CHECK (
        (cadence = 'weekly') = (weekday IS NOT NULL)
        AND (cadence IN ('monthly', 'twice_a_month')) = (day IS NOT NULL)
        AND (cadence = 'twice_a_month') = (second_day IS NOT NULL)
        AND (second_day IS NULL OR second_day > day)
    ),
    CONSTRAINT payout_schedule_method_is_the_payees_own
        FOREIGN KEY (method_id, party_id) REFERENCES payout_method (id, party_id),
    CONSTRAINT payout_schedule_default_names_no_method
        CHECK (party_id IS NOT NULL OR method_id IS NULL)
);
CREATE INDEX payout_schedule_of_party
    ON payout_schedule (currency, party_id, valid_from_on DESC, set_no DESC);
COMMENT ON TABLE payout_schedule IS
    'When a payee is paid by itself, days of UTC; without party: the default of all.';
"""

RUN = """
CREATE TABLE payout_run_limit (
    id uuid CONSTRAINT payout_run_limit_is_prepared_once PRIMARY KEY,
    currency char(3) NOT NULL
        CONSTRAINT payout_run_limit_currency_is_known REFERENCES currency (code),
    limit_minor bigint NOT NULL
        CONSTRAINT payout_run_limit_not_negative CHECK (limit_minor >= 0),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    CONSTRAINT payout_run_limit_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT payout_run_limit_approved_whole
        CHECK ((approved_by IS NULL) = (approved_at IS NULL))
);
CREATE INDEX payout_run_limit_counts ON payout_run_limit (currency, approved_at DESC)
    WHERE approved_at IS NOT NULL;
COMMENT ON TABLE payout_run_limit IS
    'Up to what sum a scheduled run is paid without a person; no approved row: nothing.';

CREATE TABLE payout_run (
    id uuid CONSTRAINT payout_run_is_prepared_once PRIMARY KEY,
    currency char(3) NOT NULL CONSTRAINT payout_run_currency_is_known REFERENCES currency (code),
    kind text NOT NULL CONSTRAINT payout_run_kind_is_known
        CHECK (kind IN ('scheduled', 'everyone')),
    due_from_on date NOT NULL,
    cut_off_on date NOT NULL,
    state text NOT NULL CONSTRAINT payout_run_state_is_known CHECK (
        state IN ('prepared', 'approved', 'executing', 'stopped', 'done', 'withdrawn')),
    version integer NOT NULL CONSTRAINT payout_run_version_counts CHECK (version >= 1),
    item_count integer NOT NULL CONSTRAINT payout_run_items_are_counted CHECK (item_count >= 0),
    planned_count integer NOT NULL CONSTRAINT payout_run_planned_are_counted
        CHECK (planned_count BETWEEN 0 AND item_count),
    planned_minor bigint NOT NULL CONSTRAINT payout_run_sum_not_negative
        CHECK (planned_minor >= 0),
    fee_minor bigint NOT NULL CONSTRAINT payout_run_fee_not_negative CHECK (fee_minor >= 0),
    limit_minor bigint NOT NULL CONSTRAINT payout_run_limit_of_its_day CHECK (limit_minor >= 0),
    content_sha256 bytea NOT NULL
        CONSTRAINT payout_run_content_is_sha256 CHECK (octet_length(content_sha256) = 32),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    reason text NOT NULL DEFAULT ''
        CONSTRAINT payout_run_reason_is_short CHECK (length(reason) <= 2000),
    CONSTRAINT payout_run_looks_back CHECK (due_from_on <= cut_off_on),
    CONSTRAINT payout_run_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT payout_run_approved_whole CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CONSTRAINT payout_run_is_approved_or_within_its_limit CHECK (
        state IN ('prepared', 'withdrawn') OR approved_by IS NOT NULL
        OR (prepared_by = '00000000-0000-0000-0000-000000000001' AND planned_minor <= limit_minor)
    ),
    CONSTRAINT payout_run_started_has_a_time
        CHECK ((state IN ('executing', 'stopped', 'done')) = (started_at IS NOT NULL)),
    CONSTRAINT payout_run_ended_has_a_time
        CHECK ((state IN ('done', 'withdrawn')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX payout_run_open_once ON payout_run (currency, cut_off_on)
    WHERE state NOT IN ('done', 'withdrawn');

CREATE TABLE payout_run_item (
    run_id uuid NOT NULL CONSTRAINT payout_run_item_run_is_known REFERENCES payout_run (id),
    payee_id uuid NOT NULL CONSTRAINT payout_run_item_payee_is_known REFERENCES party (id),
    method_id uuid,
    amount_minor bigint NOT NULL
        CONSTRAINT payout_run_item_amount_not_negative CHECK (amount_minor >= 0),
    fee_minor bigint NOT NULL
        CONSTRAINT payout_run_item_fee_leaves_something CHECK (fee_minor >= 0),
    reason text NOT NULL
        CONSTRAINT payout_run_item_reason_is_a_code CHECK (reason ~ '^[a-z0-9_.]{0,80}$'),
    state text NOT NULL CONSTRAINT payout_run_item_state_is_known
        CHECK (state IN ('planned', 'left_out', 'requested', 'dropped')),
    code text NOT NULL DEFAULT ''
        CONSTRAINT payout_run_item_code_is_a_code CHECK (code ~ '^[a-z0-9_.]{0,80}$'),
    payout_id uuid CONSTRAINT payout_run_item_pays_once UNIQUE
        CONSTRAINT payout_run_item_payout_is_known REFERENCES payout (id),
    CONSTRAINT payout_run_item_once PRIMARY KEY (run_id, payee_id),
    CONSTRAINT payout_run_item_method_is_the_payees_own
        FOREIGN KEY (method_id, payee_id) REFERENCES payout_method (id, party_id),
    CONSTRAINT payout_run_item_left_out_says_why CHECK ((state = 'left_out') = (reason <> '')),
    CONSTRAINT payout_run_item_planned_is_whole CHECK (
        reason <> '' OR (method_id IS NOT NULL AND amount_minor > fee_minor)),
    CONSTRAINT payout_run_item_requested_is_a_payout
        CHECK ((state = 'requested') = (payout_id IS NOT NULL)),
    CONSTRAINT payout_run_item_dropped_says_why CHECK ((state = 'dropped') = (code <> ''))
);
CREATE INDEX payout_run_item_by_state ON payout_run_item (run_id, state, payee_id);
CREATE INDEX payout_run_item_planned ON payout_run_item (payee_id) WHERE state = 'planned';
"""

# A guard without a body of its own: its trigger has the name that it is refused by.
RUN_GUARDS = """
CREATE FUNCTION refuse_as_named() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'a row of % may not change so', tg_table_name
        USING ERRCODE = 'check_violation', CONSTRAINT = tg_name;
END $$;

CREATE FUNCTION payout_run_content(run payout_run) RETURNS bytea
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT sha256(convert_to(
        concat_ws('|', run.id, run.currency, run.kind, run.due_from_on, run.cut_off_on) || E'\\n'
        || coalesce((
            SELECT string_agg(
                concat_ws('|', payee_id, coalesce(method_id::text, ''), amount_minor, fee_minor,
                          reason), E'\\n' ORDER BY payee_id)
            FROM payout_run_item WHERE run_id = run.id), ''), 'UTF8'))
$$;

CREATE FUNCTION check_payout_run_move() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (OLD.state || ' ' || NEW.state) NOT IN (
        'prepared approved', 'prepared executing', 'prepared withdrawn', 'approved executing',
        'approved withdrawn', 'executing stopped', 'stopped executing', 'executing done')
        OR NEW.version <> OLD.version + 1
        OR (to_jsonb(NEW) - '{state,version,approved_by,approved_at,started_at,ended_at,reason}'
                ::text[])
            <> (to_jsonb(OLD) - '{state,version,approved_by,approved_at,started_at,ended_at,reason}'
                ::text[])
        OR (OLD.approved_by IS NOT NULL AND NEW.approved_by IS DISTINCT FROM OLD.approved_by)
    THEN
        RAISE EXCEPTION 'payout run % may not move from % to % so', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_run_moves_forward';
    END IF;
    IF NEW.state IN ('approved', 'executing')
        AND payout_run_content(NEW) <> NEW.content_sha256
    THEN
        RAISE EXCEPTION 'payout run % has other items than were prepared', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_run_pays_what_was_prepared';
    END IF;
    IF NEW.state = 'done' AND EXISTS (
        SELECT FROM payout_run_item WHERE run_id = NEW.id AND state = 'planned')
    THEN
        RAISE EXCEPTION 'payout run % has payees whom it has not come to', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_run_forgets_nobody';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payout_run_moves_forward BEFORE UPDATE ON payout_run
    FOR EACH ROW EXECUTE FUNCTION check_payout_run_move();

CREATE TRIGGER payout_run_item_stands BEFORE UPDATE ON payout_run_item
FOR EACH ROW WHEN (
    OLD.state <> 'planned' OR NEW.state NOT IN ('requested', 'dropped')
    OR (NEW.run_id, NEW.payee_id, NEW.method_id, NEW.amount_minor, NEW.fee_minor, NEW.reason)
        IS DISTINCT FROM
       (OLD.run_id, OLD.payee_id, OLD.method_id, OLD.amount_minor, OLD.fee_minor, OLD.reason)
) EXECUTE FUNCTION refuse_as_named();

CREATE TRIGGER payout_run_limit_stands BEFORE UPDATE ON payout_run_limit
FOR EACH ROW WHEN (OLD.approved_by IS NOT NULL) EXECUTE FUNCTION refuse_as_named();

CREATE FUNCTION check_payout_run_items() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT run_id FROM new_row) AS named
        JOIN payout_run ON payout_run.id = named.run_id
        WHERE payout_run.state <> 'prepared'
    ) OR EXISTS (SELECT FROM new_row WHERE state NOT IN ('planned', 'left_out')) THEN
        RAISE EXCEPTION 'items are written while their run is prepared'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_run_items_come_first';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payout_run_items_come_first AFTER INSERT ON payout_run_item
REFERENCING NEW TABLE AS new_row
FOR EACH STATEMENT EXECUTE FUNCTION check_payout_run_items();
"""

INSTANT = """
ALTER TABLE payout ADD COLUMN is_instant boolean NOT NULL DEFAULT false;
ALTER TABLE payout_method ADD COLUMN may_be_instant boolean NOT NULL DEFAULT false;

CREATE TABLE payout_instant_fee (
    currency char(3) NOT NULL
        CONSTRAINT payout_instant_fee_currency_is_known REFERENCES currency (code),
    valid_from timestamptz NOT NULL,
    rate_bps integer NOT NULL
        CONSTRAINT payout_instant_fee_rate_in_range CHECK (rate_bps BETWEEN 0 AND 10000),
    fixed_minor bigint NOT NULL
        CONSTRAINT payout_instant_fee_fixed_not_negative CHECK (fixed_minor >= 0),
    smallest_minor bigint NOT NULL
        CONSTRAINT payout_instant_fee_smallest_not_negative CHECK (smallest_minor >= 0),
    largest_minor bigint CONSTRAINT payout_instant_fee_largest_is_above_smallest
        CHECK (largest_minor >= smallest_minor),
    is_on_top boolean NOT NULL,
    CONSTRAINT payout_instant_fee_is_dated PRIMARY KEY (currency, valid_from)
);
COMMENT ON TABLE payout_instant_fee IS
    'What an instant payout costs from a time on, on top of the payout fee or instead of it;'
    ' no row: none is offered in the currency.';
"""

BANK = """
CREATE TABLE bank_account (
    id uuid CONSTRAINT bank_account_is_added_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT bank_account_party_is_known REFERENCES party (id),
    sealed bytea NOT NULL,
    country char(2) NOT NULL CONSTRAINT bank_account_country_is_iso CHECK (country ~ '^[A-Z]{2}$'),
    last4 text NOT NULL CONSTRAINT bank_account_shows_four CHECK (last4 ~ '^[A-Z0-9]{4}$'),
    serves text NOT NULL DEFAULT '' CONSTRAINT bank_account_serves_a_bank_of_ours
        CHECK (serves IN ('', 'custody_bank', 'platform_bank')),
    currency char(3) CONSTRAINT bank_account_currency_is_known REFERENCES currency (code),
    added_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT bank_account_of_ours_has_a_currency CHECK ((serves = '') = (currency IS NULL))
);
CREATE UNIQUE INDEX bank_account_serves_once ON bank_account (serves, currency)
    WHERE serves <> '' AND ended_at IS NULL;
COMMENT ON COLUMN bank_account.sealed IS 'Name, number and bank code, by the key of the party.';

CREATE TABLE bank_file (
    id uuid CONSTRAINT bank_file_is_made_once PRIMARY KEY,
    message_id text NOT NULL CONSTRAINT bank_file_message_is_one UNIQUE
        CONSTRAINT bank_file_message_fits CHECK (message_id ~ '^[A-Za-z0-9-]{1,35}$'),
    format text NOT NULL CONSTRAINT bank_file_format_is_known
        CHECK (format IN ('pain.001.001.03', 'pain.001.001.09', 'csv')),
    account_id uuid NOT NULL CONSTRAINT bank_file_account_is_known REFERENCES bank_account (id),
    currency char(3) NOT NULL CONSTRAINT bank_file_currency_is_known REFERENCES currency (code),
    execute_on date NOT NULL,
    order_count integer NOT NULL CONSTRAINT bank_file_has_orders CHECK (order_count > 0),
    control_minor bigint NOT NULL CONSTRAINT bank_file_has_a_sum CHECK (control_minor > 0),
    content_sha256 bytea NOT NULL
        CONSTRAINT bank_file_content_is_sha256 CHECK (octet_length(content_sha256) = 32),
    state text NOT NULL CONSTRAINT bank_file_state_is_known
        CHECK (state IN ('made', 'released', 'withdrawn')),
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    CONSTRAINT bank_file_only_euro_goes_by_sepa CHECK ((currency = 'EUR') = (format <> 'csv')),
    CONSTRAINT bank_file_takes_two CHECK (state <> 'released' OR decided_by <> made_by),
    CONSTRAINT bank_file_decided_whole CHECK (
        (state = 'made') = (decided_by IS NULL) AND (state = 'made') = (decided_at IS NULL))
);

CREATE TABLE bank_order (
    id uuid CONSTRAINT bank_order_is_given_once PRIMARY KEY
        CONSTRAINT bank_order_operation_is_known REFERENCES rail_operation (id),
    order_no bigint GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL CONSTRAINT bank_order_source_is_a_bank_of_ours
        CHECK (source IN ('custody_bank', 'platform_bank')),
    target text NOT NULL CONSTRAINT bank_order_target_is_known
        CHECK (target IN ('', 'custody_bank', 'platform_bank')),
    account_id uuid CONSTRAINT bank_order_account_is_known REFERENCES bank_account (id),
    currency char(3) NOT NULL CONSTRAINT bank_order_currency_is_known REFERENCES currency (code),
    amount_minor bigint NOT NULL
        CONSTRAINT bank_order_amount_is_positive CHECK (amount_minor > 0),
    state text NOT NULL CONSTRAINT bank_order_state_is_known
        CHECK (state IN ('ordered', 'filed', 'released', 'booked', 'returned', 'refused')),
    file_id uuid CONSTRAINT bank_order_file_is_known REFERENCES bank_file (id),
    code text NOT NULL DEFAULT '',
    kept_minor bigint NOT NULL DEFAULT 0 CONSTRAINT bank_order_keeps_no_more_than_all
        CHECK (kept_minor BETWEEN 0 AND amount_minor),
    statement_ref text NOT NULL DEFAULT '',
    ordered_at timestamptz NOT NULL,
    heard_at timestamptz,
    CONSTRAINT bank_order_goes_to_a_payee_or_a_bank_of_ours
        CHECK ((target = '') = (account_id IS NOT NULL) AND target <> source),
    CONSTRAINT bank_order_is_filed_in_a_file
        CHECK (state = 'refused' OR (state = 'ordered') = (file_id IS NULL)),
    CONSTRAINT bank_order_heard_has_a_time
        CHECK ((state IN ('booked', 'returned', 'refused')) = (heard_at IS NOT NULL)),
    CONSTRAINT bank_order_only_a_return_is_charged CHECK (kept_minor = 0 OR state = 'returned')
);
CREATE INDEX bank_order_to_file ON bank_order (source, currency, order_no)
    WHERE state = 'ordered';
CREATE INDEX bank_order_of_file ON bank_order (file_id, order_no);
"""

BANK_GUARDS = """
CREATE TRIGGER bank_order_moves_forward BEFORE UPDATE ON bank_order
FOR EACH ROW WHEN (
    (OLD.state || ' ' || NEW.state) NOT IN (
        'ordered filed', 'ordered refused', 'filed ordered', 'filed released', 'released booked',
        'released returned', 'released refused', 'booked returned')
    OR (NEW.id, NEW.source, NEW.target, NEW.account_id, NEW.currency, NEW.amount_minor)
        IS DISTINCT FROM
       (OLD.id, OLD.source, OLD.target, OLD.account_id, OLD.currency, OLD.amount_minor)
    OR (OLD.state IN ('released', 'booked') AND NEW.file_id IS DISTINCT FROM OLD.file_id)
) EXECUTE FUNCTION refuse_as_named();

CREATE TRIGGER bank_file_stands BEFORE UPDATE ON bank_file
FOR EACH ROW WHEN (
    OLD.state <> 'made' OR NEW.state = 'made'
    OR (to_jsonb(NEW) - '{state,decided_by,decided_at}'::text[])
        <> (to_jsonb(OLD) - '{state,decided_by,decided_at}'::text[])
) EXECUTE FUNCTION refuse_as_named();

CREATE TRIGGER bank_account_stands BEFORE UPDATE ON bank_account
FOR EACH ROW WHEN (
    OLD.ended_at IS NOT NULL
    OR (to_jsonb(NEW) - 'ended_at'::text) <> (to_jsonb(OLD) - 'ended_at'::text)
) EXECUTE FUNCTION refuse_as_named();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON payout_schedule, payout_run_limit, payout_run,'
                   ' payout_run_item, payout_instant_fee, bank_account, bank_file, bank_order'
                   ' TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (approved_by, approved_at) ON payout_run_limit TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, approved_by, approved_at, started_at, ended_at,'
                   ' reason) ON payout_run TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, code, payout_id) ON payout_run_item TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (may_be_instant) ON payout_method TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (ended_at) ON bank_account TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, decided_by, decided_at) ON bank_file TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, file_id, code, kept_minor, statement_ref, heard_at)'
                   ' ON bank_order TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Make the tables with their guards, and give the tenant's role its rights."""
    for statement in (TIMEOUTS, SCHEDULE, RUN, RUN_GUARDS, INSTANT, BANK, BANK_GUARDS):
        run(statement)
    append_only("payout_schedule", "payout_instant_fee")
    not_deleted(
        *("payout_run_limit", "payout_run", "payout_run_item"),
        *("bank_account", "bank_file", "bank_order"),
    )
    run(RIGHTS)
