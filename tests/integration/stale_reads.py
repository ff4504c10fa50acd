"""Larders over a Redis that is cut, frozen and failed over, watched by tests/stale_reads. See docs/stale_reads.md."""

import contextlib
import json
import random
import time

from cluster_test import Writer, migrate
from support.companion import Companion
from support.resp import ReplyError, wait_until
from support.servers import RedisCluster, key_slot

KEYS = 600
BOUND_S = 1.0
GROWTH_BYTES = 24 << 20  # that a Larder's memory may have grown by
# A Larder that notices soon; a test need not wait for the defaults.
IMPATIENT = {"redis.command_timeout": "1s", "redis.ping_interval": "200ms", "redis.ping_timeout": "400ms"}


class Checker(Companion):
    """The load and the judgement: begins at once, ends with finish()."""

    def __init__(self, lab, larders, direct, seed):
        nodes = direct.nodes if isinstance(direct, RedisCluster) else [direct]
        super().__init__(
            lab.program("stale_reads"), *(word for name, larder in larders.items()
                                          for word in ("--larder", f"{name}={larder.port}")),
            "--direct", "direct=" + ",".join(str(node.port) for node in nodes), "--seed", seed, "--keys", KEYS,
            "--bound-us", round(BOUND_S * 1e6))

    def reads(self):
        return int(self.ask("reads"))

    def flush(self, larder):
        self.ask(f"flush {larder}")

    def settle(self):
        """How many values differ, with no writer at work, from what the backend has."""
        return int(self.ask("settle"))

    def finish(self):
        return Verdict(json.loads(self.ask("finish")))


class Verdict:
    def __init__(self, fields):
        self.__dict__.update(fields)

    def __str__(self):
        return (f"{self.reads} reads through Larder, {self.judged} of them judged, {self.stale} stale: "
                f"p50 {self.stale_p50_us / 1000:.1f} ms, p99 {self.stale_p99_us / 1000:.1f} ms, "
                f"max {self.stale_max_us / 1000:.1f} ms; {self.violated} beyond the bound\n"
                f"{self.writes} writes, {self.doubtful_writes} without a good answer, {self.lost_writes} answered ones "
                f"lost by the backend; slowest answer {self.slowest_us / 1000:.0f} ms; errors {self.errors}")

    def check(self):
        assert not self.violated, "\n".join([f"{self.violated} violations", *self.violations])


class Chaos:
    """One harm after the other, each ended before the next begins. A scenario's harms are its methods named here."""

    harms = ()

    def __init__(self, lab, seed):
        self.lab = lab
        self.random = random.Random(seed)
        self.done = dict.fromkeys(self.harms, 0)
        self.first_writes_ms = []

    def start(self, seed):
        self.checker = Checker(self.lab, self.larders, self.direct(), seed)
        return self.lab.closing(self.checker)

    def run_calmly(self, seconds, seed):
        """The load without any harm; what the Larders hold afterwards is what they shall hold after all harms."""
        checker = self.start(seed)
        time.sleep(seconds)
        self.settle()
        verdict = checker.finish()
        self._at_rest, self._resident = {**self.rest(), "in_flight": 0}, self.resident_bytes()
        return verdict

    def check_restored(self):
        """Connections, slots and memory are those of run_calmly()."""
        try:
            wait_until(lambda: self.rest() == self._at_rest, 10, f"what is held to be {self._at_rest} again")
        except TimeoutError as fault:
            connections = [line for node in self.nodes() for line in client_list(node)]
            raise TimeoutError("\n".join([f"{fault}; now {self.rest()}", *connections])) from None
        others = sum(map(other_connections, self.nodes()))
        assert others <= self._at_rest["connections"], f"{others} connections besides those of {self._at_rest}"
        grown = self.resident_bytes() - self._resident
        assert self.lab.sanitized or grown < GROWTH_BYTES, f"{grown} bytes more than before"
        return f"after it as before: {self._at_rest}; memory grown by {grown / 1e6:.1f} MB"

    def run(self, is_over, settle_every=6):
        """Harms in a random order, all of them equally often, until is_over()."""
        while not is_over():
            for number, harm in enumerate(self.random.sample(self.harms, len(self.harms))):
                if is_over():
                    return
                getattr(self, harm)()
                self.done[harm] += 1
                time.sleep(self.random.uniform(0.1, 0.6))
                if number % settle_every == settle_every - 1:
                    self.settle()

    def settle(self):
        """Judged with the rest: a value that differs is a violation."""
        self.checker.settle()

    def direct(self):
        """What the checker asks past the Larders."""
        return self.backend

    def flush(self):
        self.checker.flush(self.random.choice(list(self.larders)))

    def rest(self):
        """What the Larders hold: connections to the backend, requests under way, slots whose master they know."""
        tiers = [larder.info("tiers") for larder in self.larders.values()]
        return {
            "connections": sum(map(tracked_connections, self.nodes())),
            "in_flight": sum(int(tier[field]) for tier in tiers for field in ("backend_in_flight", "backend_orphans")),
            "slots": [tier.get("cluster_slots_covered") for tier in tiers],
        }

    def resident_bytes(self):
        return max(larder.process.resident_bytes() for larder in self.larders.values())


def client_list(node):
    with node.connect() as client:
        return client.value("CLIENT", "LIST").decode().splitlines()


def tracked_connections(node):
    return sum("flags=t" in line for line in client_list(node))


def other_connections(node):
    """Of Larder, in the protocol of clients that speak RESP2: opened on first use, then kept, one a worker."""
    return sum("flags=N" in line and "name=larder" in line for line in client_list(node))


def kill_clients(node):
    with contextlib.suppress(OSError), node.connect() as client:
        client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


class OneRedis(Chaos):
    """Two Larders, each behind a gate of its own, over one Redis."""

    harms = ("cut", "silence", "refuse", "slow_down", "freeze", "kill_connections", "flush")

    def __init__(self, lab, seed, **gate_options):
        super().__init__(lab, seed)
        self.backend = lab.redis()
        self.gates = {name: lab.gate(self.backend, **gate_options) for name in "AB"}
        self.larders = {name: lab.larder("redis", gate, config=IMPATIENT) for name, gate in self.gates.items()}

    def nodes(self):
        return [self.backend]

    def _gate(self):
        return self.random.choice(list(self.gates.values()))

    def cut(self):
        self._gate().cut()

    def silence(self):
        """Nothing passes, neither replies nor invalidations, and no connection ends."""
        gate = self._gate()
        gate.freeze()
        time.sleep(self.random.uniform(0.2, 2.0))
        gate.thaw()

    def refuse(self):
        gate = self._gate()
        gate.refuse()
        time.sleep(self.random.uniform(0.1, 0.5))
        gate.accept()

    def slow_down(self):
        gate = self._gate()
        gate.delay(self.random.choice([0.001, 0.01, 0.05]))
        time.sleep(0.5)
        gate.delay(0)

    def freeze(self):
        self.backend.process.freeze()
        time.sleep(self.random.uniform(0.2, 2.0))
        self.backend.process.thaw()

    def kill_connections(self):
        kill_clients(self.backend)


class Trio(Chaos):
    """Two Larders behind three Sentinels, over a master and two replicas.

    Where the master is, a third Larder knows: the checker asks it, and it has no L1.
    """

    harms = ("kill_master", "fail_over", "freeze_shortly", "freeze_until_failover", "kill_connections", "flush")

    def __init__(self, lab, seed):
        super().__init__(lab, seed)
        self.backend = lab.redis_sentinels()
        self.larders = {name: lab.larder("redis", self.backend, config=IMPATIENT) for name in "AB"}
        self._third = lab.larder("redis", self.backend, config=IMPATIENT, options=("--l1-memory", "0"))

    def direct(self):
        return self._third

    def nodes(self):
        return self.backend.nodes

    def kill_master(self):
        """SIGKILL; the master comes back, empty, as a replica."""
        master = self.backend.master()
        master.crash()
        self._wait_for_another(master)
        master.start()
        self._wait_whole()

    def fail_over(self):
        """The old master lives, and takes writes that will be lost."""
        master = self.backend.master()
        self.backend.fail_over()
        self._wait_for_another(master)
        self._wait_whole()

    def freeze_shortly(self):
        process = self.backend.master().process
        process.freeze()
        time.sleep(self.random.uniform(0.1, 0.4))
        process.thaw()
        self._wait_whole()

    def freeze_until_failover(self):
        master = self.backend.master()
        master.process.freeze()
        try:
            self._wait_for_another(master)
        finally:
            master.process.thaw()
        self._wait_whole()

    def kill_connections(self):
        kill_clients(self.random.choice(self.backend.nodes))

    def _wait_for_another(self, master):
        wait_until(lambda: any(node is not master for node in self.backend.masters()), 30, "the promotion")

    def _wait_whole(self):
        wait_until(self.backend.is_whole, 40, "the replicas to have the new master")


class SixNodes(Chaos):
    """Two Larders over a cluster of three masters with a replica each."""

    harms = ("kill_master", "fail_over", "freeze_shortly", "freeze_until_failover", "migrate_slots",
             "migrate_slots", "kill_connections", "flush")

    def __init__(self, lab, seed):
        super().__init__(lab, seed)
        self.backend = lab.redis_cluster()
        self.larders = {name: lab.larder("redis", self.backend, config=IMPATIENT) for name in "AB"}

    def nodes(self):
        return self.backend.nodes

    def _masters(self):
        return sorted({self.backend.owner(slot) for slot in range(0, 16384, 500)}, key=lambda node: node.port)

    def _master(self):
        return self.random.choice(self._masters())

    def _heirs(self, master):
        """The nodes that replicate `master`, by its own word."""
        with master.connect() as client:
            listed = client.value("CLUSTER", "SLOTS")
        return [self.backend.node_at(replica[1]) for entry in listed if entry[2][1] == master.port
                for replica in entry[3:]][:1]

    def kill_master(self):
        """SIGKILL; the master comes back, empty, as a replica of its heir."""
        master = self._master()
        key = next(f"probe{n}" for n in range(10000) if self.backend.owner(f"probe{n}") is master)
        heirs = self._heirs(master)
        writer = Writer(self.random.choice(list(self.larders.values())), key)
        try:
            master.crash()
            wait_until(lambda: any(map(is_master, heirs)), 15, "the promotion")
            promoted = time.monotonic()
            wait_until(lambda: writer.last_success > promoted, 5, "a write")
            self.first_writes_ms.append((writer.first_success_after(promoted) - promoted) * 1000)
        finally:
            writer.stop()
        master.start()
        self._wait_whole()

    def fail_over(self):
        """CLUSTER FAILOVER: the master lives, and loses nothing."""
        heir = self._heirs(self._master())[0]
        wait_until(lambda: hands_over(heir), 30, "the handover")
        self._wait_whole()

    def freeze_shortly(self):
        master = self._master()
        master.process.freeze()
        time.sleep(self.random.uniform(0.1, 0.7))
        master.process.thaw()
        self._wait_whole()

    def freeze_until_failover(self):
        """SIGSTOP until the others have given it up; then it wakes and believes for a moment to be a master still."""
        master = self._master()
        heirs = self._heirs(master)
        master.process.freeze()
        try:
            wait_until(lambda: any(map(is_master, heirs)), 15, "the promotion")
        finally:
            master.process.thaw()
        self._wait_whole()

    def migrate_slots(self):
        for _ in range(4):
            slot = key_slot(f"k{self.random.randrange(KEYS)}")
            source = self.backend.owner(slot)
            target = self.random.choice([node for node in self._masters() if node is not source])
            migrate(self.backend, slot, source, target)

    def kill_connections(self):
        kill_clients(self.random.choice(self.backend.nodes))

    def _wait_whole(self):
        wait_until(lambda: all(map(is_whole, self.backend.nodes)), 20, "the cluster to be whole")


def is_master(node):
    with contextlib.suppress(OSError, ReplyError), node.connect(timeout=1) as client:
        return b"role:master" in client.value("INFO", "replication")
    return False


def hands_over(heir):
    """Redis gives a handover up after 5 s, when the machine is busy."""
    with heir.connect() as client:
        client.call("CLUSTER", "FAILOVER")
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: is_master(heir), 6, "the handover")
    return is_master(heir)


def is_whole(node):
    """It sees three masters and three replicas, and is connected to its own master if it has one."""
    with contextlib.suppress(OSError, ReplyError), node.connect(timeout=1) as client:
        replication, info = client.value("INFO", "replication"), client.value("CLUSTER", "INFO")
        nodes = client.value("CLUSTER", "NODES")
        return (b"cluster_state:ok" in info and nodes.count(b"fail") == 0
                and (b"role:master" in replication or b"master_link_status:up" in replication)
                and len({line.split()[0] for line in nodes.splitlines() if b"master" in line.split()[2]
                         and len(line.split()) > 8}) == 3)
    return False
