-- The records of a retry cover those of its parent.
INSERT INTO publications (job, logical_date, layer, run_id)
SELECT child.job, child.logical_date,
       (SELECT max(layer) + 1 FROM publications
        WHERE job = child.job AND logical_date = child.logical_date), child.run_id
FROM runs AS child WHERE child.run_id = $1
