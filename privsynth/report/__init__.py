"""The risk report: facts in, one document in two editions, and a page drawn from it."""
