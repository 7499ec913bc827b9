"""The example configurations: readable, buildable, and the packaged one equal to the one shown."""

import os
from pathlib import Path

import pytest

from benchmarks.examples import EXAMPLES
from spikepress.settings import config_text, parse_settings
from trainer import build, datasets

ROOT = Path(__file__).parent.parent.parent
CONFIGS = ROOT / "configs"


def settings_of(name):
    return parse_settings(*config_text(CONFIGS / f"{name}.toml"), name)


def test_every_configuration_is_an_example_and_every_example_has_one():
    assert {path.stem for path in CONFIGS.glob("*.toml")} == set(EXAMPLES)


def test_packaged_configurations_are_those_of_the_repository():
    packaged = sorted((ROOT / "spikepress" / "configs").glob("*.toml"))
    assert "digits.toml" in [path.name for path in packaged]
    for path in packaged:
        assert path.read_text(encoding="utf-8") == (CONFIGS / path.name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_how_to_prune_and_quantize(name):
    settings = settings_of(name)
    assert 0 < settings.prune.sparsity < 1
    assert settings.config.quantize is not None


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_builds_for_its_data(name):
    config = settings_of(name).config
    if config.data.name != "digits" and "SPIKEPRESS_DATA" not in os.environ:
        pytest.skip("SPIKEPRESS_DATA is not set")
    info = datasets.load(config.data.name, None, config.data.options).info
    net = build.build_net(config, build.input_spec(config.input, info), len(info.classes), info.classes)
    assert len(net.neurons()) >= 2
