INSERT INTO pruned_generations (job, logical_date, generation)
SELECT job, logical_date, generation FROM runs WHERE run_id = ?1 AND pruned_at IS NOT NULL
ON CONFLICT (job, logical_date) DO UPDATE
SET generation = max(pruned_generations.generation, excluded.generation)
