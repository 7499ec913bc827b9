"""spikepress: spikepress."""
