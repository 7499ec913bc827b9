"""spikepress: tests."""
