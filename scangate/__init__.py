"""scangate: the malware gate for your lockfile."""

__version__ = "0.1.0"
