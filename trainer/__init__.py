"""spikepress: trainer."""
