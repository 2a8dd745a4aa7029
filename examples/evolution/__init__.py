"""The shop at every stage of its evolution. The domain is that of `examples/shop`, untouched."""
