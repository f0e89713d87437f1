SELECT logical_date FROM pruned_generations
WHERE job = ?1 AND only_trials = 0 AND logical_date BETWEEN ?2 AND ?3
