"""Builds broken on purpose, one defect at a time: each must turn a check red."""

from privsynth.audit import broken_answers, broken_steps
from privsynth.audit.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "broken_answers", "broken_steps"]
