"""Planted bugs (`make prove`) and mutants (`make mutate`): shows that the tests can fail."""
