"""The command line: every command in a file of its own; it asks as any caller does and decides nothing about scores."""
