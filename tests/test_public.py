"""The public names: sorted, all there, and loaded when they are first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import privsynth as ps


def test_the_names_are_sorted_and_not_repeated() -> None:
    assert ps.__all__ == sorted(set(ps.__all__))
    assert dir(ps) == ps.__all__


@pytest.mark.parametrize("name", ps.__all__)
def test_a_name_is_there_and_says_what_it_gives(name: str) -> None:
    item = getattr(ps, name)
    assert item.__name__ == name
    assert item.__doc__


def test_every_error_is_public() -> None:
    from privsynth import errors

    raised = {
        name
        for name, item in vars(errors).items()
        if isinstance(item, type) and item.__module__ == errors.__name__
    }
    assert raised <= set(ps.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'anonymise'"):
        ps.anonymise  # noqa: B018


@pytest.mark.parametrize("name", ["Schema", "PrivacyBudget", "Table", "read_table", "assess"])
def test_what_needs_no_network_loads_no_torch(name: str) -> None:
    code = f"import sys, privsynth; privsynth.{name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
