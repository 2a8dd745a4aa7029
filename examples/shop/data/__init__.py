"""The order lines and where they come from: ATTRIBUTION.md."""
