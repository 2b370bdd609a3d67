"""The embedded analysis service: HTTP server, task store, engines. Needs the extra `scangate[local]`."""
