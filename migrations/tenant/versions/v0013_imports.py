"""Taking over books: files prepared by one person and approved by another; numbers after an import.

Revision ID: 0013
"""

from migrations.statements import run

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

ADOPTION = """
CREATE TABLE adoption (
    id uuid PRIMARY KEY,
    file_hash bytea NOT NULL
        CONSTRAINT adoption_file_hash_is_sha256 CHECK (length(file_hash) = 32)
        CONSTRAINT adoption_file_taken_once UNIQUE,
    source text NOT NULL,
    as_of timestamptz NOT NULL,
    summary text NOT NULL,
    prepared_by uuid NOT NULL,
    prepared_at timestamptz NOT NULL,
    approved_by uuid CONSTRAINT adoption_takes_two_people CHECK (approved_by <> prepared_by),
    approved_at timestamptz,
    event_id bigint CONSTRAINT adoption_opens_with_one_event UNIQUE,
    CONSTRAINT adoption_approved_whole CHECK (
        (approved_by IS NULL) = (approved_at IS NULL) AND (approved_by IS NULL) = (event_id IS NULL)
    )
);
COMMENT ON TABLE adoption IS 'Files of another system''s books. Nothing of one is ever changed.';
"""

# What is approved stays so, and is approved by naming the event that opened the books.
GUARD = """
CREATE FUNCTION check_adoption() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.approved_by IS NOT NULL THEN
            RAISE EXCEPTION 'an adoption is prepared before it is approved'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'adoption_prepared_first';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.approved_by IS NOT NULL OR NEW.approved_by IS NULL OR
       (OLD.id, OLD.file_hash, OLD.source, OLD.as_of, OLD.summary, OLD.prepared_by, OLD.prepared_at)
       <> (NEW.id, NEW.file_hash, NEW.source, NEW.as_of, NEW.summary, NEW.prepared_by,
           NEW.prepared_at) THEN
        RAISE EXCEPTION 'adoption % may only be approved, once', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'adoption_approved_once';
    END IF;
    IF NOT EXISTS (SELECT FROM event WHERE id = NEW.event_id AND kind = 'books.adopted'
                     AND subject = 'adoption:' || NEW.id) THEN
        RAISE EXCEPTION 'event % did not open the books of adoption %', NEW.event_id, NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'adoption_event_is_its_own';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER adoption_approved_once BEFORE INSERT OR UPDATE ON adoption
    FOR EACH ROW EXECUTE FUNCTION check_adoption();
CREATE TRIGGER adoption_append_only BEFORE DELETE OR TRUNCATE ON adoption
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# An import keeps the numbers of its batches; the next posting takes one behind them. The sequence
# belongs to the owner, and only ever moves on.
NUMBERS = """
CREATE FUNCTION batches_go_on() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT setval('batch_id_seq', n.newest)
    FROM (SELECT max(id) AS newest FROM batch) n
    WHERE n.newest >= (SELECT last_value FROM batch_id_seq)
$$;
REVOKE EXECUTE ON FUNCTION batches_go_on() FROM PUBLIC;
"""

# How far the journal came in by an import: said once, in an empty tenant, before the first event.
IMPORTED = """
CREATE TABLE imported (
    is_only boolean CONSTRAINT imported_pk PRIMARY KEY DEFAULT true
        CONSTRAINT imported_once CHECK (is_only),
    size bigint NOT NULL CONSTRAINT imported_size_from_one CHECK (size >= 1),
    root bytea NOT NULL CONSTRAINT imported_root_is_sha256 CHECK (length(root) = 32),
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION check_imported() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM event) OR EXISTS (SELECT FROM account) THEN
        RAISE EXCEPTION 'books come in by an import only where there are none'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'imported_into_empty_books';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER imported_into_empty_books AFTER INSERT ON imported
    FOR EACH STATEMENT EXECUTE FUNCTION check_imported();
CREATE TRIGGER imported_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON imported
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# Reservations are not in the log. What was set aside in imported books cannot be held against them.
RESERVED = """
CREATE OR REPLACE FUNCTION check_reserved_twin() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM account
        WHERE id = NEW.id
          AND balance_minor <> reserved_of(id) * CASE WHEN highest_minor = 0 THEN -1 ELSE 1 END
    ) AND NOT EXISTS (
        SELECT FROM imported i
        JOIN line l ON l.account_id = NEW.id AND l.account_seq = NEW.line_count
        JOIN seal s ON s.event_id = l.event_id AND s.journal_no <= i.size
    ) THEN
        PERFORM refuse_twin_apart(NEW.id);
    END IF;
    RETURN NULL;
END $$;
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON adoption TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT (size, root) ON imported TO %I', tenant_role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION batches_go_on() TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (approved_by, approved_at, event_id) ON adoption TO %I',
                   tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the table of adoptions with its guard, and give the tenant's role its rights."""
    for statement in (TIMEOUTS, ADOPTION, GUARD, NUMBERS, IMPORTED, RESERVED, RIGHTS):
        run(statement)
