import numpy as np
import pytest

from runtime.errors import ConfigError, DataError
from trainer.datasets import load
from trainer.datasets.audio import MelGrid, log_mel, mel_filters, read_wav

from .files import tone, write_wav


def write_packed(path):
    """30 recordings to train on (takes 5 to 7), 20 to test (0 and 1), two speakers."""
    arrays = {"speakers": np.array(["ann", "bob"]), "sample_rate": 8000}
    for split, takes in (("train", (5, 6, 7)), ("test", (0, 1))):
        rows = [(digit, take) for take in takes for digit in range(10)]
        sounds = [tone(200 + 150 * digit, 1000 + 50 * take) for digit, take in rows]
        arrays |= {
            f"audio_{split}": np.concatenate(sounds),
            f"offset_{split}": np.cumsum([0, *map(len, sounds)]),
            f"y_{split}": np.array([digit for digit, _ in rows], np.uint8),
            f"speaker_{split}": np.array([digit % 2 for digit, _ in rows], np.uint8),
            f"take_{split}": np.array([take for _, take in rows], np.uint8),
        }
    np.savez(path, **arrays)
    return arrays


def test_frames_start_with_silence_and_span_0_to_255():
    frames = log_mel(tone(1000), MelGrid(12, 24))
    assert frames.shape == (12, 24)
    assert not frames[0].any()
    assert frames.max() == 255


def test_a_higher_tone_peaks_in_a_higher_band():
    peaks = [int(log_mel(tone(hz), MelGrid(5, 24))[2].argmax()) for hz in (300, 900, 2500)]
    assert peaks == sorted(set(peaks))


def test_every_band_hears_something():
    assert (mel_filters(MelGrid(5, 24)).sum(axis=1) > 0).all()


def test_a_recording_shorter_than_a_window_and_silence_both_give_frames():
    for samples in (tone(500, 10), np.zeros(3000, np.int16)):
        assert log_mel(samples, MelGrid(4, 8)).shape == (4, 8)


def test_the_official_split_holds_validation_out_by_take(tmp_path):
    write_packed(tmp_path / "fsdd.npz")
    splits = load("fsdd", tmp_path, {"validation": 0.3})
    assert set(splits.test.groups) == {0, 1}
    assert len(set(splits.validation.groups)) == 1
    assert splits.train.x.shape == (20, 20, 24)


def test_a_speaker_can_be_left_out(tmp_path):
    arrays = write_packed(tmp_path / "fsdd.npz")
    arrays["speaker_train"] = np.repeat([0, 1, 2], 10)
    arrays["speakers"] = np.array(["ann", "bob", "cyd"])
    np.savez(tmp_path / "fsdd.npz", **arrays)
    splits = load("fsdd", tmp_path, {"test_speaker": "bob"})
    assert set(splits.test.groups) == {1}
    assert not set(splits.train.groups) & set(splits.validation.groups)
    assert splits.info.group_kind == "speaker"
    with pytest.raises(ConfigError, match="found 'dan', expected one of"):
        load("fsdd", tmp_path, {"test_speaker": "dan"})


def test_the_original_folder_gives_the_same_frames_as_the_packed_file(tmp_path):
    arrays = write_packed(tmp_path / "fsdd.npz")
    for split in ("train", "test"):
        parts = np.split(arrays[f"audio_{split}"], arrays[f"offset_{split}"][1:-1])
        for sound, digit, speaker, take in zip(
            parts, *(arrays[f"{key}_{split}"] for key in ("y", "speaker", "take")), strict=True
        ):
            name = f"{digit}_{arrays['speakers'][speaker]}_{take}.wav"
            write_wav(tmp_path / "original" / "recordings" / name, sound)
    packed, original = load("fsdd", tmp_path), load("fsdd", tmp_path / "original")
    order = np.lexsort([packed.test.groups, packed.test.y])
    assert np.array_equal(packed.test.x[order], original.test.x)
    assert np.array_equal(packed.test.y[order], original.test.y)


def test_another_sample_rate_is_refused(tmp_path):
    write_wav(tmp_path / "recordings" / "0_ann_0.wav", tone(500), rate=16_000)
    with pytest.raises(DataError, match="found 16000 samples a second, expected 8000"):
        load("fsdd", tmp_path)


def test_one_step_is_too_few(tmp_path):
    write_packed(tmp_path / "fsdd.npz")
    with pytest.raises(ConfigError, match="found 1 steps"):
        load("fsdd", tmp_path, {"n_steps": 1})


def test_two_channels_become_their_mean(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([[100, 300], [-100, -100]]), rate=44_100, channels=2)
    samples, rate = read_wav(tmp_path / "a.wav")
    assert (samples.tolist(), rate) == ([200, -100], 44_100)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVEjunk"])
def test_a_malformed_wav_is_refused(tmp_path, data):
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read"):
        read_wav(tmp_path / "a.wav")


def test_a_wav_without_samples_is_refused(tmp_path):
    write_wav(tmp_path / "a.wav", [])
    with pytest.raises(DataError, match="found 0 bytes of sound"):
        read_wav(tmp_path / "a.wav")
