"""The same work done by other stores; imports nothing of dolittle."""
