"""What a request and a connection may cost: bodies, JSON, connections, lines of the log. The numbers are settings."""
