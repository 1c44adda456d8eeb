# SPDX-License-Identifier: Apache-2.0
"""All settings, as nested frozen dataclasses that are passed in, never a global.

Every field's docstring gives meaning, unit, what None does and why the default is what it is. The
loader (`agent.config`) builds these from file, drop-ins, environment and flags and keeps the origin of
each value; names in YAML are the field names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """What is loaded into the kernel."""

    ring_bytes: int = 16 * MIB
    """Ring buffer size in bytes, a power of two and a multiple of the page size. 16 MiB holds about one
    second of 15,000 execs/s; the kernel allocates it at start."""
    process_entries: int = 32768
    """Most processes (thread groups) tracked in the kernel at once. More running processes than this
    are counted as lost (`map_full`), never silently skipped."""
    arguments_bytes: int = 2 * 128 * 1024
    """Longest argument list copied whole, in bytes; longer ones are cut and flagged `truncArgs`."""
    environment_bytes: int = 65536
    """Longest environment block looked at, in bytes, when `enrich.environment` names variables."""
    pin_dir: str | None = None
    """Directory on a bpffs where the process map is pinned so that it survives a restart. None pins
    nothing, which is what a foreground run must do."""


@dataclass(frozen=True, slots=True)
class EnrichSettings:
    """What is added to events in user space."""

    environment: tuple[str, ...] = ()
    """Names (shell patterns) of environment variables recorded at exec. Empty records none: values are
    secrets more often than not."""
    user_names: bool = True
    """Whether uids of the host's user namespace are resolved to names with /etc/passwd."""
    max_processes: int = 131072
    """Most processes kept in memory, living and exited-but-needed together."""
    namespaces: bool = True
    """Whether namespace inums that differ from the host's are recorded at exec."""
    credentials: bool = True
    """Whether uid/gid sets, capabilities and securebits are recorded at exec."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The event log on disk."""

    dir: str = "/var/lib/tracehound/log"
    """Directory of the segments (mode 0750, segments 0640)."""
    segment_bytes: int = 64 * MIB
    """A segment is closed when it has grown to this size."""
    segment_seconds: int = 3600
    """A segment is closed when it is this old, in seconds."""
    retention_bytes: int = 4096 * MIB
    """Size that the log settles at, compacted segments and index included; the oldest closed segments are
    removed above it, unless an exporter that is `required` has not read them. Lines that are going to be
    compacted count with what they will take."""
    hard_bytes: int | None = None
    """Size on disk, lines that wait for the compactor or an exporter included, above which they are removed
    all the same, and what a required exporter had not read is counted. None: twice `retention_bytes`."""
    retention_seconds: int = 14 * 86400
    """Closed segments older than this are removed, in seconds."""
    fsync_seconds: float = 1.0
    """Data is forced to disk this often, in seconds; 0 forces every batch, a negative value never (the
    kernel writes back by itself). What a power cut can take is bounded by this window."""
    ancestry: str = "all"
    """Which events carry `tracehound.ancestry`: `all`, `exec` or `none`."""
    parent: str = "full"
    """Whether events carry the parent's default fields: `full`, as Tetragon's do, or `none`, which makes
    lines a third smaller; readers that ask for the expanded form get the parent back either way."""
    queue_bytes: int = 64 * MIB
    """Most bytes kept in memory while the disk refuses writes; beyond it events are counted as lost."""
    group: str = "tracehound"
    """Group that may read the log. Absent on this machine: the agent's own group."""


@dataclass(frozen=True, slots=True)
class RedactionSettings:
    """Removal of secrets before anything is written."""

    enabled: bool = True
    """On by default: a log full of passwords is a breach of its own."""
    rules: tuple[str, ...] = ()
    """Files with further rules, in the format of `agent/enrich/redaction.yaml`."""
    key_file: str = "/var/lib/tracehound/redaction.key"
    """File with the node's key for the keyed hashes (mode 0600, made when absent, never exported)."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Certificates of `api.listen`; files that change are read again within half a minute."""

    cert: str | None = None
    """File (PEM) with the certificate and those that lead to its authority. None: no TLS, which is only for
    addresses of this machine (127.0.0.1, ::1)."""
    key: str | None = None
    """File (PEM) with its private key, without a passphrase."""
    client_ca: str | None = None
    """File (PEM) with the authorities of clients. Then every client needs a certificate from them, and may do
    what the Unix socket's group may. None: whoever connects may read, and change nothing."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The control socket."""

    socket: str = "/run/tracehound/tracehound.sock"
    """Unix socket of the gRPC service. An empty string switches the service off."""
    socket_group: str = "tracehound"
    """Group that may use the socket (mode 0660). Absent on this machine: the agent's own group."""
    client_queue_events: int = 10000
    """Events a slow client may lag behind before it gets a `loss` notice and skips ahead."""
    max_clients: int = 32
    """Streams served at once; more are refused with RESOURCE_EXHAUSTED."""
    deny_namespaces: tuple[str, ...] = ()
    """Namespaces, as shell patterns, whose events no client of the API gets. The log, rules and policies have
    them all the same; for exporters say so in `filter.deny`."""
    listen: str = ""
    """TCP address (`HOST:PORT`) where the same service is offered as well; empty for none, because a socket
    of the file system cannot be reached from elsewhere by mistake."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    """See TlsSettings."""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Metrics for Prometheus, and probes over HTTP; docs/metrics.md."""

    listen: str = ""
    """TCP address (`HOST:PORT`, `:2112` for all addresses) of `/metrics`, `/healthz` and `/readyz`; empty for
    none. Needs the Python package of the extra `metrics`."""
    labels: tuple[str, ...] = ("namespace", "workload")
    """Labels of `tracehound_events_total` and `tracehound_policy_events_total` besides type and policy:
    `namespace`, `workload`, `pod`, `binary`. Each multiplies the number of series."""
    max_series: int = 5000
    """Most series of one metric; what comes beyond is counted together, with the labels `other`."""


@dataclass(frozen=True, slots=True)
class OverloadSettings:
    """When and how the agent sheds work; see docs/overload.md."""

    shed_bulk_fraction: float = 0.25
    """Ring fill above which bulk events are refused in the kernel (a fraction of the ring)."""
    shed_exit_detail_fraction: float = 0.50
    """Ring fill above which exit events are written without parent and arguments."""
    shed_exit_fraction: float = 0.75
    """Ring fill above which exit records are refused in the kernel, counted. Execs are never shed."""
    recover_seconds: float = 2.0
    """How long the fill must stay under a tenth of the ring before one step is taken back, in seconds."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Which TracingPolicies run, and what becomes of them when the agent ends."""

    files: tuple[str, ...] = ()
    """Files with policies (YAML, one or several documents each)."""
    dirs: tuple[str, ...] = ("/etc/tracehound/policies.d",)
    """Directories whose `*.yaml` and `*.yml` are read, in the order of their names. One that does not exist
    is empty."""
    profile: str = ""
    """Policies of the library that run besides: `minimal`, `default`, `forensic`; empty for none."""
    persist: bool | None = None
    """Whether policies are pinned and go on judging and enforcing while the agent is down. None: yes for a
    service (systemd, or pid 1 of a container), no for a run in a terminal."""
    strict: bool = False
    """Whether the agent refuses to start when a configured policy cannot be loaded. Off: it says so and runs
    on, for one bad policy must not blind the others."""
    stack_addresses: bool = False
    """Whether stack traces tell addresses besides names. Off: who reads events would learn where the kernel
    and programs lie."""
    cgroup_rate: int = 0
    """Most events of policies of one cgroup in a second; what goes beyond is held back and counted
    (`throttle` records). Calls to which something was done are told always. 0: no limit."""
    kill_budget: int = 100
    """Signals per policy and minute; a policy that wants more falls back to monitor mode, with an alarm.
    0: no limit."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Which exporters run beside the agent; docs/exporters.md says how each is configured."""

    files: tuple[str, ...] = ()
    """Files with exporters (YAML, one exporter each; its name is the file's without the ending)."""
    dirs: tuple[str, ...] = ("/etc/tracehound/exporters.d",)
    """Directories whose `*.yaml` and `*.yml` are read. One that does not exist is empty."""
    state_dir: str = "/var/lib/tracehound/exporters"
    """Directory with the cursor, dead letters and counters of each exporter: `STATE_DIR/NAME/`, mode 0700."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Compaction of closed segments; docs/store.md says what becomes of them."""

    enabled: bool = True
    """Whether closed segments become Parquet files: a fortieth of the room, and trees at once. Needs the
    Python packages of the extra `store`; without them the agent says so and keeps the lines."""
    after_seconds: int = 0
    """A segment is compacted when it was closed this long ago, in seconds. 0: at once. Longer leaves lines
    for other readers of the files (a SIEM's file collector)."""
    memory_bytes: int = 400 * MIB
    """Most private memory of the compactor, in bytes; it ends above it, and is started again later. 0: no
    limit."""


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """Which Sigma rules run beside the agent; docs/detections.md says what becomes of what they find."""

    rules: tuple[str, ...] = ()
    """Files with rules (YAML, one or several documents each), or directories with such files."""
    dirs: tuple[str, ...] = ("/etc/tracehound/rules.d",)
    """Directories whose rules are read, sub-directories included. One that does not exist is empty."""
    library: bool = False
    """Whether the rules that come with Tracehound run as well. Off: nobody is alarmed by what he did not ask
    for."""
    exceptions: tuple[str, ...] = ("/etc/tracehound/exceptions.d",)
    """Directories or files with exceptions: reviewed, with owner and expiry. What does not exist is empty."""
    state_dir: str = "/var/lib/tracehound/detect"
    """Directory with the place in the log up to which rules were evaluated, and open stories (mode 0700)."""


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """Lines of other programs' logs that become records, for rules about them; docs/collect.md."""

    files: tuple[str, ...] = ()
    """Log files to follow (`/var/log/auth.log`), with Sigma's services for all of their lines in front where
    the name does not tell them (`vsftpd:/srv/ftp/log`). Empty: none; they hold what others wrote."""
    journal: bool = False
    """Whether systemd's journal is followed, by its program journalctl."""
    units: tuple[str, ...] = ()
    """Units whose lines are taken of the journal (`ssh.service`). Empty: all lines."""
    lines_per_second: int = 1000
    """Most lines of all sources in a second. What is more waits in the files, up to 16 MiB of each (of the
    journal a minute); beyond it is passed over and counted."""
    line_bytes: int = 8192
    """Longest line in bytes; longer ones are cut."""
    state_dir: str = "/var/lib/tracehound/collect"
    """Directory with the places up to which the files and the journal were read (mode 0700)."""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Who a container is: where names, pods and policies of Kubernetes come from; see docs/containers.md."""

    kubernetes: bool | None = None
    """Whether the API server of Kubernetes is asked and watched. None: yes where a pod's service account is
    mounted or `kubeconfig` is set."""
    kubeconfig: str | None = None
    """Kubeconfig file for an agent that is no pod. None: the pod's own service account."""
    policies: bool = True
    """Whether TracingPolicy and TracingPolicyNamespaced objects are watched and run."""
    runtimes: bool = True
    """Whether container runtimes are asked: CRI, Docker, Podman, and the bundles on disk."""
    sockets: tuple[str, ...] = ()
    """Sockets of container runtimes, as `cri:/path`, `docker:/path` or `podman:/path`. Empty: the usual
    places."""
    nri: str = "auto"
    """Socket of the Node Resource Interface, by which a runtime tells of a container before its first
    process: a path, `auto` (/var/run/nri/nri.sock where it is there and `runtimes` is on), or `none`."""
    nri_fail_closed: tuple[str, ...] = ()
    """Namespaces, as shell patterns, whose containers a runtime is to refuse (NRI) while this agent runs and
    does not answer in time. Never the agent's own."""
    state_file: str = "/var/lib/tracehound/kubernetes.json"
    """Last known policies and node labels, which count while the API server cannot be reached (mode 0600)."""


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """How containers are followed; docs/containers.md says what events tell of them."""

    patience_seconds: float = 30.0
    """How long a container may be `pending` before it is `unknowable`, in seconds. As long as runtimes are
    asked again; what is answered later counts all the same."""
    hold_seconds: float = 2.0
    """How long a client of the API waits for the events of a pending container, in seconds, so that they come
    with their pod; 0: not at all. Exporters have a setting of their own, and the log never waits."""
    annotations: tuple[str, ...] = ()
    """Annotations of pods that events show, as shell patterns. Empty: none, for they hold whole manifests."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the agent."""

    node_name: str | None = None
    """Name of this node in events and exec_ids. None: $NODE_NAME, else the host name."""
    cluster_name: str = ""
    """Name of the cluster in events; empty omits the field."""
    output: str = "compact"
    """What a run prints on standard output: `compact`, `json` or `none`."""
    heartbeat_seconds: float = 30.0
    """Interval of `heartbeat` records, in seconds."""
    run_dir: str = "/run/tracehound"
    """Directory of run-time files (status, lock)."""
    kernel: KernelSettings = field(default_factory=KernelSettings)
    """See KernelSettings."""
    enrich: EnrichSettings = field(default_factory=EnrichSettings)
    """See EnrichSettings."""
    log: LogSettings = field(default_factory=LogSettings)
    """See LogSettings."""
    redaction: RedactionSettings = field(default_factory=RedactionSettings)
    """See RedactionSettings."""
    api: ApiSettings = field(default_factory=ApiSettings)
    """See ApiSettings."""
    overload: OverloadSettings = field(default_factory=OverloadSettings)
    """See OverloadSettings."""
    policies: PolicySettings = field(default_factory=PolicySettings)
    """See PolicySettings."""
    exporters: ExportSettings = field(default_factory=ExportSettings)
    """See ExportSettings."""
    store: StoreSettings = field(default_factory=StoreSettings)
    """See StoreSettings."""
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    """See MetricsSettings."""
    detect: DetectSettings = field(default_factory=DetectSettings)
    """See DetectSettings."""
    collect: CollectSettings = field(default_factory=CollectSettings)
    """See CollectSettings."""
    containers: ContainerSettings = field(default_factory=ContainerSettings)
    """See ContainerSettings."""
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    """See IdentitySettings."""
