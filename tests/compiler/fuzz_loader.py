"""Damage ONNX files in many ways and read them, in a process of its own.

    python tests/compiler/fuzz_loader.py FOLDER SEED CASES

prints a JSON object: how many were read, refused, and the slowest; the first case that neither was
ends with its traceback.
"""

import json
import os
import re
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from corpus.by_helper import COMES_IN
from onnx_models import f4

from vle.compiler.frontend import import_model
from vle.errors import CompileError
from vle.sim import Layer, Network

SECONDS = 5  # of CPU for one file
MEMORY = 3 << 30  # bytes of data, NumPy and ONNX included
HUGE = (0, -1, 2**20, 2**31 - 1, 2**31, 2**40, 2**62)


def originals(folder):
    """Sound files to damage."""
    models = []
    for case in COMES_IN:
        case.write(folder / "m.onnx")
        models.append(onnx.load(folder / "m.onnx"))
    layers = (Layer(f4(4, 3), f4(4), 1, 1, "tanh", f4(4, 4)), Layer(f4(2, 4), f4(2), 1, 1, "relu"))
    Network(layers, 0.5).save(folder / "m.onnx")
    ready = Path(__file__).parents[2] / "examples" / "models"
    others = ("digits_mlp", "digits_qdq", "digits_rnn")
    return [
        *models,
        onnx.load(folder / "m.onnx"),
        *(onnx.load(ready / f"{n}.onnx") for n in others),
    ]


def any_of(rng, items):
    return items[int(rng.integers(len(items)))] if len(items) else None


def truncated(rng, model):
    data = model.SerializeToString()
    return data[: int(rng.integers(len(data)))]


def flipped(rng, model):
    data = np.frombuffer(model.SerializeToString(), np.uint8).copy()
    where = rng.integers(len(data), size=int(rng.integers(1, 9)))
    data[where] ^= (1 << rng.integers(8, size=len(where))).astype(np.uint8)
    return data.tobytes()


def cyclic(rng, model):
    nodes = model.graph.node
    index = int(rng.integers(len(nodes)))
    later = any_of(rng, nodes[index:])
    if nodes[index].input and later.output:
        nodes[index].input[int(rng.integers(len(nodes[index].input)))] = any_of(rng, later.output)
    return model


def huge(rng, model):
    size = int(any_of(rng, HUGE))
    what = int(rng.integers(4))
    tensor = any_of(rng, model.graph.initializer)
    if what == 0 and tensor is not None and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = size
    elif what == 1:
        shape = any_of(rng, model.graph.input).type.tensor_type.shape
        if shape.dim:
            shape.dim[int(rng.integers(len(shape.dim)))].dim_value = size
    elif what == 2 and tensor is not None and tensor.data_type == onnx.TensorProto.INT64:
        array = onnx.numpy_helper.to_array(tensor).copy()
        array.flat[: min(1, array.size)] = size
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    else:
        for item in any_of(rng, model.graph.node).attribute:
            if item.type == onnx.AttributeProto.INT:
                item.i = size
            elif item.type == onnx.AttributeProto.INTS and item.ints:
                item.ints[0] = size
    return model


def missing(rng, model):
    field = any_of(rng, [model.graph.initializer, model.graph.node, model.graph.input])
    if len(field):
        del field[int(rng.integers(len(field)))]
    return model


def rewired(rng, model):
    nodes = model.graph.node
    names = [name for item in nodes for name in (*item.input, *item.output)]
    node = any_of(rng, nodes)
    what = int(rng.integers(4))
    if what == 0 and node.input:
        node.input[int(rng.integers(len(node.input)))] = any_of(rng, names)
    elif what == 1:
        node.op_type = any_of(rng, nodes).op_type
    elif what == 2:
        nodes.append(node)
    else:
        node.input.append(any_of(rng, names))
    return model


def retyped(rng, model):
    tensor = any_of(rng, model.graph.initializer)
    if tensor is not None:
        tensor.data_type = int(rng.integers(24))
    else:
        model.graph.input[0].type.tensor_type.elem_type = int(rng.integers(24))
    return model


def woven(rng, model):
    """Every value twice as often on the way to the output: 2 to the number of nodes paths."""
    nodes = [onnx.helper.make_node("Add", [f"a{i}", f"a{i}"], [f"a{i + 1}"]) for i in range(64)]
    if rng.uniform() < 0.5:
        nodes += [onnx.helper.make_node("Tanh", [f"a{i}"], [f"a{i + 1}"]) for i in range(64, 1500)]
    source = model.graph.input[0].name
    nodes[0].input[:] = [source, source]
    model.graph.node.extend(nodes)
    model.graph.output[0].name = nodes[-1].output[0]
    return model


DAMAGES = (truncated, flipped, flipped, cyclic, huge, huge, missing, rewired, retyped)


def damaged(rng, models):
    """Bytes of one damaged file, and how it was damaged."""
    model = onnx.ModelProto()
    model.CopyFrom(any_of(rng, models))
    damage = woven if rng.uniform() < 0.01 else any_of(rng, DAMAGES)
    found = damage(rng, model)
    data = found if isinstance(found, bytes) else found.SerializeToString()
    return data, damage.__name__


def overdue(number, frame):
    raise TimeoutError(f"a file must be read within {SECONDS} s of CPU")


def main(folder, seed, cases):
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.signal(signal.SIGVTALRM, overdue)
    warnings.simplefilter("error")
    models = originals(folder)
    counts, slowest = Counter(), 0.0
    path = folder / "m.onnx"
    for number in range(cases):
        rng = np.random.default_rng((seed, number))
        data, kind = damaged(rng, models)
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        begin = time.process_time()
        try:
            import_model(path)
            counts[f"{kind} read"] += 1
        except CompileError as error:
            text = str(error)
            counts[f"{kind} refused"] += 1
        except BaseException:
            print(f"seed {seed}, case {number}: {kind}", file=sys.stderr)
            raise
        else:
            text = str(path)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        assert text.startswith(str(path)), text
        assert "\n" not in text, text
        slowest = max(slowest, time.process_time() - begin)
        assert os.listdir(folder) == ["m.onnx"], os.listdir(folder)
    # Not getrusage: what it tells begins with the process that started this one.
    status = Path("/proc/self/status").read_text()
    megabytes = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024
    print(json.dumps({"counts": counts, "slowest": slowest, "megabytes": megabytes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
