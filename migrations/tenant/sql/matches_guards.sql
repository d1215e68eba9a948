-- What the database itself holds of statements and matches.

-- Which place of reconciliation an account of the books belongs to; NULL for all others.
CREATE FUNCTION reconciliation_place(kind text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT CASE kind
        WHEN 'custody.processor_pending' THEN 'processor'
        WHEN 'custody.processor_available' THEN 'processor'
        WHEN 'custody.processor_reserved' THEN 'processor'
        WHEN 'custody.bank' THEN 'custody_bank'
        WHEN 'platform.bank' THEN 'platform_bank'
    END
$$;

-- A statement adds up: opening balance, its new lines and those known before make the closing.
CREATE FUNCTION statement_adds_up() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    new_count bigint; new_minor bigint; known_count bigint; known_minor bigint;
BEGIN
    SELECT count(*), coalesce(sum(amount_minor), 0) INTO new_count, new_minor
    FROM statement_line WHERE statement_id = NEW.id;
    SELECT count(*), coalesce(sum(l.amount_minor), 0) INTO known_count, known_minor
    FROM statement_overlap o JOIN statement_line l ON l.id = o.line_id
    WHERE o.statement_id = NEW.id;
    IF new_count <> NEW.line_count OR known_count <> NEW.overlap_count THEN
        RAISE EXCEPTION 'statement % has % and % lines, not % and %', NEW.id, new_count,
            known_count, NEW.line_count, NEW.overlap_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'statement_has_its_lines';
    END IF;
    IF NEW.opening_minor + new_minor + known_minor <> NEW.closing_minor THEN
        RAISE EXCEPTION 'statement % does not lead from % to %', NEW.id, NEW.opening_minor,
            NEW.closing_minor
            USING ERRCODE = 'check_violation', CONSTRAINT = 'statement_adds_up';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER statement_adds_up AFTER INSERT ON statement
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION statement_adds_up();

-- A line is of its statement's account and currency, and comes in with its statement.
CREATE FUNCTION statement_line_fits() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_row n JOIN statement s ON s.id = n.statement_id
        JOIN reconciliation_account a ON a.id = s.account_id
        WHERE n.account_id <> s.account_id OR n.currency <> a.currency
    ) THEN
        RAISE EXCEPTION 'a line is of another account or currency than its statement'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'statement_line_fits';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT statement_id FROM new_row) n
        JOIN statement s ON s.id = n.statement_id
        WHERE (SELECT count(*) FROM statement_line WHERE statement_id = s.id) > s.line_count
    ) THEN
        RAISE EXCEPTION 'a statement gets more lines than it counts'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'statement_is_whole';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER statement_line_fits AFTER INSERT ON statement_line
    REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION statement_line_fits();

-- All lines of a match are written in one statement; they are what they stand for, and both sides
-- sum to the amount of the match.
CREATE FUNCTION match_lines_add_up() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_row n JOIN match m ON m.id = n.match_id
        JOIN statement_line l ON l.id = n.line_id
        JOIN reconciliation_account a ON a.id = l.account_id
        WHERE (n.amount_minor, m.place, m.rail_account, m.currency)
            IS DISTINCT FROM (l.amount_minor, a.place, a.rail_account, a.currency)
    ) THEN
        RAISE EXCEPTION 'a match takes a statement line for another than it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'match_line_is_as_stated';
    END IF;
    IF EXISTS (
        SELECT FROM new_row n JOIN match m ON m.id = n.match_id
        CROSS JOIN LATERAL (
            SELECT sum(l.amount_minor) AS amount_minor,
                (array_agg(l.account_id ORDER BY l.account_id, l.account_seq))[1] AS first_id,
                (array_agg(l.account_seq ORDER BY l.account_id, l.account_seq))[1] AS first_seq
            FROM line l JOIN account a ON a.id = l.account_id
            WHERE l.event_id = n.event_id AND reconciliation_place(a.kind) = m.place
                AND a.subject = m.rail_account AND a.currency = m.currency
        ) item
        WHERE n.event_id IS NOT NULL
            AND (n.amount_minor, n.ledger_account_id, n.ledger_account_seq)
                IS DISTINCT FROM (item.amount_minor, item.first_id, item.first_seq)
    ) THEN
        RAISE EXCEPTION 'a match takes an item of the books for another than it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'match_line_is_as_booked';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT match_id FROM new_row) n
        JOIN match m ON m.id = n.match_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS lines,
                coalesce(sum(amount_minor) FILTER (WHERE line_id IS NOT NULL), 0) AS stated,
                coalesce(sum(amount_minor) FILTER (WHERE event_id IS NOT NULL), 0) AS booked
            FROM match_line WHERE match_id = n.match_id
        ) it
        WHERE it.lines <> m.line_count OR it.stated <> m.amount_minor
            OR it.booked <> m.amount_minor
    ) THEN
        RAISE EXCEPTION 'the two sides of a match are not the same'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'match_adds_up';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER match_lines_add_up AFTER INSERT ON match_line
    REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION match_lines_add_up();

-- No match without its lines.
CREATE FUNCTION match_has_lines() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM match_line WHERE match_id = NEW.id) THEN
        RAISE EXCEPTION 'match % is of nothing', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'match_has_lines';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER match_has_lines AFTER INSERT ON match
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION match_has_lines();

-- Undoing names all lines of the match, and nothing else of a line ever changes.
CREATE FUNCTION refuse_changed_match() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'line % of match % stands', OLD.line_no, OLD.match_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'match_line_stands';
END $$;
CREATE TRIGGER match_line_stands BEFORE UPDATE ON match_line
FOR EACH ROW WHEN (
    OLD.undone_by IS NOT NULL OR NEW.undone_by IS NULL
    OR (OLD.match_id, OLD.line_no, OLD.amount_minor)
        IS DISTINCT FROM (NEW.match_id, NEW.line_no, NEW.amount_minor)
    OR (OLD.line_id, OLD.event_id, OLD.ledger_account_id, OLD.ledger_account_seq)
        IS DISTINCT FROM (NEW.line_id, NEW.event_id, NEW.ledger_account_id, NEW.ledger_account_seq)
) EXECUTE FUNCTION refuse_changed_match();

CREATE FUNCTION match_is_undone_whole() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM match_line WHERE match_id = NEW.match_id AND undone_by IS NULL) THEN
        RAISE EXCEPTION 'match % is undone in part', NEW.match_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'match_is_undone_whole';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER match_is_undone_whole AFTER INSERT ON match_undo
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION match_is_undone_whole();
