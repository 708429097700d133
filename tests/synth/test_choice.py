"""Which generator is taken: by public facts alone, said in plain words."""

import pandas as pd
import pytest

import privsynth as ps
from privsynth.synth.policy import choose
from privsynth.synth.preset import Auto, load_preset

NO_PRIVACY = ps.PrivacyBudget.no_privacy()
BUDGET = ps.PrivacyBudget(1.0, 1e-6)


def schema(n_columns: int = 4, **privacy) -> ps.Schema:
    column = {"kind": "categorical", "categories": [str(i) for i in range(10)]}
    columns = {f"c{number}": column for number in range(n_columns)}
    return ps.Schema.parse({"dataset": {"id": "d"}, "privacy": privacy, "columns": columns})


def table(n: int) -> ps.Table:
    frame = pd.DataFrame({f"c{j}": [str(i * (j + 1) % 10) for i in range(n)] for j in range(4)})
    return ps.read_table(frame, schema())


@pytest.mark.parametrize(
    ("n_units", "budget", "preset", "why"),
    [
        (400, NO_PRIVACY, "diffusion-no-privacy", "no noise"),
        (1_999, BUDGET, "marginal", "49.9 rows for each code at epsilon 1, below 50"),
        (2_000, BUDGET, "diffusion", "50 rows for each code at epsilon 1: the marginals teach"),
        (119_999, BUDGET, "diffusion", "more noise than knowledge below 3,000"),
        (120_000, BUDGET, "diffusion", "3000 rows for each code at epsilon 1, at least 3,000"),
        (None, BUDGET, "diffusion", "the number of rows is private"),
    ],
)
def test_the_rule(n_units, budget, preset, why) -> None:
    choice = choose(schema(), n_units, budget)
    assert choice.preset == preset
    assert why in choice.reason


def test_one_column_needs_no_network() -> None:
    assert choose(schema(1), 10**6, BUDGET).preset == "marginal"


def test_persons_are_called_persons() -> None:
    by_person = schema(unit="c0", max_rows_per_unit=2)
    assert "persons for each code" in choose(by_person, 5_000, BUDGET).reason


def test_auto_asks_what_the_chosen_generator_asks() -> None:
    for n_units, preset in ((400, "marginal"), (10_000, "diffusion"), (None, "diffusion")):
        asked = Auto().requests(schema(), n_units, BUDGET)
        assert asked == load_preset(preset).requests(schema(), n_units, BUDGET)


def test_auto_fits_the_chosen_generator(tmp_path) -> None:
    ledger = ps.Ledger(tmp_path / "ledger.sqlite")
    fitted = load_preset("auto").fit(table(400), ps.PrivacyBudget(1.0, 1e-5), ledger=ledger)
    assert fitted.name == "marginal"
    assert ps.Auto == Auto


def test_a_name_near_auto_is_understood() -> None:
    with pytest.raises(ps.UsageError, match="did you mean 'auto'"):
        load_preset("atuo")
