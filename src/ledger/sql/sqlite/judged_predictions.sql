SELECT prediction.record_id, run.model_name, run.model_version, prediction.label, prediction.score,
       prediction.value, prediction.output, truth.label AS true_label, truth.value AS true_value,
       truth.items AS true_items, truth.segment
FROM predictions_by_date AS prediction
JOIN runs AS run ON run.run_id = prediction.run_id
JOIN ground_truth AS truth
  ON truth.job = prediction.job
 AND truth.record_id = prediction.record_id
 AND truth.origin = ?3
WHERE prediction.job = ?1 AND prediction.logical_date = ?2
  AND (truth.logical_date = prediction.logical_date
       OR (truth.logical_date = ''
           AND NOT EXISTS (
               SELECT 1 FROM ground_truth AS dated
               WHERE dated.job = truth.job AND dated.record_id = truth.record_id
                 AND dated.origin = truth.origin AND dated.logical_date = prediction.logical_date)))
