-- What chargebacks may never say: more back than was taken, twice, unheard, too late, or unknown to
-- the payment and the slot that they took from.

CREATE FUNCTION chargeback_moves_in_order() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'chargeback % goes from version % to %', OLD.id, OLD.version, NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'chargeback_version_rises';
    END IF;
    IF NEW.submitted_at IS DISTINCT FROM OLD.submitted_at AND NOT coalesce(
        NEW.submitted_at < NEW.due_by, NEW.submitted_at IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'chargeback % is answered too late', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'chargeback_answered_in_time';
    END IF;
    IF NEW.submitted_at IS DISTINCT FROM OLD.submitted_at
        AND NEW.answered_at IS NULL AND NOT coalesce(NEW.heard_by <= NEW.submitted_at, false)
    THEN
        RAISE EXCEPTION 'chargeback % is answered before the payee was heard', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'chargeback_payee_heard_first';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chargeback_moves_in_order BEFORE UPDATE ON chargeback
    FOR EACH ROW EXECUTE FUNCTION chargeback_moves_in_order();

CREATE FUNCTION chargeback_piece_stays_lost() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'piece % of chargeback % does not go back', OLD.piece_no, OLD.chargeback_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'chargeback_piece_goes_on';
END $$;
CREATE TRIGGER chargeback_piece_goes_on BEFORE UPDATE ON chargeback_piece
FOR EACH ROW WHEN (
    (OLD.is_lost AND NOT NEW.is_lost)
    OR NEW.back_money_minor < OLD.back_money_minor OR NEW.back_fee_minor < OLD.back_fee_minor
    OR NEW.paid_back_minor < OLD.paid_back_minor
) EXECUTE FUNCTION chargeback_piece_stays_lost();

CREATE FUNCTION chargeback_adds_up() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    moved bigint;
    away bigint;
BEGIN
    SELECT coalesce(sum(CASE direction WHEN 'withdrawn' THEN disputed_minor
            ELSE -disputed_minor END), 0)
        INTO moved FROM chargeback_movement WHERE chargeback_id = NEW.id;
    SELECT coalesce(sum(money_minor + fee_minor - back_money_minor - back_fee_minor), 0)
        - (SELECT ahead_minor FROM chargeback WHERE id = NEW.id)
        INTO away FROM chargeback_piece WHERE chargeback_id = NEW.id;
    IF moved <> away THEN
        RAISE EXCEPTION 'chargeback %: % moved, and % is away', NEW.id, moved, away
            USING ERRCODE = 'check_violation', CONSTRAINT = 'chargeback_adds_up';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chargeback_adds_up AFTER INSERT OR UPDATE ON chargeback
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chargeback_adds_up();

CREATE FUNCTION funding_knows_its_chargebacks() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    paid uuid := coalesce(to_jsonb(NEW) ->> 'funding_id', NEW.id::text)::uuid;
BEGIN
    IF NOT EXISTS (
        SELECT FROM funding f
        WHERE f.id = paid AND f.in_dispute = EXISTS (
            SELECT FROM chargeback c WHERE c.funding_id = f.id AND NOT c.is_settled
        ) AND f.charged_back_minor = (
            SELECT coalesce(sum(money_minor + fee_minor - back_money_minor - back_fee_minor), 0)
            FROM chargeback_piece p JOIN chargeback c ON c.id = p.chargeback_id
            WHERE c.funding_id = f.id AND p.source <> 'beyond')
    ) THEN
        RAISE EXCEPTION 'funding % does not know its chargebacks', paid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'funding_knows_its_chargebacks';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER funding_knows_its_chargebacks AFTER INSERT OR UPDATE ON chargeback
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION funding_knows_its_chargebacks();
CREATE CONSTRAINT TRIGGER funding_knows_its_chargebacks AFTER UPDATE ON funding
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (
        NEW.charged_back_minor <> OLD.charged_back_minor OR NEW.in_dispute <> OLD.in_dispute
    ) EXECUTE FUNCTION funding_knows_its_chargebacks();

CREATE FUNCTION chargeback_movement_is_counted() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM chargeback c JOIN funding f ON f.id = c.funding_id
        WHERE c.id = NEW.chargeback_id AND (
            SELECT coalesce(sum(CASE m.direction WHEN 'withdrawn' THEN m.disputed_minor
                ELSE -m.disputed_minor END), 0)
            FROM chargeback_movement m WHERE m.chargeback_id = c.id
        ) = (
            SELECT coalesce(sum(money_minor + fee_minor - back_money_minor - back_fee_minor), 0)
            FROM chargeback_piece p WHERE p.chargeback_id = c.id
        ) - c.ahead_minor
    ) THEN
        RAISE EXCEPTION 'movement % of chargeback % is not counted', NEW.rail_ref,
            NEW.chargeback_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'chargeback_movement_is_counted';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chargeback_movement_is_counted AFTER INSERT ON chargeback_movement
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chargeback_movement_is_counted();

CREATE FUNCTION slot_knows_its_chargebacks() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM slot s
        WHERE s.id = NEW.id AND (s.recalled_minor, s.charged_back_minor) <> (
            SELECT coalesce(sum(money_minor - back_money_minor) FILTER (WHERE NOT is_lost), 0),
                coalesce(sum(money_minor - back_money_minor) FILTER (WHERE is_lost), 0)
            FROM chargeback_piece p WHERE p.slot_id = s.id AND p.source = 'held')
    ) THEN
        RAISE EXCEPTION 'slot % does not know its chargebacks', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'slot_knows_its_chargebacks';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slot_knows_its_chargebacks AFTER UPDATE ON slot
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (
        NEW.recalled_minor <> OLD.recalled_minor
        OR NEW.charged_back_minor <> OLD.charged_back_minor
    ) EXECUTE FUNCTION slot_knows_its_chargebacks();

CREATE OR REPLACE FUNCTION claim_adds_up() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.amount_minor <> (SELECT remaining_minor + relieved_minor FROM claim WHERE id = NEW.id)
        + (SELECT coalesce(sum(amount_minor), 0) FROM claim_recovery WHERE claim_id = NEW.id)
        + (SELECT coalesce(sum(amount_minor), 0) FROM claim_write_off WHERE claim_id = NEW.id)
    THEN
        RAISE EXCEPTION 'claim % is not what remains, was recovered, relieved and written off',
            NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_adds_up';
    END IF;
    RETURN NULL;
END $$;
