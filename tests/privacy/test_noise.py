from __future__ import annotations

import copy
import math
import os
import pickle
import time
import warnings

import numpy as np
import pytest
from scipy import stats

from privsynth.errors import UsageError
from privsynth.privacy import noise as noise_module
from privsynth.privacy.noise import (
    MAX_SIGMA_SQUARED,
    NoiseSource,
    SecretNoise,
    SeededNoise,
    discrete_gaussian,
    poisson_sample,
)

UNLIKELY = 1e-6


def chi_square_p(observed: np.ndarray, expected: np.ndarray) -> float:
    return float(stats.chisquare(observed, expected).pvalue)


@pytest.fixture(params=["secret", "seeded"])
def source(request: pytest.FixtureRequest) -> NoiseSource:
    return SecretNoise() if request.param == "secret" else SeededNoise(11)


def test_a_source_says_what_it_is() -> None:
    assert (SecretNoise().description, SecretNoise().is_secret) == ("chacha20", True)
    assert (SeededNoise(1).description, SeededNoise(1).is_secret) == ("seeded (test only)", False)


def test_reprs_show_neither_key_nor_seed() -> None:
    assert repr(SecretNoise()) == "SecretNoise(chacha20)"
    assert repr(SeededNoise(987654)) == "SeededNoise(seeded (test only))"


def test_seeded_sources_agree_and_secret_ones_do_not() -> None:
    assert (SeededNoise(3).words(1000) == SeededNoise(3).words(1000)).all()
    assert (SeededNoise(3).words(1000) != SeededNoise(4).words(1000)).all()
    assert (SecretNoise().words(1000) != SecretNoise().words(1000)).all()


def test_no_word_is_handed_out_twice() -> None:
    secret = SecretNoise()
    sizes = [3, 70_000, 65_536, 1, 0, 200_000]
    words = np.concatenate([secret.words(n) for n in sizes])
    assert words.size == sum(sizes)
    assert np.unique(words).size == words.size


def test_every_bit_of_the_words_is_fair(source: NoiseSource) -> None:
    words = source.words(100_000)
    ones = np.array([int(((words >> np.uint64(bit)) & np.uint64(1)).sum()) for bit in range(64)])
    assert np.abs(ones - 50_000).max() < 6 * math.sqrt(25_000)


def test_keys_come_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fixed(n: int) -> bytes:
        asked.append(n)
        return bytes(n)

    monkeypatch.setattr(noise_module.os, "urandom", fixed)
    words = SecretNoise().words(8)
    assert asked == [32, 16]
    # The keystream of the zero key and nonce (RFC 8439, appendix A.1, test vector 1)
    assert words.tobytes()[:8].hex() == "76b8e0ada0f13d90"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_draws_other_noise() -> None:
    secret = SecretNoise()
    secret.words(10)
    read, write = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 warns where other tests left threads
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.write(write, secret.words(4).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = np.frombuffer(os.read(read, 32), dtype=np.uint64)
    assert (theirs != secret.words(4)).all()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_secret_noise_cannot_be_duplicated(duplicate) -> None:
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        duplicate(SecretNoise())


@pytest.mark.parametrize("shape", [0, 1, 7, (3, 5), (2, 8192), 40_001])
def test_normals_come_in_any_shape(shape: int | tuple[int, ...]) -> None:
    draws = SeededNoise(1).normal(shape)
    assert draws.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert draws.dtype == np.float64
    assert np.isfinite(draws).all()


def test_normals_are_standard_normal(source: NoiseSource) -> None:
    draws = source.normal(400_000)
    assert stats.kstest(draws, "norm").pvalue > UNLIKELY
    edges = stats.norm.ppf(np.linspace(0, 1, 201))
    observed, _ = np.histogram(draws, edges)
    assert chi_square_p(observed, np.full(200, 2000.0)) > UNLIKELY
    far = np.abs(draws) > 4.0
    assert abs(int(far.sum()) - 25.3) < 30  # 400 000 · P(|x| > 4)


def test_the_two_halves_of_box_muller_are_independent() -> None:
    draws = SeededNoise(5).normal(2 * 8192)
    first, second = draws[:8192], draws[8192:]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.055
    assert abs(np.corrcoef(first**2, second**2)[0, 1]) < 0.055


def test_the_extreme_words_give_finite_normals() -> None:
    out = np.empty(8)
    words = np.array([0, 2**64 - 1, 0, 2**64 - 1, 0, 0, 2**64 - 1, 2**63], dtype=np.uint64)
    noise_module._box_muller(words, out)
    assert np.isfinite(out).all()
    assert np.abs(out).max() == pytest.approx(math.sqrt(106 * math.log(2)))


def test_uniforms_fill_the_half_open_interval(source: NoiseSource) -> None:
    draws = source.uniform(100_000)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize("high", [1, 2, 7, 1000])
def test_uniform_integers_are_unbiased(high: int, source: NoiseSource) -> None:
    draws = source.uniform_integers(high, 200_000)
    observed = np.bincount(draws, minlength=high)
    assert observed.size == high
    assert high == 1 or chi_square_p(observed, np.full(high, 200_000 / high)) > UNLIKELY


def test_uniform_integers_are_unbiased_where_a_remainder_would_not_be() -> None:
    high = 3 * 2**61  # words modulo this bound fall below 2**62 twice as often as they should
    draws = SeededNoise(2).uniform_integers(high, 60_000)
    assert draws.max() < high
    observed = np.bincount(draws // 2**61, minlength=3)
    assert chi_square_p(observed, np.full(3, 20_000.0)) > UNLIKELY


def test_each_uniform_integer_can_have_its_own_bound() -> None:
    high = np.tile(np.array([1, 3, 2**62 + 1]), 20_000)
    draws = SeededNoise(3).uniform_integers(high, high.size)
    assert (draws[0::3] == 0).all()
    assert chi_square_p(np.bincount(draws[1::3]), np.full(3, 20_000 / 3)) > UNLIKELY
    assert stats.kstest(draws[2::3] / 2.0**62, "uniform").pvalue > UNLIKELY


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        SeededNoise(1).uniform_integers(np.array([3, 0]), 2)


@pytest.mark.parametrize("sigma_squared", [1, 2, 10, 400])
def test_discrete_gaussian_has_its_distribution(sigma_squared: int, source: NoiseSource) -> None:
    draws = discrete_gaussian(sigma_squared, 200_000, source)
    assert draws.dtype == np.int64
    reach = math.ceil(4.5 * math.sqrt(sigma_squared)) + 2
    values = np.arange(-reach, reach + 1)
    mass = np.exp(-(values**2) / (2 * sigma_squared))
    mass /= mass.sum()
    seen = np.bincount(np.clip(draws, -reach, reach) + reach, minlength=values.size)
    common = mass * draws.size > 10
    rest = draws.size - seen[common].sum()
    observed = np.append(seen[common], rest)
    expected = np.append(mass[common] * draws.size, (1 - mass[common].sum()) * draws.size)
    assert chi_square_p(observed, expected) > UNLIKELY


@pytest.mark.parametrize("sigma_squared", [2**26 + 12_345, 10**8, 2**40 + 1, MAX_SIGMA_SQUARED])
def test_a_wide_discrete_gaussian_is_gaussian(sigma_squared: int) -> None:
    draws = discrete_gaussian(sigma_squared, 200_000, SeededNoise(6))
    assert stats.kstest(draws / math.sqrt(sigma_squared), "norm").pvalue > UNLIKELY


def test_a_discrete_gaussian_of_no_width_is_zero() -> None:
    assert discrete_gaussian(0, 5, SeededNoise(1)).tolist() == [0] * 5
    assert discrete_gaussian(9, 0, SeededNoise(1)).size == 0


@pytest.mark.parametrize("sigma_squared", [-1, MAX_SIGMA_SQUARED + 1])
def test_a_width_that_would_overflow_is_refused(sigma_squared: int) -> None:
    with pytest.raises(UsageError, match="between 0 and"):
        discrete_gaussian(sigma_squared, 1, SeededNoise(1))


@pytest.mark.parametrize(("top", "bottom"), [(0, 1), (1, 3), (1, 1), (5, 2), (30, 10)])
def test_bernoulli_of_a_negative_exponential(top: int, bottom: int) -> None:
    tops = np.full(100_000, top)
    hits = int(noise_module._bernoulli_exp(tops, bottom, SeededNoise(8)).sum())
    assert abs(hits - 1e5 * math.exp(-top / bottom)) <= 5 * math.sqrt(25_000)


@pytest.mark.parametrize(("top", "bottom"), [(0, 4), (1, 4), (3, 4), (4, 4), (1, 1), (500, 512)])
def test_bernoulli_of_a_power(top: int, bottom: int) -> None:
    tops = np.full(100_000, top)
    hits = int(noise_module._bernoulli_power(tops, bottom, SeededNoise(8), True).sum())
    assert abs(hits - 1e5 * (1 - 1 / bottom) ** top) <= 5 * math.sqrt(25_000)


@pytest.mark.parametrize("rate", [0.9, 0.5, 0.3, 1 / 64, 0.011])
def test_each_unit_joins_a_poisson_batch_at_the_rate(rate: float, source: NoiseSource) -> None:
    n_units, n_batches = 37, 4000
    joined = np.zeros((n_batches, n_units))
    for batch in joined:
        batch[poisson_sample(n_units, rate, source)] = 1
    tolerance = 5 * math.sqrt(rate * (1 - rate) / n_batches)
    assert np.abs(joined.mean(0) - rate).max() < tolerance
    # independent: the size of the batch is binomial, neighbours are uncorrelated
    sizes = joined.sum(1)
    assert sizes.var() == pytest.approx(n_units * rate * (1 - rate), rel=0.2)
    products = (joined[:, :-1] - rate) * (joined[:, 1:] - rate)
    assert abs(products.mean()) < 6 * rate * (1 - rate) / math.sqrt(products.size)


def test_a_poisson_batch_is_ascending_and_without_repeats() -> None:
    batch = poisson_sample(100_000, 0.07, SeededNoise(1))
    assert batch.dtype == np.int64
    assert (np.diff(batch) > 0).all()
    assert batch[0] >= 0
    assert batch[-1] < 100_000


def test_a_poisson_batch_may_be_empty() -> None:
    noise = SeededNoise(1)
    sizes = [poisson_sample(10, 0.05, noise).size for _ in range(500)]
    assert sizes.count(0) == pytest.approx(500 * 0.95**10, abs=55)
    assert poisson_sample(0, 0.5, noise).size == 0


def test_a_rate_of_one_takes_every_unit() -> None:
    assert poisson_sample(4, 1.0, SeededNoise(1)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan"), 2.0**-60])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="sampling rate"):
        poisson_sample(10, rate, SeededNoise(1))


def test_a_batch_of_many_units_costs_what_the_batch_costs() -> None:
    batch = poisson_sample(2**45, 2.0**-34, SeededNoise(1))  # nobody can visit 2**45 units
    assert batch.size == pytest.approx(2048, abs=6 * math.sqrt(2048))


def test_draws_are_fast_enough() -> None:
    secret = SecretNoise()
    assert _per_second(lambda: secret.normal(200_000), 200_000) > 8e6
    assert _per_second(lambda: discrete_gaussian(10**8, 50_000, secret), 50_000) > 3e5


def _per_second(draw, n: int) -> float:
    def seconds() -> float:
        start = time.process_time()  # other work on the machine does not count
        draw()
        return time.process_time() - start

    return n / max(min(seconds() for _ in range(5)), 1e-9)
