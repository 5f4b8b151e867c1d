"""The services as a cluster, on real servers, while things go wrong: scripts/faults."""
