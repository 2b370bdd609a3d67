"""The pre-commit hooks, run by the real program."""
