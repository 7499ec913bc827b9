"""spikepress: benchmarks."""
