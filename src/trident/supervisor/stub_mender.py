"""Makes a tritonserver whole again whose stub has died.

Triton 2.51 neither starts the stub again nor ends its requests, and gives it new ones. The quickest cure that leaves
the streams of other stubs alone is to take the model out and put it back: it gets new stubs, and what is in flight
lives on in the old ones. The dead stub's requests are ended by closing their connections.
"""

from __future__ import annotations

import asyncio
import logging
import time

from trident.runtime.control_env import STUB_NAME
from trident.supervisor import stubs
from trident.supervisor.hung_requests import HungRequests
from trident.supervisor.in_flight import Buried, InFlight
from trident.supervisor.processes import Process, children_of
from trident.supervisor.shelf import Shelf
from trident.triton.stub.parent_process import ENDING

log = logging.getLogger(__name__)

RENEWAL_S = 30.0
DRAIN_S = 30.0
DRAIN_AT_LEAST_S = 2.0
"""tritonserver polls each second, and what has ended in a stub has to reach its client."""
LOOK_S = 0.25


class StubMender:
    """``models`` have stubs that serve our engines and nothing else. Where ``is_alone`` is false, tritonserver has
    models of the user's beside them: nobody knows what these have in flight, so it is restarted."""

    def __init__(
        self,
        shelf: Shelf,
        models: tuple[str, ...],
        http_port: int,
        grpc_port: int,
        in_flight: InFlight,
        *,
        is_alone: bool,
    ) -> None:
        self.in_flight = in_flight
        self._shelf = shelf
        self._models = models
        self._http_port = http_port
        self._grpc_port = grpc_port
        self._is_alone = is_alone
        self._model_of: dict[Process, str | None] = {}
        self._retired: set[Process] = set()
        self._dismissed: set[Process] = set()
        self._endings: set[asyncio.Task[None]] = set()

    def find(self, triton_pid: int) -> dict[str, Process]:
        """The stubs by name; remembers what each serves, as one that has died does not say it any more."""
        found = children_of(triton_pid, command=STUB_NAME, name="stub")
        known = self._model_of
        self._model_of = {one: known[one] if one in known else stubs.model_of(one) for one in found.values()}
        return found

    def expects(self, part: Process) -> bool:
        """Its end is our doing, or Triton's: one that was told to end has nothing in hand, however it ends."""
        return part in self._dismissed or part.name() == ENDING

    async def mend(self, triton_pid: int, dead: Process) -> bool:
        """Returns true when every model has stubs again. False: only a restart helps, and what others have in flight
        has had ``DRAIN_S`` to end. Bounded while the engines serve."""
        model = self._model_of.get(dead)
        log.warning("a stub of %s (pid %d) has died", model or "an unknown model", dead.pid)
        hung = self._hung(triton_pid, self.in_flight.bury(dead.pid))
        if hung is None or model is None or model not in self._models or not self._is_alone:
            return await self._drain(model)
        old = {stub for stub, served in self._model_of.items() if served == model} - {dead}
        if dead not in self._retired:
            self._retired |= old
            begun_s = time.monotonic()
            if not await self._renew(model, dead):
                return await self._drain(model)
            log.info("%s has other stubs after %.1f s", model, time.monotonic() - begun_s)
        ending = asyncio.ensure_future(self._end(hung, old & self._retired))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return True

    def triton_ended(self) -> None:
        """Nothing of it hangs any more."""
        for ending in self._endings:
            ending.cancel()
        self._retired, self._dismissed = set(), set()

    def _hung(self, triton_pid: int, buried: Buried) -> HungRequests | None:
        try:
            return HungRequests(triton_pid, self._http_port, self._grpc_port, self.in_flight, buried)
        except OSError as error:
            log.warning("the connections of tritonserver cannot be seen, so it has to be restarted: %s", error)
            return None

    async def _renew(self, model: str, dead: Process) -> bool:
        self._shelf.withdraw([model], f"a stub of it (pid {dead.pid}) has died")
        self._shelf.restore_once_gone([model])
        waited_s = 0.0
        while not await self._shelf.is_back(model):
            if waited_s >= RENEWAL_S:
                log.error("%s does not come back", model)
                return False
            await asyncio.sleep(LOOK_S)
            waited_s += LOOK_S if self.in_flight.moves else 0.0
        return True

    async def _end(self, hung: HungRequests, old: set[Process]) -> None:
        """The old stubs go when the last of their requests has ended: Triton keeps them for the hung ones."""
        await hung.end({stub.pid for stub in old})
        self._dismissed |= old
        for stub in old:
            stub.kill()

    async def _drain(self, model: str | None) -> bool:
        models = {*self._models, *([model] if model else [])}
        self._shelf.hold(models, "tritonserver has to be restarted: a stub has died")
        try:
            waited_s = 0.0
            while waited_s < DRAIN_S and (waited_s < DRAIN_AT_LEAST_S or self.in_flight.now()):
                await asyncio.sleep(LOOK_S)
                waited_s += LOOK_S
        finally:
            self._shelf.release(models)
        return False
