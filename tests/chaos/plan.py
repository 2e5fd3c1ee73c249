"""What happens in a run, drawn by its seed: the same seed gives the same plan."""

import random
from dataclasses import dataclass

from tests.chaos.faults import BY_TOPOLOGY, EVERYWHERE, STATIC, Fault
from tests.chaos.servers import Topology

FAULTS_A_RUN = 3
_STATIC_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run: its faults in their order, and whether workers have names of their own in the group."""

    seed: int
    topology: Topology
    is_static: bool
    faults: tuple[Fault, ...]

    @property
    def rewinds(self) -> bool:
        """Whether Redis may forget what it had acknowledged."""
        return any(fault.rewinds for fault in self.faults)

    @property
    def delays_events(self) -> bool:
        """Whether the shop itself may be held up, so that its events come late."""
        return any(fault.delays_events for fault in self.faults)


def plan_of(seed: int, topology: Topology) -> Plan:
    """Return the plan of a seed."""
    rng = random.Random(f"{topology} {seed}")
    is_static = rng.random() < _STATIC_SHARE
    others = EVERYWHERE + BY_TOPOLOGY[topology]
    if is_static:
        faults = [*rng.sample(STATIC, 2), rng.choice([f for f in others if f.fits_static])]
    else:
        faults = rng.sample(others, FAULTS_A_RUN)
    rng.shuffle(faults)
    return Plan(seed=seed, topology=topology, is_static=is_static, faults=tuple(faults))


def plan_with(names: list[str], seed: int, topology: Topology) -> Plan:
    """Return a plan of these faults, to look at some closely."""
    by_name = {fault.name: fault for fault in (*EVERYWHERE, *BY_TOPOLOGY[topology], *STATIC)}
    faults = tuple(by_name[name] for name in names)
    is_static = any(fault in STATIC for fault in faults)
    return Plan(seed=seed, topology=topology, is_static=is_static, faults=faults)
