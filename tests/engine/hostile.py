"""Files that somebody could upload to do harm: each a function that writes one and returns its path."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper


class Harm:
    """Unpickles into a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("false",)


def graph(
    *,
    domain: str = "",
    operator: str = "Identity",
    attributes: dict[str, Any] | None = None,
    initializers: tuple[TensorProto, ...] = (),
    **more: Any,
) -> onnx.ModelProto:
    """Return a graph of one node that hands its input through."""
    node = helper.make_node(operator, ["x"], ["y"], domain=domain, **(attributes or {}))
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3]) for name in "xy"]
    whole = helper.make_graph([node], "g", value[:1], value[1:], list(initializers))
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(whole, opset_imports=opsets, ir_version=9, **more)


def outside(location: str = "pyproject.toml") -> TensorProto:
    """Return a tensor whose bytes lie in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def sparse(values: TensorProto, indices: TensorProto) -> onnx.SparseTensorProto:
    """Return a sparse tensor."""
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[4])


def branch(inner: onnx.NodeProto) -> onnx.GraphProto:
    """Return a graph as a branch of If."""
    return helper.make_graph([inner], "b", [], [helper.make_tensor_value_info("z", TensorProto.UINT8, [4])])


def onnx_files() -> dict[str, tuple[onnx.ModelProto, str]]:
    """Return hostile graphs by name, each with the code it must be refused with."""
    plain = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    inside = helper.make_node("Constant", [], ["z"], value=outside())
    function = helper.make_function("own", "F", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [])
    in_sparse = graph()
    in_sparse.graph.sparse_initializer.append(sparse(outside(), plain))
    in_indices = graph()
    in_indices.graph.sparse_initializer.append(sparse(plain, outside()))
    unimported = graph()
    unimported.graph.node[0].domain = "com.microsoft"
    trained = graph()
    trained.training_info.add().initialization.CopyFrom(graph().graph)
    return {
        "external initializer": (graph(initializers=(outside(),)), "external_data"),
        "external with a path upwards": (graph(initializers=(outside("../../etc/passwd"),)), "external_data"),
        "external in an attribute": (graph(operator="Constant", attributes={"value": outside()}), "external_data"),
        "external in a branch": (graph(operator="If", attributes={"then_branch": branch(inside)}), "external_data"),
        "external in sparse values": (in_sparse, "external_data"),
        "external in sparse indices": (in_indices, "external_data"),
        "custom domain": (graph(domain="evil.ops"), "domain_not_allowed"),
        "contrib domain without import": (unimported, "domain_not_allowed"),
        "preview domain": (graph(domain="ai.onnx.preview.training"), "domain_not_allowed"),
        "function of its own": (graph(functions=[function]), "functions_not_allowed"),
        "training graph": (trained, "training_not_allowed"),
    }


def repacked(source: Path, target: Path, change: Any) -> Path:
    """Copy a zip member by member; `change` gets the new archive and each (info, content) and writes what it wants."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            change(new, info, old.read(info))
    return target


def with_member(source: Path, target: Path, name: str, content: bytes, mode: int = 0o644, **options: Any) -> Path:
    """Copy a zip and add a member of any name and kind."""
    repacked(source, target, lambda new, info, old: new.writestr(info, old))
    with zipfile.ZipFile(target, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.filename = name  # which the class itself would cut at a NUL
        info.external_attr = (mode if mode > 0o7777 else stat.S_IFREG | mode) << 16
        archive.writestr(info, content, **options)
    return target


def with_schema(source: Path, target: Path, edit: Any) -> Path:
    """Copy a skops file with its tree edited."""

    def change(new: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        if info.filename == "schema.json":
            tree = json.loads(content)
            content = json.dumps(edit(tree) or tree).encode()
        new.writestr(info, content)

    return repacked(source, target, change)


def with_array(source: Path, target: Path, content: bytes) -> Path:
    """Copy a skops file with every array replaced."""

    def change(new: zipfile.ZipFile, info: zipfile.ZipInfo, old: bytes) -> None:
        new.writestr(info, content if info.filename.endswith(".npy") else old)

    return repacked(source, target, change)


def object_array() -> bytes:
    """Return an .npy whose elements are a pickle that runs a command."""
    stream = io.BytesIO()
    np.save(stream, np.array([Harm()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def pickles() -> dict[str, bytes]:
    """Return pickles as several tools write them."""
    import bz2
    import gzip
    import lzma
    import zlib

    found = {f"protocol {number}": pickle.dumps(Harm(), number) for number in range(6)}
    best = found["protocol 4"]
    torch = io.BytesIO()
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", best)
        archive.writestr("archive/version", "3")
    return found | {
        "gzip": gzip.compress(best),
        "zlib": zlib.compress(best),
        "bzip2": bz2.compress(best),
        "xz": lzma.compress(best),
        "torch": torch.getvalue(),
        "npy": object_array(),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    }
