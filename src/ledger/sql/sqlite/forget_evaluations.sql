DELETE FROM evaluations WHERE job = ?1 AND logical_date IN (SELECT value FROM json_each(?2))
