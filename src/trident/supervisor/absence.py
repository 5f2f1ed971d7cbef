"""What is done while an engine is away: its models leave tritonserver, and somebody answers at its OpenAI port."""

from __future__ import annotations

from trident.supervisor.child import Child
from trident.supervisor.group import Group
from trident.supervisor.keeper import Keeper
from trident.supervisor.plan import Plan


class Absence:
    """Of all engines of a server; ``tend`` is called at each change of one."""

    def __init__(self, plan: Plan, group: Group, keeper: Keeper | None) -> None:
        self._plan = plan
        self._group = group
        self._keeper = keeper
        if plan.mender is not None:
            plan.mender.in_flight.hosts = self._hosts

    def tend(self, *, is_serving: bool) -> None:
        """``is_serving``: the server has been ready, and is not being stopped."""
        if is_serving:
            self._tend_shelf()  # before, tritonserver starts with all models, and their stubs wait
        for member in self._group.members:
            stand_in = self._plan.stand_ins.get(member.command.name)
            if stand_in is not None and is_serving:
                stand_in.tend(member.child)
            elif stand_in is not None:
                stand_in.close()

    def _tend_shelf(self) -> None:
        shelf = self._plan.shelf
        if shelf is None:
            return
        for member in self._group.members:
            models = self._plan.models.get(member.command.name, ())
            if member.child.serves_stubs:
                shelf.restore(models)
            elif member.child.expects_stubs and shelf.lets_stubs_wait:
                shelf.restore_once_gone(models)
            else:
                shelf.withdraw(models, member.child.phase)
        for model, is_lost in (self._keeper.losses if self._keeper else {}).items():
            if is_lost:
                shelf.withdraw([model], "its engine is lost")
            else:
                shelf.restore([model])

    def _hosts(self) -> list[Child]:
        return [*self._group.hosts, *(self._keeper.hosts if self._keeper else ())]
