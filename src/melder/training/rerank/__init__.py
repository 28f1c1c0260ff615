"""Training a second look: a cross-encoder on what the first stage finds, and the weight of either kind."""
