# SPDX-License-Identifier: Apache-2.0
"""Who a container is: the child process that asks Kubernetes and container runtimes; docs/containers.md."""
