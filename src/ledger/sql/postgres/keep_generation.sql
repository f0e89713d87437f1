INSERT INTO pruned_generations (job, logical_date, generation, only_trials)
SELECT job, logical_date, generation, trial FROM runs WHERE run_id = $1 AND pruned_at IS NOT NULL
ON CONFLICT (job, logical_date) DO UPDATE
SET generation = greatest(pruned_generations.generation, excluded.generation),
    only_trials = pruned_generations.only_trials AND excluded.only_trials
