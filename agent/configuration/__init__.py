# SPDX-License-Identifier: Apache-2.0
"""Helpers of `agent.config`: units, the table of keys, documents with line numbers."""
