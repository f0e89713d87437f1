SELECT CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) AS milliseconds
