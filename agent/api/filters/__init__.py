# SPDX-License-Identifier: Apache-2.0
"""A client's filters: the messages of the interface, turned into what `agent.log.filters` evaluates."""
