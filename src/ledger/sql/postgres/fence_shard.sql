-- A process that is lost in the middle of its commit keeps the shard locked: not for longer than this.
SELECT shards.state, shards.epoch, runs.state AS run_state,
       set_config('statement_timeout', '5min', true),
       set_config('idle_in_transaction_session_timeout', '1min', true) AS idle_timeout
FROM shards JOIN runs ON runs.run_id = shards.run_id
WHERE shards.run_id = $1 AND shards.shard_no = $2
FOR UPDATE OF shards
