"""Projections: read models made of events."""
