-- Of each record the newest row that a run of the date took, this one's own among them.
SELECT queue.queue_id, queue.priority
FROM (SELECT max(queue_id) AS queue_id FROM queue
      WHERE run_id IN (SELECT run_id FROM runs WHERE job = ?1 AND logical_date = ?2)
        AND record_id IN (SELECT value FROM json_each(?3))
      GROUP BY record_id) AS newest
JOIN queue ON queue.queue_id = newest.queue_id
