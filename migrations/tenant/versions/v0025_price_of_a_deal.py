"""The price of a deal: what a pair was billed, every fee as a line, and what a contract pins.

`pair_billing` is moved by the lines of `fee_line` alone, in the statement that writes them; the
lines are never changed. What was released before has its lines written here, at its flat rate.

Revision ID: 0025
"""

from migrations.guards import append_only, not_deleted
from migrations.statements import run

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE contract
    ADD COLUMN origin text NOT NULL DEFAULT 'marketplace'
        CONSTRAINT contract_origin_is_a_word CHECK (origin ~ '^[a-z][a-z0-9_]{0,39}$'),
    ADD COLUMN category text
        CONSTRAINT contract_category_is_a_word CHECK (category ~ '^[a-z0-9][a-z0-9_.-]{0,79}$'),
    ADD COLUMN payee_currency char(3)
        CONSTRAINT contract_payee_currency_is_known REFERENCES currency (code),
    ADD COLUMN convert_at text NOT NULL DEFAULT 'release'
        CONSTRAINT contract_convert_at_is_known
        CHECK (convert_at IN ('funding', 'release', 'payout')),
    ADD COLUMN payee_schedule_id uuid,
    ADD COLUMN client_schedule_id uuid,
    ADD COLUMN promotion_schedule_id uuid,
    ADD COLUMN promotion_until timestamptz,
    ADD COLUMN fx_margin_bps integer NOT NULL DEFAULT 0
        CONSTRAINT contract_fx_margin_in_range CHECK (fx_margin_bps BETWEEN 0 AND 9999),
    ADD CONSTRAINT contract_payee_currency_is_another CHECK (payee_currency <> currency),
    ADD CONSTRAINT contract_promotion_has_a_schedule
        CHECK (promotion_until IS NULL OR promotion_schedule_id IS NOT NULL);

ALTER TABLE release
    ADD COLUMN tax_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN paid_currency char(3)
        CONSTRAINT release_paid_currency_is_known REFERENCES currency (code),
    ADD COLUMN paid_minor bigint,
    ADD CONSTRAINT release_fees_within_gross
        CHECK (tax_minor >= 0 AND commission_minor + tax_minor <= gross_minor),
    ADD CONSTRAINT release_paid_in_another_currency
        CHECK ((paid_currency IS NULL) = (paid_minor IS NULL)
            AND paid_minor > 0 AND paid_currency <> currency),
    DROP CONSTRAINT release_taken_within_net,
    ADD CONSTRAINT release_taken_within_net CHECK (taken_net_minor
        BETWEEN 0 AND COALESCE(paid_minor, gross_minor - commission_minor - tax_minor));

CREATE TABLE pair_billing (
    client_id uuid NOT NULL CONSTRAINT pair_billing_client_is_known REFERENCES party (id),
    payee_id uuid NOT NULL CONSTRAINT pair_billing_payee_is_known REFERENCES party (id),
    currency char(3) NOT NULL CONSTRAINT pair_billing_currency_is_known REFERENCES currency (code),
    billed_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT pair_billing_not_negative CHECK (billed_minor >= 0),
    month date NOT NULL DEFAULT '-infinity',
    charged_month_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT pair_billing_month_not_negative CHECK (charged_month_minor >= 0),
    CONSTRAINT pair_billing_pkey PRIMARY KEY (client_id, payee_id, currency)
);

CREATE TABLE fee_line (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CONSTRAINT fee_line_kind_is_a_word CHECK (kind ~ '^[a-z][a-z_]{0,39}$'),
    contract_id uuid CONSTRAINT fee_line_contract_is_known REFERENCES contract (id),
    release_id uuid CONSTRAINT fee_line_release_is_known REFERENCES release (id),
    slot_id uuid CONSTRAINT fee_line_slot_is_known REFERENCES slot (id),
    party_id uuid NOT NULL CONSTRAINT fee_line_party_is_known REFERENCES party (id),
    client_id uuid,
    payee_id uuid,
    currency char(3) NOT NULL CONSTRAINT fee_line_currency_is_known REFERENCES currency (code),
    gross_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    tax_country text,
    tax_rate_bps integer NOT NULL
        CONSTRAINT fee_line_tax_rate_in_range CHECK (tax_rate_bps BETWEEN 0 AND 10000),
    treatment text,
    note text,
    before_minor bigint NOT NULL CONSTRAINT fee_line_before_not_negative CHECK (before_minor >= 0),
    before_month_minor bigint NOT NULL
        CONSTRAINT fee_line_before_month_not_negative CHECK (before_month_minor >= 0),
    is_promoted boolean NOT NULL,
    foregone_minor bigint NOT NULL,
    schedule_id uuid,
    promotion_id uuid,
    month date NOT NULL
        CONSTRAINT fee_line_month_is_a_first CHECK (month = date_trunc('month', month)),
    event_id bigint,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT fee_line_of_a_release CHECK (kind NOT IN ('commission', 'client_fee')
        OR (contract_id IS NOT NULL AND release_id IS NOT NULL
            AND client_id IS NOT NULL AND payee_id IS NOT NULL)),
    CONSTRAINT fee_line_bears_tax_of_a_country
        CHECK (tax_minor = 0 OR (tax_country IS NOT NULL AND tax_rate_bps > 0)),
    CONSTRAINT fee_line_of_billed_money CHECK (kind <> 'commission'
        OR (gross_minor <> 0 AND abs(fee_minor) <= abs(gross_minor) + 1)),
    CONSTRAINT fee_line_goes_one_way CHECK ((fee_minor >= 0 AND tax_minor >= 0 AND gross_minor >= 0)
        OR (fee_minor <= 0 AND tax_minor <= 0 AND gross_minor <= 0)),
    CONSTRAINT fee_line_promotion_is_named CHECK (NOT is_promoted OR promotion_id IS NOT NULL)
);
CREATE INDEX fee_line_by_slot ON fee_line (slot_id, id);
CREATE INDEX fee_line_by_release ON fee_line (release_id, id);
CREATE INDEX fee_line_by_contract ON fee_line (contract_id, id);
CREATE INDEX fee_line_by_pair ON fee_line (client_id, payee_id, currency) WHERE kind = 'commission';
CREATE INDEX fee_line_by_party ON fee_line (party_id, id);
CREATE INDEX fee_line_by_promotion ON fee_line (promotion_id) WHERE promotion_id IS NOT NULL;
"""

GUARDS = """
CREATE FUNCTION add_to_pair_billing() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    expected integer;
    moved integer;
BEGIN
    SELECT count(*) INTO expected FROM (
        SELECT DISTINCT client_id, payee_id, currency FROM new_row WHERE kind = 'commission'
    ) AS pairs;
    UPDATE pair_billing SET
        billed_minor = billed_minor + added.gross,
        month = greatest(pair_billing.month, added.newest),
        charged_month_minor = added.charged
            + CASE WHEN added.newest > pair_billing.month THEN 0 ELSE charged_month_minor END
    FROM (
        SELECT client_id, payee_id, currency, sum(gross_minor) AS gross, max(newest) AS newest,
            coalesce(sum(fee_minor) FILTER (WHERE month = greatest(newest, known)), 0) AS charged
        FROM (
            SELECT line.*, max(line.month) OVER pair AS newest, known.month AS known
            FROM new_row AS line JOIN pair_billing AS known
                USING (client_id, payee_id, currency)
            WHERE line.kind = 'commission'
            WINDOW pair AS (PARTITION BY line.client_id, line.payee_id, line.currency)
        ) AS lines GROUP BY client_id, payee_id, currency
    ) AS added
    WHERE pair_billing.client_id = added.client_id AND pair_billing.payee_id = added.payee_id
        AND pair_billing.currency = added.currency;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> expected THEN
        RAISE EXCEPTION 'fee lines of a pair that has no row of billings'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fee_line_pair_is_known';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER fee_line_moves_its_pair AFTER INSERT ON fee_line
REFERENCING NEW TABLE AS new_row
FOR EACH STATEMENT EXECUTE FUNCTION add_to_pair_billing();

CREATE FUNCTION refuse_other_billing() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'what a pair was billed is moved by its fee lines alone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pair_billing_moves_by_lines';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER pair_billing_moves_by_lines AFTER UPDATE ON pair_billing
FOR EACH STATEMENT EXECUTE FUNCTION refuse_other_billing();

CREATE FUNCTION check_new_pair() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.billed_minor <> 0 OR NEW.charged_month_minor <> 0 THEN
        RAISE EXCEPTION 'a pair begins with nothing billed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pair_billing_begins_empty';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER pair_billing_begins_empty BEFORE INSERT ON pair_billing
FOR EACH ROW EXECUTE FUNCTION check_new_pair();
"""

KNOWN = """
INSERT INTO pair_billing (client_id, payee_id, currency)
SELECT DISTINCT client_id, payee_id, currency FROM contract;

WITH billed AS (
    SELECT release.*, contract.client_id, contract.commission_bps AS rate,
        (available_at - make_interval(days => contract.security_hold_days))
            AT TIME ZONE 'UTC' AS released_at,
        coalesce(slot.returned_minor, 0) AS returned,
        coalesce(sum(gross_minor) OVER older, 0)::bigint AS before,
        coalesce(sum(gross_minor) OVER newer, 0)::bigint AS after
    FROM release JOIN contract ON contract.id = release.contract_id
    LEFT JOIN slot ON slot.id = release.slot_id
    WINDOW
        older AS (PARTITION BY coalesce(release.slot_id, release.id) ORDER BY release.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        newer AS (PARTITION BY coalesce(release.slot_id, release.id) ORDER BY release.id
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
), back AS (
    SELECT *, least(gross_minor, greatest(0, returned - after)) AS came_back FROM billed
), lines AS (
    SELECT *, gross_minor AS gross, commission_minor AS fee, 0 AS place FROM back
    UNION ALL
    SELECT *, -came_back,
        ((before + gross_minor - came_back) * rate + 5000) / 10000
            - ((before + gross_minor) * rate + 5000) / 10000, 1
    FROM back WHERE came_back > 0
)
INSERT INTO fee_line (
    kind, contract_id, release_id, slot_id, party_id, client_id, payee_id, currency, gross_minor,
    fee_minor, tax_minor, tax_rate_bps, before_minor, before_month_minor, is_promoted,
    foregone_minor, month, recorded_at)
SELECT 'commission', contract_id, id, slot_id, payee_id, client_id, payee_id, currency, gross, fee,
    0, 0, before, 0, false, 0, date_trunc('month', released_at), now()
FROM lines ORDER BY id, place;

WITH earned AS (
    SELECT slot.contract_id, slot.id AS slot_id, first.id AS release_id, first.available_at,
        coalesce((SELECT sum(fee_minor - fee_gone_minor) FROM lot WHERE lot.slot_id = slot.id), 0)
        - slot.fee_deferred_minor
        + coalesce((
            SELECT sum(client_claim.fee_minor)
            FROM client_claim JOIN work_week ON work_week.id = client_claim.week_id
            WHERE client_claim.state = 'open' AND work_week.slot_id = slot.id
        ), 0) AS fee
    FROM slot CROSS JOIN LATERAL (
        SELECT id, available_at FROM release WHERE release.slot_id = slot.id ORDER BY id LIMIT 1
    ) AS first
    UNION ALL
    SELECT release.contract_id, NULL, release.id, release.available_at, funding.client_fee_minor
    FROM funding JOIN release ON release.id = funding.release_id WHERE funding.slot_id IS NULL
)
INSERT INTO fee_line (
    kind, contract_id, release_id, slot_id, party_id, client_id, payee_id, currency, gross_minor,
    fee_minor, tax_minor, tax_rate_bps, before_minor, before_month_minor, is_promoted,
    foregone_minor, month, recorded_at)
SELECT 'client_fee', contract_id, release_id, slot_id, client_id, client_id, payee_id, currency, 0,
    fee, 0, 0, 0, 0, false, 0,
    date_trunc('month', (available_at - make_interval(days => security_hold_days))
        AT TIME ZONE 'UTC'), now()
FROM earned JOIN contract ON contract.id = earned.contract_id
WHERE fee > 0 ORDER BY release_id;
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT UPDATE (payee_schedule_id, client_schedule_id, promotion_schedule_id,'
                   ' promotion_until, fx_margin_bps) ON contract TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON pair_billing TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON fee_line TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Write the tables, what is known already, and the guards."""
    run(TABLES)
    run(GUARDS)
    run(KNOWN)
    append_only("fee_line")
    not_deleted("pair_billing")
    run(RIGHTS)
