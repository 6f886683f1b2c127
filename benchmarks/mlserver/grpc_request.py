"""Writes a gRPC inference request with raw tensor contents, as mlserver's own environment encodes it."""

import sys
from pathlib import Path

from mlserver.grpc import dataplane_pb2

rows, width, source, target = sys.argv[1:]
request = dataplane_pb2.ModelInferRequest(model_name="sample")
tensor = request.inputs.add(name="records", datatype="FP32", shape=[int(rows), int(width)])
tensor.parameters["content_type"].string_param = "np"
request.raw_input_contents.append(Path(source).read_bytes())
Path(target).write_bytes(request.SerializeToString())
