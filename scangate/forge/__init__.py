"""COMMENT: what a run found, told in the pull request. A stage after the verdict, which it cannot change."""
