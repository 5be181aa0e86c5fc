"""Training on JAX: recipes, exact and local learning, checkpoints, the command `vle-train`.

Nothing here is imported by `vle.sim` itself; JAX, optax and the rest come with the extra `train`.
"""
