# SPDX-License-Identifier: Apache-2.0
"""The control socket: Tetragon's gRPC service, health, and what the command line asks of the agent.

The agent itself imports `activation` only; everything that needs gRPC lives in the child process that
`activation` starts (`server`) and in its clients (`client`).
"""
