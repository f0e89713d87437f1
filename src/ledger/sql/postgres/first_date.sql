SELECT min(logical_date) AS logical_date
FROM (SELECT logical_date FROM runs WHERE job = $1 AND NOT trial
      UNION ALL
      SELECT logical_date FROM pruned_generations
      WHERE job = $1 AND NOT only_trials) AS known
