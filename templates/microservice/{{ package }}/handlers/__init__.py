"""Event handlers: what follows from events outside of this microservice."""
