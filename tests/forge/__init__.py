"""Tests of scangate.forge."""
