-- ?4, the lease, has no meaning here: there is one writer, and it lives.
UPDATE shards
SET state = 'leased', epoch = epoch + 1, attempts = attempts + 1, owner = ?2
WHERE run_id = ?1 AND ?4 > 0 AND shard_no IN (
    SELECT shard_no FROM shards WHERE run_id = ?1 AND state = 'available' ORDER BY shard_no LIMIT ?3)
RETURNING shard_no, first_ordinal, records, duplicates, input, epoch, attempts
