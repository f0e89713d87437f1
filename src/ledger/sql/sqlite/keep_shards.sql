UPDATE shards SET lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?2 || ' seconds')
WHERE run_id = ?1 AND state = 'leased'
  AND (shard_no, epoch) IN (
      SELECT numbers.value, epochs.value
      FROM json_each('[' || trim(?3, '{}') || ']') AS numbers
      JOIN json_each('[' || trim(?4, '{}') || ']') AS epochs ON epochs.key = numbers.key)
