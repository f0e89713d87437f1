-- Rows that the process reads at a time: whoever comes after one that vanished reads fewer.
ALTER TABLE run_attempts ADD COLUMN chunk_rows bigint;

-- Retries of dead letters, by the run whose they are.
CREATE INDEX runs_of_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
