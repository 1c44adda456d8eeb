# SPDX-License-Identifier: Apache-2.0
"""The only code that talks to bpf(2)."""
