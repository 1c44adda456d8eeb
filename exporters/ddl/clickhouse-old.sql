-- SPDX-License-Identifier: Apache-2.0
-- The same table for ClickHouse before 22.8 (tried with 18.16): nanoseconds as a number, no skipping indexes.

CREATE DATABASE IF NOT EXISTS tracehound;

CREATE TABLE IF NOT EXISTS tracehound.events
(
    time            Int64,
    sequence        UInt64,
    boot_id         String,
    type            String,
    node            String,
    exec_id         String,
    parent_exec_id  String,
    ancestry        Array(String),
    anc             Array(UInt64),
    pid             Nullable(UInt32),
    uid             Nullable(UInt32),
    auid            Nullable(UInt32),
    user            String,
    exe             String,
    args            String,
    cwd             String,
    parent_exe      String,
    container       String,
    image           String,
    namespace       String,
    pod             String,
    workload        String,
    function        String,
    policy          String,
    action          String,
    path            String,
    address         String,
    port            Nullable(UInt16),
    local_address   String,
    local_port      Nullable(UInt16),
    protocol        String,
    signal          String,
    status          Nullable(Int32),
    level           String,
    rule            String,
    payload         String
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(toDateTime(intDiv(time, 1000000000), 'UTC'))
ORDER BY (node, container, time);
