-- SPDX-License-Identifier: Apache-2.0
-- The events of all nodes, for ClickHouse 22.8 and newer. The columns are those of docs/store.md; `anc` is our
-- addition for trees: cityHash64 of the process's exec_id and of those of its ancestors, itself first.
--
-- Several replicas: ENGINE = ReplicatedMergeTree(...) with ON CLUSTER; the rest stays.

CREATE DATABASE IF NOT EXISTS tracehound;

CREATE TABLE IF NOT EXISTS tracehound.events
(
    time            DateTime64(9, 'UTC')            CODEC(Delta(8), ZSTD(1)),
    sequence        UInt64                          CODEC(Delta(8), ZSTD(1)),
    boot_id         LowCardinality(String),
    type            LowCardinality(String),
    node            LowCardinality(String),
    exec_id         String                          CODEC(ZSTD(1)),
    parent_exec_id  String                          CODEC(ZSTD(1)),
    ancestry        Array(String)                   CODEC(ZSTD(1)),
    anc             Array(UInt64)                   CODEC(ZSTD(1)),
    pid             Nullable(UInt32)                CODEC(ZSTD(1)),
    uid             Nullable(UInt32)                CODEC(ZSTD(1)),
    auid            Nullable(UInt32)                CODEC(ZSTD(1)),
    user            LowCardinality(String),
    exe             LowCardinality(String),
    args            String                          CODEC(ZSTD(1)),
    cwd             String                          CODEC(ZSTD(1)),
    parent_exe      LowCardinality(String),
    container       String                          CODEC(ZSTD(1)),
    image           LowCardinality(String),
    namespace       LowCardinality(String),
    pod             LowCardinality(String),
    workload        LowCardinality(String),
    function        LowCardinality(String),
    policy          LowCardinality(String),
    action          LowCardinality(String),
    path            String                          CODEC(ZSTD(1)),
    address         String                          CODEC(ZSTD(1)),
    port            Nullable(UInt16)                CODEC(ZSTD(1)),
    local_address   String                          CODEC(ZSTD(1)),
    local_port      Nullable(UInt16)                CODEC(ZSTD(1)),
    protocol        LowCardinality(String),
    signal          LowCardinality(String),
    status          Nullable(Int32)                 CODEC(ZSTD(1)),
    level           LowCardinality(String),
    rule            LowCardinality(String),
    payload         String                          CODEC(ZSTD(3)),

    INDEX by_exec_id exec_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_anc     anc     TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_exe     exe     TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_address address TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_pod     pod     TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_pid     pid     TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(time)
ORDER BY (node, container, time)
TTL toDateTime(time) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Each record once: after a lost answer a batch may have come twice.
CREATE VIEW IF NOT EXISTS tracehound.events_once AS
SELECT * FROM tracehound.events LIMIT 1 BY node, boot_id, sequence;

-- Holes in the numbers of a node's boot that nothing accounts for: nothing here is what has to be.
CREATE VIEW IF NOT EXISTS tracehound.gaps AS
SELECT node, boot_id, max(sequence) - min(sequence) + 1 - uniqExact(sequence) AS missing
FROM tracehound.events GROUP BY node, boot_id HAVING missing > 0;
