INSERT INTO runs (job, logical_date, generation, trial, reason, fingerprint, identity, state,
                  publication, model_name, model_version, model_digest, precision, numerics,
                  batch_size, shard_size, planned, parent_run_id, backfill)
VALUES ($1, $2,
        (SELECT coalesce(max(generation), 0) + 1
         FROM (SELECT generation FROM runs WHERE job = $1 AND logical_date = $2
               UNION ALL
               SELECT generation FROM pruned_generations WHERE job = $1 AND logical_date = $2) AS known),
        $3 <> 0, $4, $5, $6::json, 'running', 'pending', $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 <> 0)
RETURNING run_id
