# SPDX-License-Identifier: Apache-2.0
"""The event log: one writer, any number of readers; see docs/event-log.md."""
