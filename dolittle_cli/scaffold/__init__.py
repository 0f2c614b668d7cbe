"""Plans, renders and writes what ``dolittle new`` and ``dolittle add`` generate."""
