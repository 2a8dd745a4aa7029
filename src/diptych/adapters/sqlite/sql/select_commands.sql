-- Which of these commands were answered, and how.
-- Parameters: JSON array of command ids. Under the write lock when it decides about an append.
SELECT id, digest, answer, first, count FROM commands
WHERE id IN (SELECT value FROM json_each(?))
