-- Of a duplicate the first is scored; an id that no database holds can not be looked up.
SELECT record_id FROM dead_letters AS letter
WHERE run_id = ?1 AND record_id IS NOT NULL AND code NOT IN ('duplicate_id', 'invalid_id')
  AND (?2 IS NULL OR code = ?2)
  AND NOT EXISTS (
      SELECT 1 FROM runs AS child
      JOIN predictions AS scored ON scored.run_id = child.run_id AND scored.record_id = letter.record_id
      WHERE child.parent_run_id = ?1 AND child.publication = 'published')
ORDER BY ordinal
