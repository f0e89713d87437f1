-- A run that was replaced is withheld by now, and one that a gate withheld ended with another code.
SELECT min(completed_at) AS completed_at FROM runs
WHERE job = ?1 AND logical_date = ?2 AND trial = 0 AND parent_run_id IS NULL AND state = 'completed' AND exit_code = 0
