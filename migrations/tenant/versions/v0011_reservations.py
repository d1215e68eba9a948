"""Money set aside: reservations, their steps, and the reserved twins that hold just what remains.

The rows and the books are held together in both directions. Whoever writes a step or a
reservation shows, in the same statement, the other one and the lines of the step's event on the
reserved twin; and whatever moves a reserved twin must leave it, at commit, at the sum of what
remains of its open reservations.

Revision ID: 0011
"""

from migrations.statements import run

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

TABLES = """
CREATE TABLE reservation (
    id uuid CONSTRAINT reservation_is_made_once PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT reservation_account_is_known REFERENCES account (id),
    twin_id bigint NOT NULL CONSTRAINT reservation_twin_is_known REFERENCES account (id),
    amount_minor bigint NOT NULL CONSTRAINT reservation_amount_is_positive CHECK (amount_minor > 0),
    remaining_minor bigint NOT NULL CONSTRAINT reservation_remaining_is_within_amount
        CHECK (remaining_minor BETWEEN 0 AND amount_minor),
    posted_minor bigint NOT NULL CONSTRAINT reservation_posted_is_within_amount
        CHECK (posted_minor BETWEEN 0 AND amount_minor - remaining_minor),
    state text NOT NULL CONSTRAINT reservation_state_is_known
        CHECK (state IN ('open', 'posted', 'voided', 'expired')),
    version integer NOT NULL CONSTRAINT reservation_version_counts CHECK (version >= 1),
    reason text NOT NULL CONSTRAINT reservation_has_a_reason CHECK (reason <> ''),
    made_at timestamptz NOT NULL,
    expires_at timestamptz CONSTRAINT reservation_expires_later CHECK (expires_at > made_at),
    ended_at timestamptz,
    CONSTRAINT reservation_open_while_something_remains
        CHECK ((state = 'open') = (remaining_minor > 0)),
    CONSTRAINT reservation_open_has_lost_nothing
        CHECK (state <> 'open' OR posted_minor + remaining_minor = amount_minor),
    CONSTRAINT reservation_posted_has_posted CHECK (state <> 'posted' OR posted_minor > 0),
    CONSTRAINT reservation_expires_only_with_a_time
        CHECK (state <> 'expired' OR expires_at IS NOT NULL),
    CONSTRAINT reservation_ended_has_a_time CHECK ((state = 'open') = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX reservation_open ON reservation (twin_id) INCLUDE (remaining_minor)
    WHERE state = 'open';
CREATE INDEX reservation_by_account ON reservation (account_id, id);

CREATE TABLE reservation_step (
    reservation_id uuid NOT NULL CONSTRAINT reservation_step_is_of_a_reservation
        REFERENCES reservation (id),
    step_no integer NOT NULL CONSTRAINT reservation_step_counts CHECK (step_no >= 1),
    kind text NOT NULL CONSTRAINT reservation_step_kind_is_known
        CHECK (kind IN ('made', 'posted', 'voided', 'expired')),
    posted_minor bigint NOT NULL
        CONSTRAINT reservation_step_posts_nothing_negative CHECK (posted_minor >= 0),
    returned_minor bigint NOT NULL
        CONSTRAINT reservation_step_returns_nothing_negative CHECK (returned_minor >= 0),
    remaining_minor bigint NOT NULL
        CONSTRAINT reservation_step_leaves_nothing_negative CHECK (remaining_minor >= 0),
    event_id bigint NOT NULL CONSTRAINT reservation_step_has_its_own_event UNIQUE,
    CONSTRAINT reservation_step_pk PRIMARY KEY (reservation_id, step_no),
    CONSTRAINT reservation_step_moves_what_it_says CHECK (
        CASE kind
            WHEN 'made' THEN step_no = 1 AND posted_minor = 0 AND returned_minor = 0
                AND remaining_minor > 0
            WHEN 'posted' THEN step_no > 1 AND posted_minor > 0
                AND (returned_minor = 0 OR remaining_minor = 0)
            ELSE step_no > 1 AND posted_minor = 0 AND returned_minor > 0 AND remaining_minor = 0
        END
    )
);
COMMENT ON COLUMN reservation_step.returned_minor IS
    'What went back to the account: the rest of a last posting, or all that was voided or expired.';
"""

# What a reservation is about never changes, and an ended one stays as it is.
KEPT = """
CREATE TRIGGER reservation_keeps_what_it_is_about
    BEFORE UPDATE OF id, account_id, twin_id, amount_minor, reason, made_at, expires_at
    ON reservation FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reservation_not_deleted BEFORE DELETE OR TRUNCATE ON reservation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reservation_step_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON reservation_step FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_ended_reservation() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'reservation % is %, or takes another version than the next', OLD.id, OLD.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'reservation_moves_forward';
END $$;
CREATE TRIGGER reservation_moves_forward BEFORE UPDATE ON reservation
FOR EACH ROW WHEN (OLD.state <> 'open' OR NEW.version <> OLD.version + 1)
EXECUTE FUNCTION refuse_ended_reservation();
"""

# Money of the twin is signed like lines: credit where the kind has a ceiling, debit where it has a
# floor.
HELD = """
CREATE FUNCTION reserved_of(twin bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path FROM CURRENT SET enable_seqscan = off AS $$
    SELECT coalesce(sum(remaining_minor), 0)::bigint
    FROM reservation WHERE twin_id = twin AND state = 'open'
$$;
COMMENT ON FUNCTION reserved_of(bigint) IS
    'What remains of the open reservations that a reserved twin holds.';

CREATE FUNCTION refuse_twin_apart(twin bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'account % would not hold what remains of its open reservations', twin
        USING ERRCODE = 'HF014', HINT = 'Set money aside, post, void or expire by a reservation.';
END $$;

CREATE FUNCTION check_reserved_twin() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM account
        WHERE id = NEW.id
          AND balance_minor <> reserved_of(id) * CASE WHEN highest_minor = 0 THEN -1 ELSE 1 END
    ) THEN
        PERFORM refuse_twin_apart(NEW.id);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER account_reserved_as_its_reservations
    AFTER UPDATE OF balance_minor ON account DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.subject = 'reserved' OR NEW.subject LIKE '%:reserved')
    EXECUTE FUNCTION check_reserved_twin();
"""

# A step and its reservation are written by one statement, after the event with its lines: so both
# checks see all of it.
STEPS = """
CREATE FUNCTION check_reservation_steps() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    stray uuid;
BEGIN
    SELECT n.reservation_id INTO stray
    FROM new_step n
    JOIN reservation r ON r.id = n.reservation_id
    JOIN account t ON t.id = r.twin_id
    LEFT JOIN reservation_step b
        ON b.reservation_id = n.reservation_id AND b.step_no = n.step_no - 1
    LEFT JOIN LATERAL (
        SELECT sum(l.amount_minor) AS moved_minor FROM line l
        WHERE l.event_id = n.event_id AND l.account_id = r.twin_id
    ) m ON true
    WHERE n.step_no <> r.version
       OR n.remaining_minor <> r.remaining_minor
       OR (n.step_no > 1) <> (b.step_no IS NOT NULL)
       OR n.remaining_minor + n.posted_minor + n.returned_minor
          <> coalesce(b.remaining_minor, r.amount_minor)
       OR (n.kind = 'made' AND r.state <> 'open')
       OR (n.kind = 'posted' AND r.state NOT IN ('open', 'posted'))
       OR (n.kind IN ('voided', 'expired') AND r.state <> n.kind)
       OR m.moved_minor IS DISTINCT FROM
          (n.remaining_minor - coalesce(b.remaining_minor, 0))
          * CASE WHEN t.highest_minor = 0 THEN -1 ELSE 1 END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a step of reservation % is not what its reservation and event say', stray
            USING ERRCODE = 'HF014';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reservation_step_as_its_reservation AFTER INSERT ON reservation_step
    REFERENCING NEW TABLE AS new_step
    FOR EACH STATEMENT EXECUTE FUNCTION check_reservation_steps();

CREATE FUNCTION check_reservations() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    stray uuid;
    apart bigint;
BEGIN
    SELECT n.id INTO stray
    FROM new_reservation n
    JOIN account a ON a.id = n.account_id
    JOIN account t ON t.id = n.twin_id
    LEFT JOIN reservation_step s ON s.reservation_id = n.id AND s.step_no = n.version
    WHERE s.step_no IS NULL OR s.remaining_minor <> n.remaining_minor
       OR n.posted_minor
          <> (SELECT sum(posted_minor) FROM reservation_step WHERE reservation_id = n.id)
       OR t.kind <> a.kind OR t.currency <> a.currency
       OR t.subject <> CASE a.subject WHEN '' THEN 'reserved' ELSE a.subject || ':reserved' END
       OR a.subject = 'reserved' OR a.subject LIKE '%:reserved'
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'reservation % is not what its steps say', stray USING ERRCODE = 'HF014';
    END IF;

    SELECT t.id INTO apart
    FROM (SELECT DISTINCT twin_id FROM new_reservation) n
    JOIN account t ON t.id = n.twin_id
    WHERE t.balance_minor
          <> reserved_of(t.id) * CASE WHEN t.highest_minor = 0 THEN -1 ELSE 1 END
    LIMIT 1;
    IF FOUND THEN
        PERFORM refuse_twin_apart(apart);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reservation_added_with_its_step AFTER INSERT ON reservation
    REFERENCING NEW TABLE AS new_reservation
    FOR EACH STATEMENT EXECUTE FUNCTION check_reservations();
CREATE TRIGGER reservation_moved_with_its_step AFTER UPDATE ON reservation
    REFERENCING NEW TABLE AS new_reservation
    FOR EACH STATEMENT EXECUTE FUNCTION check_reservations();
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON reservation, reservation_step TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (remaining_minor, posted_minor, state, version, ended_at)'
                   ' ON reservation TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create reservations and their steps, hold them to the books, give the role its rights."""
    for statement in (TIMEOUTS, TABLES, KEPT, HELD, STEPS, RIGHTS):
        run(statement)
