"""The engines: implementations of the event store port."""
