-- The newest whole run of each date that was not given up.
SELECT * FROM runs WHERE run_id IN (
    SELECT max(run_id) FROM runs
    WHERE job = $1 AND NOT trial AND parent_run_id IS NULL AND state <> 'cancelled' AND pruned_at IS NULL AND logical_date BETWEEN $2 AND $3
    GROUP BY logical_date
) ORDER BY logical_date
