"""Privacy: the only part that may spend a budget, and the part that an auditor reads."""
