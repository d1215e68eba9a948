"""Fee schedules: versions that nobody changes, approved by a second person, pinned by contracts.

A schedule is written whole in one transaction: it counts its tariffs and they their bands, so that
nothing is added to what somebody is about to approve. No two approved ones of one side, scope and
priority hold at the same time in one currency; `fee_tariff` repeats what that takes, kept in step
by its foreign key. An end is set by two people, to a later time alone.

The token of `fee_book` changes with every approval and every end: who holds its row may look at
what is in force and add to it, and a reader knows by it whether what he kept is still all.

Revision ID: 0024
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BOOK = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
COMMENT ON TYPE text_range IS
    'One text as a range of itself, so that GiST compares it without an extension.';

CREATE TABLE fee_book (
    is_one boolean PRIMARY KEY DEFAULT true CONSTRAINT fee_book_is_one CHECK (is_one),
    token uuid NOT NULL
);
INSERT INTO fee_book (token) VALUES (gen_random_uuid());
"""

SCHEDULE = """
CREATE TABLE fee_schedule (
    id uuid PRIMARY KEY,
    name text NOT NULL
        CONSTRAINT fee_schedule_name_is_plain CHECK (name ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    version integer NOT NULL CONSTRAINT fee_schedule_version_counts CHECK (version >= 1),
    side text NOT NULL CONSTRAINT fee_schedule_side_is_known CHECK (side IN ('payee', 'client')),
    mode text NOT NULL
        CONSTRAINT fee_schedule_mode_is_known CHECK (mode IN ('marginal', 'whole_amount')),
    contract_id uuid CONSTRAINT fee_schedule_contract_is_known REFERENCES contract (id),
    promotion text
        CONSTRAINT fee_schedule_promotion_is_plain CHECK (promotion ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    client_id uuid CONSTRAINT fee_schedule_client_is_known REFERENCES party (id),
    plan text CONSTRAINT fee_schedule_plan_is_plain CHECK (plan ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    client_plan text
        CONSTRAINT fee_schedule_client_plan_is_plain
            CHECK (client_plan ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    arm text CONSTRAINT fee_schedule_arm_is_named
        CHECK (arm ~ '^[A-Za-z0-9_.:-]{1,80}/[A-Za-z0-9_.:-]{1,80}$'),
    category text
        CONSTRAINT fee_schedule_category_is_plain CHECK (category ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    origin text CONSTRAINT fee_schedule_origin_is_plain CHECK (origin ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    country char(2) CONSTRAINT fee_schedule_country_is_iso CHECK (country ~ '^[A-Z]{2}$'),
    basis text CONSTRAINT fee_schedule_basis_is_known
        CHECK (basis IN ('milestone', 'hourly', 'retainer', 'bonus')),
    priority integer NOT NULL
        CONSTRAINT fee_schedule_priority_in_range CHECK (priority BETWEEN -1000000 AND 1000000),
    valid_from timestamptz,
    valid_to timestamptz,
    tax_code text NOT NULL
        CONSTRAINT fee_schedule_tax_code_is_plain CHECK (tax_code ~ '^[A-Za-z0-9_.:-]{1,40}$'),
    refund_rule text NOT NULL DEFAULT 'own_bands'
        CONSTRAINT fee_schedule_refund_rule_is_known CHECK (refund_rule = 'own_bands'),
    is_open boolean NOT NULL DEFAULT false
        CONSTRAINT fee_schedule_open_is_a_promotion CHECK (promotion IS NOT NULL OR NOT is_open),
    applies_until timestamptz CONSTRAINT fee_schedule_until_is_a_promotions
        CHECK (promotion IS NOT NULL OR applies_until IS NULL),
    replaces uuid CONSTRAINT fee_schedule_replaces_one REFERENCES fee_schedule (id),
    tariff_count integer NOT NULL
        CONSTRAINT fee_schedule_has_tariffs CHECK (tariff_count BETWEEN 1 AND 200),
    reason text NOT NULL CONSTRAINT fee_schedule_reason_is_short CHECK (length(reason) <= 2000),
    recorded_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'prepared' CONSTRAINT fee_schedule_state_is_known
        CHECK (state IN ('prepared', 'approved', 'withdrawn')),
    prepared_by uuid NOT NULL,
    approved_by uuid,
    decided_by uuid,
    decided_at timestamptz,
    is_approved boolean NOT NULL GENERATED ALWAYS AS (state = 'approved') STORED,
    during tstzrange NOT NULL GENERATED ALWAYS AS (tstzrange(valid_from, valid_to, '[)')) STORED,
    scope_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        side || '|' || coalesce(contract_id::text, '') || '|' || coalesce(promotion, '')
        || '|' || coalesce(client_id::text, '') || '|' || coalesce(plan, '')
        || '|' || coalesce(client_plan, '') || '|' || coalesce(arm, '')
        || '|' || coalesce(category, '') || '|' || coalesce(origin, '')
        || '|' || coalesce(country, '') || '|' || coalesce(basis, '') || '|' || priority::text
    ) STORED,
    CONSTRAINT fee_schedule_version_is_one UNIQUE (name, version),
    CONSTRAINT fee_schedule_side_unique UNIQUE (id, side),
    CONSTRAINT fee_schedule_repeated UNIQUE (id, scope_key, is_approved, during),
    CONSTRAINT fee_schedule_holds_for_a_time CHECK (valid_to >= valid_from),
    CONSTRAINT fee_schedule_begins_once_approved
        CHECK (state <> 'approved' OR (valid_from IS NOT NULL AND valid_from >= decided_at)),
    CONSTRAINT fee_schedule_promotion_per_payment CHECK (promotion IS NULL OR mode = 'marginal'),
    CONSTRAINT fee_schedule_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT fee_schedule_approved_by_somebody
        CHECK ((state = 'approved') = (approved_by IS NOT NULL)),
    CONSTRAINT fee_schedule_approver_decided
        CHECK (approved_by IS NULL OR approved_by = decided_by),
    CONSTRAINT fee_schedule_decided_whole CHECK ((state = 'prepared') = (decided_by IS NULL)
        AND (state = 'prepared') = (decided_at IS NULL))
);
CREATE INDEX fee_schedule_by_contract ON fee_schedule (contract_id) WHERE contract_id IS NOT NULL;

CREATE TABLE fee_tariff (
    schedule_id uuid NOT NULL,
    currency char(3) NOT NULL
        CONSTRAINT fee_tariff_currency_is_known REFERENCES currency (code),
    per_transaction_minor bigint NOT NULL CONSTRAINT fee_tariff_per_transaction_in_range
        CHECK (per_transaction_minor BETWEEN 0 AND 1000000000000000),
    floor_minor bigint NOT NULL CONSTRAINT fee_tariff_floor_in_range
        CHECK (floor_minor BETWEEN 0 AND 1000000000000000),
    cap_minor bigint CONSTRAINT fee_tariff_cap_in_range
        CHECK (cap_minor BETWEEN 0 AND 1000000000000000),
    cap_month_minor bigint CONSTRAINT fee_tariff_cap_month_in_range
        CHECK (cap_month_minor BETWEEN 0 AND 1000000000000000),
    budget_minor bigint CONSTRAINT fee_tariff_budget_in_range
        CHECK (budget_minor BETWEEN 0 AND 1000000000000000),
    party_limit_minor bigint CONSTRAINT fee_tariff_party_limit_in_range
        CHECK (party_limit_minor BETWEEN 0 AND 1000000000000000),
    band_count integer NOT NULL
        CONSTRAINT fee_tariff_has_bands CHECK (band_count BETWEEN 1 AND 100),
    scope_key text COLLATE "C" NOT NULL,
    is_approved boolean NOT NULL,
    during tstzrange NOT NULL,
    PRIMARY KEY (schedule_id, currency),
    CONSTRAINT fee_tariff_floor_under_cap CHECK (cap_minor >= floor_minor),
    CONSTRAINT fee_tariff_follows_its_schedule
        FOREIGN KEY (schedule_id, scope_key, is_approved, during)
        REFERENCES fee_schedule (id, scope_key, is_approved, during) ON UPDATE CASCADE,
    CONSTRAINT fee_tariff_no_two_at_a_time EXCLUDE USING gist (
        text_range(scope_key || '|' || currency, scope_key || '|' || currency, '[]') WITH &&,
        during WITH &&
    ) WHERE (is_approved)
);

CREATE TABLE fee_band (
    schedule_id uuid NOT NULL,
    currency char(3) NOT NULL,
    place integer NOT NULL CONSTRAINT fee_band_place_counts CHECK (place BETWEEN 1 AND 100),
    from_minor bigint NOT NULL CONSTRAINT fee_band_from_in_range
        CHECK (from_minor BETWEEN 0 AND 1000000000000000),
    up_to_minor bigint CONSTRAINT fee_band_rises
        CHECK (up_to_minor > from_minor AND up_to_minor <= 1000000000000000),
    rate_bps integer NOT NULL
        CONSTRAINT fee_band_takes_no_more_than_all CHECK (rate_bps BETWEEN 0 AND 10000),
    PRIMARY KEY (schedule_id, currency, place),
    CONSTRAINT fee_band_begins_at_nothing CHECK ((place = 1) = (from_minor = 0)),
    CONSTRAINT fee_band_tariff_is_known
        FOREIGN KEY (schedule_id, currency) REFERENCES fee_tariff (schedule_id, currency)
);
"""

ENDING = """
CREATE TABLE fee_ending (
    id uuid PRIMARY KEY,
    schedule_id uuid NOT NULL
        CONSTRAINT fee_ending_schedule_is_known REFERENCES fee_schedule (id),
    ends_at timestamptz NOT NULL,
    reason text NOT NULL CONSTRAINT fee_ending_reason_is_short CHECK (length(reason) <= 2000),
    state text NOT NULL DEFAULT 'prepared' CONSTRAINT fee_ending_state_is_known
        CHECK (state IN ('prepared', 'approved', 'withdrawn')),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    decided_by uuid,
    decided_at timestamptz,
    CONSTRAINT fee_ending_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT fee_ending_approved_by_somebody
        CHECK ((state = 'approved') = (approved_by IS NOT NULL)),
    CONSTRAINT fee_ending_approver_decided CHECK (approved_by IS NULL OR approved_by = decided_by),
    CONSTRAINT fee_ending_decided_whole CHECK ((state = 'prepared') = (decided_by IS NULL)
        AND (state = 'prepared') = (decided_at IS NULL)),
    CONSTRAINT fee_ending_spares_the_past CHECK (state <> 'approved' OR ends_at >= decided_at)
);
CREATE INDEX fee_ending_by_schedule ON fee_ending (schedule_id);
"""

CHOICE = """
CREATE TABLE contract_promotion (
    contract_id uuid PRIMARY KEY
        CONSTRAINT contract_promotion_contract_is_known REFERENCES contract (id),
    promotion text NOT NULL CONSTRAINT contract_promotion_is_plain
        CHECK (promotion ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    named_by uuid NOT NULL,
    named_at timestamptz NOT NULL
);
COMMENT ON TABLE contract_promotion IS 'The promotion that a deal names before it is accepted.';

CREATE TABLE fee_move (
    id uuid PRIMARY KEY,
    schedule_id uuid NOT NULL CONSTRAINT fee_move_schedule_is_known REFERENCES fee_schedule (id),
    which text NOT NULL
        CONSTRAINT fee_move_which_is_known CHECK (which IN ('all', 'accepted_before', 'named')),
    accepted_before timestamptz,
    contract_ids uuid[],
    reason text NOT NULL CONSTRAINT fee_move_reason_is_short CHECK (length(reason) <= 2000),
    state text NOT NULL DEFAULT 'prepared' CONSTRAINT fee_move_state_is_known
        CHECK (state IN ('prepared', 'approved', 'withdrawn', 'done')),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    decided_by uuid,
    decided_at timestamptz,
    looked_to uuid,
    moved_count integer NOT NULL DEFAULT 0,
    skipped_count integer NOT NULL DEFAULT 0,
    CONSTRAINT fee_move_before_a_time
        CHECK ((which = 'accepted_before') = (accepted_before IS NOT NULL)),
    CONSTRAINT fee_move_names_contracts CHECK ((which = 'named') = (contract_ids IS NOT NULL)),
    CONSTRAINT fee_move_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT fee_move_approved_by_somebody
        CHECK ((state IN ('approved', 'done')) = (approved_by IS NOT NULL)),
    CONSTRAINT fee_move_approver_decided CHECK (approved_by IS NULL OR approved_by = decided_by),
    CONSTRAINT fee_move_decided_whole CHECK ((state = 'prepared') = (decided_by IS NULL)
        AND (state = 'prepared') = (decided_at IS NULL)),
    CONSTRAINT fee_move_counts CHECK (moved_count >= 0 AND skipped_count >= 0),
    CONSTRAINT fee_move_begins_approved CHECK (state IN ('approved', 'done')
        OR (looked_to IS NULL AND moved_count = 0 AND skipped_count = 0))
);

CREATE TABLE fee_choice (
    contract_id uuid NOT NULL
        CONSTRAINT fee_choice_contract_is_known REFERENCES contract (id),
    side text NOT NULL CONSTRAINT fee_choice_side_is_known CHECK (side IN ('payee', 'client')),
    is_promotion boolean NOT NULL,
    seq integer NOT NULL CONSTRAINT fee_choice_seq_counts CHECK (seq >= 1),
    schedule_id uuid,
    promotion_until timestamptz,
    why text NOT NULL
        CONSTRAINT fee_choice_why_is_known CHECK (why IN ('acceptance', 'migration')),
    move_id uuid CONSTRAINT fee_choice_move_is_known REFERENCES fee_move (id),
    chosen_at timestamptz NOT NULL,
    trace jsonb NOT NULL
        CONSTRAINT fee_choice_trace_is_a_list CHECK (jsonb_typeof(trace) = 'array'),
    PRIMARY KEY (contract_id, side, is_promotion, seq),
    CONSTRAINT fee_choice_schedule_is_of_its_side
        FOREIGN KEY (schedule_id, side) REFERENCES fee_schedule (id, side),
    CONSTRAINT fee_choice_moved_by_a_move CHECK ((why = 'migration') = (move_id IS NOT NULL)),
    CONSTRAINT fee_choice_names_a_schedule CHECK (is_promotion OR schedule_id IS NOT NULL),
    CONSTRAINT fee_choice_until_is_a_promotions CHECK (is_promotion OR promotion_until IS NULL)
);
CREATE INDEX fee_choice_by_schedule ON fee_choice (schedule_id, contract_id);
"""

GUARDS = """
CREATE FUNCTION check_fee_schedule_whole() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    whose uuid := CASE tg_table_name WHEN 'fee_schedule' THEN to_jsonb(NEW) ->> 'id'
                  ELSE to_jsonb(NEW) ->> 'schedule_id' END;
    wrong text;
BEGIN
    SELECT CASE
        WHEN (SELECT count(*) FROM fee_tariff t WHERE t.schedule_id = s.id) <> s.tariff_count
            THEN 'tariffs'
        WHEN s.promotion IS NULL AND EXISTS (
            SELECT FROM fee_tariff t WHERE t.schedule_id = s.id
                AND (t.budget_minor IS NOT NULL OR t.party_limit_minor IS NOT NULL)
        ) THEN 'budget'
        WHEN EXISTS (
            SELECT FROM fee_tariff t
            LEFT JOIN fee_band b USING (schedule_id, currency)
            WHERE t.schedule_id = s.id
            GROUP BY t.currency, t.band_count
            HAVING count(b.place) <> t.band_count OR max(b.place) <> t.band_count
        ) THEN 'bands'
        WHEN EXISTS (
            SELECT FROM fee_band b
            LEFT JOIN fee_band n ON n.schedule_id = b.schedule_id AND n.currency = b.currency
                AND n.place = b.place + 1
            WHERE b.schedule_id = s.id AND b.up_to_minor IS DISTINCT FROM n.from_minor
        ) THEN 'a gap between bands'
    END INTO wrong
    FROM fee_schedule s WHERE s.id = whose;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'schedule % is not whole: %', whose, wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fee_schedule_is_whole';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fee_schedule_is_whole AFTER INSERT ON fee_schedule
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_fee_schedule_whole();
CREATE CONSTRAINT TRIGGER fee_tariff_is_whole AFTER INSERT ON fee_tariff
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_fee_schedule_whole();
CREATE CONSTRAINT TRIGGER fee_band_is_whole AFTER INSERT ON fee_band
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_fee_schedule_whole();

CREATE FUNCTION check_fee_schedule_move() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.state = 'prepared' AND NEW.state IN ('approved', 'withdrawn')
       AND NEW.valid_to IS NOT DISTINCT FROM OLD.valid_to
       AND (NEW.valid_from IS NOT DISTINCT FROM OLD.valid_from
            OR (OLD.valid_from IS NULL AND NEW.valid_from = NEW.decided_at)) THEN
        RETURN NEW;
    END IF;
    IF OLD.state = 'approved' AND NEW.state = 'approved' AND NEW.valid_from = OLD.valid_from
       AND (NEW.decided_by, NEW.decided_at, NEW.approved_by)
           = (OLD.decided_by, OLD.decided_at, OLD.approved_by)
       AND (OLD.valid_to IS NULL OR NEW.valid_to < OLD.valid_to)
       AND EXISTS (
        SELECT FROM fee_ending e
        WHERE e.schedule_id = OLD.id AND e.state = 'approved' AND e.ends_at = NEW.valid_to
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'fee schedule % may not move from % to %', OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'HF011';
END $$;
CREATE TRIGGER fee_schedule_moves_forward BEFORE UPDATE ON fee_schedule
    FOR EACH ROW EXECUTE FUNCTION check_fee_schedule_move();
CREATE TRIGGER fee_schedule_keeps_what_was_prepared
    BEFORE UPDATE OF id, name, version, side, mode, contract_id, promotion, client_id, plan,
                     client_plan, arm, category, origin, country, basis, priority, tax_code,
                     refund_rule, is_open, applies_until, replaces, tariff_count, reason,
                     recorded_at, prepared_by ON fee_schedule
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fee_tariff_keeps_what_was_prepared
    BEFORE UPDATE OF currency, per_transaction_minor, floor_minor, cap_minor, cap_month_minor,
                     budget_minor, party_limit_minor, band_count ON fee_tariff
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_fee_decision() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT (OLD.state = 'prepared' AND NEW.state IN ('approved', 'withdrawn')
            OR tg_table_name = 'fee_move' AND OLD.state = 'approved'
                AND NEW.state IN ('approved', 'done')
                AND (NEW.decided_by, NEW.decided_at, NEW.approved_by)
                    = (OLD.decided_by, OLD.decided_at, OLD.approved_by)) THEN
        RAISE EXCEPTION '% % may not move from % to %', tg_table_name, OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'HF011';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fee_ending_moves_forward BEFORE UPDATE ON fee_ending
    FOR EACH ROW EXECUTE FUNCTION check_fee_decision();
CREATE TRIGGER fee_ending_keeps_what_was_prepared
    BEFORE UPDATE OF id, schedule_id, ends_at, reason, prepared_by, prepared_at ON fee_ending
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fee_move_moves_forward BEFORE UPDATE ON fee_move
    FOR EACH ROW EXECUTE FUNCTION check_fee_decision();
CREATE TRIGGER fee_move_keeps_what_was_prepared
    BEFORE UPDATE OF id, schedule_id, which, accepted_before, contract_ids, reason, prepared_by,
                     prepared_at ON fee_move
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_fee_choice() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM fee_schedule s
        WHERE s.id = NEW.schedule_id AND s.state = 'approved'
            AND (s.promotion IS NOT NULL) = NEW.is_promotion
    ) THEN
        RAISE EXCEPTION 'contract % is given schedule %, which nobody approved for that',
            NEW.contract_id, NEW.schedule_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fee_choice_is_approved';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fee_choice_is_approved BEFORE INSERT ON fee_choice
    FOR EACH ROW WHEN (NEW.schedule_id IS NOT NULL) EXECUTE FUNCTION check_fee_choice();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT ON fee_book TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (token) ON fee_book TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON fee_schedule, fee_tariff, fee_band, fee_ending,'
                   ' contract_promotion, fee_move, fee_choice TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, approved_by, decided_by, decided_at, valid_from, valid_to)'
                   ' ON fee_schedule TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, approved_by, decided_by, decided_at) ON fee_ending TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (state, approved_by, decided_by, decided_at, looked_to,'
                   ' moved_count, skipped_count) ON fee_move TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Make the tables of fee schedules and of what contracts pinned, with their guards."""
    run(BOOK + SCHEDULE + ENDING + CHOICE + GUARDS)
    append_only("fee_band", "fee_choice", "contract_promotion")
    not_deleted("fee_book", "fee_schedule", "fee_tariff", "fee_ending", "fee_move")
    run(RIGHTS)
