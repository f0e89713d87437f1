SELECT report FROM reports
WHERE job = $1 AND verdict = 'published' ORDER BY run_id DESC LIMIT 7
