# SPDX-License-Identifier: Apache-2.0
"""Exporters: one module per destination; each reads the event log by its own cursor."""
