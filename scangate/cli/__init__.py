"""argv and environ to settings; one module a command; the only place that catches, writes and returns exit codes."""
