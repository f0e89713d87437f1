SELECT name, 1 AS can_select, 1 AS can_insert, 1 AS can_update, 1 AS can_delete
FROM sqlite_master WHERE type = 'table' AND ?1 IS NULL
