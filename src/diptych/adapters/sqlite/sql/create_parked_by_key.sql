-- What is parked for some keys, however much is parked for others. No parameters.
CREATE INDEX parked_by_key ON parked (projection, key)
