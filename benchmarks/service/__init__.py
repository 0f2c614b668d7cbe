"""The microservice that is loaded, replayed and projected."""
