"""Event types: what has happened, in the past tense."""
