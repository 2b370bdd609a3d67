"""OBSERVE: report payloads to observations. Pure."""
