"""What can go wrong, and how it is said.

    PrivsynthError            exit code 1
    ├── DataError             a file or table cannot be read, or is empty
    ├── SchemaError           the schema file is wrong, or the records do not keep to it
    ├── BudgetError           a privacy budget is impossible, exceeded or spent twice
    │   └── LedgerError       the ledger refuses a charge, or its chain is broken
    ├── ModelError            a saved model cannot be trusted or read
    ├── AssessmentError       the tables given to an assessment do not fit together
    ├── OutputError           a folder cannot be written, or already holds a run
    ├── UsageError            an argument is impossible (exit code 2)
    └── ReleaseRefused        a release that must not be (exit code 3)

A message names the column, the rule and a count. It never holds a value of a record: an error
message is a release.
"""

from __future__ import annotations

from dataclasses import dataclass


class PrivsynthError(Exception):
    """The root of every error that privsynth raises on purpose."""

    exit_code = 1


class DataError(PrivsynthError):
    """A file or table that cannot be read, or that holds nothing to learn from."""


class SchemaError(PrivsynthError):
    """A schema that is wrong, or records that do not keep to it."""


class BudgetError(PrivsynthError):
    """A privacy budget that is impossible, exceeded or spent twice."""


class LedgerError(BudgetError):
    """A ledger that refuses a charge, or whose chain of hashes is broken."""


class ModelError(PrivsynthError):
    """A saved model that cannot be trusted or read."""


class AssessmentError(PrivsynthError):
    """Tables that do not fit together in an assessment."""


class OutputError(PrivsynthError):
    """A folder that cannot be written, or that already holds a run."""


class UsageError(PrivsynthError):
    """An argument that is impossible."""

    exit_code = 2


class ReleaseRefused(PrivsynthError):  # noqa: N818 - a refusal is an answer, no fault
    """A release that must not be: its claim is refuted or void, or its build failed its audit."""

    exit_code = 3


@dataclass(frozen=True)
class Inconclusive:
    """A figure that could not be computed, as a fact with its reason.

    It stands where a number would stand: never NaN, never left out of a mean in silence.

    >>> Inconclusive("only 12 of 500 planned queries could be made").reason
    'only 12 of 500 planned queries could be made'
    """

    reason: str
