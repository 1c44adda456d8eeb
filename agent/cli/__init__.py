# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per sub-command, loaded when it is called. Nobody imports this room."""
