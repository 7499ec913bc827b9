"""spikepress: pruner."""
