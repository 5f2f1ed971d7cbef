"""What both contracts share: life and death of a stub, and the way from a request to the engine."""

from __future__ import annotations

import json
import logging
import sys
import uuid

from trident.protocol import spec
from trident.triton.stub import backend, trace
from trident.triton.stub.backend import FINAL, Request, Sender
from trident.triton.stub.engine import Engine
from trident.triton.stub.hosts import EngineUnavailable
from trident.triton.stub.inputs import BadInput, ContractsError
from trident.triton.stub.lease import Lease, wanted
from trident.triton.stub.parent_process import say_that_it_ends
from trident.triton.stub.refusals import Overloaded

log = logging.getLogger("trident.stub")


class StubModel:
    """Base of the ``TritonPythonModel`` classes: subclasses say only how one request is read and answered."""

    def initialize(self, args: dict[str, str]) -> None:
        """Connects to the engine and waits for it, so that Triton reports the model ready when it is."""
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        config = json.loads(args["model_config"])
        self.name = args["model_name"]
        self.is_decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled"))
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._lease: Lease | None = None
        if spec.SPEC_PARAMETER in parameters:
            self.spec = spec.load(spec.StubSpec, parameters[spec.SPEC_PARAMETER])
        else:
            self._lease = Lease(wanted(args, parameters))
            self.spec = self._lease.spec
        self.engine = Engine(self.spec, args["model_instance_name"])
        if not self.engine.wait_until_ready(self.spec.start_timeout_s):
            where = ", ".join(self.spec.relays)
            raise backend.ModelError(f"no engine within {self.spec.start_timeout_s:g} s at {where}")

    def execute(self, requests: list[Request]) -> None:
        """Hands every request to the engine and returns at once; answers go through the response senders."""
        for request in requests:
            sender = request.get_response_sender()
            request_id = request.request_id() or uuid.uuid4().hex
            try:
                self.handle(request, sender, request_id)
            except ContractsError as problem:
                log.info("request %s ends with an error (invalid): %s", request_id, problem)
                sender.send(backend.error("invalid", str(problem)), flags=FINAL)
            except BadInput as problem:
                refuse(sender, "invalid", str(problem), request_id)
            except Overloaded as problem:
                refuse(sender, "overloaded", str(problem), request_id)
            except EngineUnavailable as problem:
                refuse(sender, "unavailable", str(problem), request_id)
            except OverflowError as problem:
                refuse(sender, "invalid", f"a sampling parameter does not fit into 64 bits: {problem}", request_id)
            except Exception as problem:
                log.exception("request %s could not be handled", request_id)
                refuse(sender, "internal", f"{type(problem).__name__}: {problem}", request_id)

    def handle(self, request: Request, sender: Sender, request_id: str) -> None:
        """Submits one request; ``request_id`` is the client's own, or one made up for it. Raises BadInput for one that
        cannot be understood."""
        raise NotImplementedError

    def trace(self, request: Request) -> dict[str, str]:
        """W3C's trace context of the request, by header; empty where nothing is traced."""
        return trace.context(request) if self.spec.is_traced else {}

    def finalize(self) -> None:
        """Triton unloads the model, and waits for this stub's end."""
        say_that_it_ends()
        self.engine.close()
        if self._lease is not None:
            self._lease.close()


def refuse(sender: Sender, code: str, message: str, request_id: str) -> None:
    """Ends a request with an error, which names it as Triton's own errors do."""
    if code != "overloaded":  # of these there may be thousands; the host says every now and then that there are
        log.info("request %s ends with an error (%s): %s", request_id, code, message)
    sender.send(backend.error(code, f"[request id: {request_id}] {message}"), flags=FINAL)
