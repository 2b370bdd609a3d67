"""Runs a package's own code where it can reach nothing, and records what it did. Linux: bubblewrap and strace."""
