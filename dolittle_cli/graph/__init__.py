"""The graph of a microservice: commands, aggregates, events, handlers, projections."""
