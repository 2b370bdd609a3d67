"""Tests of scangate.web."""
