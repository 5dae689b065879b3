"""Load on a server, measured from outside: what is sent when, by which processes, and what came of it."""
