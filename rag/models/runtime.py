"""ONNX Runtime sessions, and the folder where what is made once is kept. The only module that imports onnxruntime."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelBroken

if TYPE_CHECKING:
    import onnx
    import onnxruntime

logger = logging.getLogger(__name__)
T = TypeVar("T")
S = TypeVar("S")

PROVIDERS: Final = ["CPUExecutionProvider"]
WEIGHTS_FILE: Final = "model.weights"
_WORTH_OPTIMISING: Final = 1_000_000  # bytes
_PLAIN_NORMS: Final = "plain norms, 1"
_SKIP_NORM_FUSION: Final = "SkipLayerNormFusion"
_NORM_INPUTS: Final = 4  # what is added to, what is added, scale and shift; a bias may come behind them
_EPSILON: Final = 1e-12  # where a skip norm names none
_ORIGIN_FILE: Final = "origin.json"
_DAY_S: Final = 86_400
_BLOCK: Final = 32
_TRIED_TOKENS: Final = 16
_AGREEING: Final = 1e-4
_EIGHT_BIT_PRODUCTS: Final = 4  # onnxruntime's accuracy level: the other side in eight bits too
_SHAPED: Final = frozenset({"Add", "Reshape", "Transpose"})
_ERRORS_ONLY: Final = 3  # onnxruntime's severity: 2 is a warning, 3 an error


class Session(Protocol):
    """What is asked of an ONNX Runtime session, so that a test can put a fake in its place."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.int64]]
    ) -> Sequence[NDArray[np.float32]]:
        """Return the graph's outputs, in the order of their names."""


class Ahead(Generic[T]):
    """Something that is being made in a thread of its own, while the one that needs it does something else."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._error: Exception | None = None
        # No daemon: one that is inside a library when the interpreter ends can bring the process down.
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def result(self) -> T:
        """Wait until it is made, and return it.

        Raises:
            Exception: whatever kept it from being made.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._made[0]

    def _run(self) -> None:
        try:
            self._made.append(self._make())
        except Exception as error:  # noqa: BLE001  # it is raised where the result is asked for
            self._error = error


def side_by_side(work: Callable[[S], T], items: Sequence[S], *, threads: int) -> list[T]:
    """Return what `work` makes of each item, in their order; they are taken up from the first on, `threads` at a time.

    Whatever one of them raises is raised here, once those that have begun are done.
    """
    if threads < 2 or len(items) < 2:  # noqa: PLR2004  # one by one
        return [work(item) for item in items]
    made: dict[int, T] = {}
    errors: list[BaseException] = []
    waiting = iter(enumerate(items))  # a step of an enumeration is one step of the interpreter: no item is taken twice

    def take_on() -> None:
        try:
            for place, item in waiting:
                if errors:
                    return
                made[place] = work(item)
        except BaseException as error:  # noqa: BLE001  # raised where the results are asked for
            errors.append(error)

    others = [threading.Thread(target=take_on) for _ in range(min(threads, len(items)) - 1)]
    for thread in others:
        thread.start()
    take_on()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
    return [made[place] for place in range(len(items))]


def default_cache() -> Path:
    """Return the cache folder: `$RAG_CACHE`, else `$XDG_CACHE_HOME/rag`, else `~/.cache/rag`."""
    if own := os.environ.get("RAG_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rag"


def usable_cores() -> int:
    """Return how many processor cores this process may use; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_session(model: Path, *, threads: int, packed: bool = False) -> onnxruntime.InferenceSession:
    """Return a session over a graph that `save_optimised` wrote; `threads` 0 takes every usable core.

    The graph was optimised when it was exported, so nothing is optimised again. The weights lie in a file of their own
    that is mapped into memory, and unless `packed` are not packed for the matrix kernels. MiniLM then opens in 0.02 s:
    packed it takes 0.06 s, with the weights inside the graph 0.2 s. A single question runs 0.004 s longer for it, bulk
    encoding 3 %. Products in eight bits are the same to the bit either way, those in full precision
    are not; those in blocks of eight bits are made by their own kernels only if they are packed.

    Raises:
        ModelBroken: the graph cannot be loaded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Left at 0, onnxruntime would count the machine's cores rather than ours, and pin its threads to them.
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    # Every batch has another shape, so a memory plan made for the first fits none of the others.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=PROVIDERS)
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise ModelBroken(
            f"{model} cannot be loaded: {error}", hint=f"delete {model.parent}; it is made again when it is needed"
        ) from error


def save_optimised(source: Path, target: Path, *, disabled: Sequence[str] = ()) -> None:
    """Optimise the graph in `source` and save it as `target`, with its weights in `WEIGHTS_FILE` beside it.

    The level is "extended": fusions that hold on every processor, but those that are `disabled`. The level above would
    store the memory layouts of this one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS_FILE)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    onnxruntime.InferenceSession(str(source), options, providers=PROVIDERS, disabled_optimizers=[*disabled])


def save_with_plain_norms(source: Path, target: Path) -> None:
    """Save the graph in `source` as `save_optimised` does, but add and normalise in nodes of their own.

    The node for both, SkipLayerNormalization, adds up number by number; apart they take a sixth less of the whole time
    (onnxruntime 1.32, MiniLM in eight bits, pairs of 190 tokens: 19.7 ms rather than 23.6).
    """
    import onnx

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".graph-") as name:
        model = onnx.load(str(source))
        _part_norms(model)
        graph = Path(name) / "model.onnx"
        onnx.save(model, str(graph))
        save_optimised(graph, target, disabled=[_SKIP_NORM_FUSION])


def _part_norms(model: onnx.ModelProto) -> None:
    nodes = [part for node in model.graph.node for part in _without_skip_norm(node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _without_skip_norm(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes that do what one does; those of a skip norm that gives out more than its norm stay one."""
    from onnx import helper

    if node.op_type != "SkipLayerNormalization" or any(node.output[1:]) or len(node.input) < _NORM_INPUTS:
        return [node]
    summed, skipped, scale, shift, *bias = node.input
    (result,) = node.output[:1]
    made = []
    for number, other in enumerate([*filter(None, bias), skipped]):
        made.append(helper.make_node("Add", [summed, other], [f"{result}_sum{number}"]))
        summed = f"{result}_sum{number}"
    epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), _EPSILON)
    return [*made, helper.make_node("LayerNormalization", [summed, scale, shift], [result], axis=-1, epsilon=epsilon)]


def optimised_once(source: Path, *, cache: Path) -> Path:
    """Return a graph as `save_with_plain_norms` writes it, kept in the cache for this very file; made now if need be.

    Opened as it ships, the graph takes some 25 % longer for each question. Where the cache cannot be written,
    or the graph is none, it is the file itself. When one is made, those whose file is gone or replaced are cleared.
    """
    try:
        about = source.stat()
        if about.st_size < _WORTH_OPTIMISING:
            return source
        origin = {"path": str(source.resolve()), "bytes": about.st_size, "modified_ns": about.st_mtime_ns}
        named = f"{_PLAIN_NORMS} {' '.join(map(str, origin.values()))}"
        target = cache / "graphs" / hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if (target / source.name).exists():
            return target / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".graph-") as name:
            made = Path(name) / "made"
            made.mkdir()
            save_with_plain_norms(source, made / source.name)
            (made / _ORIGIN_FILE).write_text(json.dumps(origin), encoding="utf-8")
            with contextlib.suppress(OSError):  # another process was faster, and made the same
                made.replace(target)
        _clear_graphs(target.parent)
        return target / source.name if (target / source.name).exists() else source
    except Exception as error:  # noqa: BLE001  # onnxruntime's have no common base; whoever opens it tells what is wrong
        logger.debug("%s is opened as it is: %s", source, error)
        return source


def _clear_graphs(folder: Path) -> None:
    """Delete the graphs of files that are gone or replaced, and those that do not say whose they are, after a day."""
    for graph in folder.iterdir():
        try:
            origin = json.loads((graph / _ORIGIN_FILE).read_text(encoding="utf-8"))
            about = Path(origin["path"]).stat()
            outdated = [about.st_size, about.st_mtime_ns] != [origin["bytes"], origin["modified_ns"]]
        except FileNotFoundError as error:
            # Whatever has no origin was made before it was noted, or is being made.
            outdated = not error.filename.endswith(_ORIGIN_FILE) or graph.stat().st_mtime < time.time() - _DAY_S
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if outdated:
            shutil.rmtree(graph, ignore_errors=True)


def save_in_eight_bits(source: Path, target: Path) -> None:
    """Save the graph in `source` as `save_with_plain_norms` does, its matrix products computed in eight bits.

    The weights are scaled column by column, and what they are multiplied with by the largest number in the call.
    The graph takes texts one by one, or of one length: see `attention`.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".graph-") as name:
        graph = Path(name) / "model.onnx"
        model = _with_joined_attention(source, graph)
        _part_norms(model)
        quantize_dynamic(
            model,
            graph,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Of what the fused operators give, the type is not inferred.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        save_optimised(graph, target, disabled=[_SKIP_NORM_FUSION])


def save_in_blocks(source: Path, target: Path) -> None:
    """Save the graph in `source` as `save_optimised` does, its matrix products in eight bits with a scale for each 32.

    Both the weights and what they are multiplied with are scaled by the largest of each 32 numbers, so no row depends
    on another. What attention adds up stays whole: an error there goes into a vector as it is, and makes half of it.
    The graph takes texts one by one, or of one length: see `attention`.
    """
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    whole = _added_up_by_attention(onnx.load(str(source)))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".graph-") as name:
        made = Path(name) / "model.onnx"
        graph = _with_joined_attention(source, made)
        quantizer = MatMulNBitsQuantizer(
            graph,
            bits=8,
            block_size=_BLOCK,
            is_symmetric=True,
            accuracy_level=_EIGHT_BIT_PRODUCTS,
            nodes_to_exclude=whole,
        )
        logging.getLogger(type(quantizer).__module__).setLevel(logging.WARNING)
        quantizer.process()
        onnx.save(quantizer.model.model, str(made))
        save_optimised(made, target)


def _with_joined_attention(source: Path, tried: Path) -> onnx.ModelProto:
    """Return the graph in `source`, its attention joined if that makes the same; `tried` is a file for the attempt."""
    import onnx

    from rag.models.attention import join_attention

    graph = onnx.load(str(source))
    if join_attention(graph):
        onnx.save(graph, str(tried))
        if _agree(source, tried):
            return graph
    return onnx.load(str(source))


def _agree(one: Path, other: Path) -> bool:
    """Tell whether two graphs make the same of a text that is not padded."""
    vectors = []
    for graph in (one, other):
        try:
            session = open_session(graph, threads=1)
            ids = np.arange(_TRIED_TOKENS, dtype=np.int64)[np.newaxis]
            fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            vectors.append(session.run(None, {put.name: fed[put.name] for put in session.get_inputs()})[0])
        except Exception as error:  # noqa: BLE001  # onnxruntime's have no common base; then it is not the same
            logger.debug("%s: %s", graph, error)
            return False
    return bool(np.abs(vectors[0] - vectors[1]).max() < _AGREEING)


def _added_up_by_attention(graph: onnx.ModelProto) -> list[str]:
    """Return the products with weights whose rows are added up under a softmax, by the names of their nodes."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    weights = {tensor.name for tensor in graph.graph.initializer}
    found = []
    for node in graph.graph.node:
        if node.op_type != "MatMul" or getattr(makers.get(node.input[0]), "op_type", None) != "Softmax":
            continue
        maker = makers.get(node.input[1])
        while maker is not None and maker.op_type in _SHAPED:
            maker = next((makers[name] for name in maker.input if name in makers and name not in weights), None)
        if maker is not None and maker.op_type == "MatMul":
            found.append(maker.name)
    return found


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whoever else writes it at the same time.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # The name changes hands in one step: a reader sees the old content or the new, and the last writer wins.
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
