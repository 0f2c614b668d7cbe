"""The developer command line."""
