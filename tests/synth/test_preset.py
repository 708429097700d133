"""Presets: read by name, refused by name, and each draws what its golden.json says."""

import importlib.util
import json
from pathlib import Path

import pytest

from privsynth.errors import ModelError, UsageError
from privsynth.synth import preset as presets
from privsynth.synth.preset import load_preset, preset_names, presets_folder, read_preset

ROOT = Path(__file__).parents[2]


def golden_of(name: str) -> dict:
    """What benchmarks/golden.py gives for a preset now."""
    spec = importlib.util.spec_from_file_location("golden", ROOT / "benchmarks" / "golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.golden(name)


def test_every_preset_has_its_card_and_its_golden_figures():
    assert set(preset_names()) >= {"diffusion", "diffusion-no-privacy", "gan", "marginal"}
    for name in preset_names():
        folder = presets_folder() / name
        assert (folder / "CARD.md").is_file()
        assert json.loads((folder / "golden.json").read_text())["figures"]


def test_a_preset_sets_what_its_file_says():
    assert load_preset("diffusion-no-privacy").max_codes == 100
    assert read_preset("diffusion").private
    assert not read_preset("diffusion-no-privacy").private


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'diffusion'"):
        load_preset("difusion")


@pytest.mark.parametrize(
    "text",
    ["not toml", 'synthesizer = "diffusion"', 'synthesizer = "diffusion"\nsummary = ""\n'
     "private = true\n[settings]\nnosuch = 1\n"],
)  # fmt: skip
def test_a_broken_preset_is_refused_in_one_line(monkeypatch, tmp_path, text):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "preset.toml").write_text(text)
    monkeypatch.setattr(presets, "presets_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"models/mine/preset\.toml"):
        load_preset("mine")


@pytest.mark.slow
@pytest.mark.usefixtures("full_size")
@pytest.mark.parametrize("name", preset_names())
def test_a_seeded_fit_gives_the_golden_figures(name):
    kept = json.loads((presets_folder() / name / "golden.json").read_text())
    now = golden_of(name)
    assert now["budget"] == kept["budget"]
    assert now["figures"]["codes"] == kept["figures"]["codes"]
    for metric, value in kept["figures"].items():
        assert now["figures"][metric] == pytest.approx(value, abs=kept["tolerance"])


def test_golden_figures_are_those_of_the_budget_that_a_preset_is_for():
    for name in preset_names():
        kept = json.loads((presets_folder() / name / "golden.json").read_text())
        assert (kept["budget"]["epsilon"] is not None) == read_preset(name).private
        assert kept["data"] == "simulated clinic, 3000 patients, seed 11"
