"""Aggregate roots: the rules, and the commands that apply events."""
