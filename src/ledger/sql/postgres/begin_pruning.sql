UPDATE runs SET pruned_at = clock_timestamp()
WHERE run_id = $1 AND pruned_at IS NULL
  AND state NOT IN ('planning', 'running') AND publication <> 'published'
  AND NOT EXISTS (SELECT 1 FROM publications WHERE run_id = $1)
  AND NOT EXISTS (SELECT 1 FROM runs AS child WHERE child.parent_run_id = $1)
  AND NOT EXISTS (
      SELECT 1 FROM runs AS parent
      WHERE parent.run_id = runs.parent_run_id AND parent.publication = 'published')
  AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.run_id = $1)
