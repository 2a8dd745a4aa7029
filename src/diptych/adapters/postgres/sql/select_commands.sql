-- Which of these commands were answered, and how. Parameters: command ids. No locks.
SELECT id, digest, answer, first, count FROM :"schema".commands WHERE id = ANY ($1::text[])
