# SPDX-License-Identifier: Apache-2.0
"""The parts of `agent.enrich.redaction`: rules, how they are read, and the three ways of finding secrets."""
