"""READ: lockfiles to dependencies. One module a format."""
