"""What a contract pins is a schedule that there is, and each pin was chosen on the record.

A pin stands beside a row of `fee_choice` that names it, at the end of its transaction; fee lines
name schedules that there are.

Revision ID: 0030
"""

from migrations.statements import run

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TABLES = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE contract
    ADD CONSTRAINT contract_payee_schedule_is_known
        FOREIGN KEY (payee_schedule_id) REFERENCES fee_schedule (id),
    ADD CONSTRAINT contract_client_schedule_is_known
        FOREIGN KEY (client_schedule_id) REFERENCES fee_schedule (id),
    ADD CONSTRAINT contract_promotion_schedule_is_known
        FOREIGN KEY (promotion_schedule_id) REFERENCES fee_schedule (id);

ALTER TABLE fee_line
    ADD CONSTRAINT fee_line_schedule_is_known
        FOREIGN KEY (schedule_id) REFERENCES fee_schedule (id),
    ADD CONSTRAINT fee_line_promotion_is_known
        FOREIGN KEY (promotion_id) REFERENCES fee_schedule (id);
"""

GUARDS = """
CREATE FUNCTION check_pins() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    pinned uuid;
BEGIN
    FOREACH pinned IN ARRAY
        array_remove(ARRAY[
            NEW.payee_schedule_id, NEW.client_schedule_id, NEW.promotion_schedule_id], NULL)
    LOOP
        IF NOT EXISTS (
            SELECT FROM fee_choice
            WHERE fee_choice.contract_id = NEW.id AND fee_choice.schedule_id = pinned
        ) THEN
            RAISE EXCEPTION 'contract % pins a schedule that was not chosen for it', NEW.id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'contract_pins_what_was_chosen';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER contract_pins_what_was_chosen AFTER UPDATE ON contract
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.payee_schedule_id, OLD.client_schedule_id, OLD.promotion_schedule_id)
    IS DISTINCT FROM (NEW.payee_schedule_id, NEW.client_schedule_id, NEW.promotion_schedule_id))
EXECUTE FUNCTION check_pins();

CREATE CONSTRAINT TRIGGER contract_begins_with_what_was_chosen AFTER INSERT ON contract
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (coalesce(NEW.payee_schedule_id, NEW.client_schedule_id, NEW.promotion_schedule_id)
    IS NOT NULL)
EXECUTE FUNCTION check_pins();
"""


def upgrade() -> None:
    """Add the keys and the guard."""
    run(TABLES)
    run(GUARDS)
