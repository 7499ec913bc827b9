"""spikepress: exporter."""
