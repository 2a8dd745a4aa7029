"""Applications to learn from: `bank` in one file, `shop` as a team would build it."""
