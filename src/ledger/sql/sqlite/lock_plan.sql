-- The only writer is here, so there is nobody to lock out from planning ?1.
SELECT ?1 AS locked
