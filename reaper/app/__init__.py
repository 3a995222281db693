"""Settings to objects, and the two use cases: `once` and `daemon`."""
