"""The benchmark of generators: the same public domains, the same figures, for ours and peers."""
