"""ANALYSE: the analysis service. HTTP only in `client`, timing only in `scheduler`."""
