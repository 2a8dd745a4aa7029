-- A projection, and all whose names begin as its generations' do: `name__` and a digit.
-- Parameters: projection. No locks. Plan: two ranges of the key.
SELECT projection, role, position, fingerprint FROM checkpoints
WHERE projection = ?1 OR (projection > ?1 || '__' AND projection < ?1 || '__:')
