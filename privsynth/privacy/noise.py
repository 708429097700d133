"""Where private noise and private batches come from, and the exact draws made of it.

A release draws from `SecretNoise`: ChaCha20 keyed by the operating system. Tests draw from
`SeededNoise`, which is marked and whose release is refused. Both give 64-bit words; everything
else is made from those words by the same code.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NoReturn, SupportsIndex, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import ArrayLike, NDArray

from privsynth.errors import UsageError

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Booleans: TypeAlias = NDArray[np.bool_]
Words: TypeAlias = NDArray[np.uint64]

MAX_SIGMA_SQUARED = 2**50  # above it a product in the discrete Gaussian could leave 63 bits

_BLOCK = 1 << 16  # words: half a megabyte, which stays in a processor's cache
_ZEROS = bytes(8 * _BLOCK)
_PAIRS = 1 << 13  # pairs of normals made at a time, for the same reason
_DRAWS = 1 << 16  # proposals of a rejection sampler made at a time


class NoiseSource(ABC):
    """Random words, and the uniforms, integers and normals made of them."""

    description: ClassVar[str]
    is_secret: ClassVar[bool]

    @abstractmethod
    def words(self, n: int) -> Words:
        """The next n words of 64 random bits, never handed out again."""

    def uniform(self, size: int) -> Floats:
        """Numbers in [0, 1), each a multiple of 2**-53: (size,).

        >>> SeededNoise(1).uniform(3).shape
        (3,)
        """
        return np.asarray(_top_53(self.words(size)) * 2.0**-53)

    def uniform_integers(self, high: ArrayLike, size: int) -> Integers:
        """Integers in [0, high), each equally likely without rounding: (size,).

        `high` is one bound or one for each draw, at least 1 and below 2**63. Words from the
        incomplete last run of `high` numbers are drawn again.

        >>> bool((SeededNoise(1).uniform_integers(6, 100) < 6).all())
        True
        """
        bounds = np.asarray(high)
        if (bounds < 1).any():
            raise UsageError("uniform integers need a bound of at least 1")
        bounds = bounds.astype(np.uint64)
        first_fair = (np.uint64(2**64 - 1) - bounds + np.uint64(1)) % bounds
        words = self.words(size)
        found: Words = words % bounds
        again = np.flatnonzero(words < first_fair)
        if again.size:
            left = bounds if bounds.ndim == 0 else bounds[again]
            found[again] = self.uniform_integers(left, again.size).view(np.uint64)
        return found.view(np.int64)

    def normal(self, shape: int | tuple[int, ...]) -> Floats:
        """Independent standard normals by Box and Muller (1958), in double precision.

        >>> SeededNoise(1).normal((2, 3)).shape
        (2, 3)
        """
        size = math.prod(shape) if isinstance(shape, tuple) else shape
        flat = np.empty(size + size % 2)
        for start in range(0, flat.size, 2 * _PAIRS):
            part = flat[start : start + 2 * _PAIRS]
            _box_muller(self.words(part.size), part)
        return flat[:size].reshape(shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.description})"


class SecretNoise(NoiseSource):
    """ChaCha20 keystream under keys from the operating system: the noise of every release.

    Each block of half a megabyte has a key of its own, so that no counter runs out and a key says
    nothing about earlier noise. A forked process starts afresh, and a source can be neither copied
    nor pickled: the same noise drawn twice would cancel.

    >>> SecretNoise()
    SecretNoise(chacha20)
    """

    description = "chacha20"
    is_secret = True

    def __init__(self) -> None:
        self._left = np.empty(0, dtype=np.uint64)
        self._process = os.getpid()

    def words(self, n: int) -> Words:
        """The next n words of the keystream."""
        if self._process != os.getpid():
            self._left, self._process = self._left[:0], os.getpid()
        if n > self._left.size:
            self._left = np.concatenate([_keystream() for _ in range(-(-n // _BLOCK))])
        taken, self._left = self._left[:n], self._left[n:]
        return taken

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("secret noise cannot be copied or pickled: make a new SecretNoise")


class SeededNoise(NoiseSource):
    """Reproducible noise for tests. What it protects is not private, and no release takes it.

    >>> (SeededNoise(7).uniform(5) == SeededNoise(7).uniform(5)).all()
    True
    >>> SeededNoise(7)
    SeededNoise(seeded (test only))
    """

    description = "seeded (test only)"
    is_secret = False

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(seed)

    def words(self, n: int) -> Words:
        """The next n words of the seeded generator."""
        return np.asarray(self._bits.random_raw(n), dtype=np.uint64)


def discrete_gaussian(sigma_squared: int, size: int, noise: NoiseSource) -> Integers:
    """Integers y drawn with probability proportional to exp(-y² / 2 sigma_squared): (size,).

    The exact sampler of Canonne, Kamath and Steinke (2020), algorithms 1 to 3: integers only, no
    rounding. The proposal is a discrete Laplace of scale sigma_squared / floor(sigma).

    >>> discrete_gaussian(0, 3, SeededNoise(1))
    array([0, 0, 0])
    """
    if not 0 <= sigma_squared <= MAX_SIGMA_SQUARED:
        raise UsageError("the squared sigma of a discrete Gaussian must be between 0 and 2**50")
    if sigma_squared == 0:
        return np.zeros(size, dtype=np.int64)
    return _collect(size, lambda n: _gaussian_attempts(sigma_squared, n, noise))


def poisson_sample(n_units: int, rate: float, noise: NoiseSource) -> Integers:
    """The units that join a batch, ascending: each with probability `rate`, on its own.

    The batch may be empty. The probability is the float's value without rounding: candidates are
    met at the exact probability 2**-j, the power of two just above the rate, by gaps between them
    (so that the cost grows with the batch and not with n_units), and each is kept with the exact
    probability rate · 2**j.

    >>> poisson_sample(5, 1.0, SeededNoise(1))
    array([0, 1, 2, 3, 4])
    """
    if not 2.0**-50 <= rate <= 1:
        raise UsageError("a sampling rate must be above 0 and at most 1")
    if rate == 1:
        return np.arange(n_units, dtype=np.int64)
    fraction, exponent = math.frexp(rate)  # rate = fraction · 2**exponent, fraction in [1/2, 1)
    candidates = _candidates(n_units, 1 << -exponent, noise)
    kept = _top_53(noise.words(candidates.size)) < int(fraction * 2**53)
    return candidates[kept]


def _keystream() -> Words:
    block = bytearray(8 * _BLOCK)
    cipher = Cipher(algorithms.ChaCha20(os.urandom(32), os.urandom(16)), mode=None)
    cipher.encryptor().update_into(_ZEROS, block)
    return np.frombuffer(block, dtype=np.uint64)


def _top_53(words: Words) -> Integers:
    return (words >> np.uint64(11)).view(np.int64)


def _box_muller(words: Words, out: Floats) -> None:
    half = out.size // 2
    bits = _top_53(words)
    radius = np.sqrt(-2 * np.log((bits[:half] + 1) * 2.0**-53))  # of a uniform in (0, 1]
    # Cosine and sine by the tangent of half the angle: one call instead of two slower ones.
    tangent = np.tan((bits[half:] - 2**52) * (np.pi * 2.0**-53))
    square = tangent * tangent
    radius /= 1 + square
    np.multiply(radius, 1 - square, out=out[:half])
    np.multiply(radius, 2 * tangent, out=out[half:])


def _collect(size: int, attempt: Callable[[int], Integers]) -> Integers:
    """`size` draws of a rejection sampler; attempt(n) gives those accepted of n proposals."""
    parts, left = [np.empty(0, dtype=np.int64)], size
    while left:
        part = attempt(min(2 * left + 64, _DRAWS))[:left]
        parts.append(part)
        left -= part.size
    return np.concatenate(parts)


def _gaussian_attempts(sigma_squared: int, n: int, noise: NoiseSource) -> Integers:
    sigma = math.isqrt(sigma_squared)
    sizes = _geometric(sigma_squared, n, noise) // sigma  # discrete Laplace, folded
    negative = noise.uniform_integers(2, sizes.size) == 1
    fair = ~(negative & (sizes == 0))  # zero has one sign only
    sizes, negative = sizes[fair], negative[fair]
    # exp(-y²/2σ²) over the proposal is exp(-(|y| - σ)²/2σ²). The square is clamped to 63 bits,
    # which is reached only where it would be accepted with a probability below exp(-4000).
    distance = np.minimum(np.abs(sizes - sigma), math.isqrt(2**63 - 1))
    accepted = _bernoulli_exp(distance**2, 2 * sigma_squared, noise)
    return np.where(negative, -sizes, sizes)[accepted]


def _geometric(bottom: int, n: int, noise: NoiseSource, *, falling: bool = False) -> Integers:
    """At most n integers x with probability proportional to r**x, r = exp(-1/bottom).

    If falling, r = 1 - 1/bottom: the failures before a success of probability 1/bottom.
    """
    rest = noise.uniform_integers(bottom, n)
    rest = rest[_bernoulli_power(rest, bottom, noise, falling)]
    whole = np.zeros_like(rest)
    active = np.arange(rest.size)
    while active.size:
        tops = np.full(active.size, bottom)
        active = active[_bernoulli_power(tops, bottom, noise, falling)]
        whole[active] += 1
    return rest + bottom * whole


def _bernoulli_exp(tops: Integers, bottom: int, noise: NoiseSource) -> Booleans:
    """True with probability exp(-top/bottom), for any top from 0."""
    whole, rest = np.divmod(tops, bottom)
    found = _bernoulli_power(rest, bottom, noise, False)
    active = np.flatnonzero(found & (whole > 0))
    while active.size:
        lucky = _bernoulli_power(np.ones_like(active), 1, noise, False)
        found[active[~lucky]] = False
        active = active[lucky]
        whole[active] -= 1
        active = active[whole[active] > 0]
    return found


def _bernoulli_power(tops: Integers, bottom: int, noise: NoiseSource, falling: bool) -> Booleans:
    """True with probability exp(-top/bottom), or (1 - 1/bottom)**top if falling; top <= bottom.

    Both are alternating series 1 - a1 + a2 - …, where a_k / a_(k-1) is top / (k · bottom), or
    (top - k + 1) / (k · bottom) if falling. So draw with these ratios until the first failure:
    an even number of successes has the probability wanted (Forsythe 1972).
    """
    found = np.ones(tops.size, dtype=np.bool_)
    active, k = np.arange(tops.size), 1
    while active.size:
        ratio_tops = tops[active] - (k - 1 if falling else 0)
        active = active[noise.uniform_integers(k * bottom, active.size) < ratio_tops]
        found[active] ^= True
        k += 1
    return found


def _candidates(n_units: int, bottom: int, noise: NoiseSource) -> Integers:
    """Units met with probability 1/bottom each, by the gaps between them."""
    parts, last = [np.empty(0, dtype=np.int64)], -1
    while last < n_units:
        expected = (n_units - last) // bottom
        gaps = _geometric(bottom, min(2 * expected + 64, _DRAWS), noise, falling=True)
        parts.append(last + np.cumsum(gaps + 1))
        last = int(parts[-1][-1]) if gaps.size else last
    met = np.concatenate(parts)
    return met[met < n_units]
