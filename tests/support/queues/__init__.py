"""Queue engines for the tests: harnesses of the contract suite, servers, models."""
