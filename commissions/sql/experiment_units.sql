-- How many units of each arm of an experiment came again, quarrelled, or went quiet?
-- A unit could have gone quiet where money was released to somebody on its contracts, and its first
-- contract lies so many days back that there was time for another.
WITH unit AS (
    SELECT u.arm,
           count(*) > 1 AS has_repeated,
           bool_or(EXISTS (
               SELECT FROM dispute d WHERE d.contract_id = c.contract_id
           )) AS has_disputed,
           u.first_seen_at <= %(quiet_before)s
               AND bool_or(EXISTS (
                   SELECT FROM release r WHERE r.contract_id = c.contract_id
               )) AS had_time
    FROM experiment_unit u
    JOIN experiment_contract c USING (experiment_id, unit_key)
    WHERE u.experiment_id = %(experiment_id)s
    GROUP BY u.arm, u.unit_key, u.first_seen_at
)
SELECT arm,
       count(*) AS units,
       count(*) FILTER (WHERE has_repeated) AS repeated,
       count(*) FILTER (WHERE has_disputed) AS disputed,
       count(*) FILTER (WHERE had_time) AS had_time,
       count(*) FILTER (WHERE had_time AND NOT has_repeated) AS quiet
FROM unit
GROUP BY arm
