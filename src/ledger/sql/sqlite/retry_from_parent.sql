-- Of a record that waits no more, the newest row that its run or a retry of it took.
SELECT queue_id, priority FROM queue
WHERE run_id <> ?1 AND run_id IN (SELECT run_id FROM runs WHERE run_id = ?2 OR parent_run_id = ?2)
  AND record_id IN (SELECT value FROM json_each(?3))
  AND NOT EXISTS (
      SELECT 1 FROM queue AS newer
      WHERE newer.record_id = queue.record_id
        AND (newer.run_id = ?1
             OR (newer.queue_id > queue.queue_id
                 AND newer.run_id IN (SELECT run_id FROM runs WHERE run_id = ?2 OR parent_run_id = ?2))))
