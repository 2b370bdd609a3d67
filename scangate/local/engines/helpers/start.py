"""Starts the interpreter and ends: whatever runs now stands in .pth files, sitecustomize or usercustomize."""
