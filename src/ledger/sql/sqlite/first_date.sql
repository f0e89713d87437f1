SELECT min(logical_date) AS logical_date
FROM (SELECT logical_date FROM runs WHERE job = ?1 AND trial = 0
      UNION ALL
      SELECT logical_date FROM pruned_generations
      WHERE job = ?1 AND only_trials = 0) AS known
