"""Benchmarks of diptych against floors (the least work possible) and peers (other libraries)."""
