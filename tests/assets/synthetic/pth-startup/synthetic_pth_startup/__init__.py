"""Made for scangate's tests: nothing here; its .pth file runs at every start of Python."""
