"""A small ONNX runtime for mlserver, which ships none; runs in mlserver's own environment."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class OnnxRuntime(MLModel):
    """Scores one input tensor with one ONNX graph on one thread, without any check of the records."""

    async def load(self) -> bool:
        """Open the graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = await get_model_uri(self._settings)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.graph_input = self.session.get_inputs()[0].name
        self.graph_outputs = [output.name for output in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return every output of the graph."""
        matrix = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        columns = self.session.run(self.graph_outputs, {self.graph_input: matrix})
        encoded = [
            NumpyCodec.encode_output(name, column) for name, column in zip(self.graph_outputs, columns, strict=True)
        ]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=encoded)
