DELETE FROM ground_truth WHERE record_id IN (SELECT value FROM json_each(?1))
