"""Training on a Ray cluster: the only package, besides `tune`, that imports Ray."""
