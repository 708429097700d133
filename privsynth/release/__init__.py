"""What may be handed over: written whole or not at all, and checked when it is loaded."""
