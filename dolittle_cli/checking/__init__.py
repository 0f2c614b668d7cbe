"""What ``dolittle check`` finds in a microservice: its rules, the lock file, stored events."""
