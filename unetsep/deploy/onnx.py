"""Networks as ONNX: written by PyTorch, computed by ONNX Runtime. STFT and estimate stay outside, in `Separator`."""

import copy
import importlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unetsep.audio.files import InputError
from unetsep.deploy.trials import one_line
from unetsep.model.fusion import fused
from unetsep.model.separator import Separator

_OPSET = 17
_DOMAINS = ("", "ai.onnx")  # of ONNX's own operations; among ONNX Runtime's are some that read files


class OnnxNet(nn.Module):
    """A network that ONNX Runtime computes, on the CPU and for inference only.

    Args:
        session: An `onnxruntime.InferenceSession` from `features` to `planes`.
        described: The separator whose network it is, for what that one knows about itself; its weights are not used.

    Shape:
        - Features: `(batch, plane, freq, frame)`.
        - Output: `(batch, plane, freq, frame)`.
    """

    def __init__(self, session: Any, described: Separator):
        super().__init__()
        self.session = session
        self.depth = described.depth
        self.frame_stride = described.frame_stride
        self.planes = len(described.sources) * described.audio_channels * described.estimate.planes_out
        self._extent: tuple[float, float] = described.net.receptive_field()

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxNet":
        return self  # a session cannot be copied, and need not be: nothing changes it

    def receptive_field(self) -> tuple[float, float]:
        """Bins and frames of the input that one output bin may depend on; infinite where it is a whole axis."""
        return self._extent

    def forward(self, features: Tensor) -> Tensor:
        """The planes.

        Raises:
            InputError: If the network fails, or writes planes of another number or size.
        """
        given = features.detach().float().cpu().contiguous().numpy()  # no copy of what lies so already
        try:
            planes = torch.from_numpy(self.session.run(None, {"features": given})[0])
        except Exception as error:  # the runtime has a class of its own for each kind of failure, and torch its own
            raise InputError(f"the exported network failed ({one_line(error)}): export it again") from None
        fitting = (len(given), self.planes, *given.shape[2:])
        if planes.shape != fitting:
            raise InputError(f"the exported network writes {tuple(planes.shape)}, not {fitting}: export it again")
        return planes.to(features.device)


def export_network(separator: Separator, settings: dict[str, Any], quantise: str | None = None) -> bytes:
    """The separator's network as an ONNX model of any batch size and number of frames, settings in its metadata.

    Args:
        separator: In evaluation mode.
        settings: Those it is built with, which stand as JSON under `separator`.
        quantise: "int8": weights of convolutions and matrices stored in 8 bit, and computing in float32; "fp16":
            weights and computing in half precision; None: float32.

    Raises:
        InputError: If the extra `onnx` is not installed, or ONNX cannot express the network.
    """
    onnx = _extra("onnx")
    net = fused(copy.deepcopy(separator.net))  # or 8-bit convolutions would keep their normalisations
    features = torch.zeros(2, separator.audio_channels * separator.estimate.planes_in, separator.n_fft // 2, 19)
    content = io.BytesIO()
    free = {0: "batch", 3: "frame"}
    try:
        with warnings.catch_warnings():
            # PyTorch's newer exporter takes the number of frames that a level is cut to for unknown, and fails
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net,
                (features,),
                content,  # type: ignore[arg-type]  # the exporter that is used here takes an open file, too
                dynamo=False,
                opset_version=_OPSET,
                input_names=["features"],
                output_names=["planes"],
                dynamic_axes={"features": free, "planes": free},
            )
    except Exception as error:  # each part of the exporter has a class of its own for what ONNX cannot express
        raise InputError(f"ONNX cannot hold this network ({one_line(error)}): export to .safetensors") from None
    model = onnx.load_model_from_string(content.getvalue())
    if quantise == "int8":
        _store_in_8_bits(onnx, model.graph)
    elif quantise == "fp16":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of weights so small that they are rounded up to fp16's smallest number
            model = _extra("onnxruntime.transformers.float16").convert_float_to_float16(model, keep_io_types=True)
    onnx.helper.set_model_props(model, {"separator": json.dumps(settings)})
    return bytes(model.SerializeToString())


def _store_in_8_bits(onnx: Any, graph: Any) -> None:
    """Rounds the weights to 8 bit, each output channel at its own scale, and has them scaled where they are used.

    Activations stay in float32: rounded as they come they cost more decibels, and more time than they save.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    channel = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": 0}  # of linear layers, matrices lie transposed
    used = {name: channel[node.op_type] for node in graph.node if node.op_type in channel for name in node.input[:2]}
    scaled = []
    for name, tensor in weights.items():
        if name not in used:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        axis = used[name] % values.ndim
        largest = np.abs(values).max(axis=tuple({*range(values.ndim)} - {axis}), keepdims=True)
        scale = np.maximum(largest / 127, np.finfo(np.float32).tiny)
        rounded = onnx.numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}.int8")
        graph.initializer.extend([rounded, onnx.numpy_helper.from_array(scale.ravel(), f"{name}.scale")])
        graph.initializer.remove(tensor)
        names = [f"{name}.int8", f"{name}.scale"]
        scaled.append(onnx.helper.make_node("DequantizeLinear", names, [name], axis=axis))
    nodes = [*scaled, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def read_network(path: Path) -> tuple[dict[str, Any], Any]:
    """The settings of the separator in an ONNX file, as yet unchecked, and the session that computes its network.

    The session computes on the CPU, with as many threads as torch has when it is made.

    Raises:
        InputError: If the file is broken or not from unetsep, if it reads other files or asks for operations that ONNX
            Runtime does not have itself, or if the extra `onnx` is not installed.
    """
    onnx, runtime = _extra("onnx"), _extra("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as torch's threads: they wait asleep
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # 8-bit weights are scaled once, when loaded
    options.log_severity_level = 4  # what goes wrong is raised as well
    try:
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
        if reason := _foreign(model, onnx.TensorProto.EXTERNAL):
            raise InputError(f"{path} is refused: {reason}")
        properties = {entry.key: entry.value for entry in model.metadata_props}
        settings = json.loads(properties.get("separator", "null"))
        del model  # as large as the file, of which the runtime makes a copy of its own
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except InputError:
        raise
    except Exception as error:  # protobuf and the runtime have no common class for what is wrong with a file
        raise InputError(f"{path} is not an ONNX model, or a broken one: {one_line(error)}") from None
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not a model that unetsep exported: its metadata holds no 'separator'")
    return settings, session


def _foreign(message: Any, external: int) -> str | None:
    """Why a model is not to be trusted, if so: all its messages are looked through, those in subgraphs too."""
    waiting = [message]
    while waiting:
        message = waiting.pop()
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.data_location == external or message.external_data):
            return "its weights lie in another file"
        if kind == "NodeProto" and message.domain not in _DOMAINS:
            return f"it asks for the operation {message.op_type[:50]!r} of {message.domain[:50]!r}"
        if kind == "OperatorSetIdProto" and message.domain not in _DOMAINS:
            return f"it asks for operations of {message.domain[:50]!r}"
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if hasattr(value, "ListFields") else value)
    return None


def _extra(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"ONNX needs the package {name.partition('.')[0]!r}: pip install 'unetsep[onnx]', or use .safetensors"
        ) from None
