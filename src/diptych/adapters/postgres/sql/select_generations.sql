-- $1 projection. What may be its generations, by name; the caller looks at the number.
SELECT projection, role, position, fingerprint FROM :"schema".checkpoints
WHERE projection = $1 OR starts_with(projection, $1 || '__')
