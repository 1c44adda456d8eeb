# SPDX-License-Identifier: Apache-2.0
"""Tracehound: runtime security and forensics agent for Linux and Kubernetes."""

__version__ = "0.1.0"
