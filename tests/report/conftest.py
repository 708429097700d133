import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def load_example() -> ModuleType:
    place = Path(__file__).with_name("example.py")
    spec = importlib.util.spec_from_file_location("report_example", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def example() -> ModuleType:
    """The factory of a report with plausible numbers."""
    return load_example()


@pytest.fixture(scope="session")
def report(example):
    """The controller's edition of a private run."""
    return example.example_report()
