"""Gets a package and what it depends on, outside the sandbox, without running any of it."""
