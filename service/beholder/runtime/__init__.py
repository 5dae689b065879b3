"""The device: loaded graphs, and where they run."""
