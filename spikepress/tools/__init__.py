"""Drivers of outside tools: compilers and emulators. Each file drives one; none is needed to import it."""
