"""All cores, or a cluster, through joblib: results in order, whoever computed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib

from vle.errors import CompileError

Each = Callable[[str, Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
Bar = Callable[[str, int, int], None]  # what, how many are done, of how many


@contextmanager
def pool(workers: int, cluster: str | None, bar: Bar) -> Iterator[Each]:
    """Yield a function that maps over items, on processes of this machine or a Dask cluster.

    Parameters
    ----------
    workers
        Processes; -1: one per core. A cluster has as many as it has.
    cluster
        Address of a Dask scheduler, such as ``tcp://host:8786``.
    bar
        Shows how far it is.

    Raises
    ------
    CompileError
        Where the cluster cannot be reached, or `dask.distributed` is not there.
    """
    with _backend(workers, cluster) as options, joblib.Parallel(**options) as parallel:

        def each(what: str, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
            bar(what, 0, len(items))
            jobs = (joblib.delayed(function)(item) for item in items)
            for done, result in enumerate(parallel(jobs), 1):
                bar(what, done, len(items))
                yield result

        yield each


@contextmanager
def _backend(workers: int, cluster: str | None) -> Iterator[dict[str, Any]]:
    options: dict[str, Any] = {"return_as": "generator", "batch_size": 1}
    if cluster is None:
        yield options | {"n_jobs": workers, "backend": "loky"}
        return
    try:
        from dask.distributed import Client  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise CompileError("a cluster needs dask.distributed: install vle[cluster]") from error
    try:
        client = Client(cluster, timeout=10)
    except (OSError, ValueError) as error:
        raise CompileError(f"cluster {cluster} must be reachable: {error}") from error
    with client, joblib.parallel_config(backend="dask"):
        yield options | {"n_jobs": -1}
