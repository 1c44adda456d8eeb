# SPDX-License-Identifier: Apache-2.0
"""Lines of other programs' logs: a child process that follows files and the journal."""
