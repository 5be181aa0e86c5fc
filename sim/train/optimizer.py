"""Adam of optax with the recipe's schedule, clipping and weight decay."""

from __future__ import annotations

from typing import Any

import jax
import optax

from vle.sim.dynamics import LayerParameters
from vle.sim.train.recipe import Recipe
from vle.sim.train.variables import Variables


def schedule(recipe: Recipe, updates: int) -> optax.Schedule:
    """Return the rate as a function of the number of updates done, of `updates` in all."""
    if recipe.schedule == "constant":
        return optax.constant_schedule(recipe.rate)
    if recipe.schedule == "exponential":
        return optax.exponential_decay(recipe.rate, max(updates, 1), 1e-4)
    warmup = min(200, updates // 10)
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else recipe.rate,
        recipe.rate,
        warmup,
        max(updates, warmup + 1),
        recipe.rate / 100,
    )


def optimizer(
    recipe: Recipe, updates: int, variables: Variables, mask: Any
) -> optax.GradientTransformationExtraArgs:
    """Return the chain that turns gradients into updates; `mask` is 0 where nothing learns."""
    weights = tuple(
        LayerParameters(
            True, False, False, False, _same(p.recurrent, True), _same(p.backward, True)
        )
        for p in variables
    )
    hold = optax.stateless(lambda u, _: jax.tree.map(lambda a, m: a * m, u, mask))
    exact = recipe.learning == "exact"
    rate = schedule(recipe, updates)
    return optax.chain(
        hold,
        optax.clip_by_global_norm(1.0) if exact else optax.identity(),
        optax.scale_by_adam(b2=0.99 if exact else 0.999),
        optax.add_decayed_weights(recipe.weight_decay, weights)
        if recipe.weight_decay
        else optax.identity(),
        optax.scale_by_schedule(lambda count: jax.numpy.negative(rate(count))),
    )


def _same(leaf: Any, value: Any) -> Any:
    return None if leaf is None else value
