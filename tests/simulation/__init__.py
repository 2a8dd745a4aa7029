"""Runs of simulated worlds, the bugs that they must find, and adapters against a model."""
