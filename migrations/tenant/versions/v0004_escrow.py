"""Escrow: contracts, terms, slots, submissions, fundings with their lots, releases, refunds.

What acceptance pins may be written once: the tenant's role has no right to change those columns.

Revision ID: 0004
"""

from migrations.statements import run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DEALS = """
CREATE TABLE contract (
    id uuid PRIMARY KEY,
    client_id uuid NOT NULL CONSTRAINT contract_client_is_known REFERENCES party (id),
    payee_id uuid NOT NULL CONSTRAINT contract_payee_is_known REFERENCES party (id),
    currency char(3) NOT NULL CONSTRAINT contract_currency_is_known REFERENCES currency (code),
    state text NOT NULL CONSTRAINT contract_state_is_known
        CHECK (state IN ('draft', 'active', 'paused', 'ending', 'ended', 'closed_disputed')),
    version integer NOT NULL CONSTRAINT contract_version_counts CHECK (version >= 1),
    proposed_by text NOT NULL CONSTRAINT contract_proposed_by_a_party
        CHECK (proposed_by IN ('client', 'payee')),
    commission_bps integer NOT NULL CONSTRAINT contract_commission_in_range
        CHECK (commission_bps BETWEEN 0 AND 10000),
    client_fee_bps integer NOT NULL CONSTRAINT contract_client_fee_in_range
        CHECK (client_fee_bps BETWEEN 0 AND 10000),
    security_hold_days integer NOT NULL CONSTRAINT contract_security_hold_in_range
        CHECK (security_hold_days BETWEEN 0 AND 90),
    auto_release_after interval NOT NULL CONSTRAINT contract_auto_release_in_range
        CHECK (auto_release_after BETWEEN interval '1 hour' AND interval '30 days'),
    release_rule text NOT NULL CONSTRAINT contract_release_rule_is_known
        CHECK (release_rule IN ('client_or_timer', 'both_confirm', 'client_only')),
    refund_reply_after interval NOT NULL CONSTRAINT contract_refund_reply_in_range
        CHECK (refund_reply_after BETWEEN interval '1 hour' AND interval '90 days'),
    dormant_after interval NOT NULL CONSTRAINT contract_dormant_in_range
        CHECK (dormant_after BETWEEN interval '1 day' AND interval '3650 days'),
    dormant_limit_minor bigint NOT NULL CONSTRAINT contract_dormant_limit_not_negative
        CHECK (dormant_limit_minor >= 0),
    free_change_rounds integer NOT NULL CONSTRAINT contract_change_rounds_in_range
        CHECK (free_change_rounds BETWEEN 0 AND 1000),
    created_at timestamptz NOT NULL,
    accepted_at timestamptz,
    CONSTRAINT contract_has_two_parties CHECK (client_id <> payee_id),
    CONSTRAINT contract_runs_only_accepted
        CHECK (state IN ('draft', 'ended') OR accepted_at IS NOT NULL),
    CONSTRAINT contract_currency_unique UNIQUE (id, currency)
);
CREATE INDEX contract_by_client ON contract (client_id, created_at);
CREATE INDEX contract_by_payee ON contract (payee_id, created_at);

CREATE TABLE term (
    id uuid PRIMARY KEY,
    contract_id uuid NOT NULL CONSTRAINT term_contract_is_known REFERENCES contract (id),
    kind text NOT NULL CONSTRAINT term_kind_is_known
        CHECK (kind IN ('milestone', 'hourly', 'retainer')),
    title text NOT NULL DEFAULT '' CONSTRAINT term_title_is_short CHECK (length(title) <= 500),
    created_at timestamptz NOT NULL,
    CONSTRAINT term_of_contract_unique UNIQUE (id, contract_id)
);
CREATE INDEX term_by_contract ON term (contract_id);

CREATE TABLE slot (
    id uuid PRIMARY KEY,
    term_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    currency char(3) NOT NULL,
    seq integer NOT NULL CONSTRAINT slot_seq_counts CHECK (seq >= 1),
    proposed_by text NOT NULL CONSTRAINT slot_proposed_by_a_party
        CHECK (proposed_by IN ('client', 'payee')),
    state text NOT NULL CONSTRAINT slot_state_is_known CHECK (state IN (
        'proposed', 'awaiting_funding', 'funding', 'funded', 'submitted', 'changes_requested',
        'refund_requested', 'dormant', 'released', 'refunded', 'cancelled'
    )),
    version integer NOT NULL CONSTRAINT slot_version_counts CHECK (version >= 1),
    amount_minor bigint NOT NULL CONSTRAINT slot_amount_in_range
        CHECK (amount_minor BETWEEN 0 AND 1000000000000000),
    created_at timestamptz NOT NULL,
    active_at timestamptz NOT NULL,
    due_at timestamptz,
    funded_minor bigint NOT NULL CONSTRAINT slot_funded_not_negative CHECK (funded_minor >= 0),
    rolled_in_minor bigint NOT NULL
        CONSTRAINT slot_rolled_in_not_negative CHECK (rolled_in_minor >= 0),
    held_minor bigint NOT NULL CONSTRAINT slot_held_not_negative CHECK (held_minor >= 0),
    released_minor bigint NOT NULL
        CONSTRAINT slot_released_not_negative CHECK (released_minor >= 0),
    refunded_minor bigint NOT NULL
        CONSTRAINT slot_refunded_not_negative CHECK (refunded_minor >= 0),
    rolled_out_minor bigint NOT NULL
        CONSTRAINT slot_rolled_out_not_negative CHECK (rolled_out_minor >= 0),
    uncleared_minor bigint NOT NULL CONSTRAINT slot_uncleared_is_held
        CHECK (uncleared_minor BETWEEN 0 AND held_minor),
    fee_deferred_minor bigint NOT NULL
        CONSTRAINT slot_fee_deferred_not_negative CHECK (fee_deferred_minor >= 0),
    lot_count integer NOT NULL CONSTRAINT slot_lots_count CHECK (lot_count >= 0),
    submission_no integer NOT NULL,
    submission_count integer NOT NULL,
    change_rounds integer NOT NULL CONSTRAINT slot_rounds_count CHECK (change_rounds >= 0),
    confirmed_by text CONSTRAINT slot_confirmed_by_a_party
        CHECK (confirmed_by IN ('client', 'payee')),
    notices integer NOT NULL CONSTRAINT slot_notices_count CHECK (notices BETWEEN 0 AND 3),
    CONSTRAINT slot_term_is_of_its_contract
        FOREIGN KEY (term_id, contract_id) REFERENCES term (id, contract_id),
    CONSTRAINT slot_currency_is_its_contracts
        FOREIGN KEY (contract_id, currency) REFERENCES contract (id, currency),
    CONSTRAINT slot_seq_unique UNIQUE (contract_id, seq),
    CONSTRAINT slot_of_contract_unique UNIQUE (id, contract_id),
    CONSTRAINT slot_money_adds_up CHECK (
        funded_minor + rolled_in_minor
        = held_minor + released_minor + refunded_minor + rolled_out_minor
    ),
    CONSTRAINT slot_holds_money_in_its_states CHECK ((held_minor > 0) = (state IN (
        'funded', 'submitted', 'changes_requested', 'refund_requested', 'dormant'
    ))),
    CONSTRAINT slot_fee_deferred_only_while_held CHECK (held_minor > 0 OR fee_deferred_minor = 0),
    CONSTRAINT slot_submission_is_one_of_its_own
        CHECK (submission_no BETWEEN 0 AND submission_count),
    CONSTRAINT slot_submitted_has_a_submission CHECK (state <> 'submitted' OR submission_no > 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE slot IS
    'A slot moves some six times in its life; room on its page keeps its indexes out of it.';

CREATE FUNCTION slot_version_rises() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'slot % goes from version % to %', OLD.id, OLD.version, NEW.version
        USING ERRCODE = 'check_violation', CONSTRAINT = 'slot_version_rises';
END $$;
CREATE TRIGGER slot_version_rises BEFORE UPDATE ON slot
FOR EACH ROW WHEN (NEW.version <> OLD.version + 1) EXECUTE FUNCTION slot_version_rises();

CREATE TABLE submission (
    slot_id uuid NOT NULL CONSTRAINT submission_slot_is_known REFERENCES slot (id),
    submission_no integer NOT NULL CONSTRAINT submission_counts CHECK (submission_no >= 1),
    message_ref text NOT NULL,
    artefact_refs text[] NOT NULL,
    submitted_at timestamptz NOT NULL,
    PRIMARY KEY (slot_id, submission_no),
    CONSTRAINT submission_shows_something
        CHECK (message_ref <> '' OR cardinality(artefact_refs) > 0)
);

CREATE TABLE amendment (
    id uuid PRIMARY KEY,
    contract_id uuid NOT NULL,
    slot_id uuid NOT NULL,
    to_slot_id uuid,
    new_amount_minor bigint CONSTRAINT amendment_amount_in_range
        CHECK (new_amount_minor BETWEEN 1 AND 1000000000000000),
    proposed_by text NOT NULL CONSTRAINT amendment_proposed_by_a_party
        CHECK (proposed_by IN ('client', 'payee')),
    slot_version integer NOT NULL,
    state text NOT NULL CONSTRAINT amendment_state_is_known
        CHECK (state IN ('proposed', 'signed')),
    created_at timestamptz NOT NULL,
    CONSTRAINT amendment_is_of_one_kind CHECK ((to_slot_id IS NULL) <> (new_amount_minor IS NULL)),
    CONSTRAINT amendment_rolls_elsewhere CHECK (to_slot_id <> slot_id),
    CONSTRAINT amendment_slot_is_of_its_contract
        FOREIGN KEY (slot_id, contract_id) REFERENCES slot (id, contract_id),
    CONSTRAINT amendment_target_is_of_its_contract
        FOREIGN KEY (to_slot_id, contract_id) REFERENCES slot (id, contract_id)
);
CREATE INDEX amendment_by_slot ON amendment (slot_id);
"""

MONEY = """
CREATE TABLE release (
    id uuid PRIMARY KEY,
    contract_id uuid NOT NULL,
    slot_id uuid,
    payee_id uuid NOT NULL,
    currency char(3) NOT NULL,
    gross_minor bigint NOT NULL CONSTRAINT release_gross_is_positive CHECK (gross_minor > 0),
    commission_minor bigint NOT NULL CONSTRAINT release_commission_within_gross
        CHECK (commission_minor BETWEEN 0 AND gross_minor),
    available_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT release_state_is_known
        CHECK (state IN ('pending', 'available')),
    CONSTRAINT release_slot_is_of_its_contract
        FOREIGN KEY (slot_id, contract_id) REFERENCES slot (id, contract_id)
);
CREATE INDEX release_by_slot ON release (slot_id);
CREATE INDEX release_pending_by_payee ON release (payee_id, available_at) WHERE state = 'pending';

CREATE TABLE funding (
    id uuid PRIMARY KEY,
    contract_id uuid NOT NULL,
    slot_id uuid,
    purpose text NOT NULL CONSTRAINT funding_purpose_is_known
        CHECK (purpose IN ('slot', 'top_up', 'tip')),
    method text NOT NULL CONSTRAINT funding_method_is_known
        CHECK (method IN ('card', 'bank_debit', 'bank_transfer', 'wallet')),
    rail_account text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT funding_amount_is_positive CHECK (amount_minor > 0),
    client_fee_minor bigint NOT NULL
        CONSTRAINT funding_fee_not_negative CHECK (client_fee_minor >= 0),
    state text NOT NULL CONSTRAINT funding_state_is_known CHECK (state IN (
        'created', 'requires_action', 'processing', 'unknown', 'succeeded_uncleared', 'succeeded',
        'failed', 'canceled', 'expired', 'mismatch', 'credited', 'reversed'
    )),
    version integer NOT NULL CONSTRAINT funding_version_counts CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    captured_minor bigint NOT NULL
        CONSTRAINT funding_captured_not_negative CHECK (captured_minor >= 0),
    refunded_minor bigint NOT NULL CONSTRAINT funding_refunds_within_captured
        CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    rail_fee_minor bigint NOT NULL
        CONSTRAINT funding_rail_fee_not_negative CHECK (rail_fee_minor >= 0),
    rail_ref text NOT NULL,
    code text NOT NULL,
    release_id uuid CONSTRAINT funding_release_is_known REFERENCES release (id),
    method_token text NOT NULL DEFAULT ''
        CONSTRAINT funding_method_token_is_short CHECK (length(method_token) <= 255),
    CONSTRAINT funding_slot_unless_tip CHECK ((slot_id IS NULL) = (purpose = 'tip')),
    CONSTRAINT funding_captured_as_asked CHECK (
        state NOT IN ('succeeded', 'succeeded_uncleared')
        OR captured_minor = amount_minor + client_fee_minor
    ),
    CONSTRAINT funding_slot_is_of_its_contract
        FOREIGN KEY (slot_id, contract_id) REFERENCES slot (id, contract_id),
    CONSTRAINT funding_currency_is_its_contracts
        FOREIGN KEY (contract_id, currency) REFERENCES contract (id, currency)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX funding_one_open_per_slot ON funding (slot_id)
    WHERE state IN ('created', 'requires_action', 'processing', 'unknown');
CREATE INDEX funding_by_slot ON funding (slot_id);
CREATE INDEX funding_by_contract ON funding (contract_id);

CREATE TABLE lot (
    slot_id uuid NOT NULL CONSTRAINT lot_slot_is_known REFERENCES slot (id),
    seq integer NOT NULL CONSTRAINT lot_seq_counts CHECK (seq >= 1),
    funding_id uuid NOT NULL CONSTRAINT lot_funding_is_known REFERENCES funding (id),
    amount_minor bigint NOT NULL CONSTRAINT lot_amount_is_positive CHECK (amount_minor > 0),
    fee_minor bigint NOT NULL CONSTRAINT lot_fee_not_negative CHECK (fee_minor >= 0),
    released_before_minor bigint NOT NULL
        CONSTRAINT lot_released_before_not_negative CHECK (released_before_minor >= 0),
    gone_minor bigint NOT NULL CONSTRAINT lot_gone_within_amount
        CHECK (gone_minor BETWEEN 0 AND amount_minor),
    fee_gone_minor bigint NOT NULL CONSTRAINT lot_fee_gone_within_fee
        CHECK (fee_gone_minor BETWEEN 0 AND fee_minor),
    PRIMARY KEY (slot_id, seq)
);
CREATE INDEX lot_by_funding ON lot (funding_id);

CREATE TABLE refund (
    id uuid PRIMARY KEY,
    slot_id uuid NOT NULL CONSTRAINT refund_slot_is_known REFERENCES slot (id),
    funding_id uuid NOT NULL CONSTRAINT refund_funding_is_known REFERENCES funding (id),
    method text NOT NULL CONSTRAINT refund_method_is_known
        CHECK (method IN ('card', 'bank_debit', 'bank_transfer', 'wallet')),
    rail_account text NOT NULL,
    client_id uuid NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT refund_amount_is_positive CHECK (amount_minor > 0),
    fee_minor bigint NOT NULL CONSTRAINT refund_fee_not_negative CHECK (fee_minor >= 0),
    state text NOT NULL CONSTRAINT refund_state_is_known
        CHECK (state IN ('approved', 'submitted', 'unknown', 'succeeded', 'wallet_credited')),
    version integer NOT NULL CONSTRAINT refund_version_counts CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    rail_ref text NOT NULL,
    code text NOT NULL,
    CONSTRAINT refund_by_wallet_needs_no_rail
        CHECK (method <> 'wallet' OR state = 'wallet_credited')
);
CREATE INDEX refund_by_slot ON refund (slot_id);
CREATE INDEX refund_by_funding ON refund (funding_id);
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON contract, term, slot, submission, amendment, release,'
                   ' funding, lot, refund TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, accepted_at) ON contract TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, amount_minor, active_at, funded_minor,'
                   ' rolled_in_minor, held_minor, released_minor, refunded_minor,'
                   ' rolled_out_minor, uncleared_minor, fee_deferred_minor, lot_count,'
                   ' submission_no, submission_count, change_rounds, confirmed_by, notices)'
                   ' ON slot TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state) ON amendment, release TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, captured_minor, refunded_minor, rail_fee_minor,'
                   ' rail_ref, code, release_id) ON funding TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (gone_minor, fee_gone_minor) ON lot TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state, version, rail_ref, code) ON refund TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of deals and of their money, and the tenant's rights on them."""
    for statements in (DEALS, MONEY, RIGHTS):
        run(statements)
