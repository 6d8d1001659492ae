"""The intermediate representation: a network of quantised operators, and what can be asked of
it."""
