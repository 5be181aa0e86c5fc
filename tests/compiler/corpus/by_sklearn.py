"""Written by skl2onnx from networks and other models of scikit-learn."""

import warnings
from functools import cache, partial

import numpy as np
from skl2onnx import to_onnx
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from corpus.case import Case


@cache
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6)).astype(np.float32)
    return x, x[:, 0] + x[:, 1] ** 2, (2 * x[:, 0] > x[:, 1]).astype(int) + (x[:, 2] > 0)


def case(name, model, target, refused=None, only=False, **options):
    write_it = partial(write, model, target, options, only)
    return Case("scikit-learn", name, write_it, refused, output=-1)


def write(model, target, options, only, path):
    x, value, classes = data()
    y = {"value": value, "classes": classes, "two": classes > 0}[target]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        written = to_onnx(model().fit(x, y), x[:1], options=options or None)
    if only:
        del written.graph.output[1:]
    path.write_bytes(written.SerializeToString())


def classifier(**more):
    return MLPClassifier(hidden_layer_sizes=(7,), max_iter=20, random_state=0, **more)


def regressor(**more):
    return MLPRegressor(hidden_layer_sizes=(7, 5), max_iter=20, random_state=0, **more)


CASES = (
    case("classifier", classifier, "classes", zipmap=False),
    case("classifier, its label", classifier, "classes", zipmap=False, only=True),
    case("two classes", lambda: classifier(activation="tanh"), "two", zipmap=False),
    case("regressor", lambda: regressor(activation="logistic"), "value"),
    case("scaled regressor", lambda: make_pipeline(StandardScaler(), regressor()), "value"),
    case("limited inputs", lambda: make_pipeline(MinMaxScaler(), regressor()), "value"),
    case("linear regression", LinearRegression, "value"),
    case("logistic regression", LogisticRegression, "classes", zipmap=False),
    case("principal components", lambda: make_pipeline(PCA(3), Ridge()), "value"),
    case(
        "forest",
        lambda: RandomForestClassifier(3),
        "classes",
        r"\(ai.onnx.ml.TreeEnsemble\w+\)",
        zipmap=False,
    ),
    case("tree", DecisionTreeRegressor, "value", r"\(ai.onnx.ml.TreeEnsembleRegressor\)"),
    case("neighbours", KNeighborsClassifier, "classes", r"\(\w+\)", zipmap=False),
    case("support vectors", SVC, "classes", r"\([\w.]+\)", zipmap=False),
    case("polynomials", lambda: make_pipeline(PolynomialFeatures(2), Ridge()), "value", r"\(\w+\)"),
    case("unit length", lambda: make_pipeline(Normalizer(), Ridge()), "value", r"\([\w.]+\)"),
)
