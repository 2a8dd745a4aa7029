"""What type checkers see of the public names. Checked by pyright in strict mode."""
