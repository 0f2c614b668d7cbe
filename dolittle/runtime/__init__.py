"""The only loops: host, delivery, state, HTTP, configuration."""
