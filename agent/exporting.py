# SPDX-License-Identifier: Apache-2.0
"""The daemon's exporters: children that read the log, started again when they die."""
