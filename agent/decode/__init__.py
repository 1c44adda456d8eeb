# SPDX-License-Identifier: Apache-2.0
"""Bytes of the ring to typed records. Pure: no clock, no file, no kernel."""
