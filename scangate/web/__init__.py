"""HTTP, safely: addresses that may be gone to, exchanges bounded in every direction. Knows no service."""
