# SPDX-License-Identifier: Apache-2.0
"""Events to events with lineage, container and user."""
