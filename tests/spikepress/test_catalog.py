"""The device catalogue and its verdicts."""

import pytest

from runtime.errors import ConfigError, DataError
from spikepress.catalog import Kind, Resource, Wanted, device, devices, judge, judge_all, matching

SMALL = {
    Resource.FLASH: 9_000,
    Resource.RAM: 900,
    Resource.BLOCK_RAM: 80_000,
    Resource.NEURONS: 138,
    Resource.SYNAPSES: 5_000,
    Resource.STORED_WEIGHTS: 50_000,
    Resource.INPUTS: 64,
}

OWN = """
[[device]]
name = "mine"
title = "My board"
kind = "mcu"
core = "rv32imc"
mhz = 100
flash_bytes = 65536
reserved_flash_bytes = 4096
ram_bytes = 8192
source = "my bench"
status = "verified"
"""


def test_the_catalogue_names_at_least_thirty_devices_once_each():
    names = [entry.name for entry in devices()]
    assert len(names) >= 30
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


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(vendor="raspberry"), ["rp2040", "rp2354"]),
        (Wanted(words="blue pill"), ["stm32f103c8"]),
        (Wanted(kind="fpga", vendor="lattice", words="ice40"), ["ice40up5k", "ice40hx8k"]),
        (Wanted(core="avr", flash=32_256, ram=1_792), ["atmega328p", "atmega2560"]),
        (Wanted(core="avr", flash=32_257), ["atmega2560"]),
        (Wanted(kind="neuromorphic", flash=1), []),
    ],
)
def test_devices_are_found_by_kind_vendor_words_and_usable_memory(wanted, names):
    assert [entry.name for entry in matching(devices(), wanted)] == names


def test_every_device_of_the_catalogue_names_its_vendor():
    assert all(entry.vendor for entry in devices())


def test_every_device_gets_a_verdict():
    assert len(judge_all(SMALL)) == len(devices())


def test_an_unknown_device_is_refused_with_the_known_names():
    with pytest.raises(ConfigError, match="atmega328p"):
        device("z80")


def test_a_limit_without_a_stated_need_is_refused():
    with pytest.raises(ConfigError, match="ram_bytes"):
        judge({Resource.FLASH: 1}, device("atmega328p"))


def test_the_smallest_riscv_part_is_known_with_what_it_lacks():
    part = device("ch32v003")
    assert part.core == "rv32ec"
    assert part.multiplier is False
    assert part.limits == {Resource.FLASH: 16_384, Resource.RAM: 2_048}


def test_parts_that_run_from_external_flash_name_their_cache():
    for name in ("rp2040", "rp2354", "esp32", "esp32c3", "esp32s3", "fe310"):
        assert any("cache" in words for words in device(name).not_modelled), name


def test_a_chip_that_stores_zeros_counts_them():
    needs = {**SMALL, Resource.STORED_WEIGHTS: 300_000}
    assert judge(needs, device("dynap-cnn")).binding is Resource.STORED_WEIGHTS
    assert not judge(needs, device("dynap-cnn")).fits


def test_users_add_devices_of_their_own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    mine = device("mine", path)
    assert mine.available(Resource.FLASH) == 61_440
    assert len(devices(path)) == len(devices()) + 1
    assert matching(devices(path), Wanted(kind="mcu", core="RV32IM"))[-1] == mine


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("flash_bytes = 65536", "flash = 65536"), ("mine", "'flash'", "expected")),
        (("flash_bytes = 65536", "flash_bytes = -1"), ("mine", "-1", "flash_bytes", "whole number")),
        (("flash_bytes = 65536", 'flash_bytes = "64K"'), ("mine", "'64K'", "flash_bytes")),
        (("flash_bytes = 65536", "flash_bytes = 4096"), ("reserved_flash_bytes = 4096", "less than")),
        (("flash_bytes = 65536", "flash_bytes = 99999999999999999"), ("flash_bytes", "2^48")),
        (("ram_bytes = 8192", ""), ("mine", "ram_bytes")),
        (('kind = "mcu"', 'kind = "cpu"'), ("'cpu'", "mcu, fpga, neuromorphic")),
        (('source = "my bench"', ""), ("source", "a text")),
        (("mhz = 100", "mhz = true"), ("mhz", "True")),
        (('name = "mine"', 'name = "esp32"'), ("'esp32'", "new name")),
        (("[[device]]", "[[part]]"), ("part", "[[device]]")),
        (("[[device]]", "[[device]"), ("TOML",)),
    ],
)
def test_a_device_that_cannot_be_is_one_sentence(tmp_path, change, words):
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(*change, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        devices(path)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in ("found", "expected", *words))


def test_a_device_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.toml"):
        devices(tmp_path / "none.toml")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="neuromorphic"):
        Wanted(kind="gpu")
