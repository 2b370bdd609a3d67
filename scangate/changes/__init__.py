"""SELECT: which lockfiles there are, which base, what is new. The only place that runs git."""
