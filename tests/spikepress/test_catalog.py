"""The device catalogue and its verdicts."""

import pytest

from runtime.errors import ConfigError
from spikepress.catalog import Kind, Resource, device, devices, judge, judge_all

SMALL = {
    Resource.FLASH: 9_000,
    Resource.RAM: 900,
    Resource.BLOCK_RAM: 80_000,
    Resource.NEURONS: 138,
    Resource.SYNAPSES: 5_000,
    Resource.INPUTS: 64,
}


def test_the_catalogue_names_at_least_twenty_devices_once_each():
    names = [entry.name for entry in devices()]
    assert len(names) >= 20
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("entry", devices(), ids=lambda entry: entry.name)
def test_every_device_states_source_limits_and_a_smaller_reserve(entry):
    assert entry.source
    assert entry.limits
    assert all(entry.available(resource) > 0 for resource in entry.limits)
    if entry.kind is Kind.MCU:
        assert {Resource.FLASH, Resource.RAM} <= set(entry.limits)
        assert all(entry.reserved[resource] > 0 for resource in (Resource.FLASH, Resource.RAM))


def test_the_verdict_agrees_with_brute_force_on_a_grid():
    for flash in (0, 31_999, 32_256, 32_257, 10**6):
        for ram in (0, 1_791, 1_792, 1_793, 10**5):
            verdict = judge({**SMALL, Resource.FLASH: flash, Resource.RAM: ram}, device("atmega328p"))
            assert verdict.fits == (flash <= 32_768 - 512 and ram <= 2_048 - 256)


def test_the_binding_resource_is_the_one_with_the_largest_share():
    verdict = judge({**SMALL, Resource.RAM: 5_000}, device("atmega328p"))
    assert not verdict.fits
    assert verdict.binding is Resource.RAM
    assert verdict.sentence == "does not fit: ram_bytes 5,000 of 1,792 (279.0%)"


def test_a_chip_with_sixteen_inputs_refuses_sixty_four():
    verdict = judge(SMALL, device("xylo-a2"))
    assert not verdict.fits
    assert verdict.binding is Resource.INPUTS


def test_every_device_gets_a_verdict():
    assert len(judge_all(SMALL)) == len(devices())


def test_an_unknown_device_is_refused_with_the_known_names():
    with pytest.raises(ConfigError, match="atmega328p"):
        device("z80")


def test_a_limit_without_a_stated_need_is_refused():
    with pytest.raises(ConfigError, match="ram_bytes"):
        judge({Resource.FLASH: 1}, device("atmega328p"))
