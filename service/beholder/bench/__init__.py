"""What the service costs: the same work in a plain loop and through a server, in turn."""
