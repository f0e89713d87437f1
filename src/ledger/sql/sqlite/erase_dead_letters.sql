DELETE FROM dead_letters WHERE run_id = ?1 AND ordinal IN (SELECT value FROM json_each('[' || trim(?2, '{}') || ']'))
