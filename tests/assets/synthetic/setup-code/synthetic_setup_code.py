"""Made for scangate's tests: nothing here."""
