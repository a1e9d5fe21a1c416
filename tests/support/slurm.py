"""A Slurm cluster on the test's own hosts (hosts.py): Debian's munged, slurmctld and slurmd as the test's own processes.

    with Hosts(3, visible=[self.bin]) as hosts, Slurm(hosts) as slurm:     # host0 controls, the others are nodes
        slurm.run(["sbatch", "--wrap", "hostname"])                        # on the controlling host
        slurm.wait_for_nodes("idle")
        slurm.jobs()                                                       # {id: state}

Each node has two processors, and one partition, `build`, has them all; jobs run as root. A node that is switched off is
down for Slurm some twenty seconds later. Skipped, by name, where one of the programs is missing (why_not())."""

import os
import shutil
import subprocess
import time

DEADLINE = 60
PROGRAMS = ["munged", "munge", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol"]

CONFIG = """
ClusterName=test
SlurmctldHost={controller.name}({controller.address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
# Without cgroups and accounting a cluster needs nothing else of its machines.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
ReturnToService=2
# A node that is silent for so long is down; one on a loaded machine may be silent for a while.
SlurmdTimeout=20
KillWait=5
OverTimeLimit=0
{nodes}
PartitionName=build Nodes={names} Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
"""


def why_not():
    """Why there can be no cluster here; None where there can."""
    for program in PROGRAMS:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return "Slurm: no program %s" % program
    return None


class Slurm:
    def __init__(self, hosts, log_directory, controller=0, nodes=None):
        self.hosts = hosts
        self.controller = hosts[controller]
        self.nodes = [i for i in range(len(hosts)) if i != controller] if nodes is None else nodes
        self.log_directory = log_directory
        self.key = os.urandom(1024)
        self.processes = {}
        self.prepared = {}  # {name of a host: its first process, when what Slurm needs there was made}

    def __enter__(self):
        try:
            for i, host in enumerate(self.hosts):
                if host is self.controller or i in self.nodes:
                    self._prepare(host)
            self._start(self.controller, "slurmctld", ["slurmctld", "-D", "-i"])
            for i in self.nodes:
                self.start_node(i)
            self.wait_for_nodes("idle")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()

    def _prepare(self, host):
        self.prepared[host.name] = host.pid
        names = [self.hosts[i] for i in self.nodes]
        host.write("/etc/slurm/slurm.conf", CONFIG.format(
            controller=self.controller, names=",".join(node.name for node in names),
            nodes="\n".join("NodeName=%s NodeAddr=%s CPUs=2 RealMemory=100 State=UNKNOWN" % (node.name, node.address) for node in names)))
        # slurmd wants to know of which kind cgroups are, though nothing here uses them.
        host.write("/etc/slurm/cgroup.conf", "CgroupPlugin=cgroup/v1\n")
        host.write("/etc/munge/munge.key", self.key, 0o400)
        host.run(["sh", "-c", "mkdir -p /run/munge /var/lib/munge /var/log/munge /var/spool/slurmctld /var/spool/slurmd && "
                              "chown -R munge: /run/munge /var/lib/munge /var/log/munge /etc/munge"])
        self._start(host, "munged", ["setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups", "munged", "--foreground"])
        self._wait(lambda: host.run(["munge", "-n"], check=False).returncode == 0, "munged of " + host.name)

    def _start(self, host, name, command):
        before = self.processes.pop((host.name, name), None)
        if before is not None:  # it went with its host
            before.wait(DEADLINE)
        with open(self.log(host, name), "ab") as log:
            self.processes[host.name, name] = host.popen(command, stdout=log, stderr=subprocess.STDOUT)

    def log(self, host, name):
        return os.path.join(self.log_directory, "%s-%s.log" % (host.name, name))

    def _wait(self, condition, what):
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("waited in vain for %s\n%s" % (what, self.logs()))
            time.sleep(0.05)

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.log_directory)):
            if name.endswith(".log"):
                with open(os.path.join(self.log_directory, name), encoding="utf-8", errors="replace") as file:
                    text += "==== %s\n%s" % (name, file.read()[-3000:])
        return text

    def start_node(self, i):
        """slurmd of a node; after hosts.start(i) again."""
        host = self.hosts[i]
        if self.prepared[host.name] != host.pid:
            self._prepare(host)
        self._start(host, "slurmd", ["slurmd", "-D", "-N", host.name])

    def run(self, command, **options):
        return self.controller.run(command, **options)

    def node_states(self):
        """{name: state}, as "idle", "allocated", "mixed", "down"; a star says that it doesn't answer."""
        lines = self.run(["sinfo", "--noheader", "--Node", "--format", "%N %T"], check=False).stdout.splitlines()
        return dict(line.split() for line in lines if line.strip())

    def wait_for_nodes(self, state):
        self._wait(lambda: [*self.node_states().values()] == [state] * len(self.nodes), "nodes that are " + state)

    def jobs(self):
        """{id: state} of all that Slurm knows."""
        lines = self.run(["squeue", "--noheader", "--states=all", "--format", "%i %T"]).stdout.splitlines()
        return {int(line.split()[0]): line.split()[1] for line in lines if line.strip()}

    def node_of(self, job):
        return self.run(["squeue", "--noheader", "--states=all", "--jobs", str(job), "--format", "%N"]).stdout.strip()
