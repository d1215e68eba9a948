"""Treasury rows and stops, dormant and unclaimed money, sanctions blocks, wallets of clients.

What is blocked goes back with a licence and by two people, or never; what is unclaimed goes to its
owner or to the state, and never to us.

Revision ID: 0035
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

TREASURY = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE treasury_rule (
    rail_account text NOT NULL CONSTRAINT treasury_rule_account_is_our_own
        CHECK (rail_account ~ '^[a-z][a-z0-9_]{0,31}$'),
    currency char(3) CONSTRAINT treasury_rule_currency_is_known REFERENCES currency (code),
    mode text NOT NULL
        CONSTRAINT treasury_rule_mode_is_known CHECK (mode IN ('land', 'stay')),
    floor_minor bigint NOT NULL
        CONSTRAINT treasury_rule_floor_not_negative CHECK (floor_minor >= 0),
    valid_from timestamptz NOT NULL,
    set_by uuid NOT NULL,
    CONSTRAINT treasury_rule_is_dated
        UNIQUE NULLS NOT DISTINCT (rail_account, currency, valid_from),
    CONSTRAINT treasury_rule_floor_has_a_currency CHECK (currency IS NOT NULL OR floor_minor = 0)
);
COMMENT ON TABLE treasury_rule IS
    'What becomes of free money at a rail account from a time on; no currency: all others.';

CREATE TABLE payout_stop (
    id uuid CONSTRAINT payout_stop_is_named_once PRIMARY KEY,
    rail_account text NOT NULL,
    currency char(3) NOT NULL
        CONSTRAINT payout_stop_currency_is_known REFERENCES currency (code),
    shortfall_minor bigint NOT NULL
        CONSTRAINT payout_stop_is_for_a_shortfall CHECK (shortfall_minor > 0),
    stopped_at timestamptz NOT NULL,
    lifted_at timestamptz CONSTRAINT payout_stop_lifted_later CHECK (lifted_at >= stopped_at)
);
CREATE UNIQUE INDEX payout_stop_stands_once ON payout_stop (rail_account, currency)
    WHERE lifted_at IS NULL;
COMMENT ON TABLE payout_stop IS 'Our account at a rail was below zero, and no payout left.';
"""

DORMANT = """
CREATE TABLE dormancy_rule (
    jurisdiction text NOT NULL CONSTRAINT dormancy_rule_jurisdiction_is_a_code
        CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    owner text NOT NULL
        CONSTRAINT dormancy_rule_owner_is_known CHECK (owner IN ('payee', 'client')),
    valid_from date NOT NULL,
    years integer NOT NULL CONSTRAINT dormancy_rule_years_in_range CHECK (years BETWEEN 1 AND 50),
    notice_days integer NOT NULL
        CONSTRAINT dormancy_rule_notice_in_range CHECK (notice_days BETWEEN 1 AND 364),
    source text NOT NULL
        CONSTRAINT dormancy_rule_has_a_source CHECK (length(source) BETWEEN 1 AND 500),
    set_by uuid NOT NULL,
    CONSTRAINT dormancy_rule_is_dated PRIMARY KEY (jurisdiction, owner, valid_from)
);
COMMENT ON TABLE dormancy_rule IS
    'After how many years without a word of its owner money is due to a state, by date.';

CREATE TABLE party_residence (
    party_id uuid NOT NULL CONSTRAINT party_residence_party_is_known REFERENCES party (id),
    since date NOT NULL,
    jurisdiction text NOT NULL CONSTRAINT party_residence_jurisdiction_is_a_code
        CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    set_by uuid NOT NULL,
    CONSTRAINT party_residence_is_dated PRIMARY KEY (party_id, since)
);

CREATE TABLE party_contact (
    party_id uuid NOT NULL CONSTRAINT party_contact_party_is_known REFERENCES party (id),
    contact_at timestamptz NOT NULL,
    how text NOT NULL
        CONSTRAINT party_contact_is_described CHECK (length(how) BETWEEN 1 AND 200),
    noted_by uuid NOT NULL,
    CONSTRAINT party_contact_once PRIMARY KEY (party_id, contact_at)
);
COMMENT ON TABLE party_contact IS
    'Words of an owner that reached us otherwise than by his commands, which count by themselves.';

CREATE TABLE remittance (
    id uuid CONSTRAINT remittance_is_named_once PRIMARY KEY,
    jurisdiction text NOT NULL,
    currency char(3) NOT NULL
        CONSTRAINT remittance_currency_is_known REFERENCES currency (code),
    amount_minor bigint NOT NULL CONSTRAINT remittance_amount_is_positive CHECK (amount_minor > 0),
    state text NOT NULL CONSTRAINT remittance_state_is_known
        CHECK (state IN ('prepared', 'submitted', 'paid', 'refused', 'withdrawn')),
    method text NOT NULL
        CONSTRAINT remittance_method_is_visible_ascii CHECK (method ~ '^[!-~]{1,200}$'),
    reason text NOT NULL DEFAULT '',
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT remittance_of_a_state UNIQUE (id, jurisdiction, currency),
    CONSTRAINT remittance_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT remittance_approved_whole CHECK (
        (approved_by IS NULL) = (approved_at IS NULL)
        AND (approved_by IS NULL) = (state IN ('prepared', 'withdrawn'))),
    CONSTRAINT remittance_ended_has_a_time
        CHECK ((state IN ('paid', 'refused', 'withdrawn')) = (ended_at IS NOT NULL))
);
COMMENT ON TABLE remittance IS 'Unclaimed money on its way to a state.';

CREATE TABLE unclaimed (
    id uuid CONSTRAINT unclaimed_is_named_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT unclaimed_party_is_known REFERENCES party (id),
    kind text NOT NULL CONSTRAINT unclaimed_kind_is_known
        CHECK (kind IN ('custody.earned_available', 'custody.wallet')),
    currency char(3) NOT NULL
        CONSTRAINT unclaimed_currency_is_known REFERENCES currency (code),
    amount_minor bigint NOT NULL CONSTRAINT unclaimed_amount_is_positive CHECK (amount_minor > 0),
    jurisdiction text NOT NULL,
    last_contact_at timestamptz NOT NULL,
    noticed_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT unclaimed_state_is_known
        CHECK (state IN ('held', 'remitting', 'remitted', 'reactivated')),
    remittance_id uuid,
    ended_at timestamptz,
    CONSTRAINT unclaimed_goes_to_its_own_state FOREIGN KEY (remittance_id, jurisdiction, currency)
        REFERENCES remittance (id, jurisdiction, currency),
    CONSTRAINT unclaimed_remitted_with_others
        CHECK ((state IN ('remitting', 'remitted')) = (remittance_id IS NOT NULL)),
    CONSTRAINT unclaimed_ended_has_a_time
        CHECK ((state IN ('remitted', 'reactivated')) = (ended_at IS NOT NULL)),
    CONSTRAINT unclaimed_its_owner_was_written_to CHECK (noticed_at < moved_at)
);
CREATE INDEX unclaimed_by_party ON unclaimed (party_id, id);
CREATE INDEX unclaimed_open ON unclaimed (jurisdiction, currency, id)
    WHERE state IN ('held', 'remitting');

CREATE TABLE dormancy_notice (
    party_id uuid NOT NULL CONSTRAINT dormancy_notice_party_is_known REFERENCES party (id),
    noticed_at timestamptz NOT NULL,
    last_contact_at timestamptz NOT NULL,
    jurisdiction text NOT NULL,
    CONSTRAINT dormancy_notice_once PRIMARY KEY (party_id, noticed_at)
);
COMMENT ON TABLE dormancy_notice IS 'Letters of due diligence that were due, one for each silence.';
"""

BLOCKED = """
CREATE TABLE sanction_list_run (
    id uuid CONSTRAINT sanction_list_run_is_named_once PRIMARY KEY,
    list_name text NOT NULL
        CONSTRAINT sanction_list_run_names_a_list CHECK (length(list_name) BETWEEN 1 AND 200),
    list_date date NOT NULL,
    matches integer NOT NULL CONSTRAINT sanction_list_run_matches_counted CHECK (matches >= 0),
    run_by uuid NOT NULL,
    run_at timestamptz NOT NULL
);

CREATE TABLE sanction_release (
    id uuid CONSTRAINT sanction_release_is_named_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT sanction_release_party_is_known REFERENCES party (id),
    licence_ref text NOT NULL
        CONSTRAINT sanction_release_has_a_licence CHECK (licence_ref ~ '^[ -~]{1,200}$'
            AND licence_ref ~ '[!-~]'),
    reason text NOT NULL
        CONSTRAINT sanction_release_has_a_reason CHECK (length(reason) BETWEEN 1 AND 2000),
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    CONSTRAINT sanction_release_of_a_party UNIQUE (id, party_id),
    CONSTRAINT sanction_release_takes_two CHECK (approved_by <> prepared_by),
    CONSTRAINT sanction_release_approved_whole
        CHECK ((approved_by IS NULL) = (approved_at IS NULL))
);
CREATE UNIQUE INDEX sanction_release_waits_once ON sanction_release (party_id)
    WHERE approved_by IS NULL;

CREATE TABLE sanction_block (
    id uuid CONSTRAINT sanction_block_is_named_once PRIMARY KEY,
    party_id uuid NOT NULL CONSTRAINT sanction_block_party_is_known REFERENCES party (id),
    kind text NOT NULL CONSTRAINT sanction_block_kind_is_known CHECK (kind IN (
        'custody.earned_available', 'custody.earned_pending', 'custody.earned_reserved',
        'custody.wallet')),
    currency char(3) NOT NULL
        CONSTRAINT sanction_block_currency_is_known REFERENCES currency (code),
    amount_minor bigint NOT NULL
        CONSTRAINT sanction_block_amount_is_positive CHECK (amount_minor > 0),
    list_name text NOT NULL,
    blocked_at timestamptz NOT NULL,
    report_due_on date NOT NULL,
    reported_on date,
    report_ref text NOT NULL DEFAULT '',
    release_id uuid,
    licence_ref text,
    released_by uuid,
    seconded_by uuid,
    released_at timestamptz,
    CONSTRAINT sanction_block_released_as_approved FOREIGN KEY (release_id, party_id)
        REFERENCES sanction_release (id, party_id),
    CONSTRAINT sanction_block_report_is_later CHECK (report_due_on > blocked_at::date - 1),
    CONSTRAINT sanction_block_reported_whole CHECK ((reported_on IS NULL) = (report_ref = '')),
    CONSTRAINT sanction_block_released_with_a_licence CHECK (
        num_nulls(release_id, licence_ref, released_by, seconded_by, released_at) IN (0, 5)
        AND licence_ref <> ''),
    CONSTRAINT sanction_block_released_by_two CHECK (released_by <> seconded_by)
);
CREATE INDEX sanction_block_by_party ON sanction_block (party_id, id);
CREATE INDEX sanction_block_stands ON sanction_block (blocked_at, id) WHERE released_at IS NULL;
COMMENT ON COLUMN sanction_block.kind IS 'Where the money came from, and goes back to.';
"""

WALLET = """
CREATE TABLE wallet_minimum (
    currency char(3) NOT NULL
        CONSTRAINT wallet_minimum_currency_is_known REFERENCES currency (code),
    valid_from timestamptz NOT NULL,
    top_up_minor bigint NOT NULL
        CONSTRAINT wallet_minimum_top_up_not_negative CHECK (top_up_minor >= 0),
    withdrawal_minor bigint NOT NULL
        CONSTRAINT wallet_minimum_withdrawal_not_negative CHECK (withdrawal_minor >= 0),
    set_by uuid NOT NULL,
    CONSTRAINT wallet_minimum_is_dated PRIMARY KEY (currency, valid_from)
);

CREATE TABLE wallet_top_up (
    id uuid CONSTRAINT wallet_top_up_is_named_once PRIMARY KEY,
    client_id uuid NOT NULL CONSTRAINT wallet_top_up_client_is_known REFERENCES party (id),
    currency char(3) NOT NULL
        CONSTRAINT wallet_top_up_currency_is_known REFERENCES currency (code),
    asked_minor bigint NOT NULL CONSTRAINT wallet_top_up_asks_something CHECK (asked_minor > 0),
    captured_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT wallet_top_up_captures_money CHECK (captured_minor >= 0),
    rail_account text NOT NULL,
    method text NOT NULL
        CONSTRAINT wallet_top_up_method_is_visible_ascii CHECK (method ~ '^[!-~]{1,200}$'),
    state text NOT NULL CONSTRAINT wallet_top_up_state_is_known
        CHECK (state IN ('submitted', 'uncleared', 'succeeded', 'failed', 'returned')),
    refunded_minor bigint NOT NULL DEFAULT 0,
    taken_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT wallet_top_up_taken_not_negative CHECK (taken_minor >= 0),
    claimed_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT wallet_top_up_claimed_not_negative CHECK (claimed_minor >= 0),
    asked_at timestamptz NOT NULL,
    paid_at timestamptz,
    code text NOT NULL DEFAULT '',
    CONSTRAINT wallet_top_up_refunds_within_capture
        CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    CONSTRAINT wallet_top_up_paid_has_a_time CHECK (
        (state IN ('uncleared', 'succeeded', 'returned')) = (paid_at IS NOT NULL)
        AND (paid_at IS NOT NULL) = (captured_minor > 0))
);
CREATE INDEX wallet_top_up_by_client ON wallet_top_up (client_id, id);

CREATE TABLE wallet_withdrawal (
    id uuid CONSTRAINT wallet_withdrawal_is_named_once PRIMARY KEY,
    asked_as uuid NOT NULL,
    party_id uuid NOT NULL CONSTRAINT wallet_withdrawal_party_is_known REFERENCES party (id),
    currency char(3) NOT NULL
        CONSTRAINT wallet_withdrawal_currency_is_known REFERENCES currency (code),
    amount_minor bigint NOT NULL
        CONSTRAINT wallet_withdrawal_amount_is_positive CHECK (amount_minor > 0),
    way text NOT NULL
        CONSTRAINT wallet_withdrawal_way_is_known CHECK (way IN ('refund', 'payout')),
    top_up_id uuid CONSTRAINT wallet_withdrawal_top_up_is_known REFERENCES wallet_top_up (id),
    state text NOT NULL CONSTRAINT wallet_withdrawal_state_is_known
        CHECK (state IN ('submitted', 'paid', 'back_in_wallet')),
    rail_account text NOT NULL,
    code text NOT NULL DEFAULT '',
    asked_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT wallet_withdrawal_refunds_a_top_up
        CHECK ((way = 'refund') = (top_up_id IS NOT NULL)),
    CONSTRAINT wallet_withdrawal_ended_has_a_time
        CHECK ((state = 'submitted') = (ended_at IS NULL))
);
CREATE INDEX wallet_withdrawal_by_party ON wallet_withdrawal (party_id, id);
CREATE INDEX wallet_withdrawal_open ON wallet_withdrawal (asked_at, id) WHERE state = 'submitted';
COMMENT ON COLUMN wallet_withdrawal.asked_as IS
    'The wish that it is a part of: one wish may go back by several payments and a payout.';
"""

GUARDS = """
CREATE FUNCTION refuse_other_step() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.state <> OLD.state
        AND (OLD.state || '>' || NEW.state) <> ALL (TG_ARGV[0]::text[])
    THEN
        RAISE EXCEPTION '% % may not move from % to %', TG_TABLE_NAME, OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER unclaimed_moves_forward BEFORE UPDATE ON unclaimed FOR EACH ROW
    EXECUTE FUNCTION refuse_other_step(
        '{held>remitting,remitting>held,remitting>remitted,remitted>held,held>reactivated}');
CREATE TRIGGER remittance_moves_forward BEFORE UPDATE ON remittance FOR EACH ROW
    EXECUTE FUNCTION refuse_other_step(
        '{prepared>submitted,prepared>withdrawn,submitted>paid,submitted>refused,paid>refused}');
CREATE TRIGGER wallet_top_up_moves_forward BEFORE UPDATE ON wallet_top_up FOR EACH ROW
    EXECUTE FUNCTION refuse_other_step(
        '{submitted>uncleared,submitted>succeeded,submitted>failed,uncleared>succeeded,'
        'uncleared>returned,succeeded>returned}');
CREATE TRIGGER wallet_withdrawal_moves_forward BEFORE UPDATE ON wallet_withdrawal FOR EACH ROW
    EXECUTE FUNCTION refuse_other_step(
        '{submitted>paid,submitted>back_in_wallet,paid>back_in_wallet}');

CREATE FUNCTION sanction_block_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.released_at IS NOT NULL OR (OLD.reported_on IS NOT NULL
        AND (NEW.reported_on, NEW.report_ref) <> (OLD.reported_on, OLD.report_ref))
    THEN
        RAISE EXCEPTION 'block % is over, or its report stands', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    IF NEW.released_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM sanction_release r
        WHERE r.id = NEW.release_id AND r.licence_ref = NEW.licence_ref
            AND r.prepared_by = NEW.released_by AND r.approved_by = NEW.seconded_by)
    THEN
        RAISE EXCEPTION 'nobody approved the release of block %', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sanction_block_release_is_approved';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sanction_block_stands AFTER UPDATE ON sanction_block FOR EACH ROW
    EXECUTE FUNCTION sanction_block_stands();

CREATE FUNCTION sanction_release_stands() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'release % stands', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER sanction_release_stands BEFORE UPDATE ON sanction_release FOR EACH ROW
    WHEN (OLD.approved_by IS NOT NULL) EXECUTE FUNCTION sanction_release_stands();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON treasury_rule, payout_stop, dormancy_rule,'
                   ' party_residence, party_contact, dormancy_notice, remittance, unclaimed,'
                   ' sanction_list_run, sanction_release, sanction_block, wallet_minimum,'
                   ' wallet_top_up, wallet_withdrawal TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (lifted_at) ON payout_stop TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, approved_by, approved_at, ended_at) ON remittance TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (state, remittance_id, ended_at) ON unclaimed TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (approved_by, approved_at) ON sanction_release TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (reported_on, report_ref, release_id, licence_ref, released_by,'
                   ' seconded_by, released_at) ON sanction_block TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (captured_minor, state, refunded_minor, taken_minor,'
                   ' claimed_minor, paid_at, code)'
                   ' ON wallet_top_up TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, code, ended_at) ON wallet_withdrawal TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Make the tables, their guards and their rights."""
    for statements in (TREASURY, DORMANT, BLOCKED, WALLET, GUARDS):
        run(statements)
    append_only(
        *("treasury_rule", "dormancy_rule", "party_residence", "party_contact"),
        *("dormancy_notice", "sanction_list_run", "wallet_minimum"),
    )
    not_deleted(
        *("payout_stop", "remittance", "unclaimed", "sanction_release", "sanction_block"),
        *("wallet_top_up", "wallet_withdrawal"),
    )
    run(RIGHTS)
