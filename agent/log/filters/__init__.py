# SPDX-License-Identifier: Apache-2.0
"""Which events somebody wants to see (allow and deny lists), and which of their fields.

Tetragon's semantics, in one place for its gRPC API, for exporters and for files. Everything here is pure: it
works on parsed records of the log and never waits. Filters are given in the JSON form of Tetragon's messages
`Filter` and `FieldFilter` (tetragon/events.proto).
"""


class Refused(ValueError):
    """A filter cannot be served as it is; the message names the field and what is wrong with it."""
