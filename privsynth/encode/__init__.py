"""Columns to codes and back: a codebook that charged measurements learn, then frozen."""

from privsynth.encode.codebook import Codebook
from privsynth.encode.learn import codebook_requests, learn_codebook, require_visible_bounds

__all__ = ["Codebook", "codebook_requests", "learn_codebook", "require_visible_bounds"]
