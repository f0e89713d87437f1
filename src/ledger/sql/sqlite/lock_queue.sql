-- The only writer of Lamplighter's is here, and what applications insert waits for its commit.
SELECT 1 AS locked
