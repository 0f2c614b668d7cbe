"""The HTTP interface of a running microservice."""
