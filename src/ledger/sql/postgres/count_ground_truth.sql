SELECT count(*) AS records FROM ground_truth WHERE job = $1 AND origin = 'observed' AND delivered_at >= CAST($2 AS timestamptz)
