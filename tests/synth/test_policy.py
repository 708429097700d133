"""The split of a budget follows from public facts: columns, row count and epsilon."""

import pytest

from privsynth.privacy.budget import PrivacyBudget
from privsynth.schema import Schema
from privsynth.synth.policy import density, training_share

SCHEMA = Schema.parse(
    {
        "dataset": {"id": "d"},
        "columns": {
            "patient": {"kind": "id"},
            "ill": {"kind": "boolean"},
            "ward": {"kind": "categorical", "categories": ["A", "B", "C"]},
            "only": {"kind": "categorical", "categories": ["x"]},
            "code": {"kind": "categorical", "source": "private"},
            "age": {"kind": "integer", "lower": 0, "upper": 120},
        },
    }
)
MAX_CODES = 10


def share(n_units: int | None, epsilon: float) -> float:
    return training_share(SCHEMA, n_units, PrivacyBudget(epsilon, 1e-9), MAX_CODES)


def test_density_counts_the_codes_that_the_schema_allows_and_no_more_than_there_may_be():
    few, many = density(SCHEMA, 1_000, 10), density(SCHEMA, 1_000, 32)
    assert few > many
    assert density(SCHEMA, 2_000, 10) == 2 * few
    n_codes = 1_000 / few
    assert 2 + 3 + 2 + 10 + 10 - 10 <= n_codes <= 2 + 3 + 2 + 10 + 10 + 10


def test_few_units_a_code_leave_no_share_for_training():
    assert share(10_000, 1.0) == 0.0
    assert share(100_000, 1.0) > 0.0
    assert share(10_000, 10.0) > 0.0


def test_the_share_of_training_grows_with_epsilon_and_is_never_the_larger_part():
    shares = [share(10**7, epsilon) for epsilon in (0.1, 1.0, 3.0, 10.0, 100.0)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 0.25


def test_a_private_row_count_decides_nothing_and_is_not_needed():
    assert share(None, 1.0) == share(None, 50.0) == 0.0


def test_without_privacy_there_is_always_a_training():
    exact = PrivacyBudget.no_privacy()
    assert 0 < training_share(SCHEMA, 20, exact, MAX_CODES) < 1


@pytest.mark.parametrize("n_units", [None, 20, 100_000])
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 50.0])
def test_the_marginals_always_get_a_share(n_units, epsilon):
    assert 0 <= share(n_units, epsilon) < 1
