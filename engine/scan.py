"""Scan a model file for anything that could run code: default deny. What could not be scanned has failed.

ONNX is read as protobuf, by the onnx library and by our own reader: known operator domains only, no external data, no
functions of its own. skops is read as the zip it is: safe member names, plain NumPy arrays without pickled objects, and
an exact list of types and nodes; what follows an array is read for pickle opcodes, and picklescan is asked too.
"""

import io
import pickletools
import posixpath
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import strict_json
from engine.errors import EngineError, FormatError
from engine.formats import detect
from engine.formats.onnx_wire import DOMAINS, refuse_reaching_out
from engine.formats.skops_types import NODES, TYPES

MOST_MEMBERS = 10_000
MOST_UNPACKED = 10 * 1024**3
MOST_RATIO = 100
SMALL = 1024**2
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MOST_DEPTH = 20
HANDS_THROUGH = "sklearn.preprocessing._function_transformer.FunctionTransformer"
NPY = b"\x93NUMPY"
CODE = frozenset(
    {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "EXT1", "EXT2", "EXT4"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be: a stable code, a sentence, and where in the file."""

    code: str
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The outcome of a scan: clean only if every scanner ran and none found anything."""

    ok: bool
    findings: tuple[Finding, ...]
    scanned_by: tuple[str, ...]
    log: str


class Unsafe(Exception):
    """Stop the scan: what was found makes reading on pointless, or dangerous."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(message)
        self.finding = Finding(code, message, where)


def scan(path: Path, format: str) -> ScanReport:
    """Return what a scan of a model file found. It never raises: a scan that fails is a finding, `scan_failed`."""
    findings: list[Finding] = []
    log: list[str] = []
    ran: list[str] = []
    scanners = {"onnx": (_onnx, _wire), "skops": (_skops, _picklescan)}.get(format, ())
    if not scanners:
        findings.append(Finding("scan_failed", f"There is no scanner for {format!r}."))
    for scanner in scanners:
        name = scanner.__name__.strip("_")
        try:
            if detect(path) != format:
                raise Unsafe("format_mismatch", f"The file is not {format}.")
            found = list(scanner(path, log))
            ran.append(name)
        except Unsafe as stop:
            found = [stop.finding]
        except EngineError as error:
            found = [Finding(error.code, error.message)]
        except Exception as error:  # default deny: whatever keeps us from looking is a failure
            found = [
                Finding("scan_failed", f"{name} could not scan the file: {type(error).__name__}: {str(error)[:200]}")
            ]
        findings += found
        log += [f"{name}: {f.code} {f.where} {f.message}" for f in found] or [f"{name}: nothing found"]
    return ScanReport(not findings, tuple(findings), tuple(ran), "\n".join(log))


def _onnx(path: Path, log: list[str]) -> Iterator[Finding]:
    import onnx  # heavy, and needed for ONNX files only

    model = onnx.ModelProto()
    model.ParseFromString(path.read_bytes())
    for opset in model.opset_import:
        if opset.domain not in DOMAINS:
            yield Finding("domain_not_allowed", f"Operators of {opset.domain!r} are not on the list.", "opset_import")
    if model.training_info:
        yield Finding("training_not_allowed", "The file holds a graph for training; export it for inference.")
    if model.functions:
        yield Finding("functions_not_allowed", "The file defines functions of its own.", model.functions[0].name)
    if not model.opset_import or not model.graph.node:
        yield Finding("scan_failed", "The file holds no graph.")
    names: set[str] = set()
    yield from _graph(model.graph, names, 0)
    log.append(f"onnx: {len(names)} kinds of operators: {', '.join(sorted(names))}")


def _graph(graph: Any, names: set[str], depth: int) -> Iterator[Finding]:
    import onnx

    if depth > MOST_DEPTH:
        raise Unsafe("scan_failed", "The graph nests too deep.")
    for tensor in (*graph.initializer, *_dense(graph.sparse_initializer)):
        if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.external_data:
            yield Finding("external_data", "Weights lie outside the file; export them into it.", tensor.name)
    for node in graph.node:
        names.add(f"{node.domain or 'ai.onnx'}.{node.op_type}")
        if node.domain not in DOMAINS:
            yield Finding("domain_not_allowed", f"{node.op_type} of {node.domain!r} is not on the list.", node.name)
        elif not onnx.defs.has(node.op_type, node.domain if node.domain != "ai.onnx" else ""):
            yield Finding("operator_unknown", f"{node.op_type} is not an operator of ONNX.", node.name)
        for attribute in node.attribute:
            sparse = _dense([*attribute.sparse_tensors, attribute.sparse_tensor])
            tensors = [*attribute.tensors, attribute.t, *sparse]
            if any(t.data_location != onnx.TensorProto.DEFAULT or t.external_data for t in tensors):
                yield Finding("external_data", "Weights lie outside the file; export them into it.", node.name)
            graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
            for inner in graphs:
                yield from _graph(inner, names, depth + 1)


def _dense(tensors: Iterable[Any]) -> Iterator[Any]:
    """Yield the tensors that sparse ones are made of."""
    for tensor in tensors:
        yield from (tensor.values, tensor.indices)


def _wire(path: Path, log: list[str]) -> Iterator[Finding]:
    """Look through the file without the onnx library, as a second opinion."""
    content = path.read_bytes()
    try:
        refuse_reaching_out(content)
    except FormatError as error:
        yield Finding(error.code, error.message)
    log.append(f"wire: {len(content)} bytes read")


def check_archive(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members of an archive that is safe to read. Raises Unsafe for names, links, twins or bombs."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise Unsafe("archive_bomb", f"The archive has more than {MOST_MEMBERS} members.")
    seen: set[str] = set()
    total = 0
    for member in members:
        name = member.filename
        if (
            name != posixpath.normpath(name)
            or name != member.orig_filename  # zipfile cuts a name at its first NUL
            or name.startswith(("/", ".."))
            or "\\" in name
            or ":" in name
        ):
            raise Unsafe("archive_path", "A member's name leaves the archive.", repr(name)[:100])
        if not name.isprintable() or len(name) > 255:
            raise Unsafe("archive_path", "A member's name is odd.", repr(name)[:100])
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Unsafe("archive_link", "A member is a link, a folder or a device.", name)
        if name.casefold() in seen:
            raise Unsafe("archive_twins", "Two members have the same name.", name)
        if member.flag_bits & 1 or member.compress_type not in PACKINGS:
            raise Unsafe("scan_failed", "A member is encrypted or packed in an unusual way.", name)
        seen.add(name.casefold())
        total += member.file_size
        if total > MOST_UNPACKED or (
            member.file_size > SMALL and member.file_size > MOST_RATIO * max(member.compress_size, 1)
        ):
            raise Unsafe("archive_bomb", "The archive unpacks to far more than it is.", name)
    return members


def refuse_unsafe_skops(path: Path) -> None:
    """Look through a skops file before it is loaded. Raises FormatError with the code of the first finding."""
    try:
        found = next(_skops(path, []), None)
    except Unsafe as stop:
        found = stop.finding
    except Exception as error:  # default deny: what could not be read is not loaded
        raise FormatError("model_not_loadable", f"The skops file is damaged: {str(error)[:200]}.") from error
    if found is not None:
        raise FormatError(found.code, f"{found.message} ({found.where})" if found.where else found.message)


def _skops(path: Path, log: list[str]) -> Iterator[Finding]:
    with zipfile.ZipFile(path) as archive:
        members = check_archive(archive)
        described = False
        for member in members:
            if member.filename == "schema.json":
                yield from _nodes(strict_json.loads(_read(archive, member)))
                described = True
            elif member.filename.endswith(".npy"):
                yield from _array(archive, member)
            else:
                yield Finding(
                    "member_not_allowed", "Only schema.json and .npy arrays belong into a skops file.", member.filename
                )
        if not described:
            yield Finding("scan_failed", "The file has no schema.json, so it tells nothing about itself.")
        log.append(f"skops: {len(members)} members")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's bytes, at most as many as it says it has: a size that lies is refused."""
    with archive.open(member) as stream:
        content = stream.read(member.file_size + 1)
        if len(content) != member.file_size or stream.read(1):
            raise Unsafe("archive_bomb", "A member is larger than it says.", member.filename)
    return content


def _nodes(tree: Any) -> Iterator[Finding]:
    """Walk the tree of nodes without recursion, and compare each type and node with the exact lists."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node or "__module__" in node:
                name = f"{node.get('__module__')}.{node.get('__class__')}"
                if node.get("__loader__") not in NODES:
                    yield Finding("node_not_allowed", f"Nodes of kind {node.get('__loader__')!r} may run code.", name)
                if name not in TYPES or (name == HANDS_THROUGH and not _calls_nothing(node)):
                    yield Finding("type_not_allowed", "The type is not on the list.", name)
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _calls_nothing(node: dict[str, Any]) -> bool:
    """Tell whether a FunctionTransformer has no function, so that it hands its columns through."""
    try:
        state = node["content"]["content"]
        return all(state[key]["content"] == "null" for key in ("func", "inverse_func"))
    except (KeyError, TypeError):  # another kind of node than skops writes
        return False


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[Finding]:
    from numpy.lib import format as npy  # numpy is heavy, and needed for skops files only

    content = _read(archive, member)
    if not content.startswith(NPY):
        yield Finding("member_not_allowed", "The member is not a NumPy array.", member.filename)
        return
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
    shape, _, dtype = reader(stream)
    if dtype.hasobject:
        yield Finding("pickle_inside", "The array holds pickled objects.", member.filename)
        return
    wanted = dtype.itemsize
    for axis in shape:
        wanted *= axis
    rest = content[stream.tell() :]
    if len(rest) != wanted:
        yield Finding("member_damaged", f"The array has {len(rest)} bytes instead of {wanted}.", member.filename)
        code = pickle_code(rest[max(wanted, 0) :])
        if code:
            yield Finding("pickle_inside", f"A pickle follows the array: {code}.", member.filename)


def pickle_code(content: bytes) -> str:
    """Return the first opcode that can run code if bytes are a pickle; empty if they are not, or have none."""
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in CODE:
                return f"{opcode.name} {argument or ''}".strip()
    except Exception:  # pickletools raises many things on what is no pickle
        return ""
    return ""


def _picklescan(path: Path, log: list[str]) -> Iterator[Finding]:
    from picklescan.scanner import scan_file_path

    result = scan_file_path(str(path))
    if result.scan_err:
        yield Finding("scan_failed", "picklescan could not read the file.")
    for one in result.globals:
        if one.safety.value != "innocuous":
            yield Finding("pickle_inside", f"picklescan calls it {one.safety.value}.", f"{one.module}.{one.name}")
    log.append(f"picklescan: {result.scanned_files} pickles scanned")
