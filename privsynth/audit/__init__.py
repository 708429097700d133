"""Whether a build does what its claim says: checks, builds broken on purpose, planted records."""
