-- What do sixteen chunks of the journal add together, per kind, currency, kind of event and day?
WITH chunk_row AS (
    INSERT INTO journal_chunk (level, chunk, line_count)
    SELECT %(level)s, %(chunk)s, sum(line_count)
    FROM journal_chunk
    WHERE level = %(level)s - 1
      AND chunk >= %(chunk)s << 4 AND chunk < (%(chunk)s + 1) << 4
)
INSERT INTO kind_cell (
    level, chunk, effective_day, kind, currency, event_kind, line_count, debit_minor, credit_minor
)
SELECT %(level)s, %(chunk)s, effective_day, kind, currency, event_kind, sum(line_count),
       sum(debit_minor), sum(credit_minor)
FROM kind_cell
WHERE level = %(level)s - 1 AND chunk >= %(chunk)s << 4 AND chunk < (%(chunk)s + 1) << 4
GROUP BY effective_day, kind, currency, event_kind
ORDER BY effective_day, kind, currency, event_kind
