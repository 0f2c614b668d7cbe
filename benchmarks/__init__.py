"""Measures dolittle against floors and peers; ``python -m benchmarks --help``."""
