SELECT logical_date FROM pruned_generations
WHERE job = $1 AND NOT only_trials AND logical_date BETWEEN $2 AND $3
