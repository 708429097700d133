"""The command line: one module a command, and nothing heavy at the top of any."""
