"""spikepress: runtime."""
