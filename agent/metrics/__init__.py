# SPDX-License-Identifier: Apache-2.0
"""Metrics for Prometheus and probes over HTTP, served by a child process (`agent.metering` starts it).

It follows the log for what is counted by pod, asks the agent for everything else, and does both only as often
as somebody looks. docs/metrics.md lists what there is.
"""
